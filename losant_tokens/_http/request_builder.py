"""Build the HTTP request for an operation and its arguments.

Nothing here waits or sends.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Self, cast
from urllib.parse import quote, urlencode

import httpx

from losant_tokens._api.codec import Codec
from losant_tokens._api.custom_operation import JsonBody
from losant_tokens._api.operations import Operation
from losant_tokens._api.payloads import Body
from losant_tokens._http.call_options import RequestOptions
from losant_tokens._http.endpoint import Endpoint, check_header
from losant_tokens._utils import validators
from losant_tokens.errors import ValidationError

_MAX_URL_LENGTH = 60_000  # characters; httpx accepts a few more
_FLAGS = {"actions": False, "links": True, "embedded": True}
_DEFAULT_FLAGS = "_actions=false&_links=true&_embedded=true"


def build_request(
    endpoint: Endpoint,
    codec: Codec,
    operation: Operation[Any],
    ids: Mapping[str, str],
    query: Mapping[str, str],
    body: Body | JsonBody | None,
    options: RequestOptions,
) -> httpx.Request:
    """Return the request for an operation.

    Args:
        endpoint: The address of the API, and the headers of all requests.
        codec: Writes the body as JSON.
        operation: The operation.
        ids: The ids in the path.
        query: The parameters of a list, by their names in the URL.
        body: The request body, for an operation that has one.
        options: The options of the call.

    Raises:
        ValidationError: The API would refuse an id, the body, a parameter or an option.
    """
    path = _path(operation, ids)
    parameters = _flags(options)
    if query:
        parameters = f"{parameters}&{urlencode(query, quote_via=quote)}"
    url = endpoint.url_for(path, parameters)
    if len(url.raw_path) > _MAX_URL_LENGTH:
        raise ValidationError(
            f"{operation}: the URL is too long ({len(str(url))} characters). Shorten the filter."
        )
    domain = endpoint.losantdomain
    if "losantdomain" in options:
        domain = check_header("losantdomain", options["losantdomain"])
    if isinstance(body, JsonBody):
        content = body.content
    else:
        content = b"" if operation.body is None else codec.encode(_checked_body(operation, body))
    # From here on nothing raises, because the headers hold the token. httpx copies the headers.
    headers = endpoint.headers_for(operation)
    request = httpx.Request(operation.method, endpoint.url, headers=headers, stream=_Body(content))
    # The constructor would copy the URL, which would parse it.
    request.url = url
    if domain is not None:
        request.headers["losantdomain"] = domain
    if content:
        request.headers["Content-Type"] = "application/json"
        request.headers["Content-Length"] = str(len(content))
    request.read()
    return request


class _Body(httpx.ByteStream):
    """A request body whose iterator is not an asynchronous generator.

    A connection that breaks would leave a generator unfinished, and trio warns about that.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._content = content

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _BodyIterator([self._content])


class _BodyIterator:
    """An iterator over the parts of a request body."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._parts:
            raise StopAsyncIteration
        return self._parts.pop()


def time_request(endpoint: Endpoint) -> httpx.Request:
    """Return a request without the token, for the `Date` of its response."""
    return httpx.Request("HEAD", endpoint.url_for("/"), headers=endpoint.headers)


def _path(operation: Operation[Any], ids: Mapping[str, object]) -> str:
    """Return the path of an operation.

    Ids are checked, because an id such as `..` would lead to another operation.
    """
    for name, value in ids.items():
        if not isinstance(value, str) or not validators.ID_PATTERN.fullmatch(value):
            raise ValidationError(
                f"{operation}: {name} must be 24 hexadecimal digits, "
                f"but it is {validators.describe(value)}"
            )
    return operation.path.format_map(ids)


def _checked_body(operation: Operation[Any], body: Body | None) -> Body:
    wanted = cast("type", operation.body)
    if not isinstance(body, wanted):
        raise ValidationError(
            f"{operation}: the request body must be of type {wanted.__name__}, "
            f"but it is {validators.describe(body)}"
        )
    return cast("Body", body)


def _flags(options: RequestOptions) -> str:
    """Return `_actions`, `_links` and `_embedded`, which the official clients always send.

    Source: the parameters of every operation in the contract.
    """
    if _FLAGS.keys().isdisjoint(options):
        return _DEFAULT_FLAGS
    flags = []
    for name, default in _FLAGS.items():
        value = options.get(name, default)
        if not isinstance(value, bool):
            raise ValidationError(
                f"{name} must be True or False, but it is {validators.describe(value)}"
            )
        flags.append(f"_{name}={'true' if value else 'false'}")
    return "&".join(flags)
