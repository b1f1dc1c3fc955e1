"""Reads a response: its body, within limits, and then a model or the error to raise.

It returns errors instead of raising them, because a response may hold a secret, and the locals of
a frame that raises can end up in a log.
"""

import re
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Self, TypeVar, cast

import attrs
import httpx
from anyio.lowlevel import checkpoint

from losant_tokens import _validators as validators
from losant_tokens._codec import Codec
from losant_tokens._json_parser import ContentProblem, parse
from losant_tokens._models import ApiToken, NewApiToken, Success, UserOauthToken
from losant_tokens._operations import Operation
from losant_tokens._secret import Secret
from losant_tokens._server_clock import parse_http_date
from losant_tokens.errors import (
    LosantError,
    ResponseError,
    ResponseTooLarge,
    StatusError,
    status_error_class,
)

R = TypeVar("R")

DEFAULT_MAX_RESPONSE_SIZE = (
    32 * 1024 * 1024
)  # bytes, decompressed: the default for a page of a list
_SINGLE_LIMIT = 4 * 1024 * 1024  # a token's description alone may have 200 KB, if it is escaped
_ERROR_LIMIT = 1024 * 1024
_BYTES_PER_VALUE = 64  # of the limit, for each of which a document may hold one JSON value
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
_MESSAGE_LIMIT = 500  # characters of what a server says that go into the text of an error


@attrs.frozen
class RawResponse:
    """A whole response; its repr does not show the content."""

    status_code: int
    headers: httpx.Headers = attrs.field(repr=False)
    content: bytes = attrs.field(repr=False)


def size_limit(operation: Operation[Any], status_code: int, max_response_size: int) -> int:
    """Return the largest body, in bytes, that is read of a response.

    Args:
        operation: The operation.
        status_code: The HTTP status of the response.
        max_response_size: The client's limit, which holds for the pages of lists.
    """
    if status_code >= 400:  # noqa: PLR2004 -- HTTP's range for errors
        return min(_ERROR_LIMIT, max_response_size)
    if _is_list(operation):
        return max_response_size
    return min(max_response_size, max(_SINGLE_LIMIT, max_response_size // 8))


def _is_list(operation: Operation[Any]) -> bool:
    return bool(operation.sorts_by)


_GZIP = frozenset({"gzip", "x-gzip"})  # one and the same: RFC 9110, 8.4.1.3
_CUT_SHORT = ContentProblem("is compressed with gzip, and was cut short")
_STEP = 1024 * 1024  # bytes that are decompressed at once, in about two milliseconds
_MAX_MEMBERS = 1000


class BodyReader:
    """Joins the parts of a body and decompresses them, up to a limit.

    A few kilobytes can decompress into gigabytes, so the limit is on the result, and no part is
    decompressed beyond the limit. A gzip body may have several members (RFC 1952, 2.2). Each may
    be empty, so their number and the compressed size are limited as well.
    """

    def __init__(self, encoding: str, limit: int = DEFAULT_MAX_RESPONSE_SIZE) -> None:
        encodings = [name.strip().lower() for name in encoding.split(",")] if encoding else []
        self._encodings = [name for name in encodings if name not in {"", "identity"}]
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._received = 0
        self._compressed = b""  # what is still to be decompressed
        self._members = 0
        self._gunzip: Any = None

    @classmethod
    def of(cls, headers: httpx.Headers, limit: int = DEFAULT_MAX_RESPONSE_SIZE) -> Self:
        """Return a reader for the body of a response with these headers."""
        # Most responses have no such header, and then `get` would raise an error internally.
        is_encoded = "content-encoding" in headers
        return cls(headers["content-encoding"] if is_encoded else "", limit)

    async def take(self, part: bytes) -> ContentProblem | None:
        """Take the next part, with pauses for other tasks; return its problem, or `None`."""
        fault = self.feed(part)
        while self._compressed and fault is None:
            await checkpoint()
            fault = self.feed(b"")
        return fault

    @property
    def has_more(self) -> bool:
        """Whether data is left that a further step decompresses."""
        return bool(self._compressed)

    def feed(self, part: bytes) -> ContentProblem | None:
        """Take the next part, and decompress one step of it; return its problem, or `None`."""
        self._received += len(part)
        if self._encodings:
            if len(self._encodings) > 1 or self._encodings[0] not in _GZIP:
                return self._not_asked_for()
            try:
                part = self._decompress(self._compressed + part)
            except zlib.error:
                return ContentProblem("is not valid gzip")
        self._size += len(part)
        if max(self._size, self._received) > self._limit or self._members > _MAX_MEMBERS:
            return ContentProblem(f"is larger than {_bytes(self._limit)}", is_too_large=True)
        self._parts.append(part)
        return None

    def end(self) -> ContentProblem | None:
        """Return the problem of a body that ends here, or `None`."""
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
        most = min(_STEP, self._limit - self._size + 1)
        plain: bytes = self._gunzip.decompress(data, most)
        # Only one of them is not empty: data beyond the step, or data after the member.
        self._compressed = self._gunzip.unconsumed_tail or self._gunzip.unused_data
        return plain

    def _not_asked_for(self) -> ContentProblem:
        name = self._encodings[0]
        known = f"is encoded with {name!r}, which" if name in _KNOWN_ENCODINGS else ""
        return ContentProblem(f"{known or 'has a Content-Encoding that'} was not asked for")


def _bytes(size: int) -> str:
    mebibytes, rest = divmod(size, 1024 * 1024)
    return f"{size:,} bytes" if rest else f"{mebibytes:,} MiB"


async def read_response(
    operation: Operation[R],
    request: httpx.Request,
    answer: RawResponse,
    codec: Codec,
    secrets: list[Secret],
    max_response_size: int = DEFAULT_MAX_RESPONSE_SIZE,
) -> R | LosantError:
    """Return the model that the operation promises, or the error to raise.

    The response is read in steps, between which other tasks may use the event loop.

    Args:
        operation: The operation.
        request: The request that was sent.
        answer: The response to it.
        codec: Makes models of JSON.
        secrets: The secrets in the request, which must not show up in an error.
        max_response_size: The client's limit for the pages of lists, in bytes.
    """
    if 200 <= answer.status_code < 300:  # noqa: PLR2004 -- HTTP's range for success
        if operation.result is Success and _says_success(answer):
            return cast("R", Success(is_stated=bool(answer.content)))
        found = await codec.decode(
            answer.content, operation.result, _max_values(operation, answer, max_response_size)
        )
        fault = (
            found if isinstance(found, ContentProblem) else _contradiction(request, answer, found)
        )
        return _no_answer(operation, answer, fault) if fault else cast("R", found)
    if 300 <= answer.status_code < 400:  # noqa: PLR2004 -- HTTP's range for redirects
        fault = ContentProblem("is a redirect, and those are never followed: check the base URL")
        return _no_answer(operation, answer, fault)
    return _status_error(operation, request, answer, secrets)


_EMPTY = frozenset({200, 204})  # statuses that mean success without a body, too


def _says_success(answer: RawResponse) -> bool:
    """Return whether a response without data, or with the usual one, means that all went well."""
    if answer.content:
        return answer.content == b'{"success":true}'
    is_page = answer.headers.get("content-type", "").lower().startswith("text/html")
    return answer.status_code in _EMPTY and not is_page


def _contradiction(
    request: httpx.Request, answer: RawResponse, found: object
) -> ContentProblem | None:
    """Return why a response of the right shape does not fit the request, or `None`.

    A connection or a proxy can mix up responses, and another service can respond to anything.
    """
    if isinstance(found, ApiToken | UserOauthToken) and request.method != "POST":
        _, _, wanted = request.url.path.rpartition("/")
        if found.id.lower() != wanted.lower():
            return ContentProblem("is not the id of the token that was asked for", "$.id")
    if isinstance(found, Success):
        data = Codec.parse(answer.content)
        if not isinstance(data, dict) or data.get("success") is not True:
            return ContentProblem("must be true, but it is not", "$.success")
    if isinstance(found, NewApiToken) and found.token == Secret(""):
        return ContentProblem("is empty", _SECRET)
    return None


def _max_values(operation: Operation[Any], answer: RawResponse, max_response_size: int) -> int:
    """Return the number of JSON values above which a response is not parsed.

    Python needs some 80 bytes for an empty list. So the values take little more memory than the
    largest body.
    """
    limit = size_limit(operation, answer.status_code, max_response_size)
    return max(_MIN_VALUES, limit // _BYTES_PER_VALUE)


def unreadable(
    operation: Operation[Any], status_code: int, fault: ContentProblem, about: str = ""
) -> ResponseError:
    """Return the error for a response that cannot be read.

    Args:
        operation: The operation.
        status_code: The HTTP status of the response.
        fault: The problem.
        about: Further facts about the response, for the message.
    """
    place = "" if fault.path == "$" else f" {fault.path}"
    kind, advice = ResponseError, ""
    if fault.is_too_large and _is_list(operation):
        kind, advice = ResponseTooLarge, _ASK_FOR_LESS
    return kind(
        f"{operation}: the answer{place} {fault.problem} (status {status_code}{about}){advice}",
        operation=operation.name,
        status_code=status_code,
        path=None if fault.path == "$" else fault.path,
    )


_ASK_FOR_LESS = (
    ". Ask for smaller pages (per_page), or allow larger ones (AsyncClient's max_response_size)."
)


def _no_answer(
    operation: Operation[Any], answer: RawResponse, fault: ContentProblem
) -> ResponseError:
    if operation.result is NewApiToken and fault.path == _SECRET:
        return _secret_is_lost(operation, answer, fault)
    about = f", {_media_type(answer.headers)}, {len(answer.content)} bytes"
    return unreadable(operation, answer.status_code, fault, about)


_SECRET = "$.token"  # noqa: S105 -- the place of the secret in the response to a POST


def _secret_is_lost(
    operation: Operation[Any], answer: RawResponse, fault: ContentProblem
) -> ResponseError:
    """Return the error for a token that was created and whose secret nobody can read again.

    The error names the token, because it has to be deleted.
    """
    data: Any = Codec.parse(answer.content)
    token_id: str = data["id"]  # It can be read: the id is checked before the secret.
    return ResponseError(
        f"{operation}: the token {validators.describe(token_id)} was created, but its secret is "
        f"lost: {_SECRET} of the response {fault.problem} (status {answer.status_code}). Delete "
        f"this token, and create another one.",
        operation=operation.name,
        status_code=answer.status_code,
        path=_SECRET,
        token_id=token_id,
    )


def _media_type(headers: httpx.Headers) -> str:
    """Return the media type of a body if it is a usual one: a server may put a secret there."""
    stated: str = headers.get("content-type", "")
    kind = stated.partition(";")[0].strip().lower()
    if kind in _KNOWN_TYPES:
        return kind
    return "of another type" if kind else "of no stated type"


_HINTS = {
    401: "The token is unknown, inactive, expired or deleted.",
    403: "The token is good, but may not do this: look at its scopes and roles.",
}

_STRANGER = "This is not an error of the API: a proxy or another service may have responded."


def _hint(operation: Operation[Any], code: int, is_from_api: bool) -> str | None:
    """Return what may help with an error, or `None`."""
    if not is_from_api:
        return _STRANGER if code in {401, 403, 404} else None
    return _HINTS.get(code) if operation.needs_token else None


def _status_error(
    operation: Operation[Any], request: httpx.Request, answer: RawResponse, secrets: list[Secret]
) -> StatusError:
    body = _error_body(answer, secrets)
    is_from_api = bool(body.get("type")) and all(
        isinstance(body.get(name), str) for name in ("type", "message")
    )
    kind, message = (_text(body.pop(name, "")) for name in ("type", "message"))
    code = answer.status_code
    said = f"{kind or _phrase(code)} - {message or 'no explanation was given'}"
    if hint := _hint(operation, code, is_from_api):
        said = f"{said.rstrip('.')}. {hint}"
    return status_error_class(code)(
        f"{operation} ({request.url.path}): {code} {said}",
        status_code=code,
        type=kind,
        message=message,
        operation=operation.name,
        details=body,
        retry_after=retry_after(answer.headers, datetime.now(UTC)),
        is_from_api=is_from_api,
    )


def _error_body(answer: RawResponse, secrets: Iterable[Secret]) -> dict[str, Any]:
    """Return the members of an error's body; none if it is not JSON, as from a proxy."""
    try:
        body = _veiled(parse(answer.content, _MIN_VALUES), [secret.reveal() for secret in secrets])
    except RecursionError:  # nested deeper than any explanation
        return {}
    return body if isinstance(body, dict) else {}


_SHORTEST_VEILED = 4
"""A secret of fewer characters is none, and hiding it would garble the rest of a message."""


_JWT = re.compile(r"eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?", re.ASCII)


def _veiled(value: object, secrets: list[str]) -> object:
    """Return JSON without the secrets that a server may repeat in it.

    These are the secrets that were sent, and all that looks like an access token.
    """
    match value:
        case str():
            for secret in secrets:
                if len(secret) >= _SHORTEST_VEILED:
                    value = value.replace(secret, "****")
            return _JWT.sub("****", value)
        case dict():
            return {
                _veiled(name, secrets): _veiled(member, secrets) for name, member in value.items()
            }
        case list():
            return [_veiled(item, secrets) for item in value]
        case _:
            return value


def _text(value: object) -> str:
    """What a server says, in one line that is not too long."""
    line = " ".join(value.split()) if isinstance(value, str) else ""
    return line if len(line) <= _MESSAGE_LIMIT else f"{line[:_MESSAGE_LIMIT]}..."


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "(a status that HTTP does not know)"


def retry_after(headers: httpx.Headers, now: datetime) -> float | None:
    """Return the seconds that `Retry-After` asks to wait, or `None` (RFC 9110, 10.2.3).

    Args:
        headers: The headers of the response. A date is read relative to their `Date`, so that a
            wrong clock of this machine makes no difference.
        now: The time to use if there is no such `Date`.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    date = parse_http_date(value)
    if date is None:
        return None
    reference = parse_http_date(headers.get("date", "")) or now
    return max(0.0, (date - reference).total_seconds())
