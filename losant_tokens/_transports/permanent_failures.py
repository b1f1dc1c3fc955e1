"""Connection failures that persist until a setting is changed.

An untrusted certificate, a missing CA file and a proxy that requires a password fail in the same
way on every attempt. A retry would only add load and delay. So a pool raises `Misconfigured` for
them, and the call raises `errors.ConfigurationError`.
"""

import ssl
from collections.abc import Iterator

import httpx

PROXY_AUTHENTICATION_REQUIRED = 407
"""The HTTP status that only a proxy sends (RFC 9110, 15.5.8)."""

_CLIENT_ERRORS = range(400, 500)
_TRANSIENT = frozenset({408, 425, 429})


class Misconfigured(httpx.ConnectError):
    """A setting prevents the connection; the message names it and holds no bytes from the wire."""


class ProxyRefused(Misconfigured):
    """A proxy refused the connection; the message starts with "the proxy"."""


class NotThroughProxy(httpx.ProxyError):
    """A connection through a proxy failed; the message names the proxy and its setting."""


def configuration_problem(error: Exception) -> str | None:
    """Return which setting to change before the next attempt, or `None` if a retry may help.

    Args:
        error: An exception of a transport, from this package or from httpx.
    """
    if isinstance(error, Misconfigured):
        return str(error)
    if isinstance(error, httpx.UnsupportedProtocol):
        return "the transport does not support the scheme of the base URL"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return str(certificate_failure(cause))
    failure = proxy_failure(_status_of(error)) if isinstance(error, httpx.ProxyError) else None
    return str(failure) if isinstance(failure, Misconfigured) else None


def certificate_failure(error: Exception) -> httpx.ConnectError:
    """Return the error for a server certificate that could not be verified."""
    why = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else "no reason"
    return Misconfigured(
        f"certificate verify failed: {why}. Trust the server's authority with verify= or "
        "SSL_CERT_FILE, or correct the base URL"
    )


def invalid_host() -> httpx.ConnectError:
    """Return the error for a host that cannot be looked up, such as `a..b`."""
    return Misconfigured("the host name is not valid. Correct the base URL or the proxy URL")


def proxy_failure(status: int | None) -> httpx.TransportError:
    """Return the error for a proxy that does not connect to the server.

    Args:
        status: The HTTP status of its response to CONNECT, or `None` for a SOCKS proxy.
    """
    if status == PROXY_AUTHENTICATION_REQUIRED:
        return ProxyRefused(
            "the proxy requires a user name and password (status 407). Add them to the proxy URL: "
            "http://USER:PASSWORD@HOST:PORT"
        )
    if status in _CLIENT_ERRORS and status not in _TRANSIENT:
        return ProxyRefused(
            f"the proxy refuses connections to this host (status {status}). Change proxy= or "
            "HTTPS_PROXY, or list the host in NO_PROXY"
        )
    return httpx.ProxyError("the proxy could not connect")


def _status_of(error: httpx.ProxyError) -> int | None:
    """Return the HTTP status of a proxy's response, which is the start of httpx's message."""
    status = str(error)[:3]
    return int(status) if status.isascii() and status.isdecimal() else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and the chain of exceptions that led to it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
