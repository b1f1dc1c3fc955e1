"""Tests of users that mock HTTP: respx and pytest-httpx intercept the default pool."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import respx
import stamina
from pytest_httpx import HTTPXMock, IteratorStream

from losant_tokens import ApiTokenPost, AsyncClient, errors, httpx_transport
from tests.support.servers import ID, TOKEN

API = "https://api.losant.com"
Mock = Callable[..., None]


@pytest.fixture(params=["respx", "pytest-httpx"])
def mock(request: pytest.FixtureRequest) -> Iterator[Mock]:
    """Return a function that adds a response for a method and a path, or an exception."""
    if request.param == "respx":
        with respx.mock as router:

            def add(method: str, path: str, result: Any) -> None:
                route = router.request(method, url__regex=f"^{API}{path}(\\?|$)")
                route.mock(side_effect=result if isinstance(result, Exception) else [result])

            yield add
        return
    httpx_mock: HTTPXMock = request.getfixturevalue("httpx_mock")

    def add_to_httpx_mock(method: str, path: str, result: Any) -> None:
        url = re.compile(f"^{API}{path}(\\?|$)")
        if isinstance(result, Exception):
            httpx_mock.add_exception(result, method=method, url=url)
        else:
            httpx_mock.add_callback(lambda _: result, method=method, url=url)

    yield add_to_httpx_mock


@pytest.mark.parametrize("make", [lambda: None, httpx_transport], ids=["default", "named"])
async def test_calls(mock: Mock, make: Any) -> None:
    """Responses of a mock are read as those of a server, over the default pool."""
    mock("GET", f"/me/tokens/{ID}", httpx.Response(200, content=TOKEN))
    mock("GET", "/me/tokens", httpx.Response(200, json={"items": [{"id": ID}], "totalCount": 1}))
    mock("POST", "/me/tokens", httpx.Response(201, json={"id": ID, "token": "new"}))
    mock("DELETE", f"/me/tokens/{ID}", httpx.Response(404, json={"type": "NotFound"}))
    async with AsyncClient("t", base_url=API, transport=make()) as client:
        token = await client.user_api_token.get(ID)
        listed = [one.id async for one in client.user_api_tokens.iter()]
        new = await client.user_api_tokens.post(ApiTokenPost("ci"))
        with pytest.raises(errors.NotFound):
            await client.user_api_token.delete(ID)
    assert ("ci", [ID], "new") == (token.name, listed, new.token.reveal())


async def test_failures(mock: Mock) -> None:
    """An exception of a mock is a failure of the transport, which may be ambiguous."""
    mock("GET", f"/me/tokens/{ID}", httpx.ReadTimeout("slow"))
    with stamina.set_testing(True, attempts=1):
        async with AsyncClient("t", base_url=API) as client:
            with pytest.raises(errors.RequestTimeout) as caught:
                await client.user_api_token.get(ID)
    assert caught.value.ambiguous


async def test_a_response_in_parts(httpx_mock: HTTPXMock) -> None:
    """A response of pytest-httpx may come in parts."""
    httpx_mock.add_response(stream=IteratorStream([TOKEN[:9], TOKEN[9:]]))
    async with AsyncClient("t", base_url=API) as client:
        assert "ci" == (await client.user_api_token.get(ID)).name
    (request,) = httpx_mock.get_requests()
    assert ("Bearer t", f"/me/tokens/{ID}") == (
        request.headers["Authorization"],
        request.url.path,
    )


@respx.mock
async def test_a_request_that_is_not_mocked() -> None:
    """respx reports a request without a route in its own words."""
    async with AsyncClient("t", base_url=API) as client:
        with pytest.raises(AssertionError, match="not mocked"):
            await client.user_api_token.get(ID)


@pytest.mark.httpx_mock(assert_all_requests_were_expected=False)
async def test_a_request_that_pytest_httpx_does_not_expect(httpx_mock: HTTPXMock) -> None:
    """A request without a response in pytest-httpx is a timeout, and is not sent anywhere."""
    with stamina.set_testing(True, attempts=1):
        async with AsyncClient("t", base_url=API) as client:
            with pytest.raises(errors.RequestTimeout):
                await client.user_api_token.get(ID)
    assert 1 == len(httpx_mock.get_requests())
