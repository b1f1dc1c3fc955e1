"""The translation of a transport's exceptions, without content and without frames."""

import asyncio
import os
import pickle
import socket
import ssl
from itertools import pairwise
from typing import Any

import anyio
import httpx
import pytest

from losant_tokens import AsyncClient, RetryPolicy, errors
from losant_tokens._transports.failures import (
    Failure,
    cause_without_frames,
    chained_exceptions,
    without_frames,
)
from losant_tokens._transports.permanent_failures import Misconfigured
from tests.support.servers import ID
from tests.support.traceback_secrets import frames_that_hold

SECRET = "my-bearer-token"


def chained(*chain: BaseException) -> Any:
    """Return the first exception with each further one as the cause of the one before."""
    for error, cause in pairwise(chain):
        error.__cause__ = cause
    return chain[0]


def openssl(reason: str | None) -> ssl.SSLError:
    error = ssl.SSLError(1, SECRET)
    error.reason = reason  # type: ignore[assignment]
    return error


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (httpx.ConnectError(SECRET), errors.ConnectFailed, "could not connect"),
        (
            chained(httpx.ConnectError(SECRET), ConnectionRefusedError(111, SECRET)),
            errors.ConnectFailed,
            f"could not connect: {os.strerror(111)}",
        ),
        (
            chained(
                httpx.ConnectError(SECRET),
                OSError(SECRET),
                ExceptionGroup(SECRET, [OSError(113, SECRET), OSError(111, SECRET)]),
            ),
            errors.ConnectFailed,
            f"could not connect: {os.strerror(113)}",
        ),
        (
            chained(httpx.ConnectError(SECRET), socket.gaierror(-2, SECRET)),
            errors.ConnectFailed,
            "could not connect: the host name cannot be resolved",
        ),
        (
            chained(httpx.ConnectError(SECRET), openssl("WRONG_VERSION_NUMBER")),
            errors.ConnectFailed,
            "could not connect: TLS failed (wrong version number)",
        ),
        (
            chained(httpx.ConnectError(SECRET), openssl(SECRET)),
            errors.ConnectFailed,
            "could not connect: TLS failed",
        ),
        (
            chained(httpx.ConnectError(SECRET), openssl(None)),
            errors.ConnectFailed,
            "could not connect: TLS failed",
        ),
        (Misconfigured("change proxy="), errors.ConfigurationError, "change proxy="),
        (
            httpx.ConnectTimeout(SECRET),
            errors.ConnectFailed,
            "could not connect: no connection was established in time",
        ),
        (
            httpx.PoolTimeout(SECRET),
            errors.ConnectFailed,
            "could not connect: no connection was free in time",
        ),
        (
            httpx.ProxyError(f"502 {SECRET}"),
            errors.ConnectFailed,
            "could not connect: the proxy could not connect to the server",
        ),
        (
            httpx.ReadTimeout(SECRET),
            errors.RequestTimeout,
            "no response in time: the server did not respond in time",
        ),
        (TimeoutError(SECRET), errors.RequestTimeout, "no response in time"),
        (
            httpx.RemoteProtocolError(f"illegal status line: {SECRET}"),
            errors.TransportError,
            "the connection broke: the server's response is not valid HTTP",
        ),
        (
            httpx.RemoteProtocolError("Server disconnected without sending a response."),
            errors.TransportError,
            "the connection broke: the server closed the connection without a response",
        ),
        (
            httpx.RemoteProtocolError(
                "peer closed connection without sending complete message body (received 3 bytes)"
            ),
            errors.TransportError,
            "the connection broke: the response ended early or its framing is wrong",
        ),
        (httpx.StreamClosed(), errors.TransportError, "the connection broke"),
        (RuntimeError(SECRET), errors.TransportError, "the transport failed: RuntimeError"),
        (
            ExceptionGroup(SECRET, [ValueError(SECRET)]),
            errors.TransportError,
            "the transport failed: ExceptionGroup",
        ),
    ],
    ids=repr,
)
def test_translation(error: Exception, kind: type[errors.TransportError], text: str) -> None:
    """Each exception is translated to an error class and a text without its message."""
    failure = Failure.of(error)
    assert (kind, text) == (failure.kind, failure.text)


def test_the_cause_on_its_own() -> None:
    """The error of the operating system is passed on without its frames and chain."""
    reset = ConnectionResetError(104, "reset")
    try:
        raise reset from ValueError(SECRET)
    except ConnectionResetError as raised:
        found = cause_without_frames(chained(ValueError(SECRET), raised))
    assert found is reset
    assert (None, None, None) == (reset.__traceback__, reset.__cause__, reset.__context__)


def test_no_cause() -> None:
    """An exception without an error of the operating system has no cause."""
    assert cause_without_frames(chained(ValueError(SECRET), KeyError(SECRET))) is None


async def test_a_cancellation_keeps_its_identity() -> None:
    """A cancellation loses its frames and its chain, except for other cancellations."""
    inner, outer = asyncio.CancelledError("Cancelled via cancel scope 1"), asyncio.CancelledError()
    outer.__context__, inner.__context__ = inner, ValueError(SECRET)
    with pytest.raises(asyncio.CancelledError) as caught:
        raise outer
    assert without_frames(caught.value) is outer
    assert [outer, inner] == list(chained_exceptions(outer))
    assert (None, None) == (outer.__traceback__, inner.__traceback__)


async def test_cancellation_keeps_its_cause() -> None:
    """A cancellation keeps another cancellation as its cause."""
    first, second = asyncio.CancelledError(), asyncio.CancelledError()
    second.__cause__ = first
    without_frames(second)
    assert [second, first] == list(chained_exceptions(second))


# --- Through a whole call -----------------------------------------------------------------------


@pytest.mark.parametrize("raised", [KeyError("x"), OSError(1, "x"), KeyboardInterrupt()], ids=repr)
async def test_no_frame_of_a_transport_is_left(raised: BaseException) -> None:
    """No exception of a transport keeps its frames, its chain or its message."""

    class Through(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            bearer = request.headers["authorization"]
            assert bearer
            raise raised from ValueError(bearer)

    once = RetryPolicy(attempts=1)
    async with AsyncClient(SECRET, transport=Through(), retry=once) as client:
        try:
            await client.user_api_token.get(ID)
        except BaseException as error:  # noqa: BLE001
            caught = error
        else:
            raise AssertionError
    assert [] == frames_that_hold(caught, SECRET)
    assert (None, None) == (caught.__cause__, caught.__context__)
    if isinstance(caught, Exception):
        assert SECRET not in repr(caught) + repr(caught.args)
        assert SECRET.encode() not in pickle.dumps(caught)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancellation_through_a_whole_call(backend: str) -> None:
    """A cancellation ends its own scope, and its traceback ends at the call."""
    found: list[BaseException] = []

    async def main() -> None:
        async with AsyncClient(SECRET, transport=Waiting()) as client:
            with anyio.move_on_after(0.05) as scope:
                try:
                    await client.user_api_token.get(ID)
                except BaseException as error:
                    found.append(error)
                    raise
            assert scope.cancelled_caught
            assert client._session.in_flight == 0

    anyio.run(main, backend=backend)
    assert [] == frames_that_hold(found[0], SECRET)


class Waiting(httpx.AsyncBaseTransport):
    """Never responds, in a frame that holds the bearer token."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        bearer = request.headers["authorization"]
        await anyio.sleep_forever()
        raise AssertionError(bearer)


async def test_a_coroutine_that_is_closed() -> None:
    """The coroutine of a call can be closed."""
    async with AsyncClient(SECRET, transport=Waiting()) as client:
        call = client.user_api_token.get(ID)
        step = call.__await__()
        next(step)
        step.close()
        call.close()
        assert client._session.in_flight == 0


async def test_a_mock_that_was_not_to_be_called() -> None:
    """An `AssertionError` of a mock is raised unchanged."""

    class Mock(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise AssertionError("not mocked")

    async with AsyncClient(SECRET, transport=Mock()) as client:
        with pytest.raises(AssertionError, match="not mocked"):
            await client.user_api_token.get(ID)


def test_python_has_the_modules_that_errors_come_from() -> None:
    """Python defines the errors of the operating system in the expected modules."""
    assert {"builtins", "socket", "ssl"} >= {
        kind.__module__
        for kind in (OSError, ConnectionResetError, socket.gaierror, ssl.SSLCertVerificationError)
    }
