"""Check that a list is read to its end, one page ahead, and never without end."""

import asyncio
import contextlib
import linecache
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from losant_tokens import (
    ApiToken,
    ApiTokenPatch,
    ApiTokenPost,
    ApiTokens,
    AsyncClient,
    Listing,
    RetryPolicy,
    errors,
)
from losant_tokens._calls import listing_progress
from losant_tokens._calls.listing_progress import ListingProgress
from losant_tokens.testing import FakeLosant

Serve = Callable[[int, int], dict[str, Any] | httpx.Response]


def token(number: int) -> dict[str, Any]:
    return {"id": f"{number:024x}", "name": f"ci-{number}"}


def honest(total: int, cap: int = 10_000, **says: Any) -> Serve:
    """Return pages of `total` tokens, with at most `cap` on each, and correct statements."""

    def serve(page: int, per_page: int) -> dict[str, Any]:
        size = min(per_page, cap)
        items = [token(n) for n in range(page * size, min((page + 1) * size, total))]
        answer = {"items": items, "count": len(items), "totalCount": total, "perPage": size}
        return {name: value for name, value in {**answer, **says}.items() if value is not ...}

    return serve


class Server:
    """Serves pages to a client, and records the requested pages."""

    def __init__(self, serve: Serve, delay: float = 0.0) -> None:
        self.asked: list[tuple[int, int]] = []
        self._serve = serve
        self._delay = delay

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        page, size = (int(request.url.params[name]) for name in ("page", "perPage"))
        self.asked.append((page, size))
        if self._delay:
            await anyio.sleep(self._delay)
        answer = self._serve(page, size)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def client(self) -> AsyncClient:
        transport = httpx.MockTransport(self._answer)
        return AsyncClient("t", transport=transport, retry=RetryPolicy(attempts=1))

    async def numbers(self, **options: Any) -> list[int]:
        """Return the numbers of all tokens of `iter`."""
        async with self.client() as client:
            return [int(t.id, 16) async for t in client.user_api_tokens.iter(**options)]


@pytest.mark.parametrize(
    ("serve", "asked"),
    [
        (honest(0), [(0, 10)]),
        (honest(10), [(0, 10)]),
        (honest(11), [(0, 10), (1, 10)]),
        (honest(25), [(0, 10), (1, 10), (2, 10)]),
        (honest(25, cap=10), [(0, 10), (1, 10), (2, 10)]),
        (honest(7, cap=3), [(0, 10), (1, 3), (2, 3)]),
        (honest(7, cap=3, perPage=...), [(0, 10), (1, 3), (2, 3)]),
        (honest(25, totalCount=...), [(0, 10), (1, 10), (2, 10)]),
        (honest(20, totalCount=...), [(0, 10), (1, 10), (2, 10)]),
        (honest(25, totalCount=..., perPage=...), [(0, 10), (1, 10), (2, 10)]),
        (honest(7, totalCount=..., perPage=...), [(0, 10), (1, 7)]),
        (honest(25, cap=10, totalCount=..., perPage=...), [(0, 30), (1, 10), (2, 10)]),
    ],
)
async def test_all_pages(serve: Serve, asked: list[tuple[int, int]]) -> None:
    """Each token comes once, however the server counts or caps its pages."""
    server = Server(serve)
    numbers = await server.numbers(per_page=asked[0][1])
    assert list(range(len(numbers))) == numbers
    assert asked == server.asked


async def test_default_page_size() -> None:
    """The default page size of `iter` is 1,000."""
    server = Server(honest(1001))
    assert 1001 == len(await server.numbers())
    assert [(0, 1000), (1, 1000)] == server.asked


async def test_one_page_ahead() -> None:
    """While the caller works on one page, only the next page is read."""
    server = Server(honest(50))
    async with server.client() as client:
        listing = client.user_api_tokens.iter(per_page=10)
        for number in range(20):
            assert number == int((await anext(listing)).id, 16)
            await anyio.lowlevel.checkpoint()
            await anyio.sleep(0.001)
            assert min(number // 10 + 2, 5) == len(server.asked)
        assert (20, 50) == (listing.progress.seen, listing.progress.total_count)


async def test_work_and_reading_overlap() -> None:
    """The next page is read while the caller works on the current one."""
    is_read = [anyio.Event() for _ in range(5)]

    def serve(page: int, per_page: int) -> Any:
        is_read[page].set()
        return honest(50)(page, per_page)

    async with Server(serve, delay=0.001).client() as client:
        with anyio.fail_after(20):
            async for t in client.user_api_tokens.iter(per_page=10):
                await is_read[min(int(t.id, 16) // 10 + 1, 4)].wait()


async def test_leaving_early() -> None:
    """A loop that ends at the first token costs the server two pages, not fifty."""
    server = Server(honest(500))
    async with server.client() as client:
        async for _ in client.user_api_tokens.iter(per_page=10):
            break
        await anyio.sleep(0.01)
    assert [(0, 10), (1, 10)] == server.asked


async def test_closing_the_listing() -> None:
    """`aclosing` ends the iteration, and cancels the page that is being read."""
    server = Server(honest(500), delay=0.01)
    async with server.client() as client:
        async with contextlib.aclosing(client.user_api_tokens.iter(per_page=10)) as listing:
            await anext(listing)
            assert 1 == len(client._session.reads_ahead)
        assert 0 == len(client._session.reads_ahead)
        with pytest.raises(StopAsyncIteration):
            await anext(listing)
        await client.user_api_tokens.iter().aclose()  # never started: nothing to do


async def test_closing_the_client() -> None:
    """Closing the client cancels the task that reads a page ahead."""
    server = Server(honest(500), delay=0.01)
    async with server.client() as client:
        listing = client.user_api_tokens.iter(per_page=1)
        await anext(listing)
        await anyio.lowlevel.checkpoint()
    assert 1 == len(asyncio.all_tasks())
    with pytest.raises(errors.ClientStateError, match="closed while its next page was being read"):
        await anext(listing)


async def test_cancelled_while_it_waits_for_a_page() -> None:
    """Cancelling a loop that waits for a page cancels the task that reads it."""
    server = Server(honest(500), delay=0.2)
    async with server.client() as client:
        listing = client.user_api_tokens.iter(per_page=1)
        await anext(listing)
        with anyio.move_on_after(0.01) as scope:
            await anext(listing)
        assert (True, 0) == (scope.cancelled_caught, len(client._session.reads_ahead))


async def test_error_follows_the_tokens_before_it() -> None:
    """If a page cannot be read, all tokens before it are returned, and then the error."""

    def serve(page: int, per_page: int) -> Any:
        return httpx.Response(404) if page else honest(20)(page, per_page)

    server = Server(serve)
    async with server.client() as client:
        listing = client.user_api_tokens.iter(per_page=10)
        numbers = [int((await anext(listing)).id, 16) for _ in range(10)]
        with pytest.raises(errors.NotFound):
            await anext(listing)
        assert [] == [t async for t in listing]
    assert list(range(10)) == numbers


async def test_unawaited_error() -> None:
    """A page that fails and is never awaited is not reported by the event loop."""

    def serve(page: int, per_page: int) -> Any:
        return httpx.Response(404) if page else honest(20)(page, per_page)

    async with Server(serve).client() as client:
        async for _ in client.user_api_tokens.iter(per_page=10):
            break
        await anyio.sleep(0.01)


def repeating(page: int, per_page: int) -> dict[str, Any]:
    """Ignore the number of the requested page."""
    return {"items": [token(n) for n in range(per_page)], "totalCount": 10**9}


def growing(page: int, per_page: int) -> dict[str, Any]:
    """Return another page after each page."""
    items = [token(page * per_page + n) for n in range(per_page)]
    return {"items": items, "totalCount": (page + 2) * per_page, "perPage": per_page}


def boasting(page: int, per_page: int) -> dict[str, Any]:
    """State more tokens than there are."""
    items = [token(n) for n in range(3)] if page == 0 else []
    return {"items": items, "totalCount": 10**9, "perPage": per_page}


@pytest.mark.parametrize(
    ("serve", "problem"),
    [(repeating, "page 1 is the same as the one before"), (growing, "and no last page")],
)
@pytest.mark.filterwarnings("ignore::losant_tokens.errors.PaginationDriftWarning")
async def test_a_list_without_end(serve: Serve, problem: str) -> None:
    """A list without end is an error that states the reason."""
    with anyio.fail_after(20):
        with pytest.raises(errors.ResponseError, match=problem):
            await Server(serve).numbers(per_page=10)


# --- Lists that contradict themselves ---------------------------------------------------------


def changing(*totals: int) -> Serve:
    """Return a server of 30 tokens that states another total on each page."""

    def serve(page: int, per_page: int) -> dict[str, Any]:
        return honest(30, totalCount=totals[page])(page, per_page)  # type: ignore[return-value]

    return serve


def repeating_some(page: int, per_page: int) -> dict[str, Any]:
    """Start each page with the last token of the page before."""
    items = [token(n) for n in range(page * 9, page * 9 + 10)]
    return {"items": items, "totalCount": 30, "perPage": 10}


def sharded(page: int, per_page: int) -> dict[str, Any]:
    """Return pages of several sizes."""
    numbers = ([0, 1, 2, 3], [4], [5, 6, 7, 8, 9], [])[min(page, 3)]
    return {"items": [token(n) for n in numbers], "totalCount": 10, "perPage": per_page}


def with_odd_items(page: int, per_page: int) -> dict[str, Any]:
    """Return one item on the first page that is not a token."""
    answer = honest(20)(page, per_page)
    assert isinstance(answer, dict)
    if page == 0:
        answer["items"][3] = {"name": "no id"}
    return answer


def stopping(page: int, per_page: int) -> dict[str, Any]:
    """Return no tokens on the second page, although the total is larger."""
    return honest(10 if page else 30, totalCount=30)(page, per_page)  # type: ignore[return-value]


CONTRADICTIONS: list[tuple[Serve, list[int], list[tuple[str, str]]]] = [
    (changing(30, 29, 30), [*range(30)], [("changed", "the total went from 30 to 29")]),
    (
        changing(30, 20, 20),
        [*range(20)],
        [("changed", "the total went from 30 to 20")],
    ),
    *(
        (
            honest(30, totalCount=total),
            [*range(30)],
            [("total", f"the list states a total of {total} and has 10 items")],
        )
        for total in (-1, 0, 3, -(2**63))
    ),
    (
        honest(30, totalCount=15),
        [*range(30)],
        [("total", "the list states a total of 15 and has 20 items")],
    ),
    (
        honest(25, totalCount=30),
        [*range(25)],
        [
            ("size", "page 2 has 5 items of 10, and more follow"),
            ("total", "the list states a total of 30 and has 25 items"),
        ],
    ),
    (
        boasting,
        [0, 1, 2],
        [
            ("size", "page 0 has 3 items of 10, and more follow"),
            ("total", "the list states a total of 1000000000 and has 3 items"),
        ],
    ),
    (
        honest(30, totalCount="30"),
        [*range(30)],
        [("total", "page 0 states a total that cannot be read")],
    ),
    (stopping, [*range(10)], [("total", "the list states a total of 30 and has 10 items")]),
    (
        honest(20, count=11),
        [*range(20)],
        [("count", "page 0 states a count of 11 and has 10 items")],
    ),
    (honest(20, page=5), [*range(20)], [("page", "page 0 states that it is page 5")]),
    (
        honest(20, perPage=100),
        [*range(20)],
        [("size", "page 0 states a size of 100 and has 10 items")],
    ),
    (
        honest(20, perPage=3),
        [*range(20)],
        [("size", "page 0 states a size of 3 and has 10 items")],
    ),
    (
        repeating_some,
        [*range(10), *range(9, 19), *range(18, 28)],
        [("repeated", "page 1 repeats 1 item")],
    ),
    (sharded, [*range(10)], [("size", "page 0 has 4 items of 10, and more follow")]),
    (
        with_odd_items,
        [0, 1, 2, *range(4, 20)],
        [("unreadable", "page 0 has 1 item that cannot be read")],
    ),
    (
        honest(20, sortField="creationDate"),
        [*range(20)],
        [("query", "the list states another sortField than the requested one")],
    ),
    (
        honest(20, filter="*"),
        [*range(20)],
        [("query", "the list states another filter than the requested one")],
    ),
]


@pytest.mark.parametrize(("serve", "numbers", "problems"), CONTRADICTIONS)
async def test_contradictions(
    serve: Serve, numbers: list[int], problems: list[tuple[str, str]]
) -> None:
    """A contradiction is a problem of the listing, and all readable items are returned."""
    options: dict[str, Any] = {"sort_field": "name", "filter_field": "name", "filter": "ci-*"}
    async with Server(serve).client() as client:
        listing = client.user_api_tokens.iter(per_page=10, **options)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = [int(t.id, 16) async for t in listing]

    assert numbers == found
    assert problems == [(problem.kind, str(problem)) for problem in listing.progress.problems]
    text = " ".join(str(warning.message) for warning in caught)
    assert all(problem in text for _, problem in problems)
    assert {errors.PaginationDriftWarning} == {warning.category for warning in caught}
    assert {__file__} == {warning.filename for warning in caught}


@pytest.mark.parametrize(
    "says",
    [
        {},
        {"sortField": "name", "sortDirection": "DESC", "filterField": "name", "filter": "ci-*"},
        {"page": None, "count": None},
        {"count": "many", "totalCount": None, "perPage": "x"},
    ],
)
async def test_no_contradictions(says: dict[str, Any]) -> None:
    """A list with correct statements, or without any, causes no warning."""
    options: dict[str, Any] = {
        "sort_field": "name",
        "sort_direction": "desc",
        "filter_field": "name",
        "filter": "ci-*",
    }
    assert [*range(20)] == await Server(honest(20, **says)).numbers(per_page=10, **options)


async def test_the_line_of_a_warning() -> None:
    """The warning names the line that reads from the list."""
    async with Server(boasting).client() as client:
        listing = client.user_api_tokens.iter(per_page=10)
        with pytest.warns(errors.PaginationDriftWarning) as caught:
            await anext(listing)
    lines = [linecache.getline(warning.filename, warning.lineno) for warning in caught]
    assert ["            await anext(listing)\n"] == lines


async def test_no_warnings() -> None:
    """A reader that reads the problems itself can turn the warnings of its listing off."""
    async with Server(boasting).client() as client:
        listing = client.user_api_tokens.iter(per_page=10)
        listing.warns = False
        await anext(listing)
    assert listing.progress.problems


async def test_warnings_as_errors() -> None:
    """If warnings are errors, the reader can continue, and no item is lost."""
    async with Server(boasting).client() as client:
        listing = client.user_api_tokens.iter(per_page=10)
        with pytest.raises(errors.PaginationDriftWarning):
            await anext(listing)
        assert "ci-0" == (await anext(listing)).name


async def test_deleting_while_reading(fake_losant: FakeLosant) -> None:
    """Deleting tokens while reading causes a warning, because tokens are left out."""
    for number in range(60):
        fake_losant.add_token(f"ci-{number:02}")

    async def delete_all(client: AsyncClient) -> None:
        async for t in client.user_api_tokens.iter(per_page=10):
            await client.user_api_token.delete(t.id)

    async with AsyncClient(fake_losant.admin_token, transport=fake_losant.transport()) as client:
        with pytest.warns(errors.PaginationDriftWarning, match="this client changed"):
            await delete_all(client)
    assert fake_losant.tokens()


@given(st.integers(0, 12), st.lists(st.lists(st.integers(0, 11), max_size=6), max_size=6))
async def test_any_pages(total: int, pages: list[list[int]]) -> None:
    """If the stated total is correct, a listing that misses or repeats items has a problem.

    The server sends any items on any page: it may ignore the order, the page and its size.
    """

    def serve(page: int, per_page: int) -> dict[str, Any]:
        numbers = pages[page] if page < len(pages) else []
        return {"items": [token(n) for n in numbers if n < total], "totalCount": total}

    async with Server(serve).client() as client:
        listing = client.user_api_tokens.iter(per_page=4)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found = sorted([int(t.id, 16) async for t in listing])
            except errors.ResponseError:
                return
    assert bool(caught) == bool(listing.progress.problems)
    assert caught or found == [*range(total)]


Change = Callable[[AsyncClient, ApiToken], Awaitable[Any]]


async def rotate(client: AsyncClient, old: ApiToken) -> None:
    await client.user_api_tokens.post(ApiTokenPost(f"{old.name}-new"))
    await client.user_api_token.delete(old.id)


async def rename(client: AsyncClient, old: ApiToken) -> None:
    await client.user_api_token.patch(old.id, ApiTokenPatch(name=f"z-{old.name}"))


async def deactivate(client: AsyncClient, old: ApiToken) -> None:
    await client.user_api_token.patch(old.id, ApiTokenPatch(status="inactive"))


async def describe(client: AsyncClient, old: ApiToken) -> None:
    await client.user_api_token.patch(old.id, ApiTokenPatch(description="seen"))


async def create_elsewhere(client: AsyncClient, old: ApiToken) -> None:
    await client.application_api_tokens.post("5" * 24, ApiTokenPost("other"))


async def read_again(client: AsyncClient, old: ApiToken) -> None:
    await client.user_api_token.get(old.id)


ACTIVE = {"filter_field": "status", "filter": "active"}
BY_UPDATE = {"sort_field": "lastUpdated"}
BY_CREATION = {"sort_field": "creationDate"}


@pytest.mark.parametrize(
    ("change", "options", "is_noticed"),
    [
        (rotate, {}, True),
        (rename, {}, True),
        (rename, BY_CREATION, False),
        (deactivate, ACTIVE, True),
        (deactivate, {"sort_field": "status"}, True),
        (deactivate, {}, False),
        (describe, BY_UPDATE, True),
        (describe, {}, False),
        (create_elsewhere, {}, False),
        (read_again, {}, False),
    ],
)
async def test_own_changes(
    change: Change, options: dict[str, Any], is_noticed: bool, fake_losant: FakeLosant
) -> None:
    """If the client changes the list while it reads it, there is a warning, with any total."""
    for number in range(40):
        fake_losant.add_token(f"ci-{number:02}")
    async with AsyncClient(fake_losant.admin_token, transport=fake_losant.transport()) as client:
        listing = client.user_api_tokens.iter(per_page=10, **options)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            async for t in listing:
                await change(client, t)
    assert is_noticed == bool(caught)
    assert is_noticed == ("changed" in [problem.kind for problem in listing.progress.problems])


async def test_changes_before_and_after_reading(fake_losant: FakeLosant) -> None:
    """Changes before the first page and after the last page cause no warning."""
    for number in range(20):
        fake_losant.add_token(f"ci-{number:02}")
    async with AsyncClient(fake_losant.admin_token, transport=fake_losant.transport()) as client:
        await client.user_api_token.delete(fake_losant.tokens()[0].id)
        listed = [t async for t in client.user_api_tokens.iter(per_page=10)]
        for t in listed:
            await client.user_api_token.delete(t.id)


async def test_few_ids_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the latest ids of a long list are remembered."""
    monkeypatch.setattr(listing_progress, "_MAX_REMEMBERED_IDS", 15)
    async with Server(honest(100)).client() as client:
        listing = client.user_api_tokens.iter(per_page=10)
        assert 100 == len([t async for t in listing])
    assert len(listing.progress._known_ids) <= 30


# --- Pages that are too large -----------------------------------------------------------------


class Heavy(Server):
    """Serves tokens with descriptions of 1,000 characters to a client with a size limit."""

    def __init__(self, total: int, limit: int, cap: int = 10_000, light: int = 0) -> None:
        def serve(page: int, per_page: int) -> dict[str, Any]:
            answer = honest(total, cap)(page, per_page)
            assert isinstance(answer, dict)
            for item in answer["items"]:
                if int(item["id"], 16) >= light:
                    item["description"] = "x" * 1000
            return answer

        super().__init__(serve)
        self._limit = limit

    def client(self) -> AsyncClient:
        return AsyncClient(
            "t",
            transport=httpx.MockTransport(self._answer),
            retry=RetryPolicy(attempts=1),
            max_response_size=self._limit,
        )


@pytest.mark.parametrize("per_page", [3, 10, 16, 97, 1000])
@pytest.mark.parametrize("light", [0, 50, 97, 195])
@pytest.mark.parametrize("cap", [33, 10_000])
async def test_smaller_pages(per_page: int, light: int, cap: int) -> None:
    """A page that is too large is read in smaller pages, and each token comes once."""
    server = Heavy(200, limit=10_000, cap=cap, light=light)
    assert [*range(200)] == await server.numbers(per_page=per_page)


async def test_smaller_pages_from_the_same_offset() -> None:
    """The page size is halved as often as needed, and stays reduced."""
    server = Heavy(60, limit=10_000, light=40)
    await server.numbers(per_page=40)
    assert [(0, 40), (1, 40), (2, 20), (4, 10), (8, 5), (9, 5), (10, 5), (11, 5)] == server.asked


async def test_a_token_that_is_too_large() -> None:
    """A single token that is too large is an error that recommends what to change."""
    with pytest.raises(errors.ResponseTooLarge, match="max_response_size"):
        await Heavy(10, limit=500).numbers(per_page=10)


def test_a_smaller_page_under_trio() -> None:
    """A page that is too large is read in smaller pages on trio as well."""
    assert [*range(60)] == trio.run(Heavy(60, limit=10_000).numbers)


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(0, 60), st.integers(1, 60), st.integers(1, 70))
async def test_any_smaller_pages(total: int, light: int, cap: int, per_page: int) -> None:
    """Each token comes once, with any page size and any size limit."""
    server = Heavy(total, limit=3000, cap=cap, light=light)
    assert [*range(total)] == await server.numbers(per_page=per_page)


# --- Refused options --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"filter": "ci-*"}, errors.ValidationError, "together"),
        ({"filter_field": "name"}, errors.ValidationError, "together"),
        ({"filter_field": "name", "filter": ""}, errors.ValidationError, "the filter is empty"),
        ({"per_page": 0}, errors.ValidationError, "per_page must be an integer"),
        ({"sort_field": "expiration_date"}, errors.ValidationError, "sort_field must be one of"),
        ({"page": 3}, TypeError, "unexpected keyword argument 'page'"),
    ],
)
async def test_refused_options(options: dict[str, Any], error: type[Exception], match: str) -> None:
    """`iter` raises at once for a wrong option, not at the first token."""
    async with AsyncClient("t") as client:
        with pytest.raises(error, match=match):
            client.user_api_tokens.iter(**options)


async def test_two_readers_of_one_listing() -> None:
    """The second of two tasks that read one listing gets an error, so that no token is lost."""
    server = Server(honest(50), delay=0.01)
    messages: list[str] = []

    async def read(listing: Listing[ApiToken]) -> None:
        try:
            await anext(listing)
        except RuntimeError as error:
            messages.append(str(error))

    async with server.client() as client:
        listing = client.user_api_tokens.iter(per_page=10)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, listing)
            tasks.start_soon(read, listing)
    assert ["Another task is already reading this listing. Call iter() in each task."] == messages


def test_under_trio() -> None:
    """On trio, a list is read completely, without reading ahead."""

    async def main() -> tuple[list[int], list[tuple[int, int]]]:
        server = Server(honest(25))
        return await server.numbers(per_page=10), server.asked

    numbers, asked = trio.run(main)
    assert (list(range(25)), [(0, 10), (1, 10), (2, 10)]) == (numbers, asked)


@pytest.fixture(params=["application", "instance", "oauth"])
def owner(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind if kind == "oauth" else f"{kind}:{'5' * 24}"


async def test_the_lists_of_other_owners(owner: str, fake_losant: FakeLosant) -> None:
    """The lists of all owners are read to their ends, filtered and sorted as requested."""
    for number in range(12):
        fake_losant.add_token(name=f"{'ci' if number % 2 else 'prod'}-{number:02}", owner=owner)
    fake_losant.page_cap = 4
    async with AsyncClient(fake_losant.admin_token, transport=fake_losant.transport()) as client:
        lists = {
            "application": client.application_api_tokens.iter,
            "instance": client.instance_api_tokens.iter,
        }
        kind, _, id_ = owner.partition(":")
        wanted: dict[str, Any] = {
            "filter_field": "name",
            "filter": "ci-*",
            "sort_field": "name",
            "sort_direction": "desc",
        }
        listing: Any = (
            lists[kind](id_, **wanted) if id_ else client.user_oauth_tokens.iter(**wanted)
        )
        names = [t.name async for t in listing]
    assert [f"ci-{number:02}" for number in (11, 9, 7, 5, 3, 1)] == names


# --- What can be seen --------------------------------------------------------------------------


@given(st.data())
def test_lost_and_doubled_items_are_reported(data: st.DataObject) -> None:
    """A lost or doubled item is reported unless as many items were created as deleted at once."""
    existing = [*range(0, 100 * data.draw(st.integers(1, 12)), 100)]
    stable, listed, was_balanced = set(existing), [], False
    progress = ListingProgress("userApiTokens.get", 3)
    has_more = True
    while has_more:
        start = 3 * progress.page
        items = tuple(ApiToken(id=f"{number:024x}") for number in existing[start : start + 3])
        page = ApiTokens(items=items, total_count=len(existing), per_page=3, page=progress.page)
        try:
            found, has_more = progress.record_page(page)
        except errors.ResponseError:
            return  # an error is a report as well
        listed += [int(item.id, 16) for item in found]
        deleted = data.draw(st.sets(st.sampled_from(existing), max_size=2)) if existing else set()
        created = data.draw(st.sets(st.integers(0, 1200), max_size=2)) - {*existing, *listed}
        if has_more:
            was_balanced |= len(deleted) == len(created) > 0
            stable -= deleted
            existing = sorted({*existing, *created} - deleted)
    is_wrong = not stable <= set(listed) or len(listed) != len(set(listed))
    assert not is_wrong or was_balanced or progress.problems
