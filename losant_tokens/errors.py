"""The errors and warnings of the client.

::

    LosantError
    ├── ClientStateError            not open, closed, another event loop, or no token
    ├── ValidationError             an argument that the API would refuse (also a ValueError)
    ├── ScopeError                  the token's scopes do not allow the operation
    │   └── IssuerMismatch          the token was issued by another host
    ├── TokenExpired                the token's `exp` claim has passed
    ├── AccountError                an account cannot be used
    │   └── TokenUnavailable        there is no token
    ├── TransportError              no complete response
    │   ├── ConnectFailed           the request was not sent
    │   │   └── ConfigurationError  no request can be sent until a setting is changed
    │   └── RequestTimeout          no response in time
    ├── IncompleteListing           a snapshot that may lack tokens
    ├── ResponseError               a success or a redirect that cannot come from the API
    │   └── ResponseTooLarge        a page of a list larger than `max_response_size`
    └── StatusError                 an error status, from the API if `is_from_api`
        ├── BadRequest              400
        ├── Unauthorized            401
        ├── Forbidden               403
        ├── NotFound                404
        ├── PayloadTooLarge         413
        ├── TooManyRequests         429
        └── ServerError             500 and above

`ClientStateError`, `ValidationError`, `ScopeError` and `TokenExpired` are raised before anything is
sent. `TransportError` and `ResponseError` have the attribute `ambiguous`: whether the request may
have been carried out.

No message, attribute or pickle of an error holds a secret. No error is chained to an exception of
another library, because the frames of that exception may hold one.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

__all__ = [
    "AccountError",
    "BadRequest",
    "ClientStateError",
    "ConfigurationError",
    "ConnectFailed",
    "Forbidden",
    "IncompleteListing",
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
    "TokenUnavailable",
    "TooManyRequests",
    "TransportError",
    "Unauthorized",
    "ValidationError",
    "status_error_class",
]

# The names are those of the API and of HTTP, and not all of them end in "Error".
# ruff: noqa: N818


class LosantError(Exception):
    """The base class of all errors of this library."""


class ClientStateError(LosantError):
    """The client is not open, closed, used in another event loop or process, or has no token."""


class AccountError(LosantError):
    """The base class of the errors of accounts. No message holds a token."""


class TokenUnavailable(AccountError):
    """There is no token: its place cannot be read, or a token source returned none."""


class ValidationError(LosantError, ValueError):
    """An argument that the API would refuse; nothing was sent."""


class ScopeError(LosantError):
    """The token's scopes do not allow the operation; nothing was sent."""

    operation: str
    """The operation, by its name in the API: `userApiToken.delete`."""
    scopes: tuple[str, ...]
    """The scopes of the token, sorted."""
    accepted: tuple[str, ...]
    """The scopes that allow the operation, sorted. A token needs one of them."""

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
    """The token's `iss` claim names another host than the base URL; nothing was sent."""

    issuer: str
    """The host that issued the token."""
    host: str
    """The host of the base URL."""

    def __init__(self, message: str, *, issuer: str = "", host: str = "") -> None:
        super().__init__(message)
        self.issuer = issuer
        self.host = host


class ScopeWarning(UserWarning):
    """A problem with the token, if the client has `scope_check="warn"`.

    With `"enforce"`, it would be a `ScopeError`, an `IssuerMismatch` or a `TokenExpired`.
    """


class PaginationDriftWarning(UserWarning):
    """A list changed while it was read, or contradicts itself: it may lack or repeat items.

    `iter` issues the warning for the line that reads from it. `Listing.progress.problems` has the
    same facts.
    """


class TokenExpired(LosantError):
    """The time in the token's `exp` claim passed more than a minute ago; nothing was sent.

    The client compares it with the server's time if a response has shown that time.
    """


class TransportError(LosantError):
    """There was no complete response."""

    operation: str
    """The operation, by its name in the API: `userApiToken.delete`."""
    ambiguous: bool
    """Whether any attempt to send the request may have been carried out."""

    def __init__(self, message: str, *, operation: str = "", ambiguous: bool = True) -> None:
        super().__init__(message)
        self.operation = operation
        self.ambiguous = ambiguous


class ConnectFailed(TransportError):
    """The client could not connect: the request was not sent, so `ambiguous` is false."""

    def __init__(self, message: str, *, operation: str = "", ambiguous: bool = False) -> None:
        super().__init__(message, operation=operation, ambiguous=ambiguous)


class ConfigurationError(ConnectFailed):
    """A setting prevents every connection: a proxy, a CA file, or an untrusted certificate.

    Nothing was sent, and a retry cannot help. The message names the setting to change.
    """


class RequestTimeout(TransportError):
    """There was no response within the timeout, or the deadline passed before sending."""


class ResponseError(LosantError):
    """A response that cannot come from the API: a redirect, not JSON, too large or malformed.

    The API has changed, or another service responded, such as a proxy or a login page.
    """

    operation: str
    """The operation, by its name in the API: `userApiToken.delete`."""
    status_code: int
    """The HTTP status of the response."""
    path: str | None
    """The place of the problem in the response (`$.id`), if it has one."""
    ambiguous: bool
    """Whether the API may have carried out the request."""
    token_id: str | None
    """The id of a token that was created although its secret is missing in the response. The secret
    is lost, so delete the token.
    """
    headers: Mapping[str, str]
    """The headers of the response. Their names are not case-sensitive. Cookies and credentials are
    left out, and a `Location` is cut after its host.
    """
    request_id: str | None
    """The id that the server or a proxy gave the request, or `None`. See `RawResponse.request_id`.
    """

    is_too_large: bool = False
    """Whether a smaller page of the list may be readable."""

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        status_code: int = 0,
        path: str | None = None,
        ambiguous: bool = True,
        token_id: str | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.status_code = status_code
        self.path = path
        self.ambiguous = ambiguous
        self.token_id = token_id
        self.headers = headers or {}
        self.request_id = request_id


class IncompleteListing(LosantError):
    """A snapshot could not prove that it has all tokens, so it returns none.

    Take it again when fewer tokens are created and deleted. `iter` returns the tokens that it
    finds, without a proof.
    """

    operation: str
    """The operation that reads the list, by its name in the API: `userApiTokens.get`."""
    listed: int
    """The number of different tokens in the last listing."""
    problems: tuple[str, ...]
    """Why tokens may be missing, one phrase for each reason."""

    def __init__(
        self, message: str, *, operation: str = "", listed: int = 0, problems: Iterable[str] = ()
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.listed = listed
        self.problems = tuple(problems)


class ResponseTooLarge(ResponseError):
    """A page of a list is larger than `AsyncClient(max_response_size=...)` allows.

    The `get` of a list raises it. `iter` asks for smaller pages instead, and raises it only for a
    page with one token.
    """

    is_too_large = True


class StatusError(LosantError):
    """A response with an error status."""

    status_code: int
    """The HTTP status."""
    type: str
    """The type of the error in the response (`NotFound`), or an empty string."""
    message: str
    """The message in the response, or an empty string."""
    operation: str
    """The operation, by its name in the API: `userApiToken.delete`."""
    details: dict[str, Any]
    """The other members of the response, such as `validationErrors`."""
    retry_after: float | None
    """The value of `Retry-After` in seconds, or `None`."""
    is_from_api: bool
    """Whether the response is the API's JSON error object, with the strings `type` and `message`.
    If not, a proxy or another service may have responded. Such a 404 does not prove that a token is
    gone.
    """
    headers: Mapping[str, str]
    """The headers of the response. Their names are not case-sensitive. Cookies and credentials are
    left out, and a `Location` is cut after its host.
    """
    request_id: str | None
    """The id that the server or a proxy gave the request, or `None`. See `RawResponse.request_id`.
    """

    def __init__(  # noqa: PLR0913 -- facts of the response, by keyword
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
        headers: Mapping[str, str] = MappingProxyType({}),
        request_id: str | None = None,
    ) -> None:
        super().__init__(text)
        self.status_code = status_code
        self.type = type
        self.message = message
        self.operation = operation
        self.details = dict(details)
        self.retry_after = retry_after
        self.is_from_api = is_from_api
        self.headers = headers or {}
        self.request_id = request_id


class BadRequest(StatusError):
    """400: the request is malformed, and `details` may say where."""


class Unauthorized(StatusError):
    """401: the token is missing, unknown, inactive, expired or deleted."""


class Forbidden(StatusError):
    """403: the token is valid, but does not allow the operation."""


class NotFound(StatusError):
    """404: there is no such token, application or instance, or the token cannot access it.

    A 404 without `is_from_api` may come from a proxy, and says nothing about a token.
    """


class PayloadTooLarge(StatusError):
    """413: the request body is larger than the server or a proxy accepts."""


class TooManyRequests(StatusError):
    """429: the server received too many requests.

    It is also raised without sending, if the client is rate limited beyond the deadline of the
    call.
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
    """Return the class of error for an HTTP status; `StatusError` if it has no class of its own.

    Args:
        status_code: The HTTP status, 400 or above.
    """
    if status_code >= 500:  # noqa: PLR2004 -- server errors in HTTP
        return ServerError
    return _BY_STATUS.get(status_code, StatusError)
