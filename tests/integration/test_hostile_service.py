"""Jobs against a faulty API, whose request log is compared with the plan.

Most run on trio's virtual clock, without sockets, so an outage of minutes takes no time. Some run
once more over real sockets.
"""

import os
import shutil
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, TypeVar

import anyio
import attrs
import jwt
import pytest
import trio
from trio.testing import MockClock

from losant_tokens import (
    AsyncClient,
    Owner,
    aiohttp_transport,
    errors,
    httpx_transport,
    jobs,
)
from losant_tokens._utils import private_files
from losant_tokens.jobs import Outcome, Plan, Report
from tests.support.job_service import (
    Ask,
    InProcess,
    Reply,
    Service,
    check,
    html,
    listening,
    problem,
)

T = TypeVar("T")
USER = Owner.user()


def hostile(job: Callable[[], Awaitable[T]]) -> T:
    """Run a test on a clock on which waiting takes no time."""
    return trio.run(job, clock=MockClock(autojump_threshold=0))


def connected(service: Service, token: str = "t") -> AsyncClient:
    """Return a client of the service."""
    return AsyncClient(
        token,
        base_url="https://hostile.example",
        transport=InProcess(service),
        max_connections=10,
    )


async def planned(client: AsyncClient, folder: Path, **options: Any) -> Plan:
    """Return a plan for all tokens named `ci-…`, unless the options select others."""
    settings = {"select": jobs.named("ci-*"), "path": folder / "plan.jsonl", **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jobs.PlanWarning)
        return await jobs.plan(client, USER, allow_majority=True, **settings)


async def applied(client: AsyncClient, plan: Plan, **options: Any) -> Report:
    """Return the report of a job, complete or failed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jobs.PlanWarning)
            return await jobs.apply(client, plan, **options)
    except jobs.JobFailed as error:
        return error.report


async def cleaned_up(service: Service, folder: Path, **options: Any) -> Report:
    """Return the report of a job whose plan was made before the service became hostile."""
    before, after = service.before, service.after
    service.before, service.after = lambda _: None, lambda _, reply: reply
    async with connected(service) as client:
        plan = await planned(client, folder)
        service.seen.clear()
        service.before, service.after = before, after
        report = await applied(client, plan, **options)
    check(service, plan, report)
    return report


def counts(report: Report) -> dict[str, int]:
    return {outcome.value: count for outcome, count in report.counts.items() if count}


async def resumed(service: Service, report: Report, **options: Any) -> Report:
    """Return the report of the job, resumed with a service that works."""
    service.before, service.after = lambda _: None, lambda _, reply: reply
    async with connected(service) as client:
        again = await applied(client, report.plan, resume=True, **options)
    check(service, report.plan, again)
    return again


# --- Lists ---------------------------------------------------------------------------------------


@attrs.define
class Lists:
    """Responds to list requests in another way than the API."""

    distort: Callable[[Ask, dict[str, Any], Service], dict[str, Any]]
    service: Service

    def __call__(self, ask: Ask) -> Reply | None:
        if ask.id:
            return None
        page = self.service.page(ask, list(self.service.tokens.values()))
        return Reply(content=self.distort(ask, page, self.service))


def total(number: Any) -> Any:
    return lambda ask, page, service: {**page, "totalCount": number}


def unsorted(ask: Ask, page: dict[str, Any], service: Service) -> dict[str, Any]:
    """Sort by another field, but state the requested one."""
    tokens = sorted(service.tokens.values(), key=lambda token: token["id"][::-1])
    return {**service.page(attrs.evolve(ask, query={**ask.query, "sortField": "x"}), tokens)}


def sharded(ask: Ask, page: dict[str, Any], service: Service) -> dict[str, Any]:
    """Take each page from one of two shards, each of which has half of the tokens."""
    shard = int(ask.query.get("page", 0)) % 2
    tokens = [token for id_, token in service.tokens.items() if int(id_, 16) % 2 == shard]
    return {**service.page(ask, tokens), "totalCount": len(tokens)}


def shuffled(ask: Ask, page: dict[str, Any], service: Service) -> dict[str, Any]:
    """Use another order for each request."""
    tokens = list(service.tokens.values())
    turn = len(service.seen) * 7 % len(tokens)
    tokens = tokens[turn:] + tokens[:turn]
    return service.page(attrs.evolve(ask, query={**ask.query, "sortField": "x"}), tokens)


def capped(ask: Ask, page: dict[str, Any], service: Service) -> dict[str, Any]:
    """Limit pages to seven tokens."""
    query = {**ask.query, "perPage": str(min(7, int(ask.query.get("perPage", 100))))}
    return service.page(attrs.evolve(ask, query=query), list(service.tokens.values()))


def capped_silently(ask: Ask, page: dict[str, Any], service: Service) -> dict[str, Any]:
    """Limit pages to seven tokens, but state the requested size."""
    return {**capped(ask, page, service), "perPage": int(ask.query.get("perPage", 100))}


def first_again(ask: Ask, page: dict[str, Any], service: Service) -> dict[str, Any]:
    """Always return the first page."""
    query = {**ask.query, "page": "0"}
    return service.page(attrs.evolve(ask, query=query), list(service.tokens.values()))


def cut_short(ask: Ask, page: dict[str, Any], service: Service) -> dict[str, Any]:
    """Return an empty page before the stated end."""
    return page if ask.query.get("page", "0") == "0" else {**page, "items": [], "count": 0}


def without_statements(ask: Ask, page: dict[str, Any], service: Service) -> dict[str, Any]:
    """Return only the tokens."""
    return {"items": page["items"]}


LISTS: dict[str, Any] = {
    "total of -1": total(-1),
    "total of 0": total(0),
    "total of 3": total(3),
    "total too high": total(100),
    "total null": total(None),
    "unsorted": unsorted,
    "sharded": sharded,
    "shuffled": shuffled,
    "capped": capped,
    "capped in silence": capped_silently,
    "first again": first_again,
    "cut short": cut_short,
    "without figures": without_statements,
}


@pytest.mark.sweep(sample=10)
@pytest.mark.parametrize("distort", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize("page_size", [10, 1000])
def test_wrong_lists(distort: Any, page_size: int, tmp_path: Path) -> None:
    """A plan from a wrong list has all tokens, or reports that some may be missing."""

    async def job() -> None:
        service = Service.of(60)
        service.before = Lists(distort, service)
        async with connected(service) as client:
            try:
                plan = await planned(client, tmp_path, page_size=page_size)
            except errors.LosantError:
                assert not (tmp_path / "plan.jsonl").exists()
                return
            listed = [entry.id for entry in plan.entries()]
            says_so = plan.header.drifted or bool(plan.header.incomplete)
            assert len(listed) == len(set(listed))
            assert set(listed) == set(service.tokens) or says_so
            service.before = lambda _: None
            check(service, plan, await applied(client, plan))

    hostile(job)


@pytest.mark.parametrize("field", ["id", "name"])
def test_tokens_that_move_while_they_are_listed(field: str, tmp_path: Path) -> None:
    """If others delete and create tokens during planning, no other token is missing."""

    async def job() -> None:
        service = Service.of(60)
        doomed = list(service.tokens)[:25]
        stays = set(list(service.tokens)[25:])

        def move(ask: Ask) -> Reply | None:
            if not ask.id and doomed:
                del service.tokens[doomed.pop(0)]
                service.add("ci-new")
            return None

        service.before = move
        async with connected(service) as client:
            plan = await planned(client, tmp_path, page_size=10)
            listed = {entry.id for entry in plan.entries()}
            assert stays <= listed or plan.header.drifted or plan.header.incomplete
            check(service, plan, await applied(client, plan))

    hostile(job)


def test_a_token_that_is_listed_twice(tmp_path: Path) -> None:
    """A token that is listed twice, far apart, is planned once."""

    async def job() -> None:
        service = Service.of(60)

        def twice(ask: Ask, page: Any, service: Service) -> Any:
            tokens = list(service.tokens.values())
            return service.page(
                attrs.evolve(ask, query={**ask.query, "sortField": "x"}), [*tokens, tokens[3]]
            )

        service.before = Lists(twice, service)
        async with connected(service) as client:
            plan = await planned(client, tmp_path, page_size=10)
            service.before = lambda _: None
            report = await applied(client, plan)
            check(service, plan, report)
            assert counts(report) == {"done": 60}

    hostile(job)


@pytest.mark.parametrize("bad", ["xyz", "", "../../applications", "5" * 25])
def test_one_malformed_id(bad: str, tmp_path: Path) -> None:
    """A token with a malformed id does not affect the others."""

    async def job() -> None:
        service = Service.of(6)
        service.tokens["bad"] = {**service.tokens[service.id_of("ci-3")], "id": bad}
        async with connected(service) as client:
            plan = await planned(client, tmp_path)
            report = await applied(client, plan)
        assert report.counts[Outcome.DONE] == 6
        assert set(service.tokens) == {"bad"}

    hostile(job)


@pytest.mark.parametrize("seconds", [5, 20, 60])
def test_planning_through_an_outage(seconds: float, tmp_path: Path) -> None:
    """Planning waits for the end of an outage, like a job."""

    async def job() -> None:
        service = Service.of(30)
        until = anyio.current_time() + seconds
        service.before = lambda ask: problem(503, "Unavailable") if ask.at < until else None
        async with connected(service) as client:
            plan = await planned(client, tmp_path)
        assert len(plan) == 30

    hostile(job)


# --- Other services and outages ------------------------------------------------------------------

STRANGERS = {
    "html 404": html(404),
    "html 200": html(200),
    "html 302": html(302, Location="http://portal.invalid/"),
    "html 403": html(403),
    "html 401": html(401),
    "html 502": html(502),
    "empty 200": Reply(200),
    "empty 404": Reply(404),
    "other json 200": Reply(200, {"status": "ok"}),
    "other json 404": Reply(404, {"error": "no route"}),
    "other json 403": Reply(403, {"detail": "forbidden"}),
    "json list": Reply(200, []),
    "redirect": Reply(302, headers={"Location": "/login"}),
    "dropped": Reply(is_dropped=True),
}
each_stranger = pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)


@pytest.mark.sweep(sample=8)
@each_stranger
@pytest.mark.parametrize("after", [0, 15])
def test_another_service_in_front_of_the_api(stranger: Reply, after: int, tmp_path: Path) -> None:
    """If another service responds from some request on, it determines no final outcome.

    The job stops by itself, reports the reason, and can be resumed.
    """

    async def job() -> None:
        service = Service.of(40)
        first = []

        def answer(ask: Ask) -> Reply | None:
            first.append(ask)
            return stranger if len(first) > after else None

        service.before = answer
        report = await cleaned_up(service, tmp_path, patience=20.0)
        wrong = {"gone", "failed", "changed", "protected"} & counts(report).keys()
        assert wrong == set(), counts(report)
        assert not report.is_complete
        again = await resumed(service, report)
        assert (again.is_complete, service.tokens) == (True, {})
        assert {"failed", "changed"}.isdisjoint(counts(again))

    hostile(job)


@pytest.mark.sweep(sample=8)
@each_stranger
@pytest.mark.parametrize("seconds", [1.5, 30])
def test_another_service_for_some_time(stranger: Reply, seconds: float, tmp_path: Path) -> None:
    """Once the other service is gone, the job completes the plan by itself."""

    async def job() -> None:
        service = Service.of(40)
        begin = anyio.current_time() + 0.05
        service.before = lambda ask: stranger if begin <= ask.at < begin + seconds else None
        report = await cleaned_up(service, tmp_path)
        assert (counts(report), service.tokens) == ({"done": 40}, {})

    hostile(job)


@pytest.mark.sweep(sample=5)
@each_stranger
def test_failed_change_before_another_service(stranger: Reply, tmp_path: Path) -> None:
    """A 404 of another service after a 503 does not prove that a token was deleted."""

    async def job() -> None:
        service = Service.of(30)
        failed: set[str] = set()

        def answer(ask: Ask) -> Reply | None:
            if ask.method == "DELETE" and ask.id not in failed:
                failed.add(ask.id)
                return problem(503, "Unavailable")
            return stranger if ask.id in failed else None

        service.before = answer
        report = await cleaned_up(service, tmp_path, patience=20.0)
        assert {"done", "gone"}.isdisjoint(counts(report))
        assert len(service.tokens) == 30

    hostile(job)


@pytest.mark.sweep(sample=5)
@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
@pytest.mark.parametrize("acts", [True, False])
def test_outages(status: int, acts: bool, tmp_path: Path) -> None:
    """After an outage in which some requests were carried out, the job completes the plan."""

    async def job() -> None:
        service = Service.of(40, kept=3)
        begin = anyio.current_time() + 0.05

        def is_out(ask: Ask) -> bool:
            return begin <= ask.at < begin + 30

        if acts:
            service.after = lambda ask, reply: problem(status, "X") if is_out(ask) else reply
        else:
            service.before = lambda ask: problem(status, "X") if is_out(ask) else None
        report = await cleaned_up(service, tmp_path)
        assert report.is_complete
        assert [token["name"] for token in service.tokens.values()] == [
            f"keep-{number}" for number in range(3)
        ]
        assert {"failed", "changed", "unknown"}.isdisjoint(counts(report))

    hostile(job)


# --- Limits --------------------------------------------------------------------------------------


def at(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


RETRY_AFTER = {
    "absent": dict,
    "0": lambda: {"Retry-After": "0"},
    "-5": lambda: {"Retry-After": "-5"},
    "0.001": lambda: {"Retry-After": "0.001"},
    "past date": lambda: {"Retry-After": at(-3600)},
    "future date": lambda: {"Retry-After": at(3)},
    "2": lambda: {"Retry-After": "2"},
    "words": lambda: {"Retry-After": "soon"},
}


@pytest.mark.parametrize("headers", RETRY_AFTER.values(), ids=RETRY_AFTER)
def test_a_limit(headers: Any, tmp_path: Path) -> None:
    """While every request gets a 429, the job backs off, with any `Retry-After`."""

    async def job() -> None:
        service = Service.of(40)
        begin = anyio.current_time()
        refusing = [True]

        def limit(ask: Ask) -> Reply | None:
            refusing[0] = ask.at < begin + 20
            if refusing[0]:
                return Reply(429, {"type": "TooManyRequests", "message": "No."}, headers())
            return None

        service.before = limit
        report = await cleaned_up(service, tmp_path)
        refused = sum(status == 429 for status in service.statuses())
        assert refused < 100, f"{refused} requests were refused in 20 seconds"
        assert (counts(report), service.tokens) == ({"done": 40}, {})

    hostile(job)


@pytest.mark.parametrize("asked_for", ["10000", "99999999999999999999", "date"])
def test_a_limit_without_an_end(asked_for: str, tmp_path: Path) -> None:
    """A `Retry-After` of hours ends the job, which can be resumed."""

    async def job() -> None:
        service = Service.of(40)
        value = at(36_000) if asked_for == "date" else asked_for
        service.before = lambda ask: problem(429, "TooManyRequests", Retry_After=value)
        report = await cleaned_up(service, tmp_path, patience=60.0)
        assert not report.is_complete
        assert report.gave_up
        assert len(service.seen) < 50
        again = await resumed(service, report)
        assert (counts(again), service.tokens) == ({"done": 40}, {})

    hostile(job)


# --- Refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("where", [slice(0, 12), slice(10, 40)])
def test_some_are_forbidden(method: str, where: slice, tmp_path: Path) -> None:
    """Forbidden tokens fail, and the others are done."""

    async def job() -> None:
        service = Service.of(60)
        forbidden = set(list(service.tokens)[where])

        def forbid(ask: Ask) -> Reply | None:
            is_so = ask.method == method and ask.id in forbidden
            return problem(403, "Forbidden") if is_so else None

        service.before = forbid
        report = await cleaned_up(service, tmp_path)
        assert counts(report) == {"done": 60 - len(forbidden), "failed": len(forbidden)}
        assert set(service.tokens) == forbidden

    hostile(job)


@pytest.mark.slow
@pytest.mark.parametrize("status", [401, 403])
def test_all_are_forbidden(status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If nothing succeeds, the credential is to blame: the job stops, and no token fails."""
    monkeypatch.setattr("losant_tokens.jobs._execution.unconfirmed_results.MAX_FORBIDDEN", 50)

    async def job() -> None:
        service = Service.of(300)
        service.before = lambda ask: problem(status, "Forbidden") if ask.id else None
        report = await cleaned_up(service, tmp_path)
        assert {"failed", "done", "gone"}.isdisjoint(counts(report))
        assert len(service.seen) < 150
        again = await resumed(service, report)
        assert (counts(again), service.tokens) == ({"done": 300}, {})

    hostile(job)


def test_many_are_forbidden(tmp_path: Path) -> None:
    """Each resumption makes progress, even with many forbidden tokens in a row."""

    async def job() -> None:
        service = Service.of(200)
        forbidden = set(list(service.tokens)[:120])

        def forbid(ask: Ask) -> Reply | None:
            return problem(403, "Forbidden") if ask.id in forbidden else None

        service.before = forbid
        report = await cleaned_up(service, tmp_path)
        resumes = 0
        async with connected(service) as client:
            while not report.is_complete and resumes < 5:
                report = await applied(client, report.plan, resume=True)
                resumes += 1
        check(service, report.plan, report)
        assert counts(report) == {"done": 80, "failed": 120}

    hostile(job)


@pytest.mark.parametrize("status", [401, 403])
def test_a_credential_that_may_do_nothing(status: int, tmp_path: Path) -> None:
    """A job does not start with a credential that cannot read tokens."""

    async def job() -> None:
        service = Service.of(20)
        async with connected(service) as client:
            plan = await planned(client, tmp_path)
            service.before = lambda ask: problem(status, "Forbidden")
            with pytest.raises(errors.LosantError):
                await jobs.apply(client, plan)
        assert service.asked_to_change == []

    hostile(job)


# --- Responses that prove nothing ----------------------------------------------------------------

ODD = {
    "{}": {},
    "success null": {"success": None},
    "success false": {"success": False},
    "success a word": {"success": "yes"},
    "other": {"a": 1},
    "null": None,
    "empty": b"",
}


@pytest.mark.sweep(sample=6)
@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
@pytest.mark.parametrize("acts", [True, False])
def test_a_deletion_that_is_not_confirmed(content: Any, acts: bool, tmp_path: Path) -> None:
    """A `DELETE` whose response does not confirm it is done only if the token is gone."""

    async def job() -> None:
        service = Service.of(20)
        reply = Reply(content=content)
        if acts:
            service.after = lambda ask, answer: reply if ask.method == "DELETE" else answer
        else:
            service.before = lambda ask: reply if ask.method == "DELETE" else None
        report = await cleaned_up(service, tmp_path, patience=30.0)
        if acts:
            assert (counts(report), service.tokens) == ({"done": 20}, {})
        else:
            assert {"done", "gone"}.isdisjoint(counts(report))

    hostile(job)


@pytest.mark.parametrize("acts", [True, False])
def test_a_change_that_is_not_confirmed(acts: bool, tmp_path: Path) -> None:
    """A `PATCH` whose response has the old token is done only if a read proves it."""

    async def job() -> None:
        service = Service.of(20)
        before = dict(service.tokens)

        def old(ask: Ask) -> Reply:
            return Reply(content=before[ask.id])

        async with connected(service) as client:
            plan = await planned(client, tmp_path, action="deactivate")
            if acts:
                service.after = lambda ask, reply: old(ask) if ask.method == "PATCH" else reply
            else:
                service.before = lambda ask: old(ask) if ask.method == "PATCH" else None
            report = await applied(client, plan, patience=30.0)
        check(service, plan, report)
        statuses = {token["status"] for token in service.tokens.values()}
        if acts:
            assert (counts(report), statuses) == ({"done": 20}, {"inactive"})
        else:
            assert ("done" in counts(report), statuses) == (False, {"active"})

    hostile(job)


def test_reads_of_another_token(tmp_path: Path) -> None:
    """If each read returns another token than the requested one, no token is deleted."""

    async def job() -> None:
        service = Service.of(10)

        def odd(ask: Ask, reply: Reply) -> Reply:
            return (
                Reply(content={**reply.content, "id": "0" * 24}) if ask.method == "GET" else reply
            )

        async with connected(service) as client:
            plan = await planned(client, tmp_path)
            service.after = odd  # each read returns another token than the requested one
            report = await applied(client, plan, patience=20.0)
        check(service, plan, report)
        assert {"done", "gone"}.isdisjoint(counts(report))
        assert len(service.tokens) == 10

    hostile(job)


# --- Quarantine ----------------------------------------------------------------------------------


@pytest.mark.parametrize("acts", [True, False])
@pytest.mark.parametrize("touches", [True, False])
def test_quarantine_with_lost_responses(acts: bool, touches: bool, tmp_path: Path) -> None:
    """A token that is changed after a deactivation without a response is never swept."""

    async def job() -> None:
        service = Service.of(8, kept=2)
        async with connected(service) as client:
            plan = await planned(client, tmp_path, action="deactivate")
            lost = Reply(is_dropped=True)
            if acts:
                service.after = lambda ask, reply: lost if ask.method == "PATCH" else reply
            else:
                service.before = lambda ask: lost if ask.method == "PATCH" else None
            stop = anyio.Event()
            with anyio.move_on_after(3.0):
                await applied(client, plan, stop=stop)
            service.before, service.after = lambda _: None, lambda _, reply: reply
            touched = set(list(service.tokens)[:8]) if touches else set()
            for id_ in touched:
                service.touch(id_, description="in use")
            report = await applied(client, plan, resume=True)
            check(service, plan, report)
            later = datetime.now(UTC) + timedelta(days=2)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", jobs.PlanWarning)
                try:
                    swept = await jobs.sweep(
                        client,
                        report,
                        after=timedelta(days=1),
                        path=tmp_path / "sweep.jsonl",
                        now=later,
                        allow_majority=True,
                    )
                except jobs.JobError:
                    return
            assert touched.isdisjoint(entry.id for entry in swept.entries() if not entry.protected)

    hostile(job)


def test_a_quarantine_that_is_swept(tmp_path: Path) -> None:
    """A sweep deletes only the deactivated tokens that nobody has changed since."""

    async def job() -> None:
        service = Service.of(20, kept=5)
        async with connected(service) as client:
            plan = await planned(client, tmp_path, action="deactivate")
            report = await applied(client, plan)
            check(service, plan, report)
            touched = set(list(service.tokens)[:7])
            for id_ in touched:
                service.touch(id_, description="in use")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", jobs.PlanWarning)
                swept = await jobs.sweep(
                    client,
                    report,
                    after=timedelta(days=1),
                    path=tmp_path / "sweep.jsonl",
                    now=datetime.now(UTC) + timedelta(days=2),
                    allow_majority=True,
                )
            service.seen.clear()
            last = await applied(client, swept)
        check(service, swept, last)
        assert counts(last) == {"done": 13}
        assert touched <= set(service.tokens)

    hostile(job)


# --- Other people --------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [problem(503, "X"), problem(503, "X", Retry_After="10")])
@pytest.mark.parametrize("member", ["name", "status", "description"])
def test_changed_between_two_attempts(answer: Reply, member: str, tmp_path: Path) -> None:
    """A token that somebody changes between two attempts is read again, and left alone."""

    async def job() -> None:
        service = Service.of(8)
        touched: set[str] = set()

        def fail_first(ask: Ask) -> Reply | None:
            if ask.method != "DELETE" or ask.id in touched:
                return None
            touched.add(ask.id)
            service.touch(ask.id, **{member: "inactive" if member == "status" else "in use"})
            return answer

        service.before = fail_first
        report = await cleaned_up(service, tmp_path)
        assert counts(report) == {"changed": 8}
        assert len(service.tokens) == 8

    hostile(job)


def test_changed_during_an_outage(tmp_path: Path) -> None:
    """Tokens that were read before an outage are read again after it."""

    async def job() -> None:
        service = Service.of(12)
        begin = anyio.current_time()
        touched: list[str] = []

        def out(ask: Ask) -> Reply | None:
            if ask.method != "DELETE" and not touched:
                return None
            if not touched:
                for id_ in service.tokens:
                    service.touch(id_, name="in use")
                    touched.append(id_)
            return problem(503, "X") if ask.at < begin + 10 else None

        service.before = out
        report = await cleaned_up(service, tmp_path)
        assert (counts(report), len(service.tokens)) == ({"changed": 12}, 12)

    hostile(job)


def test_reads_are_recent(tmp_path: Path) -> None:
    """At a low rate, a token is changed immediately after it was read."""

    async def job() -> None:
        service = Service.of(40)
        await cleaned_up(service, tmp_path, rate=2.0)
        looked = {seen.ask.id: seen.ask.at for seen in service.seen if seen.ask.method == "GET"}
        changed = {seen.ask.id: seen.ask.at for seen in service.seen if seen.ask.changes}
        oldest = max(changed[id_] - looked[id_] for id_ in changed)
        assert oldest < 2.0, f"{oldest:.1f} s between a look and the change"

    hostile(job)


def test_deleted_by_others(tmp_path: Path) -> None:
    """Tokens that others delete between the plan and the job are gone, not done."""

    async def job() -> None:
        service = Service.of(20)
        async with connected(service) as client:
            plan = await planned(client, tmp_path)
            for id_ in list(service.tokens)[::2]:
                del service.tokens[id_]
            report = await applied(client, plan)
        check(service, plan, report)
        assert counts(report) == {"done": 10, "gone": 10}

    hostile(job)


# --- The plan and the credential -----------------------------------------------------------------


@pytest.mark.slow
def test_plan_changed_while_applied(tmp_path: Path) -> None:
    """Ids that are written to the plan after its check are ignored."""

    async def job() -> None:
        service = Service.of(600, kept=600)
        async with connected(service) as client:
            plan = await planned(client, tmp_path)
            asked = 0

            def swap(ask: Ask) -> Reply | None:
                nonlocal asked
                asked += 1
                if asked == 5:
                    content = plan.path.read_bytes()
                    for number in range(600):
                        doomed, kept = (
                            service.id_of(f"{name}-{number}").encode() for name in ("ci", "keep")
                        )
                        content = content.replace(doomed, kept)
                    with plan.path.open("r+b") as file:
                        file.write(content)
                return None

            service.before = swap
            with suppress(errors.LosantError):
                await jobs.apply(client, plan)
        assert [id_ for id_ in service.asked_to_change if id_ not in service.changed] == []
        names = [token["name"] for token in service.tokens.values()]
        assert sum(name.startswith("keep-") for name in names) == 600

    hostile(job)


@pytest.mark.parametrize("make", [shutil.copy, os.link, os.symlink])
def test_a_plan_applied_twice_at_once(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a plan is applied, a copy of it or a link to it is refused."""
    monkeypatch.setattr(private_files, "_LOCK_INTERVAL", 0)

    async def job() -> None:
        service = Service.of(40)
        async with connected(service) as client:
            plan = await planned(client, tmp_path)
            other = tmp_path / "other.jsonl"
            make(plan.path, other)
            again = await anyio.to_thread.run_sync(Plan.read, other)
            reports: list[Report] = []
            refused: list[Exception] = []

            async def work(plan: Plan) -> None:
                try:
                    reports.append(await jobs.apply(client, plan, patience=1e6))
                except jobs.JobError as error:
                    refused.append(error)

            # Virtual time passes while the second job is in a thread. The first must not end then.
            service.before = lambda ask: html(503) if ask.changes and not refused else None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(work, plan)
                tasks.start_soon(work, again)
        assert (len(reports), len(refused)) == (1, 1)
        check(service, plan, reports[0])
        assert counts(reports[0]) == {"done": 40}

    hostile(job)


@pytest.mark.parametrize("action", ["delete", "deactivate"])
def test_the_token_in_use_is_in_the_plan(action: Any, tmp_path: Path) -> None:
    """A plan that lists the token in use leaves that token alone."""

    async def job() -> None:
        service = Service.of(20)
        mine = service.id_of("ci-7")
        claims = {"id": mine, "userId": "5" * 24, "scope": ["all.User"]}
        token = jwt.encode(claims, "k" * 32, algorithm="HS256")
        async with connected(service) as client:
            plan = await planned(client, tmp_path, action=action)
        async with connected(service, token) as client:
            report = await applied(client, plan)
        check(service, plan, report)
        assert mine not in service.asked_to_change
        assert report.counts[Outcome.DONE] == 19

    hostile(job)


def test_another_account(tmp_path: Path) -> None:
    """A plan is not applied to another account, where its tokens would look deleted."""

    async def job() -> None:
        service = Service.of(10)
        async with connected(service) as client:
            plan = await planned(client, tmp_path)
            kept, service.tokens = service.tokens, {}
            stranger = service.add("ci-0")
            service.tokens[stranger].update(ownerId="6" * 24, creatorId="6" * 24)
            service.before = Lists(lambda ask, page, _: {**page, "ownerId": "6" * 24}, service)
            with pytest.raises(jobs.JobError):
                await jobs.apply(client, plan)
            assert service.asked_to_change == []
            service.tokens = kept
            service.before = lambda _: None
            report = await applied(client, plan, resume=plan_was_started(plan))
        check(service, plan, report)
        assert counts(report) == {"done": 10}

    hostile(job)


def plan_was_started(plan: Plan) -> bool:
    return jobs.journal_path(plan).exists()


# --- Over sockets --------------------------------------------------------------------------------

SOCKETS = [
    pytest.param(html(404), id="html 404"),
    *(
        pytest.param(odd, id=name, marks=pytest.mark.slow)
        for name, odd in {
            "503": problem(503, "X"),
            "429": problem(429, "TooManyRequests", Retry_After="0"),
            "html 200": html(200),
            "dropped": Reply(is_dropped=True),
            "{}": Reply(content={}),
        }.items()
    ),
]


@pytest.mark.sweep(sample=6)
@pytest.mark.parametrize("odd", SOCKETS)
@pytest.mark.parametrize("acts", [True, False])
@pytest.mark.parametrize("make", [httpx_transport, aiohttp_transport], ids=["httpx", "aiohttp"])
async def test_over_sockets(make: Any, odd: Reply, acts: bool, tmp_path: Path) -> None:
    """With both pools, the job completes the plan although some requests fail."""
    service = Service.of(20, kept=4)
    wrong: list[Ask] = []

    def is_odd(ask: Ask) -> bool:
        if ask.id and ask.number % 5 == 4 and len(wrong) < 3:
            wrong.append(ask)
        return ask in wrong

    async with (
        listening(service) as url,
        AsyncClient("t", base_url=url, transport=make(max_connections=8)) as client,
    ):
        plan = await planned(client, tmp_path)
        service.seen.clear()
        if acts:
            service.after = lambda ask, reply: odd if is_odd(ask) else reply
        else:
            service.before = lambda ask: odd if is_odd(ask) else None
        report = await applied(client, plan)
        if not report.is_complete:
            service.before, service.after = lambda _: None, lambda _, reply: reply
            report = await applied(client, plan, resume=True)
    check(service, plan, report)
    assert len(service.tokens) == 4
    assert report.is_complete
