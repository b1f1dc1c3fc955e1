"""The errors of this library, as one tree.

::

    LosantError
    ├── ClientStateError       not open, closed, another event loop, or no token
    ├── ValidationError        an argument that Losant would refuse (also a ValueError)
    ├── ScopeError             the token's scopes do not allow the operation
    │   └── IssuerMismatch     the token was issued for another host
    ├── TokenExpired           the token's `exp` claim has passed
    ├── TransportError         no complete response
    │   ├── ConnectFailed      the request was not sent
    │   │   └── ConfigurationError   nor will it be, until a setting is changed
    │   └── RequestTimeout     no response in time
    ├── ResponseError          a success or redirect that cannot come from the API
    │   └── ResponseTooLarge   a page of a list beyond `max_response_size`
    └── StatusError            an error status, from the API if `is_from_api`
        ├── BadRequest         400
        ├── Unauthorized       401
        ├── Forbidden          403
        ├── NotFound           404
        ├── PayloadTooLarge    413
        ├── TooManyRequests    429
        └── ServerError        500 and above

The first four are raised before anything is sent. `ambiguous`, on `TransportError` and
`ResponseError`, says whether the request may have been carried out. No message, attribute or pickle
of an error holds a secret, and none is chained to the exception of a library below, whose frames
might.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

__all__ = [
    "BadRequest",
    "ClientStateError",
    "ConfigurationError",
    "ConnectFailed",
    "Forbidden",
    "IssuerMismatch",
    "LosantError",
    "NotFound",
    "PaginationDriftWarning",
    "PayloadTooLarge",
    "RequestTimeout",
    "ResponseError",
    "ResponseTooLarge",
    "ScopeError",
    "ScopeWarning",
    "ServerError",
    "StatusError",
    "TokenExpired",
    "TooManyRequests",
    "TransportError",
    "Unauthorized",
    "ValidationError",
    "status_error_class",
]

# The names are those of the API and of HTTP, where not all of them end in "Error".
# ruff: noqa: N818


class LosantError(Exception):
    """Anything that this library raises on purpose."""


class ClientStateError(LosantError):
    """The client cannot be used like this: not open, closed, in another event loop, no token."""


class ValidationError(LosantError, ValueError):
    """An argument that Losant would refuse, found before anything was sent."""


class ScopeError(LosantError):
    """The token's scopes do not allow the operation; nothing was sent.

    Attributes:
        operation: The operation, in the API's own words: `userApiToken.delete`.
        scopes: What the token has, sorted.
        accepted: The scopes of which any one would do, sorted.
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        scopes: Iterable[str] = (),
        accepted: Iterable[str] = (),
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.scopes = tuple(sorted(scopes))
        self.accepted = tuple(sorted(accepted))


class IssuerMismatch(ScopeError):
    """The token's `iss` claim names another host than the base URL; nothing was sent.

    Attributes:
        issuer: The host that issued the token.
        host: The host of the base URL.
    """

    def __init__(self, message: str, *, issuer: str = "", host: str = "") -> None:
        super().__init__(message)
        self.issuer = issuer
        self.host = host


class ScopeWarning(UserWarning):
    """A problem with the token that `scope_check="enforce"` would raise, in place of `"warn"`.

    Such a problem is a `ScopeError`, an `IssuerMismatch` or a `TokenExpired`.
    """


class PaginationDriftWarning(UserWarning):
    """A list contradicts itself, or changed while it was read: items may be missing or come twice.

    `iter` issues it at the line of its reader. `Listing.progress.problems` has the same facts.
    """


class TokenExpired(LosantError):
    """The token's `exp` claim passed more than a minute ago; it was not sent.

    The time is the server's, if a response has shown it.
    """


class TransportError(LosantError):
    """No complete response came.

    Attributes:
        operation: The operation, in the API's own words: `userApiToken.delete`.
        ambiguous: Whether the request may have been carried out, in any of its attempts.
    """

    def __init__(self, message: str, *, operation: str = "", ambiguous: bool = True) -> None:
        super().__init__(message)
        self.operation = operation
        self.ambiguous = ambiguous


class ConnectFailed(TransportError):
    """No connection could be had: the request never left, so `ambiguous` is false."""

    def __init__(self, message: str, *, operation: str = "", ambiguous: bool = False) -> None:
        super().__init__(message, operation=operation, ambiguous=ambiguous)


class ConfigurationError(ConnectFailed):
    """A setting prevents every connection: a proxy, a CA file, or a certificate nobody trusts.

    Nothing was sent, and a retry cannot help: the message names the setting to change.
    """


class RequestTimeout(TransportError):
    """No response within the timeout of one attempt, or not sent by the deadline of the call."""


class ResponseError(LosantError):
    """A response that cannot come from the API: a redirect, no JSON, too large, or misshapen.

    Either the API changed, or another service responded: a proxy, a login page, a captive portal.

    Attributes:
        operation: The operation, in the API's own words: `userApiToken.delete`.
        status_code: The HTTP status of the response.
        path: The place of the fault in the response (`$.id`), if it has one.
        ambiguous: Whether the API may have carried out the request.
        token_id: The id of a token that was created although its secret is missing in the
            response. The secret is lost, so delete the token.
        is_too_large: Whether a smaller page of the list could be read.
    """

    is_too_large = False

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        status_code: int = 0,
        path: str | None = None,
        ambiguous: bool = True,
        token_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.status_code = status_code
        self.path = path
        self.ambiguous = ambiguous
        self.token_id = token_id


class ResponseTooLarge(ResponseError):
    """A page of a list that is larger than `AsyncClient(max_response_size=...)` allows.

    It is raised by the `get` of a list. `iter` and `jobs.plan` ask for smaller pages instead, and
    raise it only for a page of one token.
    """

    is_too_large = True


class StatusError(LosantError):
    """A response with an error status.

    Attributes:
        status_code: The HTTP status.
        type: The API's word for the error (`NotFound`), or `""` if the response has none.
        message: The API's explanation, or `""`.
        operation: The operation, in the API's own words: `userApiToken.delete`.
        details: The other members of the error's body, such as `validationErrors`.
        retry_after: How many seconds the server asks to wait, if it does.
        is_from_api: Whether the body is the API's JSON error object, with a string `type` and
            `message`. If not, a proxy or another service may have responded: such a 404 does not
            prove that a token is gone.
    """

    def __init__(
        self,
        text: str,
        *,
        status_code: int = 0,
        type: str = "",
        message: str = "",
        operation: str = "",
        details: Mapping[str, Any] = MappingProxyType({}),
        retry_after: float | None = None,
        is_from_api: bool = False,
    ) -> None:
        super().__init__(text)
        self.status_code = status_code
        self.type = type
        self.message = message
        self.operation = operation
        self.details = dict(details)
        self.retry_after = retry_after
        self.is_from_api = is_from_api


class BadRequest(StatusError):
    """400: the request was malformed; `details` may say where."""


class Unauthorized(StatusError):
    """401: the token is missing, unknown, inactive, expired or deleted."""


class Forbidden(StatusError):
    """403: the token is good, but may not do this."""


class NotFound(StatusError):
    """404: there is no such token, application or instance, or the token may not see it.

    Only if `is_from_api`, that is: the 404 of a proxy says nothing about a token.
    """


class PayloadTooLarge(StatusError):
    """413: the request's body is larger than the server, or a proxy, takes."""


class TooManyRequests(StatusError):
    """429: too many requests. `retry_after` is the wait that the server asks for, if it does.

    Also raised without sending, if the client is rate-limited beyond the deadline of the call.
    """


class ServerError(StatusError):
    """500 and above: the server, or a proxy in front of it, failed."""


_BY_STATUS: Mapping[int, type[StatusError]] = MappingProxyType(
    {
        400: BadRequest,
        401: Unauthorized,
        403: Forbidden,
        404: NotFound,
        413: PayloadTooLarge,
        429: TooManyRequests,
    }
)


def status_error_class(status_code: int) -> type[StatusError]:
    """The class of error for an HTTP status; `StatusError` itself for one without a class."""
    if status_code >= 500:  # noqa: PLR2004 -- HTTP's own line between the two classes
        return ServerError
    return _BY_STATUS.get(status_code, StatusError)
