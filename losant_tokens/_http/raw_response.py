"""`RawResponse`: a response with its status, headers and timing.

Losant documents no header with the id of a request. Its server framework gives each request an id,
and audit logs show that id, but the public code of the framework does not send it
(https://github.com/Losant/bravado-server). A proxy in front of the API may add a header. So the id
is the first of the headers that servers and proxies usually have, and may be absent.
"""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Generic, Never, TypeVar, cast

import attrs
import httpx

from losant_tokens._utils.safe_text import redacted_json
from losant_tokens._utils.secret import Secret

R_co = TypeVar("R_co", covariant=True)

_ID_HEADERS = ("x-request-id", "request-id", "x-correlation-id", "cf-ray")
_ORIGIN = re.compile(r"https?://[\w.-]+(:\d+)?(?=[/?#]|$)", re.ASCII | re.IGNORECASE)
_SECRET_HEADERS = frozenset(
    {"authorization", "cookie", "proxy-authorization", "set-cookie", "set-cookie2"}
)


@attrs.frozen(eq=False)
class RawResponse(Generic[R_co]):
    """The response to a call, with the result that the call returns without `with_raw_response`.

    It shows neither its body nor its headers in its repr, and it cannot be pickled or copied,
    because the body may hold the secret of a new token.
    """

    operation: str
    """The operation, by its name in the API: `userApiToken.get`."""
    status_code: int
    """The HTTP status. It is 404 for a `delete` whose earlier attempt was carried out."""
    request_id: str | None
    """The id that the server or a proxy gave the request, for questions to their operator. It is
    the first of the headers `X-Request-Id`, `Request-Id`, `X-Correlation-Id` and `CF-Ray`, or
    `None`. Losant documents no such header.
    """
    attempts: int
    """The number of attempts. The other attributes are those of the last one."""
    elapsed: timedelta
    """The time from the start of the last attempt until the body was read."""
    headers: httpx.Headers = attrs.field(repr=False)
    """The headers. Their names are not case-sensitive. Cookies are left out, and a `Location` is
    cut after its host.
    """
    content: bytes = attrs.field(repr=False)
    """The body, decompressed. It may hold a secret."""
    _result: R_co = attrs.field(repr=False)

    def parse(self) -> R_co:
        """Return the result of the operation.

        The call has read it already, so that this neither waits nor fails. A response that cannot
        be read raises its error in the call.
        """
        return self._result

    def __reduce__(self) -> Never:
        raise TypeError(
            "A RawResponse cannot be pickled or copied, because its body may hold a secret. "
            "Keep the result of parse()."
        )


def safe_headers(headers: httpx.Headers, secrets: Iterable[Secret] = ()) -> httpx.Headers:
    """Return headers without cookies and credentials.

    A `Location` is cut after its host, because the address of a login page may hold a credential.

    Args:
        headers: The headers of a response.
        secrets: The secrets in the request, which a server may repeat.
    """
    pairs = [
        [name, _origin(value) if name == "location" else value]
        for name, value in headers.multi_items()
        if name not in _SECRET_HEADERS
    ]
    return httpx.Headers(cast("list[tuple[str, str]]", redacted_json(pairs, secrets)))


def _origin(address: str) -> str:
    """Return the scheme and the host of an address; an empty string if it has none."""
    match = _ORIGIN.match(address)
    return "" if match is None else match[0]


def request_id(headers: httpx.Headers) -> str | None:
    """Return the id that the server or a proxy gave the request, or `None`.

    Args:
        headers: The headers of the response.
    """
    return next((headers[name] for name in _ID_HEADERS if headers.get(name)), None)
