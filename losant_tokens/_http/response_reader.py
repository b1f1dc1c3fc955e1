"""Read a response: return its model, or the error to raise.

Errors are returned instead of raised. A response may hold a secret, and tools such as Sentry log
the locals of each frame that an exception passes.
"""

from typing import Any, TypeVar, cast

import httpx

from losant_tokens._api.codec import Codec
from losant_tokens._api.json_parser import ContentProblem
from losant_tokens._api.models import (
    ApiToken,
    HasId,
    NewApiToken,
    Success,
    UserOauthToken,
)
from losant_tokens._api.operations import JsonValue, Operation
from losant_tokens._http.body_reader import DEFAULT_MAX_RESPONSE_SIZE, ReceivedResponse
from losant_tokens._http.raw_response import request_id, safe_headers
from losant_tokens._http.status_errors import error_of_status
from losant_tokens._utils import validators
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import LosantError, ResponseError, ResponseTooLarge

R = TypeVar("R")

_MAX_SINGLE_SIZE = 4 * 1024 * 1024  # bytes; the description of a token may take 200 KB if escaped
_MAX_ERROR_SIZE = 1024 * 1024  # bytes
# A body may hold one JSON value for each 64 bytes of its maximum size, and at least 10,000 values.
_BYTES_PER_VALUE = 64
_MIN_VALUES = 10_000
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
_SUCCESS_WITHOUT_BODY = frozenset({200, 204})  # statuses that mean success without a body
_SECRET = "$.token"  # noqa: S105 -- the place of the secret in the response to a POST
_ASK_FOR_LESS = (
    ". Request smaller pages (per_page), or allow larger ones (max_response_size of AsyncClient)."
)


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
    return error_of_status(operation, request, response, secrets)


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


def _mismatch(
    operation: Operation[Any], request: httpx.Request, response: ReceivedResponse, found: object
) -> ContentProblem | None:
    """Return why a response does not belong to the request although it can be read, or `None`.

    A connection or a proxy may mix up responses, and another service may respond.
    """
    if isinstance(found, HasId) and request.method != "POST":
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
