"""Send one request over the pool, and receive its response within limits.

Only this module of the client uses the pool. What it raises may have frames with a response, so
`call` lets no exception of it out with them.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any, cast

import anyio
import httpx

from losant_tokens._api.operations import Operation
from losant_tokens._calls.open_state import OpenState
from losant_tokens._http.body_reader import BodyReader, ReceivedResponse
from losant_tokens._http.raw_response import safe_headers
from losant_tokens._http.response_reader import size_limit, unreadable_error
from losant_tokens._transports.permanent_failures import (
    PROXY_AUTHENTICATION_REQUIRED,
    proxy_failure,
)
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import ResponseError

_log = logging.getLogger("losant_tokens")
_CLOCK_TIMEOUT = 5.0  # seconds for a request that only asks for the server's time


async def exchange(
    state: OpenState,
    operation: Operation[Any],
    request: httpx.Request,
    secrets: list[Secret],
    *,
    began: float,
) -> ReceivedResponse | ResponseError:
    """Send a request, and return its response, or the error of a body that cannot be read.

    Args:
        state: The open state of the client.
        operation: The operation.
        request: The request.
        secrets: The secrets in the request, which an error must not show.
        began: The time of the event loop's clock when the attempt began.

    Raises:
        ClientStateError: The client was closed.
        Exception: The pool could not send the request, or not receive the response.
    """
    state.check_open()
    # The pool is used directly. The client of httpx would add cookies, redirects and ways to
    # log in, which are not wanted here and take a third of the time of a call.
    response = await state.pool.handle_async_request(request)
    body = cast("httpx.AsyncByteStream", response.stream)
    if response.status_code == PROXY_AUTHENTICATION_REQUIRED:
        await body.aclose()
        raise proxy_failure(response.status_code)
    state.server_clock.observe(response.headers, state.now() - began)
    status = response.status_code
    parts = aiter(body)
    try:
        limit = size_limit(operation, status, state.max_response_size)
        reader = BodyReader.of(response.headers, limit)
        async for part in parts:
            problem = reader.feed(part)
            if reader.has_more and problem is None:
                problem = await reader.take(b"")
            if problem:
                break
        else:
            problem = reader.end()
    finally:
        try:
            # If reading stops early, trio warns about a generator that is not closed.
            if isinstance(parts, AsyncGenerator):
                await parts.aclose()
        finally:
            await body.aclose()
    if problem and status < 400:  # noqa: PLR2004 -- an error status needs no body
        headers = safe_headers(response.headers, secrets)
        return unreadable_error(operation, status, problem, headers)
    return ReceivedResponse(status, response.headers, b"" if problem else reader.content())


async def ask_server_time(state: OpenState, request: httpx.Request) -> None:
    """Send a request for the `Date` of its response. A failure leaves the time unknown.

    Args:
        state: The open state of the client.
        request: A request without the token.
    """
    began = state.now()
    if not await state.limiter.acquire(began + _CLOCK_TIMEOUT):
        return
    try:
        with anyio.move_on_after(_CLOCK_TIMEOUT), suppress(Exception):
            state.check_open()
            response = await state.pool.handle_async_request(request)
            state.server_clock.observe(response.headers, state.now() - began)
            milliseconds = (state.now() - began) * 1000
            _log.debug("HEAD / -> %d in %.1f ms", response.status_code, milliseconds)
            await response.aclose()
    finally:
        state.limiter.release()
