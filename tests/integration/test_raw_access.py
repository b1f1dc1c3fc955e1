"""Check raw responses, requests by path and snapshots over sockets, with both pools."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trio

from losant_tokens import (
    ApiTokenPost,
    ApiTokens,
    AsyncClient,
    aiohttp_transport,
    errors,
    httpx_transport,
)
from losant_tokens.testing import FakeLosant

Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


def on_asyncio(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


@pytest.mark.parametrize(
    ("run", "pool"),
    [(on_asyncio, httpx_transport), (on_asyncio, aiohttp_transport), (trio.run, httpx_transport)],
    ids=["httpx", "aiohttp", "trio"],
)
def test_raw_access(run: Run, pool: Callable[[], Any]) -> None:
    """A program reads headers, calls a path of its own, and takes a snapshot."""
    fake = FakeLosant()
    for number in range(5):
        fake.add_token(f"ci-{number}")

    async def main() -> None:
        async with AsyncClient(fake.admin_token, base_url=url, transport=pool()) as client:
            created = await client.with_raw_response.user_api_tokens.post(ApiTokenPost("new"))
            assert (created.status_code, created.attempts) == (201, 1)
            assert created.headers["content-type"].startswith("application/json")
            secret = created.parse().token.reveal()
            assert secret not in repr(created)

            path, values = "/me/tokens/{id}", {"id": created.parse().id}
            found = await client.request("GET", path, path_params=values)
            assert found["name"] == "new"
            await client.request("PATCH", path, path_params=values, json={"name": "newer"})
            page = await client.request("GET", "/me/tokens", cast_to=ApiTokens)
            tokens = await client.user_api_tokens.snapshot(per_page=2)
            assert sorted(token.name for token in tokens) == [*fake_names, "newer"]
            assert {token.id for token in tokens} == {token.id for token in page.items}

            await client.request("DELETE", path, path_params=values)
            with pytest.raises(errors.NotFound) as caught:
                await client.request("GET", path, path_params=values)
            assert caught.value.headers["content-length"]

    with fake.serve() as url:
        fake_names = sorted(f"ci-{number}" for number in range(5))
        run(main)
