"""An HTTP answer as a model, or as the error to raise.

Pure, and it returns errors instead of raising them: an answer may hold a secret, and the locals
of a frame that raises can end up in a log.
"""

import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Self, TypeVar, cast

import attrs
import httpx

from losant_tokens._actions import Action
from losant_tokens._clock import parse_http_date
from losant_tokens._codec import Codec
from losant_tokens._json import Fault
from losant_tokens._models import ApiToken, Success, UserOauthToken
from losant_tokens._secret import Secret
from losant_tokens.errors import LosantError, ResponseError, StatusError, status_error_class

R = TypeVar("R")

ANSWER_LIMIT = 32 * 1024 * 1024  # bytes, decompressed
_KNOWN_ENCODINGS = frozenset({"br", "compress", "deflate", "x-gzip", "zstd"})
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
class Answer:
    """A whole answer, as it came over the wire; its content is not shown."""

    status_code: int
    headers: httpx.Headers = attrs.field(repr=False)
    content: bytes = attrs.field(repr=False)


class BodyReader:
    """Puts the parts of an answer's body together, decompressed, up to a limit.

    A few kilobytes can be made to decompress into gigabytes, so the limit is on what comes out,
    and no part is decompressed further than the limit allows.
    """

    def __init__(self, encoding: str, limit: int = ANSWER_LIMIT) -> None:
        self._encoding = encoding.strip().lower()
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._gunzip = zlib.decompressobj(wbits=31) if self._encoding == "gzip" else None

    @classmethod
    def of(cls, headers: httpx.Headers) -> Self:
        """A reader for the body of an answer with these headers."""
        is_said = "content-encoding" in headers  # mostly not, and `get` would raise an error for it
        return cls(headers["content-encoding"] if is_said else "")

    def feed(self, part: bytes) -> str | None:
        """Takes a part as it came; says what is wrong with it, or `None`."""
        if self._gunzip:
            try:
                part = self._gunzip.decompress(part, self._limit - self._size + 1)
            except zlib.error:
                return "is said to be compressed with gzip, but is not"
        elif self._encoding not in {"", "identity"}:
            if self._encoding in _KNOWN_ENCODINGS:
                return f"is encoded with {self._encoding!r}, which was not asked for"
            return "has a Content-Encoding that was not asked for"
        self._size += len(part)
        if self._size > self._limit:
            return f"is larger than {self._limit // 1024 // 1024} MiB"
        self._parts.append(part)
        return None

    def content(self) -> bytes:
        """All of the body."""
        return b"".join(self._parts)


async def read_answer(
    action: Action[R], request: httpx.Request, answer: Answer, codec: Codec, secrets: list[Secret]
) -> R | LosantError:
    """Return the model that the operation promises, or the error to raise.

    The response is read in steps, between which other tasks may use the event loop.

    Args:
        action: The operation.
        request: The request that was sent.
        answer: The response to it.
        codec: Makes models of JSON.
        secrets: The secrets in the request, which must not show up in an error.
    """
    if 200 <= answer.status_code < 300:  # noqa: PLR2004 -- HTTP's range for success
        if action.result is Success and _says_success(answer):
            return cast("R", Success())
        found = await codec.decode(answer.content, action.result)
        fault = found if isinstance(found, Fault) else _contradiction(request, answer, found)
        return _no_answer(action, answer, fault) if fault else cast("R", found)
    if 300 <= answer.status_code < 400:  # noqa: PLR2004 -- HTTP's range for redirects
        fault = Fault("is a redirect, and those are never followed: check the base URL")
        return _no_answer(action, answer, fault)
    return _status_error(action, request, answer, secrets)


_EMPTY = frozenset({200, 204})  # statuses that mean success without a body, too


def _says_success(answer: Answer) -> bool:
    """Return whether a response without data, or with the usual one, means that all went well."""
    if answer.content:
        return answer.content == b'{"success":true}'
    is_page = answer.headers.get("content-type", "").lower().startswith("text/html")
    return answer.status_code in _EMPTY and not is_page


def _contradiction(request: httpx.Request, answer: Answer, found: object) -> Fault | None:
    """Return why a response of the right shape does not prove what was asked for, or `None`.

    A connection or a proxy can mix up responses, and another service can respond to anything.
    """
    if isinstance(found, ApiToken | UserOauthToken) and request.method != "POST":
        _, _, wanted = request.url.path.rpartition("/")
        if found.id.lower() != wanted.lower():
            return Fault("is not the id of the token that was asked for", "$.id")
    if isinstance(found, Success):
        data = Codec.parse(answer.content)
        if not isinstance(data, dict) or data.get("success") is not True:
            return Fault("must be true, but it is not", "$.success")
    return None


def _no_answer(action: Action[Any], answer: Answer, fault: Fault) -> ResponseError:
    kind = _media_type(answer.headers)
    place = "" if fault.path == "$" else f" {fault.path}"
    return ResponseError(
        f"{action}: the answer{place} {fault.problem} "
        f"(status {answer.status_code}, {kind}, {len(answer.content)} bytes)",
        action=action.name,
        status_code=answer.status_code,
        path=None if fault.path == "$" else fault.path,
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


def _hint(action: Action[Any], code: int, is_from_api: bool) -> str | None:
    """Return what may help with an error, or `None`."""
    if not is_from_api:
        return _STRANGER if code in {401, 403, 404} else None
    return _HINTS.get(code) if action.needs_token else None


def _status_error(
    action: Action[Any], request: httpx.Request, answer: Answer, secrets: list[Secret]
) -> StatusError:
    body = _error_body(answer, secrets)
    is_from_api = bool(body.get("type")) and all(
        isinstance(body.get(name), str) for name in ("type", "message")
    )
    kind, message = (_text(body.pop(name, "")) for name in ("type", "message"))
    code = answer.status_code
    said = f"{kind or _phrase(code)} - {message or 'no explanation was given'}"
    if hint := _hint(action, code, is_from_api):
        said = f"{said.rstrip('.')}. {hint}"
    return status_error_class(code)(
        f"{action} ({request.url.path}): {code} {said}",
        status_code=code,
        type=kind,
        message=message,
        action=action.name,
        details=body,
        retry_after=retry_after(answer.headers, datetime.now(UTC)),
        is_from_api=is_from_api,
    )


def _error_body(answer: Answer, secrets: Iterable[Secret]) -> dict[str, Any]:
    """The members of an error's body; none where it is not JSON, as from a proxy."""
    try:
        body = _veiled(Codec.parse(answer.content), [secret.reveal() for secret in secrets])
    except RecursionError:  # nested deeper than any explanation
        return {}
    return body if isinstance(body, dict) else {}


_SHORTEST_VEILED = 4
"""Below so many characters, a secret is no secret, and veiling it would garble all else."""


def _veiled(value: object, secrets: list[str]) -> object:
    """JSON without the secrets that a server may repeat in it."""
    match value:
        case str():
            for secret in secrets:
                if len(secret) >= _SHORTEST_VEILED:
                    value = value.replace(secret, "****")
            return value
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
