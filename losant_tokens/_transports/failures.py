"""Translate the exceptions of transports, without content of the response and without secrets.

Messages. The problem: the messages of httpx, httpcore, h11 and aiohttp quote the server, such as a
status line or a header, and that may be a token. The approach: none of these messages is passed on.
The text of an error comes from the tables in this module, from `os.strerror`, or from OpenSSL's own
list of reasons.

Frames. The problem: a traceback holds the frames that an exception passed, and tools such as Sentry
and `pytest --showlocals` print the locals of each frame. The frames of a transport hold the headers
with the bearer token, and the body with a password. The approach: our own errors are raised outside
the `except` block, so no other exception is chained to them. A cancellation must stay the same
object, because asyncio, anyio and trio compare it by identity. So it is raised again, but the part
of its traceback below the call is removed (`without_frames`). Rejected: running each request in a
task and to cancel that task from outside. The exception of the task has the same frames, so they
must be removed as well. It costs a task and two iterations of the event loop for each request, and
a cancellation can be lost in one more place.
"""

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Iterator

import attrs
import httpx

from losant_tokens._transports.permanent_failures import NotThroughProxy, configuration_problem
from losant_tokens.errors import (
    ConfigurationError,
    ConnectFailed,
    RequestTimeout,
    TransportError,
)

NO_RESPONSE = "Server disconnected without sending a response."
"""The message of httpcore if a connection ends before the status line."""

INCOMPLETE_BODY = "peer closed connection without sending complete message body"
"""The start of the message of h11 if a body ends early."""

MIXED_UP = "more than one response to a request"
"""Our own message if it is unclear to which request a response belongs."""

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
    (httpx.ConnectTimeout, "no connection was established in time"),
    (httpx.WriteTimeout, "the server did not read the request in time"),
    (httpx.ReadTimeout, "the server did not respond in time"),
    (httpx.ProxyError, "the proxy could not connect to the server"),
    (httpx.LocalProtocolError, "the request is not valid HTTP"),
    (httpx.RemoteProtocolError, "the server's response is not valid HTTP"),
    (httpx.WriteError, "the request could not be sent"),
    (httpx.ReadError, "the response could not be read"),
)
"""The reason for each exception. The first class that matches is used."""

_STARTS = {
    NO_RESPONSE: "the server closed the connection without a response",
    INCOMPLETE_BODY: "the response ended early or its framing is wrong",
    MIXED_UP: "there is more than one response, and it is unclear which one belongs to the request",
}
"""The reasons for messages of libraries that quote nothing, by the start of the message."""

_OPENSSL_REASON = re.compile("[A-Z0-9_]{3,60}")


@attrs.frozen
class Failure:
    """The meaning of an exception that a transport has raised.

    Attributes:
        kind: The class of the error to raise.
        outcome: The outcome of the attempt, for the log.
        text: The message, without content of the response.
    """

    kind: type[TransportError]
    outcome: str
    text: str

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        """Return the meaning of an exception; an exception of an unknown class is ambiguous."""
        if isinstance(error, _NOT_CONNECTED):
            if problem := configuration_problem(error):
                return cls(ConfigurationError, "not connected", problem)
            through = f" {error}" if isinstance(error, NotThroughProxy) else ""
            return cls(ConnectFailed, "not connected", f"could not connect{through}{_why(error)}")
        if isinstance(error, httpx.TimeoutException | TimeoutError):
            return cls(RequestTimeout, "timed out", f"no response in time{_why(error)}")
        if isinstance(error, _BROKEN):
            return cls(TransportError, "disconnected", f"the connection broke{_why(error)}")
        return cls(TransportError, "failed", f"the transport failed: {type(error).__name__}")


def _why(error: Exception) -> str:
    """Return the reason as the end of a message, or an empty string."""
    reason = _reason_below(error) or _reason_by_class(error)
    return f": {reason}" if reason else ""


def _reason_below(error: Exception) -> str | None:
    """Return the reason of the operating system or of OpenSSL, or `None`."""
    for cause in chained_exceptions(error):
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
    """Return the reason for the class of an exception, or `None`."""
    if isinstance(error, httpx.RemoteProtocolError):
        message = str(error)
        for start, text in _STARTS.items():
            if message.startswith(start):
                return text
    return next((text for kind, text in _REASONS if isinstance(error, kind)), None)


def not_sent(error: Exception) -> Exception:
    """Return an exception of a transport as one that says that nothing was sent."""
    if isinstance(error, _NOT_CONNECTED):
        return error
    is_timeout = isinstance(error, httpx.TimeoutException | TimeoutError)
    problem = httpx.ConnectTimeout("") if is_timeout else httpx.ConnectError("")
    problem.__cause__ = cause_without_frames(error)
    return problem


def cause_without_frames(error: BaseException) -> OSError | None:
    """Return the error of the operating system or of OpenSSL in a chain, without the chain."""
    for link in chained_exceptions(error):
        if isinstance(link, OSError) and type(link).__module__ in {"builtins", "socket", "ssl"}:
            link.__traceback__ = link.__cause__ = link.__context__ = None
            return link
    return None


def chained_exceptions(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, all exceptions in its chain, and the members of exception groups."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        link = pending.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        pending += [link.__cause__, link.__context__]
        if isinstance(link, BaseExceptionGroup):
            pending += link.exceptions


def without_frames(error: BaseException) -> BaseException:
    """Remove the traceback and the chain of a cancellation, and return the same exception.

    Cancellations in the chain are kept, because anyio looks for its own cancellation there.
    """
    for link in list(chained_exceptions(error)):
        link.__traceback__ = None
        if not _is_cancellation(link.__cause__):
            suppressed = link.__suppress_context__
            link.__cause__ = None
            link.__suppress_context__ = suppressed
        if not _is_cancellation(link.__context__):
            link.__context__ = None
    return error


def _is_cancellation(error: BaseException | None) -> bool:
    """Return whether an exception is a cancellation of asyncio or trio."""
    # `anyio.get_cancelled_exc_class` fails if a coroutine is closed without an event loop.
    return isinstance(error, asyncio.CancelledError) or type(error).__name__ == "Cancelled"
