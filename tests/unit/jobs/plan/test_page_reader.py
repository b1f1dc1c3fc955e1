"""Lists with wrong statements: every token is planned, and contradictions are reported."""

import random
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from losant_tokens import AsyncClient, errors, jobs
from losant_tokens.jobs import Plan
from tests.support.jobs import USER, on_virtual_time
from tests.support.list_server import TOKENS, Item, MakePage, Server, cut, honest, item


def with_total(total: int | None) -> MakePage:
    return lambda page, size, tokens: honest(page, size, tokens) | {"totalCount": total}


def silent_cap(page: int, size: int, tokens: list[Item]) -> dict[str, Any]:
    """Limits pages to 7 tokens without stating it."""
    return {"items": cut(page, min(size, 7), tokens), "totalCount": len(tokens)}


def by_name(page: int, size: int, tokens: list[Item]) -> dict[str, Any]:
    return honest(page, size, sorted(tokens, key=lambda token: str(token["name"])))


def unsorted(page: int, size: int, tokens: list[Item]) -> dict[str, Any]:
    shuffled = TOKENS[:]
    random.Random(5).shuffle(shuffled)
    return honest(page, size, shuffled)


def shards(page: int, size: int, tokens: list[Item]) -> dict[str, Any]:
    """Lists one shard after the other, each sorted, with a short last page."""
    split = [TOKENS[shard::3] for shard in range(3)]
    pages = [cut(number, 7, shard) for shard in split for number in range(3)]
    items = pages[page] if page < len(pages) else []
    return {"items": items[:size], "totalCount": 60, "perPage": min(size, 7)}


def gaps(page: int, size: int, tokens: list[Item]) -> dict[str, Any]:
    """Has an empty page in the middle."""
    number = page if page < 3 else page - 1
    return honest(page, size, tokens) | {
        "items": [] if page == 3 else cut(number, min(size, 7), tokens)
    }


def wrong_echo(page: int, size: int, tokens: list[Item]) -> dict[str, Any]:
    return honest(page, size, tokens) | {"page": 0, "perPage": 3, "count": 99}


async def planned(server: Server, folder: Path, **options: Any) -> tuple[Plan, list[str]]:
    """The plan for all tokens of a server, and the warnings about the list."""
    transport = httpx.MockTransport(server)
    async with AsyncClient("x", base_url="https://x.example", transport=transport) as client:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            plan = await jobs.plan(
                client,
                USER,
                **{
                    "select": jobs.named("ci-*"),
                    "path": folder / "plan",
                    "allow_majority": True,
                    **options,
                },
            )
    words = ("may be incomplete", "kept changing")
    return plan, [
        str(one.message) for one in caught if any(word in str(one.message) for word in words)
    ]


def ids(plan: Plan) -> list[str]:
    return sorted(entry.id for entry in plan.entries())


@pytest.mark.parametrize("answer", [honest, silent_cap, by_name, unsorted, shards])
async def test_order_and_page_sizes(tmp_path: Path, answer: MakePage) -> None:
    """A list in another order, in shards, or with other page sizes is complete."""
    plan, warned = await planned(Server(answer), tmp_path)

    assert ids(plan) == [token["id"] for token in TOKENS]
    assert (plan.header.drifted, plan.header.incomplete, warned) == (False, (), [])


@pytest.mark.parametrize("total", [-1, 0, 3, 59, 61, 1000])
@pytest.mark.parametrize("size", [7, 1000])
async def test_wrong_total(tmp_path: Path, total: int, size: int) -> None:
    """A wrong total leaves no token out, and the plan reports the contradiction."""

    def answer(page: int, _: int, tokens: list[Item]) -> dict[str, Any]:
        return {"items": cut(page, size, tokens), "totalCount": total, "perPage": size}

    plan, warned = await planned(Server(answer), tmp_path)

    problem = f"user: the API states a total of {total} tokens and lists 60"
    assert ids(plan) == [token["id"] for token in TOKENS]
    assert plan.header.incomplete == (problem,)
    assert [problem in one for one in warned] == [True]


async def test_refused_if_incomplete(tmp_path: Path) -> None:
    """With `incomplete="refuse"`, a plan that may be incomplete is refused, without a file."""
    with pytest.raises(jobs.GuardRefused, match="states a total of 3 tokens and lists 60"):
        await planned(Server(with_total(3)), tmp_path, incomplete="refuse")

    assert not (tmp_path / "plan").is_file()


async def test_no_total(tmp_path: Path) -> None:
    """Without a total, two equal listings make the plan complete."""
    server = Server(with_total(None))
    plan, warned = await planned(server, tmp_path)

    assert (len(plan), plan.header.incomplete, warned) == (60, (), [])
    assert server.requests == 2 * (1 + 9 + 1)


async def test_missing_tokens(tmp_path: Path) -> None:
    """A list with fewer tokens than the stated total is reported."""

    def answer(page: int, size: int, tokens: list[Item]) -> dict[str, Any]:
        return honest(page, size, tokens[:40]) | {"totalCount": 60}

    plan, warned = await planned(Server(answer), tmp_path)

    assert len(plan) == 40
    assert plan.header.incomplete == ("user: the API states a total of 60 tokens and lists 40",)
    assert len(warned) == 1


async def test_empty_page_in_the_middle(tmp_path: Path) -> None:
    """An empty page before the stated end does not end the list."""
    plan, warned = await planned(Server(gaps), tmp_path)

    assert (len(plan), warned) == (60, [])


async def test_wrong_statements_of_all_pages(tmp_path: Path) -> None:
    """Pages with wrong statements are reported, and their tokens are planned."""
    plan, warned = await planned(Server(wrong_echo), tmp_path)

    assert len(plan) == 60
    assert plan.header.incomplete == ("user: page 8 states 99 tokens and has 4",)
    assert len(warned) == 1


@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        ({"page": 0}, "page 8 states that it is page 0"),
        ({"perPage": 2}, "page 8 has 4 tokens and states a limit of 2"),
    ],
)
async def test_wrong_statement_of_one_page(
    tmp_path: Path, stated: Mapping[str, int], problem: str
) -> None:
    """A page that states a wrong number or a smaller size is reported."""

    def answer(page: int, size: int, tokens: list[Item]) -> dict[str, Any]:
        return honest(page, size, tokens) | (dict(stated) if page == 8 else {})

    plan, _ = await planned(Server(answer), tmp_path)

    assert plan.header.incomplete == (f"user: {problem}",)


@pytest.mark.parametrize("is_sorted", [True, False])
async def test_token_that_is_listed_twice(tmp_path: Path, is_sorted: bool) -> None:
    """A token that is listed twice is planned once."""
    listed = [*TOKENS[:50], item(3, id=f"{3:024X}"), *TOKENS[50:]]
    listed = listed if is_sorted else listed[::-1]

    def answer(page: int, size: int, _: list[Item]) -> dict[str, Any]:
        return honest(page, size, listed)

    plan, _ = await planned(Server(answer), tmp_path)

    assert len(plan) == 60
    assert "user: the API lists 1 token twice" in plan.header.incomplete
    assert plan.header.counts[USER].listed == 60


async def test_page_number_that_is_ignored(tmp_path: Path) -> None:
    """If the server always returns the first page, the list ends after three repetitions."""
    server = Server(lambda page, size, tokens: honest(0, size, tokens) | {"page": page})
    plan, _ = await planned(server, tmp_path)

    assert len(plan) == 7
    assert plan.header.incomplete == (
        "user: the API states a total of 60 tokens and lists 7",
        "user: the API lists 21 tokens twice",
    )


async def test_endless_list(tmp_path: Path) -> None:
    """A list that does not end is an error."""

    def answer(page: int, size: int, _: list[Item]) -> dict[str, Any]:
        first = page * 1000 if size > 1 else 0
        return {
            "items": [item(0, id=f"{number:024x}") for number in range(first, first + size)],
            "totalCount": 5,
        }

    with pytest.raises(errors.ResponseError, match="does not end: 11000 tokens were listed"):
        await planned(Server(answer), tmp_path)


def refusing(status: int, broken: int) -> Callable[[httpx.Request], httpx.Response]:
    """An honest server that refuses one page."""
    server = Server(honest)

    def answer(request: httpx.Request) -> httpx.Response:
        if int(request.url.params["page"]) == broken:
            body = {"type": "Validation", "message": "page is too large"}
            return httpx.Response(status, json=body)
        return server(request)

    return answer


@pytest.mark.parametrize("status", [400, 404])
async def test_error_past_the_end(tmp_path: Path, status: int) -> None:
    """An error for a page past the stated end ends the list."""
    transport = httpx.MockTransport(refusing(status, 9))
    async with AsyncClient("x", base_url="https://x.example", transport=transport) as client:
        plan = await jobs.plan(client, USER, select=jobs.no_tokens(), path=tmp_path / "plan")

    assert plan.header.counts[USER].listed == 60


@pytest.mark.parametrize("status", [400, 404])
async def test_error_before_the_end(tmp_path: Path, status: int) -> None:
    """An error for a page before the stated end is raised."""
    transport = httpx.MockTransport(refusing(status, 4))
    async with AsyncClient("x", base_url="https://x.example", transport=transport) as client:
        with pytest.raises(errors.StatusError):
            await jobs.plan(client, USER, select=jobs.no_tokens(), path=tmp_path / "plan")


async def test_malformed_ids(tmp_path: Path) -> None:
    """Tokens with malformed ids are planned, each once."""
    odd = [item(60 + n, id=id_) for n, id_ in enumerate(("not an id", "x", "NOT AN ID", "\u20ac"))]
    plan, _ = await planned(Server(honest, [*TOKENS, *odd]), tmp_path)

    assert len(plan) == 63
    assert len(list(plan.entries())) == 63


async def test_unreadable_items(tmp_path: Path) -> None:
    """Items that cannot be read are counted and reported."""
    plan, warned = await planned(Server(honest, [*TOKENS, {"name": "no id"}, 5]), tmp_path)  # type: ignore[list-item]

    assert (len(plan), plan.header.counts[USER].listed) == (60, 62)
    assert plan.header.incomplete == ("user: 2 tokens in the list cannot be read",)
    assert len(warned) == 1


@pytest.mark.parametrize(("limit", "first"), [(10, 60), (7, 60), (1, 5), (9, 32)])
async def test_pages_that_are_too_large(tmp_path: Path, limit: int, first: int) -> None:
    """If a page is too large, smaller ones are requested, and each token is planned once."""
    sizes: list[int] = []

    def answer(page: int, size: int, tokens: list[Item]) -> dict[str, Any]:
        sizes.append(size)
        items = cut(page, size, tokens)
        padding = "x" * 3000 if len(items) > limit and page * size > 20 else ""
        return {
            "items": [one | {"description": padding} for one in items],
            "totalCount": len(tokens),
            "page": page,
        }

    server = Server(answer)
    transport = httpx.MockTransport(server)
    async with AsyncClient(
        "x", base_url="https://x.example", transport=transport, max_response_size=20_000
    ) as client:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jobs.PlanWarning)
            plan = await jobs.plan(
                client,
                USER,
                select=jobs.named("ci-*"),
                path=tmp_path / "plan",
                allow_majority=True,
                page_size=first,
            )

    assert ids(plan) == [token["id"] for token in TOKENS]
    assert (plan.header.incomplete, plan.header.drifted) == ((), False)


def test_pages_that_are_too_large_are_no_outage(tmp_path: Path) -> None:
    """If a page is too large many times in a row, planning does not wait for an outage to end."""

    def answer(page: int, size: int, tokens: list[Item]) -> dict[str, Any]:
        items = cut(page, size, tokens)
        padding = "x" * 30_000 if len(items) > 2 else ""
        return {"items": [one | {"description": padding} for one in items]}

    transport = httpx.MockTransport(Server(answer, TOKENS[:6]))

    async def seconds() -> float:
        began = anyio.current_time()
        async with AsyncClient(
            "x", base_url="https://x.example", transport=transport, max_response_size=20_000
        ) as client:
            await jobs.plan(client, USER, select=jobs.no_tokens(), path=tmp_path / "plan")
        return anyio.current_time() - began

    assert on_virtual_time(seconds) < 0.9  # a probe would wait for a second


async def test_page_of_one_that_is_too_large(tmp_path: Path) -> None:
    """If a page with one token is too large, the error is raised."""
    server = Server(
        lambda page, size, tokens: {"items": [tokens[0] | {"description": "x" * 30_000}]}
    )
    transport = httpx.MockTransport(server)
    async with AsyncClient(
        "x", base_url="https://x.example", transport=transport, max_response_size=20_000
    ) as client:
        with pytest.raises(errors.ResponseTooLarge):
            await jobs.plan(client, USER, select=jobs.no_tokens(), path=tmp_path / "plan")


async def test_page_that_cannot_be_reduced(tmp_path: Path) -> None:
    """If a page is still too large with one token, the error is raised."""
    large = item(1, description="x" * 30_000)
    server = Server(honest, [TOKENS[0], large, TOKENS[2]])
    transport = httpx.MockTransport(server)
    async with AsyncClient(
        "x", base_url="https://x.example", transport=transport, max_response_size=20_000
    ) as client:
        with pytest.raises(errors.ResponseTooLarge):
            await jobs.plan(
                client, USER, select=jobs.no_tokens(), path=tmp_path / "plan", page_size=2
            )


@pytest.mark.parametrize("status", [500, None])
def test_outage_while_planning(tmp_path: Path, status: int | None) -> None:
    """Planning waits for the end of an outage."""
    server = Server(honest)

    async def job() -> Plan:
        failures = 0

        def answer(request: httpx.Request) -> httpx.Response:
            nonlocal failures
            if server.requests == 4 and failures < 12:
                failures += 1
                if status is None:
                    raise httpx.ConnectError("no")
                return httpx.Response(status, text="out")
            return server(request)

        transport = httpx.MockTransport(answer)
        async with AsyncClient("x", base_url="https://x.example", transport=transport) as client:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return await jobs.plan(
                    client,
                    USER,
                    select=jobs.named("ci-*"),
                    path=tmp_path / "plan",
                    allow_majority=True,
                )

    plan = on_virtual_time(job)
    assert len(plan) == 60


async def test_full_disk_while_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error while a page is used is raised directly, not in a group."""
    from losant_tokens.jobs._plan.writer import PlanWriter

    def flush(_: PlanWriter) -> None:
        raise jobs.JobError("full")

    monkeypatch.setattr(PlanWriter, "flush", flush)
    with pytest.raises(jobs.JobError, match="full"):
        await planned(Server(honest), tmp_path)


@pytest.mark.parametrize(("owners", "held"), [(1, 1), (100, 100), (101, 0), (150, 0)])
async def test_many_owner_ids(tmp_path: Path, owners: int, held: int) -> None:
    """A plan has the owner ids of a list only if there are at most a hundred."""
    tokens = [item(number, ownerId=f"{number:024x}") for number in range(owners)]
    plan, _ = await planned(Server(honest, tokens), tmp_path)

    assert len(plan) == owners
    assert len(plan.header.owner_ids.get(USER, ())) == held


async def test_rule_that_raises(tmp_path: Path) -> None:
    """An exception of a rule is raised directly, not in a group."""

    def fail(*_: object) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await planned(Server(honest), tmp_path, select=jobs.Rule("odd", fail, lambda *_: ""))


async def test_no_patience(tmp_path: Path) -> None:
    """With `patience=0`, a list without an outage is planned."""
    plan, _ = await planned(Server(honest), tmp_path, patience=0)

    assert len(plan) == 60
