"""Make the error for a response with an error status."""

from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import httpx

from losant_tokens._api.json_parser import parse
from losant_tokens._api.operations import Operation
from losant_tokens._http.body_reader import ReceivedResponse
from losant_tokens._http.raw_response import request_id, safe_headers
from losant_tokens._http.server_clock import parse_http_date
from losant_tokens._utils.safe_text import redacted_json
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import StatusError, status_error_class

_MAX_VALUES = 10_000  # JSON values that are read of the body of an error
_MAX_MESSAGE_LENGTH = 500  # characters of a server's message that the text of an error repeats
_HINTS = {
    401: "The token is unknown, inactive, expired or deleted.",
    403: "The token is valid, but not allowed to do this: check its scopes and roles.",
}
_NOT_FROM_API = "This is not an error of the API: a proxy or another service may have responded."


def error_of_status(
    operation: Operation[Any],
    request: httpx.Request,
    response: ReceivedResponse,
    secrets: list[Secret],
) -> StatusError:
    """Return the error for a response with an error status.

    Args:
        operation: The operation.
        request: The request that was sent.
        response: The response to it.
        secrets: The secrets in the request, which the error must not show.
    """
    body = _error_body(response, secrets)
    headers = safe_headers(response.headers, secrets)
    is_from_api = bool(body.get("type")) and all(
        isinstance(body.get(name), str) for name in ("type", "message")
    )
    kind, message = _one_line(body.pop("type", "")), _one_line(body.pop("message", ""))
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


def _hint(operation: Operation[Any], code: int, is_from_api: bool) -> str | None:
    """Return advice for an error, or `None`."""
    if not is_from_api:
        return _NOT_FROM_API if code in {401, 403, 404} else None
    return _HINTS.get(code) if operation.needs_token else None


def _error_body(response: ReceivedResponse, secrets: Iterable[Secret]) -> dict[str, Any]:
    """Return the members of an error's body; none if it is not JSON, such as a proxy's page."""
    try:
        body = redacted_json(parse(response.content, _MAX_VALUES), secrets)
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
