"""Builds the HTTP request for an operation and its arguments.

Pure: nothing here waits or sends.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Never, Self, cast
from urllib.parse import quote, urlencode

import attrs
import httpx

from losant_tokens import _validators as validators
from losant_tokens._codec import Codec
from losant_tokens._hosts import is_loopback, is_valid_host
from losant_tokens._operations import Operation
from losant_tokens._options import RequestOptions
from losant_tokens._payloads import Body
from losant_tokens._secret import Secret
from losant_tokens.errors import ValidationError

_LAST_PORT = 65535
_LONGEST = 60_000  # characters of parameters; httpx takes a little more
_SAMPLE_ID = "0" * 24
_FLAGS = {"actions": False, "links": True, "embedded": True}
_DEFAULT_FLAGS = "_actions=false&_links=true&_embedded=true"


@attrs.frozen
class Endpoint:
    """Where requests go, and what all of them carry.

    Attributes:
        base_url: Scheme, host and path, without a slash at the end.
        headers: For every request.
        authorization: For those that need a token.
        losantdomain: For those that do not bring their own.
        insecure_http: Whether the token may be sent in the clear to another machine.
    """

    base_url: str
    headers: tuple[tuple[str, str], ...]
    authorization: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    losantdomain: str | None = None
    insecure_http: bool = False
    # The parts of a request that do not change, made once: parsing a URL and encoding headers
    # would be a third of what a call costs.
    url: httpx.URL = attrs.field(init=False, repr=False, eq=False)
    _signed: httpx.Headers = attrs.field(init=False, repr=False, eq=False)
    _unsigned: httpx.Headers = attrs.field(init=False, repr=False, eq=False)

    def __reduce__(self) -> Never:
        raise TypeError("An endpoint cannot be pickled or copied: it holds the API token.")

    @url.default
    def _parsed(self) -> httpx.URL:
        return httpx.URL(self.base_url)

    @_signed.default
    def _with_token(self) -> httpx.Headers:
        return httpx.Headers([self._host(), *self.headers, *self.authorization])

    @_unsigned.default
    def _without_token(self) -> httpx.Headers:
        return httpx.Headers([self._host(), *self.headers])

    def _host(self) -> tuple[str, str]:
        return "Host", self.url.netloc.decode("ascii")

    def check_security(self) -> None:
        """Refuse to send a token in the clear to another machine, unless that is allowed.

        Raises:
            ValidationError: The base URL is plain http to another host.
        """
        if self.url.scheme == "https" or self.insecure_http or is_loopback(self.url.host):
            return
        raise ValidationError(
            f"The base URL {validators.describe(self.base_url)} is plain http to another host, "
            "so anyone on the network could read the token. Nothing was sent. Use https://, or "
            "allow it for a test server with insecure_http=True or LOSANT_INSECURE_HTTP=1"
        )

    def headers_for(self, operation: Operation[Any]) -> httpx.Headers:
        """The headers of a request, with the token where it takes one. Not to be changed."""
        return self._signed if operation.needs_token else self._unsigned

    @property
    def unsigned_headers(self) -> httpx.Headers:
        """The headers of a request without a token. Not to be changed."""
        return self._unsigned

    def url_of(self, path: str, parameters: str) -> httpx.URL:
        """The URL of a path; both parts are percent-encoded already, so nothing is parsed."""
        url = httpx.URL(self.url)
        parts = url._uri_reference  # noqa: SLF001 -- every public way parses all of it again
        url._uri_reference = type(parts)(  # noqa: SLF001
            scheme=parts.scheme,
            userinfo=parts.userinfo,
            host=parts.host,
            port=parts.port,
            path=parts.path.rstrip("/") + path,
            query=parameters,
            fragment=None,
        )
        return url


def endpoint(
    base_url: str,
    secret: Secret | None,
    *,
    api_version: str,
    user_agent: str,
    losantdomain: str | None = None,
    insecure_http: bool = False,
) -> Endpoint:
    """Return the endpoint for a base URL and a token.

    Raises:
        ValidationError: The base URL is no URL of an API, or a string is not fit for a header.
    """
    return Endpoint(
        base_url=check_base_url(base_url),
        insecure_http=insecure_http,
        headers=(
            ("Accept", "application/json"),
            ("Accept-Version", _header("api_version", api_version)),
            ("Accept-Encoding", "gzip"),
            ("User-Agent", user_agent),
        ),
        authorization=(("Authorization", f"Bearer {secret.reveal()}"),) if secret else (),
        losantdomain=None if losantdomain is None else _header("losantdomain", losantdomain),
    )


def check_base_url(text: object) -> str:
    """Return a base URL without the slash at its end, and without the root's dot in its host.

    Raises:
        ValidationError: It is no URL, or has parts that a base URL cannot have.
    """
    if not isinstance(text, str):
        raise ValidationError(f"The base URL is no URL: {validators.describe(text)}")
    if any(mark in text for mark in "@?#"):
        raise ValidationError(
            "The base URL may have a host, a port and a path, and nothing else: no user name, no "
            "query, no fragment"
        )
    try:
        url = httpx.URL(text)
        # Reading the host decodes it, which raises for a name that is not valid IDNA.
        is_named, port = bool(url.host), url.port
    except (httpx.InvalidURL, ValueError):
        raise ValidationError(f"The base URL is no URL: {validators.describe(text)}") from None
    if port is not None and not 0 < port <= _LAST_PORT:
        raise ValidationError(
            f"The base URL must have a port from 1 to {_LAST_PORT}, "
            f"but it is {validators.describe(text)}"
        )
    if url.scheme not in ("http", "https"):
        raise ValidationError(
            f"The base URL must begin with https://, but it is {validators.describe(text)}"
        )
    if not is_named:
        raise ValidationError(f"The base URL has no host: {validators.describe(text)}")
    host = url.raw_host.decode("ascii")
    if not is_valid_host(host):
        raise ValidationError(
            f"The base URL has a host that cannot be looked up: {validators.describe(text)}"
        )
    if host.endswith("."):
        # Certificates name a host without the dot, so the name would not match.
        url = url.copy_with(host=host.removesuffix("."))
    return str(url).rstrip("/")


def build_request(
    to: Endpoint,
    codec: Codec,
    operation: Operation[Any],
    ids: Mapping[str, str],
    query: Mapping[str, str],
    body: Body | None,
    options: RequestOptions,
) -> httpx.Request:
    """The request for an operation.

    Raises:
        ValidationError: An id, the body, a parameter or an option is not what the API takes.
    """
    path = _path(operation, ids)
    parameters = _flags(options)
    if query:
        parameters = f"{parameters}&{urlencode(query, quote_via=quote)}"
    if len(parameters) > _LONGEST:
        raise ValidationError(
            f"{operation}: the parameters make the URL too long ({len(parameters)} characters)"
        )
    domain = to.losantdomain
    if "losantdomain" in options:
        domain = _header("losantdomain", options["losantdomain"])
    content = b"" if operation.body is None else codec.encode(_checked_body(operation, body))
    # From here on nothing raises: the headers hold the token.
    request = _request(
        operation.method, to.url_of(path, parameters), to.headers_for(operation), content
    )
    if domain is not None:
        request.headers["losantdomain"] = domain
    if content:
        request.headers["Content-Type"] = "application/json"
        request.headers["Content-Length"] = str(len(content))
    return request


def time_request(to: Endpoint) -> httpx.Request:
    """Return a request without a token, for the `Date` of its response."""
    return httpx.Request("HEAD", to.url_of("/", ""), headers=to.unsigned_headers)


def _request(method: str, url: httpx.URL, headers: httpx.Headers, content: bytes) -> httpx.Request:
    """Return a request with these headers, and none that httpx would add.

    Its attributes are set one by one. The initializer of httpx would examine them all, which takes
    three times as long.
    """
    request = httpx.Request.__new__(httpx.Request)
    request.method, request.url, request.extensions = method, url, {}
    request.headers = httpx.Headers(headers)
    # Given an encoding, httpx need not try which one fits each header.
    request.headers.encoding = "ascii"
    request.stream = _Content(content)
    request._content = content  # noqa: SLF001 -- `read` would set it
    return request


class _Content(httpx.ByteStream):
    """The body of a request, as an iterator and not as a generator.

    A connection that breaks would leave a generator unfinished, of which trio warns.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._content = content

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Once(self._content)


class _Once:
    """Yields its content once."""

    def __init__(self, content: bytes) -> None:
        self._content: bytes | None = content

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        content, self._content = self._content, None
        if content is None:
            raise StopAsyncIteration
        return content


@attrs.frozen(eq=False)
class Template:
    """Requests that differ in the id at the end of their paths alone: all else was made once.

    Attributes:
        to: Where they go.
        operation: What they ask for.
        path: Their path, up to that id.
        headers: Those of each of them.
        content: That of each of them.
    """

    to: Endpoint
    operation: Operation[Any]
    path: str
    headers: httpx.Headers = attrs.field(repr=False)
    content: bytes = attrs.field(repr=False)

    def __reduce__(self) -> Never:
        raise TypeError("A template cannot be pickled or copied: it holds the API token.")

    @classmethod
    def of(
        cls,
        to: Endpoint,
        codec: Codec,
        operation: Operation[Any],
        ids: Mapping[str, str],
        body: Body | None,
    ) -> Self:
        """The template for an operation on a token, with all ids the same but the token's own.

        Raises:
            ValidationError: An id or the body is not what the API takes.
        """
        ids = {**ids, operation.ids[-1]: _SAMPLE_ID}
        sample = build_request(to, codec, operation, ids, {}, body, {})
        path = _path(operation, ids).removesuffix(_SAMPLE_ID)
        return cls(to, operation, path, sample.headers, sample.content)

    def request(self, last_id: str) -> httpx.Request:
        """The request for an id.

        Raises:
            ValidationError: It is none.
        """
        _check_id(self.operation, self.operation.ids[-1], last_id)
        url = self.to.url_of(self.path + last_id, _DEFAULT_FLAGS)
        return _request(self.operation.method, url, self.headers, self.content)


def _path(operation: Operation[Any], ids: Mapping[str, object]) -> str:
    """Return the path of an operation.

    Ids are checked, because an id such as `..` would lead to another operation.
    """
    for name, value in ids.items():
        _check_id(operation, name, value)
    return operation.path.format_map(ids)


def _check_id(operation: Operation[Any], name: str, value: object) -> None:
    if not isinstance(value, str) or not validators.ID_PATTERN.fullmatch(value):
        raise ValidationError(
            f"{operation}: {name} must be 24 hexadecimal digits, "
            f"but it is {validators.describe(value)}"
        )


def _checked_body(operation: Operation[Any], body: Body | None) -> Body:
    wanted = cast("type", operation.body)
    if not isinstance(body, wanted):
        raise ValidationError(
            f"{operation}: the request body must be of {wanted.__name__}, "
            f"but it is {validators.describe(body)}"
        )
    return cast("Body", body)


def _flags(options: RequestOptions) -> str:
    """`_actions`, `_links` and `_embedded`: the official clients always send all three."""
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


def _header(name: str, value: object) -> str:
    """A text that can stand in a header."""
    if not isinstance(value, str) or not value or not all("!" <= char <= "~" for char in value):
        raise ValidationError(
            f"{name} must be a string of printable ASCII characters without spaces, "
            f"but it is {validators.describe(value)}"
        )
    return value
