"""Describes the exceptions of transports, without bytes from the wire or frames below ours.

The messages of httpx, httpcore, h11 and aiohttp quote the server: a status line, a chunk size or
a header that may hold a token. No message of theirs is passed on. The text of an error comes from
the tables below, from `os.strerror` and from OpenSSL's own list of reasons.

Frames. A traceback holds the frames that an exception went through, and tools such as Sentry and
`pytest --showlocals` print their locals. Below a transport, these hold the request's headers with
the bearer token, and its body with a password. Errors of ours are raised outside the `except`
block, so they are chained to nothing. A cancellation cannot be replaced: asyncio, anyio and trio
know it by identity. So the exception itself goes on, but without the part of its traceback that
lies below the call: `without_frames`. The alternative, to run each exchange in a task of its own
and to cancel it from outside, keeps the same frames in the exception that the task ends with, so
the traceback has to be removed there as well; it costs a task and two turns of the event loop for
each request, and is a second place where a cancellation can be lost.
"""

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Iterator

import attrs
import httpx

from losant_tokens._transports.configuration_problems import NotThroughProxy, configuration_problem
from losant_tokens.errors import (
    ConfigurationError,
    ConnectFailed,
    RequestTimeout,
    TransportError,
)

NO_RESPONSE = "Server disconnected without sending a response."
"""httpcore's message for a connection that ended before a status line."""

INCOMPLETE_BODY = "peer closed connection without sending complete message body"
"""The start of h11's message for a body that ended early."""

MIXED_UP = "more than one response to a request"
"""Our own message for a connection whose responses cannot be distinguished."""

_NOT_CONNECTED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
_BROKEN = (httpx.HTTPError, httpx.StreamError, OSError)

_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (httpx.PoolTimeout, "no connection was free in time"),
    (httpx.ConnectTimeout, "no connection was made in time"),
    (httpx.WriteTimeout, "the server did not read the request in time"),
    (httpx.ReadTimeout, "the server did not respond in time"),
    (httpx.ProxyError, "the proxy could not connect to the server"),
    (httpx.LocalProtocolError, "the request is not valid HTTP"),
    (httpx.RemoteProtocolError, "the server's response is not valid HTTP"),
    (httpx.WriteError, "the request could not be sent"),
    (httpx.ReadError, "the response could not be read"),
)
"""The first class that an exception belongs to says what went wrong."""

_STARTS = {
    NO_RESPONSE: "the server closed the connection without a response",
    INCOMPLETE_BODY: "the response ended early or its framing is wrong",
    MIXED_UP: "the connection holds another response, so it is unclear which one is meant",
}
"""Messages of libraries that are known to hold no bytes from the wire, by their start."""

_OPENSSL_REASON = re.compile("[A-Z0-9_]{3,60}")


@attrs.frozen
class Failure:
    """What became of an attempt that a transport ended with an exception.

    Attributes:
        kind: The class of the error to raise.
        outcome: What the log says.
        text: What happened, without any bytes from the wire.
    """

    kind: type[TransportError]
    outcome: str
    text: str

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        """Return the failure that an exception means; one of an unknown class is ambiguous."""
        if isinstance(error, _NOT_CONNECTED):
            if problem := configuration_problem(error):
                return cls(ConfigurationError, "not connected", problem)
            through = f" {error}" if isinstance(error, NotThroughProxy) else ""
            return cls(ConnectFailed, "not connected", f"could not connect{through}{_why(error)}")
        if isinstance(error, httpx.TimeoutException | TimeoutError):
            return cls(RequestTimeout, "timed out", f"no answer in time{_why(error)}")
        if isinstance(error, _BROKEN):
            return cls(TransportError, "broken off", f"the connection broke off{_why(error)}")
        return cls(TransportError, "failed", f"the transport failed: {type(error).__name__}")


def _why(error: Exception) -> str:
    """Return the end of a message that says why, in words that no server can choose."""
    reason = _reason_below(error) or _reason_by_class(error)
    return f": {reason}" if reason else ""


def _reason_below(error: Exception) -> str | None:
    """Return the reason that the operating system or OpenSSL gave, if there is one."""
    for cause in links(error):
        match cause:
            case socket.gaierror():
                return "the host name cannot be resolved"
            case ssl.SSLError(reason=str(why)) if _OPENSSL_REASON.fullmatch(why):
                return f"TLS failed ({why.lower().replace('_', ' ')})"
            case ssl.SSLError():
                return "TLS failed"
            case OSError(errno=int(number)):
                return os.strerror(number)
            case _:
                pass
    return None


def _reason_by_class(error: Exception) -> str | None:
    if isinstance(error, httpx.RemoteProtocolError):
        message = str(error)
        for start, text in _STARTS.items():
            if message.startswith(start):
                return text
    return next((text for kind, text in _REASONS if isinstance(error, kind)), None)


def not_sent(error: Exception) -> Exception:
    """Return the error for a request of which nothing was sent, by what a transport raised."""
    if isinstance(error, _NOT_CONNECTED):
        return error
    is_timeout = isinstance(error, httpx.TimeoutException | TimeoutError)
    problem = httpx.ConnectTimeout("") if is_timeout else httpx.ConnectError("")
    problem.__cause__ = cause_without_frames(error)
    return problem


def cause_without_frames(error: BaseException) -> OSError | None:
    """Return the error of the operating system or of OpenSSL behind an exception, on its own."""
    for link in links(error):
        if isinstance(link, OSError) and type(link).__module__ in {"builtins", "socket", "ssl"}:
            link.__traceback__ = link.__cause__ = link.__context__ = None
            return link
    return None


def links(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, all that it is chained to, and the members of groups among them."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += [link.__cause__, link.__context__]
        if isinstance(link, BaseExceptionGroup):
            waiting += link.exceptions


def without_frames(error: BaseException) -> BaseException:
    """Remove the frames passed so far from a cancellation, or from another such exception.

    It stays the same exception, so the code that cancelled still recognizes it. Other
    exceptions that it is chained to are dropped. Cancellations are kept, because anyio looks for
    its own among them.
    """
    for link in list(links(error)):
        link.__traceback__ = None
        if not _is_cancellation(link.__cause__):
            suppressed = link.__suppress_context__
            link.__cause__ = None
            link.__suppress_context__ = suppressed
        if not _is_cancellation(link.__context__):
            link.__context__ = None
    return error


def _is_cancellation(error: BaseException | None) -> bool:
    """Return whether it is asyncio's or trio's; a coroutine may be closed without an event loop."""
    return isinstance(error, asyncio.CancelledError) or type(error).__name__ == "Cancelled"
