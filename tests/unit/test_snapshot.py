"""Check snapshots: complete lists of tokens, or an error."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import trio

from losant_tokens import ApiToken, AsyncClient, Owner, UserOauthToken, errors
from losant_tokens.testing import FakeLosant
from tests.support.list_server import TOKENS, Item, Server, honest, item

ID = "575ec7417ae143cd83dc4a95"
Change = Callable[[list[Item], int], object]


class Moving(Server):
    """A server whose list changes after each of its responses.

    Args:
        change: Changes the tokens. Its second argument is the number of the response.
    """

    def __init__(self, change: Change) -> None:
        super().__init__(honest, TOKENS[:])
        self.change = change

    def __call__(self, request: httpx.Request) -> httpx.Response:
        response = super().__call__(request)
        self.change(self.tokens, self.requests)
        return response


def client_of(server: Callable[[httpx.Request], httpx.Response], **settings: Any) -> AsyncClient:
    return AsyncClient("t", transport=httpx.MockTransport(server), **settings)


def numbers(tokens: list[Any]) -> list[int]:
    """Return the numbers of tokens."""
    return [int(token.id, 16) for token in tokens]


async def test_unchanged_list() -> None:
    """A list that does not change is read once, with the newest token before and a page after."""
    server = Server(honest)
    async with client_of(server) as client:
        tokens = await client.user_api_tokens.snapshot()
    assert numbers(tokens) == [*range(60)]
    assert server.requests == 1 + 9 + 1


async def test_tokens_are_created_meanwhile() -> None:
    """New tokens come last in the order of the ids, so that one listing is enough."""
    server = Moving(lambda tokens, count: tokens.append(item(60 + count)))
    async with client_of(server) as client:
        tokens = await client.user_api_tokens.snapshot()
    assert numbers(tokens)[:60] == [*range(60)]
    assert len({token.id for token in tokens}) == len(tokens)


async def test_a_token_is_deleted_meanwhile() -> None:
    """A deletion hides another token, so that the tokens are listed again."""
    server = Moving(lambda tokens, count: tokens.pop(0) if count == 4 else None)
    async with client_of(server) as client:
        tokens = await client.user_api_tokens.snapshot()
    assert numbers(tokens) == [*range(1, 60)]


async def test_a_deletion_and_a_creation() -> None:
    """A deletion and a creation at the same time leave the total as it is, and are noticed."""

    def change(tokens: list[Item], count: int) -> None:
        if count == 4:
            tokens.pop(0)
            tokens.append(item(60))

    async with client_of(Moving(change)) as client:
        assert numbers(await client.user_api_tokens.snapshot()) == [*range(1, 61)]


async def test_a_list_that_does_not_settle() -> None:
    """A list that changes during each of four listings raises an error with advice."""
    server = Moving(lambda tokens, count: tokens.pop(0) if count % 3 == 0 else None)
    async with client_of(server) as client:
        with pytest.raises(errors.IncompleteListing) as caught:
            await client.user_api_tokens.snapshot()
    error = caught.value
    assert error.operation == "userApiTokens.get"
    assert error.problems == ("the tokens kept changing while they were listed",)
    assert str(error) == (
        f"userApiTokens.get: tokens may be missing: the tokens kept changing while they were "
        f"listed (the last listing has {error.listed}). Call snapshot() again later, or use iter() "
        f"if a token may be missing."
    )


async def test_a_list_that_contradicts_itself() -> None:
    """A total that two equal listings contradict is an error, and so is an unreadable token."""
    wrong = Server(lambda page, size, tokens: honest(page, size, tokens) | {"totalCount": 61})
    unreadable = Server(honest, [*TOKENS, {"name": "no id"}])
    for server, problem in (
        (wrong, "the API states a total of 61 tokens and lists 60"),
        (unreadable, "1 token in the list cannot be read"),
    ):
        async with client_of(server) as client:
            with pytest.raises(errors.IncompleteListing) as caught:
                await client.user_api_tokens.snapshot()
        assert caught.value.problems == (problem,)


async def test_too_many_tokens() -> None:
    """A list with more tokens than allowed is an error, and no further page is kept."""
    server = Server(honest)
    async with client_of(server) as client:
        assert len(await client.user_api_tokens.snapshot(max_tokens=60)) == 60
        with pytest.raises(errors.IncompleteListing) as caught:
            await client.user_api_tokens.snapshot(max_tokens=20)
    assert caught.value.listed == 21
    assert str(caught.value) == (
        "userApiTokens.get: the tokens were not listed, because there are more than 20. Raise "
        "max_tokens if there is enough memory, or use iter()."
    )


async def test_pages_that_are_too_large() -> None:
    """A page that is too large is requested again in a smaller size."""
    server = Server(lambda page, size, tokens: {"items": tokens[page * size : (page + 1) * size]})
    async with client_of(server, max_response_size=4096) as client:
        assert numbers(await client.user_api_tokens.snapshot(per_page=50)) == [*range(60)]


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"per_page": 0}, errors.ValidationError),
        ({"max_tokens": 0}, errors.ValidationError),
        ({"max_tokens": None}, errors.ValidationError),
        ({"filter": "ci-*"}, TypeError),
        ({"sort_field": "name"}, TypeError),
    ],
)
async def test_options(options: Any, kind: type[Exception]) -> None:
    """Invalid options are refused before anything is sent. There is no filter and no order."""
    server = Server(honest)
    async with client_of(server) as client:
        with pytest.raises(kind):
            await client.user_api_tokens.snapshot(**options)
    assert server.requests == 0


@pytest.mark.filterwarnings("error")
async def test_one_warning_about_scopes() -> None:
    """A problem with the token is one warning, and not one for each page."""
    async with client_of(Server(honest), scopes=["all.Device"], scope_check="warn") as client:
        with pytest.warns(errors.ScopeWarning) as caught:
            await client.user_api_tokens.snapshot()
    assert [warning.filename for warning in caught] == [__file__]


async def test_each_owner() -> None:
    """Every list of tokens has snapshots, with tokens of its own kind."""
    fake = FakeLosant()
    application, instance = "a" * 24, "b" * 24
    names = {}
    async with AsyncClient(fake.admin_token, transport=fake.transport()) as client:
        for owner in ("user", "oauth", f"application:{application}", f"instance:{instance}"):
            fake.add_token(owner, owner=owner)
            names[owner] = [token.name for token in await client.tokens(owner).snapshot()]
        user = await client.user_api_tokens.snapshot(timeout=5)
        oauth = await client.user_oauth_tokens.snapshot()
        of_application = await client.application_api_tokens.snapshot(application)
        of_instance = await client.instance_api_tokens.snapshot(instance)
    assert all(owner in found for owner, found in names.items())
    found = [*user, *oauth, *of_application, *of_instance]
    assert {token.name for token in found} >= names.keys()
    assert {type(token) for token in oauth} == {UserOauthToken}
    assert {type(token) for token in user} == {ApiToken}


def test_under_trio() -> None:
    """A snapshot works on trio."""

    async def main() -> list[ApiToken]:
        async with client_of(Server(honest)) as client:
            return await client.user_api_tokens.snapshot()

    assert numbers(trio.run(main)) == [*range(60)]


async def test_a_failure() -> None:
    """The error of a page is raised as it is, and not in a group."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.params["page"] == "1":
            return httpx.Response(403, json={"type": "Forbidden", "message": "no"})
        return Server(honest)(request)

    async with client_of(answer) as client:
        with pytest.raises(errors.Forbidden):
            await client.tokens(Owner.user()).snapshot()
