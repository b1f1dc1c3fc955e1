"""Read a response: its body within limits, and then the model or the error to raise.

Errors are returned instead of raised. A response may hold a secret, and tools such as Sentry log
the locals of each frame that an exception passes.
"""

import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Self, TypeVar, cast

import attrs
import httpx
from anyio.lowlevel import checkpoint

from losant_tokens._api.codec import Codec
from losant_tokens._api.json_parser import ContentProblem, parse
from losant_tokens._api.models import (
    ApiToken,
    AuditLog,
    InstanceAuditLog,
    NewApiToken,
    Success,
    UserOauthToken,
)
from losant_tokens._api.operations import JsonValue, Operation
from losant_tokens._http.raw_response import request_id, safe_headers
from losant_tokens._http.server_clock import parse_http_date
from losant_tokens._utils import validators
from losant_tokens._utils.safe_text import redacted_json
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import (
    LosantError,
    ResponseError,
    ResponseTooLarge,
    StatusError,
    status_error_class,
)

R = TypeVar("R")

DEFAULT_MAX_RESPONSE_SIZE = 32 * 1024 * 1024
"""The default maximum size of a page of a list, in bytes after decompression."""

_MAX_SINGLE_SIZE = 4 * 1024 * 1024  # bytes; the description of a token may take 200 KB if escaped
_MAX_ERROR_SIZE = 1024 * 1024  # bytes
# A body may hold one JSON value for each 64 bytes of its maximum size, and at least 10,000 values.
_BYTES_PER_VALUE = 64
_MIN_VALUES = 10_000
_KNOWN_ENCODINGS = frozenset({"br", "compress", "deflate", "zstd"})
_KNOWN_TYPES = frozenset(
    {
        "application/json",
        "application/octet-stream",
        "application/problem+json",
        "application/xml",
        "text/html",
        "text/plain",
        "text/xml",
    }
)
_MAX_MESSAGE_LENGTH = 500  # characters of a server's message that the text of an error repeats


@attrs.frozen
class ReceivedResponse:
    """A status, headers and a body as received; the repr shows neither headers nor body."""

    status_code: int
    headers: httpx.Headers = attrs.field(repr=False)
    content: bytes = attrs.field(repr=False)


def size_limit(operation: Operation[Any], status_code: int, max_response_size: int) -> int:
    """Return the largest body, in bytes, that is read of a response.

    Args:
        operation: The operation.
        status_code: The HTTP status of the response.
        max_response_size: The client's limit for the pages of lists, in bytes.
    """
    if status_code >= 400:  # noqa: PLR2004 -- HTTP's range for errors
        return min(_MAX_ERROR_SIZE, max_response_size)
    if _is_list(operation):
        return max_response_size
    return min(max_response_size, max(_MAX_SINGLE_SIZE, max_response_size // 8))


def _is_list(operation: Operation[Any]) -> bool:
    return bool(operation.sorts_by) or operation.is_custom


_GZIP = frozenset({"gzip", "x-gzip"})  # two names of the same encoding: RFC 9110, 8.4.1.3
_CUT_SHORT = ContentProblem("is compressed with gzip, but the end is missing")
_STEP = 1024 * 1024  # bytes that are decompressed between two checkpoints, in about 2 ms
_MAX_MEMBERS = 1000


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


async def read_response(
    operation: Operation[R],
    request: httpx.Request,
    response: ReceivedResponse,
    codec: Codec,
    secrets: list[Secret],
    max_response_size: int = DEFAULT_MAX_RESPONSE_SIZE,
) -> R | LosantError:
    """Return the result of an operation, or the error to raise.

    A long list is read with checkpoints, so that other tasks can run.

    Args:
        operation: The operation.
        request: The request that was sent.
        response: The response to it.
        codec: Converts JSON to models.
        secrets: The secrets in the request, which an error must not show.
        max_response_size: The client's limit for the pages of lists, in bytes.
    """
    if 200 <= response.status_code < 300:  # noqa: PLR2004 -- HTTP's range for success
        if operation.result is Success and _says_success(response):
            return cast("R", Success(is_stated=bool(response.content)))
        max_values = _max_values(operation, response, max_response_size)
        if operation.result is JsonValue:
            read: Any = await _read_json(operation, response, codec, secrets, max_values)
            return cast("R", read)
        found = await codec.decode(response.content, operation.result, max_values)
        problem = (
            found
            if isinstance(found, ContentProblem)
            else _mismatch(operation, request, response, found)
        )
        return _unreadable(operation, response, problem, secrets) if problem else cast("R", found)
    if 300 <= response.status_code < 400:  # noqa: PLR2004 -- HTTP's range for redirects
        problem = ContentProblem("is a redirect, which is never followed: check the base URL")
        return _unreadable(operation, response, problem, secrets)
    return _error_of_status(operation, request, response, secrets)


async def _read_json(
    operation: Operation[Any],
    response: ReceivedResponse,
    codec: Codec,
    secrets: list[Secret],
    max_values: int,
) -> Any:
    """Return the JSON value of a response; `None` if its body is empty."""
    if not response.content and not _is_html(response):
        return None
    found = await codec.parse_long(response.content, max_values)
    if isinstance(found, ContentProblem):
        return _unreadable(operation, response, found, secrets)
    return found


_SUCCESS_WITHOUT_BODY = frozenset({200, 204})  # statuses that mean success without a body


def _says_success(response: ReceivedResponse) -> bool:
    """Return whether a response is empty or has the usual body, and so means success."""
    if response.content:
        # Comparing the usual body instead of parsing it saves 5 of the 190 microseconds of a call
        # over aiohttp's pool (benchmark row "CPU per request, 100 in flight").
        return response.content == b'{"success":true}'
    return response.status_code in _SUCCESS_WITHOUT_BODY and not _is_html(response)


def _is_html(response: ReceivedResponse) -> bool:
    media_type: str = response.headers.get("content-type", "")
    return media_type.lower().startswith("text/html")


_WITH_ID = ApiToken | UserOauthToken | AuditLog | InstanceAuditLog
"""Models that are requested by their id."""


def _mismatch(
    operation: Operation[Any], request: httpx.Request, response: ReceivedResponse, found: object
) -> ContentProblem | None:
    """Return why a response does not belong to the request although it can be read, or `None`.

    A connection or a proxy may mix up responses, and another service may respond.
    """
    if isinstance(found, _WITH_ID) and request.method != "POST":
        path, _, _ = request.url.raw_path.decode("ascii").partition("?")
        _, _, wanted = path.rpartition("/")
        is_id = not operation.is_custom or validators.ID_PATTERN.fullmatch(wanted)
        if is_id and found.id.lower() != wanted.lower():
            thing = "token" if isinstance(found, ApiToken | UserOauthToken) else "entry"
            return ContentProblem(f"is not the id of the requested {thing}", "$.id")
    if isinstance(found, Success):
        data = Codec.parse(response.content)
        if not isinstance(data, dict) or data.get("success") is not True:
            return ContentProblem("must be true, but it is not", "$.success")
    if isinstance(found, NewApiToken) and found.token == Secret(""):
        return ContentProblem("is empty", _SECRET)
    return None


def _max_values(
    operation: Operation[Any], response: ReceivedResponse, max_response_size: int
) -> int:
    """Return the maximum number of JSON values in a response.

    Python needs about 80 bytes for an empty list. With one value for each 64 bytes, the values take
    little more memory than the largest body.
    """
    limit = size_limit(operation, response.status_code, max_response_size)
    return max(_MIN_VALUES, limit // _BYTES_PER_VALUE)


def unreadable_error(
    operation: Operation[Any],
    status_code: int,
    problem: ContentProblem,
    headers: httpx.Headers,
    about: str = "",
) -> ResponseError:
    """Return the error for a response that cannot be read.

    Args:
        operation: The operation.
        status_code: The HTTP status of the response.
        problem: The problem.
        headers: The headers of the response, without secrets.
        about: More facts about the response, for the message.
    """
    subject = "the response" if problem.path == "$" else f"{problem.path} of the response"
    kind, advice = ResponseError, ""
    if problem.is_too_large and _is_list(operation):
        kind, advice = ResponseTooLarge, _ASK_FOR_LESS
    return kind(
        f"{operation}: {subject} {problem.text} (status {status_code}{about}){advice}",
        operation=operation.name,
        status_code=status_code,
        path=None if problem.path == "$" else problem.path,
        headers=headers,
        request_id=request_id(headers),
    )


_ASK_FOR_LESS = (
    ". Request smaller pages (per_page), or allow larger ones (max_response_size of AsyncClient)."
)


def _unreadable(
    operation: Operation[Any],
    response: ReceivedResponse,
    problem: ContentProblem,
    secrets: list[Secret],
) -> ResponseError:
    headers = safe_headers(response.headers, secrets)
    if operation.result is NewApiToken and problem.path == _SECRET:
        return _secret_is_lost(operation, response, problem, headers)
    about = f", {_media_type(response.headers)}, {len(response.content)} bytes"
    return unreadable_error(operation, response.status_code, problem, headers, about)


_SECRET = "$.token"  # noqa: S105 -- the place of the secret in the response to a POST


def _secret_is_lost(
    operation: Operation[Any],
    response: ReceivedResponse,
    problem: ContentProblem,
    headers: httpx.Headers,
) -> ResponseError:
    """Return the error for a token that was created, but whose secret cannot be read.

    The error names the token, because it has to be deleted.
    """
    data: Any = Codec.parse(response.content)
    token_id: str = data["id"]  # It can be read: the id is checked before the secret.
    return ResponseError(
        f"{operation}: the token {validators.describe(token_id)} was created, but its secret is "
        f"lost: {_SECRET} of the response {problem.text} (status {response.status_code}). Delete "
        f"this token, and create another one.",
        operation=operation.name,
        status_code=response.status_code,
        path=_SECRET,
        token_id=token_id,
        headers=headers,
        request_id=request_id(headers),
    )


def _media_type(headers: httpx.Headers) -> str:
    """Return the media type of a body, unless it is unusual: it might contain a secret."""
    stated: str = headers.get("content-type", "")
    kind = stated.partition(";")[0].strip().lower()
    if kind in _KNOWN_TYPES:
        return kind
    return "of another type" if kind else "of no stated type"


_HINTS = {
    401: "The token is unknown, inactive, expired or deleted.",
    403: "The token is valid, but not allowed to do this: check its scopes and roles.",
}

_NOT_FROM_API = "This is not an error of the API: a proxy or another service may have responded."


def _hint(operation: Operation[Any], code: int, is_from_api: bool) -> str | None:
    """Return advice for an error, or `None`."""
    if not is_from_api:
        return _NOT_FROM_API if code in {401, 403, 404} else None
    return _HINTS.get(code) if operation.needs_token else None


def _error_of_status(
    operation: Operation[Any],
    request: httpx.Request,
    response: ReceivedResponse,
    secrets: list[Secret],
) -> StatusError:
    body = _error_body(response, secrets)
    headers = safe_headers(response.headers, secrets)
    is_from_api = bool(body.get("type")) and all(
        isinstance(body.get(name), str) for name in ("type", "message")
    )
    kind, message = (_one_line(body.pop(name, "")) for name in ("type", "message"))
    code = response.status_code
    name = kind or _phrase(code)
    # Some services repeat the name of the status in place of an explanation.
    is_repeated = message.strip(" .").casefold() in {name.casefold(), f"{code} {name}".casefold()}
    text = name if is_repeated else f"{name} - {message or 'no explanation was given'}"
    if hint := _hint(operation, code, is_from_api):
        text = f"{text.rstrip('.')}. {hint}"
    return status_error_class(code)(
        f"{operation} ({request.url.path}): {code} {text}",
        status_code=code,
        type=kind,
        message=message,
        operation=operation.name,
        details=body,
        retry_after=retry_after(response.headers, datetime.now(UTC)),
        is_from_api=is_from_api,
        headers=headers,
        request_id=request_id(headers),
    )


def _error_body(response: ReceivedResponse, secrets: Iterable[Secret]) -> dict[str, Any]:
    """Return the members of an error's body; none if it is not JSON, such as a proxy's page."""
    try:
        body = redacted_json(parse(response.content, _MIN_VALUES), secrets)
    except RecursionError:
        return {}
    return body if isinstance(body, dict) else {}


def _one_line(value: object) -> str:
    """Return a server's message in one line of limited length."""
    line = " ".join(value.split()) if isinstance(value, str) else ""
    return line if len(line) <= _MAX_MESSAGE_LENGTH else f"{line[:_MAX_MESSAGE_LENGTH]}..."


def _phrase(code: int) -> str:
    """Return the name of an HTTP status."""
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "(not a status of HTTP)"


def retry_after(headers: httpx.Headers, now: datetime) -> float | None:
    """Return the seconds in a `Retry-After` header, or `None` (RFC 9110, 10.2.3).

    Args:
        headers: The headers of the response. If `Retry-After` is a date, it is compared with their
            `Date`, so that a wrong clock of this machine makes no difference.
        now: The current time, which is used if there is no such `Date`.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    date = parse_http_date(value)
    if date is None:
        return None
    reference = parse_http_date(headers.get("date", "")) or now
    return max(0.0, (date - reference).total_seconds())
