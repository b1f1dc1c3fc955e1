"""Read the body of a response: join its parts and decompress them, within limits."""

import zlib
from typing import Any, Self

import attrs
import httpx
from anyio.lowlevel import checkpoint

from losant_tokens._api.json_parser import ContentProblem

DEFAULT_MAX_RESPONSE_SIZE = 32 * 1024 * 1024
"""The default maximum size of a page of a list, in bytes after decompression."""

_GZIP = frozenset({"gzip", "x-gzip"})  # two names of the same encoding: RFC 9110, 8.4.1.3
_CUT_SHORT = ContentProblem("is compressed with gzip, but the end is missing")
_STEP = 1024 * 1024  # bytes that are decompressed between two checkpoints, in about 2 ms
_MAX_MEMBERS = 1000
_KNOWN_ENCODINGS = frozenset({"br", "compress", "deflate", "zstd"})


@attrs.frozen
class ReceivedResponse:
    """A status, headers and a body as received; the repr shows neither headers nor body."""

    status_code: int
    headers: httpx.Headers = attrs.field(repr=False)
    content: bytes = attrs.field(repr=False)


class BodyReader:
    """Joins the parts of a body and decompresses them, up to a limit.

    A few kilobytes can decompress to gigabytes, so the limit applies to the decompressed size, and
    no part is decompressed beyond it. A gzip body may have several members (RFC 1952, 2.2), which
    may be empty. So the number of members and the compressed size are limited as well.

    Args:
        encoding: The value of the `Content-Encoding` header.
        limit: The maximum size, in bytes.
    """

    def __init__(self, encoding: str, limit: int = DEFAULT_MAX_RESPONSE_SIZE) -> None:
        encodings = [name.strip().lower() for name in encoding.split(",")] if encoding else []
        self._encodings = [name for name in encodings if name not in {"", "identity"}]
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._received = 0
        self._compressed = b""  # received, but not decompressed yet
        self._members = 0
        self._gunzip: Any = None

    @classmethod
    def of(cls, headers: httpx.Headers, limit: int = DEFAULT_MAX_RESPONSE_SIZE) -> Self:
        """Return a reader for the body of a response with these headers."""
        return cls(headers.get("content-encoding", ""), limit)

    async def take(self, part: bytes) -> ContentProblem | None:
        """Take the next part, with checkpoints; return its problem, or `None`."""
        problem = self.feed(part)
        while self._compressed and problem is None:
            await checkpoint()
            problem = self.feed(b"")
        return problem

    @property
    def has_more(self) -> bool:
        """Whether there is data left to decompress."""
        return bool(self._compressed)

    def feed(self, part: bytes) -> ContentProblem | None:
        """Take the next part and decompress one step; return its problem, or `None`."""
        self._received += len(part)
        if self._encodings:
            if len(self._encodings) > 1 or self._encodings[0] not in _GZIP:
                return self._unexpected_encoding()
            try:
                part = self._decompress(self._compressed + part)
            except zlib.error:
                return ContentProblem("is not valid gzip")
        self._size += len(part)
        if max(self._size, self._received) > self._limit or self._members > _MAX_MEMBERS:
            return ContentProblem(f"is larger than {_format_size(self._limit)}", is_too_large=True)
        self._parts.append(part)
        return None

    def end(self) -> ContentProblem | None:
        """Return the problem if the body is incomplete, or `None`."""
        return None if self._gunzip is None or self._gunzip.eof else _CUT_SHORT

    def content(self) -> bytes:
        """Return the whole body."""
        return b"".join(self._parts)

    def _decompress(self, data: bytes) -> bytes:
        if not data:
            return b""
        if self._gunzip is None or self._gunzip.eof:
            self._gunzip = zlib.decompressobj(wbits=31)
            self._members += 1
        max_size = min(_STEP, self._limit - self._size + 1)
        plain: bytes = self._gunzip.decompress(data, max_size)
        # Only one of the two is not empty: data beyond the step, or data after the member.
        self._compressed = self._gunzip.unconsumed_tail or self._gunzip.unused_data
        return plain

    def _unexpected_encoding(self) -> ContentProblem:
        """Return the problem of an encoding that the request did not accept."""
        name = self._encodings[0]
        known = f"is encoded with {name!r}, which" if name in _KNOWN_ENCODINGS else ""
        return ContentProblem(f"{known or 'has a Content-Encoding that'} was not requested")


def _format_size(size: int) -> str:
    mebibytes, rest = divmod(size, 1024 * 1024)
    return f"{size:,} bytes" if rest else f"{mebibytes:,} MiB"
