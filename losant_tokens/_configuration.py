"""Connection failures that only another setting can end.

A certificate that nobody trusts, a CA file that is missing and a proxy that wants a password fail
in the same way on every attempt. A retry would only add load and delay, so a pool raises
`Misconfigured` for them, and `_call` turns it into `errors.ConfigurationError`.
"""

import ssl
from collections.abc import Iterator

import httpx

_AUTHENTICATION_REQUIRED = 407
_CLIENT_ERRORS = range(400, 500)
_MAY_PASS = frozenset({408, 425, 429})


class Misconfigured(httpx.ConnectError):
    """A setting prevents the connection; the message names it and holds no bytes from the wire."""


def configuration_problem(error: Exception) -> str | None:
    """Return what to change before the next attempt, or None if a retry may help.

    Args:
        error: What a transport raised, from this package or from httpx.
    """
    if isinstance(error, Misconfigured):
        return str(error)
    if isinstance(error, httpx.UnsupportedProtocol):
        return "the transport does not support the scheme of the base URL"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return str(certificate_failure(cause))
    if isinstance(error, httpx.ProxyError):
        status = str(error).partition(" ")[0]
        return proxy_problem(int(status)) if status.isdecimal() else None
    return None


def certificate_failure(error: Exception) -> httpx.ConnectError:
    """Return the error for a server certificate that could not be verified."""
    why = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else "no reason"
    return Misconfigured(
        f"certificate verify failed: {why}. Trust the server's authority with verify= or "
        "SSL_CERT_FILE, or correct the base URL"
    )


def invalid_host() -> httpx.ConnectError:
    """Return the error for a host that cannot be looked up, such as `a..b`."""
    return Misconfigured("the host name is not valid. Correct the base URL, or that of the proxy")


def proxy_problem(status: int) -> str | None:
    """Return the message for a proxy's refusal of CONNECT; None if a retry may help."""
    if status == _AUTHENTICATION_REQUIRED:
        return (
            "the proxy requires a user name and password (status 407). Put them into the proxy "
            "URL: http://USER:PASSWORD@HOST:PORT"
        )
    if status in _CLIENT_ERRORS and status not in _MAY_PASS:
        return (
            f"the proxy refuses connections to this host (status {status}). Change proxy= or "
            "HTTPS_PROXY, or list the host in NO_PROXY"
        )
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and what it was raised from, however deep."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
