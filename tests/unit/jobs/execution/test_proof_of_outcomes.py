"""The proofs that a job needs before it changes a token or records an outcome."""

import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import attrs
import httpx
import pytest

from losant_tokens import ApiTokenPatch, AsyncClient, errors, jobs
from losant_tokens._credentials.token_claims import Credential
from losant_tokens.jobs import Outcome, Report
from losant_tokens.testing import FakeLosant
from tests.support.job_service import Ask, InProcess, Json, Reply, Service, problem
from tests.support.jobs import (
    client_of,
    counts,
    fake_with,
    on_virtual_time,
    outcomes,
    planned,
    sent,
)

ONE = "*/me/tokens/*"  # the path of one token, and of no list
HTML = {"Content-Type": "text/html"}
PAGE = b"<html>Welcome. Please log in.</html>"

Respond = Callable[[httpx.Request], Awaitable[httpx.Response | None]]


class Proxy(httpx.AsyncBaseTransport):
    """Goes to the fake, unless something else responds."""

    def __init__(self, fake: FakeLosant, respond: Respond | None = None) -> None:
        self.to_fake = fake.transport()
        self.respond = respond
        self.sent: list[tuple[float, str, str]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        _, _, token_id = request.url.path.rpartition("/")
        if token_id != "tokens":
            self.sent.append((anyio.current_time(), request.method, token_id))
        await anyio.sleep(0.01)
        if token_id != "tokens" and self.respond is not None:
            response = await self.respond(request)
            if response is not None:
                return response
        return await self.to_fake.handle_async_request(request)

    def gaps(self) -> list[float]:
        """Return the seconds between each change and the last read of the same token before it."""
        reads: dict[str, float] = {}
        found = []
        for at, method, token_id in self.sent:
            if method == "GET":
                reads[token_id] = at
            else:
                found.append(at - reads.pop(token_id))
        return found


def foreign(status: int, **members: Any) -> httpx.Response:
    """Return a response that cannot come from the API."""
    if "json" in members:
        return httpx.Response(status, **members)
    return httpx.Response(status, headers=HTML, content=PAGE)


FOREIGN_RESPONSES: dict[str, Callable[[], httpx.Response]] = {
    "HTML 404": lambda: foreign(404),
    "HTML 200": lambda: foreign(200),
    "HTML 302": lambda: foreign(302),
    "HTML 401": lambda: foreign(401),
    "HTML 403": lambda: foreign(403),
    "JSON 200 of another service": lambda: foreign(200, json={"status": "ok"}),
    "JSON 404 of another service": lambda: foreign(404, json={"error": "no route"}),
}


# --- Responses that cannot come from the API -------------------------------------------------


@pytest.mark.sweep(sample=5)
@pytest.mark.parametrize(
    "foreign_response", FOREIGN_RESPONSES.values(), ids=FOREIGN_RESPONSES.keys()
)
@pytest.mark.parametrize("verify", [True, False])
def test_other_service_for_some_time(
    tmp_path: Path, foreign_response: Callable[[], httpx.Response], verify: bool
) -> None:
    """While another service responds, nothing is recorded; then every token is done."""
    fake = fake_with(100)
    proxy = Proxy(fake)

    async def job() -> Report:
        async with client_of(fake, transport=proxy) as client:
            plan = await planned(client, tmp_path)
            began = anyio.current_time()

            async def respond(_: httpx.Request) -> httpx.Response | None:
                return foreign_response() if 0.5 < anyio.current_time() - began < 2.0 else None

            proxy.respond = respond
            return await jobs.apply(client, plan, verify=verify)

    report = on_virtual_time(job)

    assert (counts(report), fake.tokens(), report.gave_up) == ({"done": 100}, (), None)


@pytest.mark.sweep(sample=3)
@pytest.mark.parametrize(
    "foreign_response", FOREIGN_RESPONSES.values(), ids=FOREIGN_RESPONSES.keys()
)
def test_other_service_from_the_start(
    tmp_path: Path, foreign_response: Callable[[], httpx.Response]
) -> None:
    """If another service responds from the start, the job gives up, and nothing is final."""
    fake = fake_with(30)

    async def respond(_: httpx.Request) -> httpx.Response:
        return foreign_response()

    proxy = Proxy(fake, respond)

    async def job() -> tuple[Report, int, Report]:
        async with client_of(fake, transport=proxy) as client:
            plan = await planned(client, tmp_path)
            first = await jobs.apply(client, plan)
            alive, proxy.respond = len(fake.tokens()), None
            return first, alive, await jobs.apply(client, plan, resume=True)

    first, alive, second = on_virtual_time(job)

    assert "last seen: a response that is not from the API: userApiToken.get" in (
        first.gave_up or ""
    )
    assert (counts(first), first.is_complete, alive) == ({}, False, 30)
    assert first.seconds < 60
    assert counts(second) == {"done": 30}


def test_404_of_a_proxy_proves_nothing(tmp_path: Path) -> None:
    """A 404 of a proxy after a 503 does not prove a DELETE."""
    fake = fake_with(10)
    failed: set[str] = set()

    async def respond(request: httpx.Request) -> httpx.Response | None:
        if request.method != "DELETE":
            return None
        if request.url.path in failed:
            return foreign(404)
        failed.add(request.url.path)
        return httpx.Response(503)

    proxy = Proxy(fake, respond)

    async def job() -> tuple[Report, Report]:
        async with client_of(fake, transport=proxy) as client:
            plan = await planned(client, tmp_path)
            first = await jobs.apply(client, plan, patience=60.0)
            proxy.respond = None
            return first, await jobs.apply(client, plan, resume=True, retry_failed=True)

    first, second = on_virtual_time(job)

    assert first.counts[Outcome.DONE] == first.counts[Outcome.GONE] == 0
    assert (counts(second), fake.tokens()) == ({"done": 10}, ())


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_firewall_for_one_token(tmp_path: Path, method: str) -> None:
    """A token whose requests a firewall always blocks stays open, and the others are done."""
    fake = fake_with(20)
    poisoned = fake.tokens()[3].id

    async def respond(request: httpx.Request) -> httpx.Response | None:
        is_poisoned = request.url.path.endswith(poisoned) and request.method == method
        return foreign(403) if is_poisoned else None

    proxy = Proxy(fake, respond)

    async def job() -> tuple[Report, Report]:
        async with client_of(fake, transport=proxy) as client:
            plan = await planned(client, tmp_path)
            first = await jobs.apply(client, plan, patience=60.0)
            proxy.respond = None
            return first, await jobs.apply(client, plan, resume=True, retry_failed=True)

    first, second = on_virtual_time(job)

    assert first.counts[Outcome.DONE] == 19
    assert counts(second) == {"done": 20}


# --- Absence ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tokens", [3, 30])
@pytest.mark.parametrize("verify", [True, False])
def test_404_for_all_tokens_is_not_final(tmp_path: Path, tokens: int, verify: bool) -> None:
    """If every token gets a 404, but a list has them, none is recorded as gone."""
    fake = fake_with(tokens)

    async def job() -> tuple[Report, Report]:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            fake.fail(status=404, times=None, path=ONE)
            first = await jobs.apply(client, plan, verify=verify)
            fake.clear_faults()
            return first, await jobs.apply(client, plan, verify=verify, resume=True)

    first, second = on_virtual_time(job)

    assert "404 for many tokens in a row" in (first.gave_up or "")
    assert (counts(first), first.pending) == ({}, tokens)
    assert {result.error for result in first.results()} >= {
        "404 for many tokens in a row, so this token may still exist"
    }
    assert counts(second) == {"done": tokens}


def test_404s_in_the_middle_of_a_job_are_not_final(tmp_path: Path) -> None:
    """A service that starts to respond with 404 to every request ends the job."""
    fake = fake_with(100)

    async def job() -> tuple[Report, Report]:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            fake.fail(status=404, times=None, path=ONE, skip=60)
            first = await jobs.apply(client, plan)
            fake.clear_faults()
            return first, await jobs.apply(client, plan, resume=True)

    first, second = on_virtual_time(job)

    assert "404 for many tokens in a row" in (first.gave_up or "")
    assert set(counts(first)) == {"done"}
    assert counts(second) == {"done": 100}


@pytest.mark.parametrize(("tokens", "deleted"), [(3, 3), (60, 60), (60, 45)])
def test_deleted_tokens_are_gone(tmp_path: Path, tokens: int, deleted: int) -> None:
    """Tokens that somebody else deleted are gone, because a list confirms it."""
    fake = fake_with(tokens)

    async def job() -> Report:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            for entry in list(plan.entries())[:deleted]:
                await client.user_api_token.delete(entry.id)
            return await jobs.apply(client, plan)

    report = on_virtual_time(job)

    done = tokens - deleted
    assert counts(report) == {"gone": deleted, **({"done": done} if done else {})}
    assert (report.is_complete, report.gave_up) == (True, None)


def test_list_of_an_unchecked_account_confirms_nothing(tmp_path: Path) -> None:
    """Without the account check, a list does not confirm that tokens are gone."""
    fake = fake_with(3)

    async def job() -> Report:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            for token in fake.tokens():
                await client.user_api_token.delete(token.id)
            return await jobs.apply(client, plan, account_check="off")

    report = on_virtual_time(job)

    assert (counts(report), report.pending) == ({}, 3)
    assert "another account" in (report.gave_up or "")


def test_token_found_during_the_list_confirms_404s(tmp_path: Path) -> None:
    """A token that is found while the list is read confirms the 404s before it."""
    fake = fake_with(60)

    async def job() -> Report:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            for entry in list(plan.entries())[:21]:
                await client.user_api_token.delete(entry.id)
            fake.fail("latency", seconds=3.0, times=None, path="*/me/tokens", skip=1)
            return await jobs.apply(client, plan)

    report = on_virtual_time(job)

    assert counts(report) == {"gone": 21, "done": 39}


def test_failed_list_confirms_nothing(tmp_path: Path) -> None:
    """If the tokens cannot be listed, 404s in a row are not final."""
    fake = fake_with(3)

    async def job() -> Report:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            fake.fail(status=404, times=None, path=ONE)
            fake.fail(status=400, times=None, path="*/me/tokens", skip=1)
            return await jobs.apply(client, plan)

    report = on_virtual_time(job)

    assert (counts(report), report.pending) == ({}, 3)


def ignoring_the_page(service: Service, ask: Ask) -> Json:
    """Return the first 10 tokens for each page."""
    return service.page(attrs.evolve(ask, query={**ask.query, "page": "0"}), _first(service, 10))


def silently_capped(service: Service, ask: Ask) -> Json:
    """Return up to 10 tokens, from the offset that the requested page size gives."""
    page = service.page(ask, list(service.tokens.values()))
    return {"items": page["items"][:10]}


def _first(service: Service, number: int) -> list[Json]:
    return list(service.tokens.values())[:number]


@pytest.mark.parametrize("make_page", [ignoring_the_page, silently_capped])
def test_list_of_some_tokens_confirms_nothing(
    tmp_path: Path, make_page: Callable[[Service, Ask], Json]
) -> None:
    """A server that returns the wrong page, or a part of it, does not confirm a 404."""
    service = Service.of(0, kept=10)
    for number in range(30):
        service.add(f"ci-{number}")

    async def job() -> Report:
        async with AsyncClient(
            "x", base_url="https://x.example", transport=InProcess(service), max_connections=10
        ) as client:
            plan = await planned(client, tmp_path)
            service.before = respond
            return await jobs.apply(client, plan)

    def respond(ask: Ask) -> Reply:
        if ask.id:
            return problem(404, "NotFound")
        return Reply(content=make_page(service, ask))

    report = on_virtual_time(job)

    assert (counts(report), report.pending) == ({}, 30)
    assert "a list of all tokens does not confirm it" in (report.gave_up or "")


def test_list_with_pages_that_are_too_large_confirms_404s(tmp_path: Path) -> None:
    """If a page of the list is larger than the client reads, smaller pages confirm the 404s."""
    fake = fake_with(30, kept=60)

    async def job() -> Report:
        async with client_of(fake, max_response_size=10_000) as client:
            plan = await planned(client, tmp_path)
            for entry in plan.entries():
                await client.user_api_token.delete(entry.id)
            return await jobs.apply(client, plan)

    assert counts(on_virtual_time(job)) == {"gone": 30}


# --- Success ---------------------------------------------------------------------------------


@pytest.mark.sweep(sample=8)
@pytest.mark.parametrize("body", ["{}", '{"success": null}', '{"a": 1}', "", '{"success": false}'])
@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("acts", [True, False])
def test_delete_needs_proof(tmp_path: Path, body: str, verify: bool, acts: bool) -> None:
    """A DELETE with a success status and another body leads to a read."""
    fake = fake_with(4)

    async def respond(request: httpx.Request) -> httpx.Response | None:
        if request.method != "DELETE":
            return None
        if acts:
            await proxy.to_fake.handle_async_request(request)
        return httpx.Response(200, content=body.encode())

    proxy = Proxy(fake, respond)

    async def job() -> Report:
        async with client_of(fake, transport=proxy) as client:
            plan = await planned(client, tmp_path)
            return await jobs.apply(client, plan, verify=verify, patience=60.0)

    report = on_virtual_time(job)

    if acts:
        assert counts(report) == {"done": 4}
    else:
        assert (report.counts[Outcome.DONE], len(fake.tokens())) == (0, 4)


@pytest.mark.parametrize("response", ["unchanged", "other id"])
def test_patch_needs_proof(tmp_path: Path, response: str) -> None:
    """A PATCH is not done if the response has the old status or another token."""
    fake = fake_with(4)

    async def respond(request: httpx.Request) -> httpx.Response | None:
        if request.method != "PATCH":
            return None
        token_id = request.url.path[-24:] if response == "unchanged" else "f" * 24
        status = "active" if response == "unchanged" else "inactive"
        return httpx.Response(200, json={"id": token_id, "status": status, "name": "ci-0"})

    proxy = Proxy(fake, respond)

    async def job() -> Report:
        async with client_of(fake, transport=proxy) as client:
            plan = await planned(client, tmp_path, action="deactivate")
            return await jobs.apply(client, plan, patience=60.0)

    report = on_virtual_time(job)

    assert report.counts[Outcome.DONE] == 0
    assert {token.status for token in fake.tokens()} == {"active"}


def test_time_of_a_change_comes_from_its_response(tmp_path: Path) -> None:
    """The time of a change is unknown if its response was lost."""
    fake = fake_with(2)

    async def job() -> Report:
        async with client_of(fake, max_connections=1) as client:
            plan = await planned(client, tmp_path, action="deactivate")
            fake.fail("truncate", method="PATCH")
            return await jobs.apply(client, plan)

    report = on_virtual_time(job)

    assert counts(report) == {"done": 2}
    assert list(report.changed_at) == [1]


# --- The read before a change ----------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [
        lambda: httpx.Response(503),
        lambda: httpx.Response(429),
        lambda: httpx.Response(429, headers={"Retry-After": "10"}),
        lambda: httpx.Response(503, headers={"Retry-After": "10"}),
        lambda: foreign(404),
    ],
    ids=["503", "429", "429 for 10 s", "503 for 10 s", "HTML 404"],
)
def test_token_renamed_between_attempts(
    tmp_path: Path, failure: Callable[[], httpx.Response]
) -> None:
    """A token that is renamed between two attempts is left alone."""
    fake = fake_with(8)
    renamed: set[str] = set()

    async def respond(request: httpx.Request) -> httpx.Response | None:
        token_id = request.url.path[-24:]
        if request.method != "DELETE" or token_id in renamed:
            return None
        renamed.add(token_id)
        async with client_of(fake) as other:
            await other.user_api_token.patch(token_id, ApiTokenPatch(name="still needed"))
        return failure()

    proxy = Proxy(fake, respond)

    async def job() -> Report:
        async with client_of(fake, transport=proxy) as client:
            return await jobs.apply(client, await planned(client, tmp_path))

    report = on_virtual_time(job)

    assert (counts(report), len(fake.tokens())) == ({"changed": 8}, 8)


def test_tokens_renamed_during_an_outage(tmp_path: Path) -> None:
    """Tokens are read again after an outage, and left alone if they were renamed."""
    fake = fake_with(40)
    proxy = Proxy(fake)

    async def job() -> Report:
        async with client_of(fake, transport=proxy) as client:
            plan = await planned(client, tmp_path)
            began = anyio.current_time()
            is_renamed = False

            async def respond(request: httpx.Request) -> httpx.Response | None:
                nonlocal is_renamed
                if not 0.5 < anyio.current_time() - began < 10:
                    return None
                if not is_renamed:
                    is_renamed = True
                    async with client_of(fake) as other:
                        for token in fake.tokens():
                            await other.user_api_token.patch(token.id, ApiTokenPatch(name="kept"))
                return httpx.Response(502)

            proxy.respond = respond
            return await jobs.apply(client, plan)

    report = on_virtual_time(job)

    assert report.counts[Outcome.CHANGED] == len(fake.tokens()) > 0
    assert set(counts(report)) == {"done", "changed"}


@pytest.mark.parametrize("rate", [0.2, 2.0, 20.0])
def test_time_between_read_and_change(tmp_path: Path, rate: float) -> None:
    """A token is changed within a second after its read, at any rate."""
    fake = fake_with(12)
    proxy = Proxy(fake)

    async def job() -> Report:
        async with client_of(fake, transport=proxy) as client:
            return await jobs.apply(client, await planned(client, tmp_path), rate=rate)

    report = on_virtual_time(job)

    assert counts(report) == {"done": 12}
    assert max(proxy.gaps()) <= 1.0
    assert report.seconds >= 24 / rate - 2 / rate - 1


def test_delayed_read_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is read again if the process was suspended after the read."""
    from losant_tokens.jobs._throttle.throttle import Slot

    fake = fake_with(1)
    proxy = Proxy(fake)
    wait, waits = Slot.wait_for_next, iter([5.0])

    async def stand_still(slot: Slot, now: float) -> None:
        await anyio.sleep(next(waits, 0.0))
        await wait(slot, now)

    monkeypatch.setattr(Slot, "wait_for_next", stand_still)

    async def job() -> Report:
        async with client_of(fake, transport=proxy) as client:
            return await jobs.apply(client, await planned(client, tmp_path))

    report = on_virtual_time(job)

    assert (counts(report), [method for _, method, _ in proxy.sent]) == (
        {"done": 1},
        ["GET", "GET", "DELETE"],
    )


# --- Guards at the start ---------------------------------------------------------------------


async def test_token_in_use_is_left_alone(tmp_path: Path) -> None:
    """A job leaves alone the token that it uses, even if the plan lists it."""
    fake = fake_with(3)
    own = fake.tokens()[1].id

    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)
        token = client._session.token
        token._set(attrs.evolve(token.current.credential, claimed_ids=frozenset({own})))
        report = await jobs.apply(client, plan)

    assert outcomes(report) == [Outcome.DONE, Outcome.PROTECTED, Outcome.DONE]
    assert [token.id for token in fake.tokens()] == [own]
    assert list(report.results())[1].error == "the token in use"


async def test_malformed_id(tmp_path: Path) -> None:
    """A token with a malformed id fails, and the others are done."""
    real, odd = "5" * 24, "../../me"
    tokens = [{"id": real, "name": "ci-1"}, {"id": odd, "name": "ci-2"}]
    deleted: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/me/tokens":
            return httpx.Response(200, json={"items": tokens, "totalCount": 2})
        if request.method == "DELETE":
            deleted.append(request.url.path)
            return httpx.Response(200, json={"success": True})
        return httpx.Response(200, json=tokens[0])

    transport = httpx.MockTransport(respond)
    async with AsyncClient("x", base_url="https://x.example", transport=transport) as client:
        plan = await planned(client, tmp_path)
        report = await jobs.apply(client, plan, account_check="off")
        again = await jobs.apply(client, plan, account_check="off", resume=True)

    assert counts(report) == counts(again) == {"done": 1, "failed": 1}
    assert deleted == [f"/me/tokens/{real}"]
    assert {"24 hexadecimal digits" in (r.error or "") for r in report.results()} == {True, False}


async def test_plan_of_another_account(tmp_path: Path) -> None:
    """A plan of another account is refused with a report, and nothing is sent."""
    ours, theirs = fake_with(3), FakeLosant()
    theirs.add_token("other")
    async with client_of(ours) as client:
        plan = await planned(client, tmp_path)
    async with client_of(theirs) as client:
        without_claims(client)
        with pytest.raises(jobs.JobFailed) as caught:
            await jobs.apply(client, plan)
    refused = caught.value.report
    async with client_of(ours) as client:
        report = await jobs.apply(client, plan)

    assert (refused.pending, refused.requests, sent(theirs, "DELETE")) == (3, 0, [])
    assert isinstance(caught.value.__cause__, jobs.PlanRefused)
    assert counts(report) == {"done": 3}


async def test_refused_resumption_has_a_report(tmp_path: Path) -> None:
    """The report of a refused resumption has the outcomes of earlier runs."""
    fake = fake_with(4)
    fake.fail(status=400, times=2, method="DELETE")
    async with client_of(fake, max_connections=1) as client:
        plan = await planned(client, tmp_path)
        first = await jobs.apply(client, plan)
        fake.fail(status=403, times=None, method="GET")
        without_claims(client)
        with pytest.raises(jobs.JobFailed) as caught:
            await jobs.apply(client, plan, resume=True, retry_failed=True)

    assert counts(caught.value.report) == counts(first) == {"done": 2, "failed": 2}


def without_claims(client: AsyncClient) -> None:
    """Remove the claims of a client's token, so that only the API knows its account."""
    token = client._session.token
    token._set(Credential(secret=token.current.credential.secret))


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "html", "status": 404},
        {"status": 503},
        {"status": 429, "headers": {"Retry-After": "3600"}},
    ],
    ids=str,
)
def test_outage_during_the_account_check(tmp_path: Path, fault: dict[str, Any]) -> None:
    """A job gives up with a report if the account check gets no response, and can be resumed."""
    fake = fake_with(3)

    async def job() -> tuple[Report, Report]:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            without_claims(client)
            fake.fail(**fault, times=None)
            first = await jobs.apply(client, plan, patience=60.0)
            fake.clear_faults()
            return first, await jobs.apply(client, plan, resume=True)

    first, second = on_virtual_time(job)

    assert "the API does not respond; last seen: " in (first.gave_up or "")
    assert (counts(first), first.pending, first.requests) == ({}, 3, 0)
    assert counts(second) == {"done": 3}


async def test_401_during_the_account_check(tmp_path: Path) -> None:
    """A 401 during the account check ends the job before it starts."""
    async with client_of(fake_with(3)) as client:
        plan = await planned(client, tmp_path)
    fake = fake_with(3)
    fake.fail(status=401, times=None)
    async with client_of(fake) as client:
        without_claims(client)
        with pytest.raises(errors.Unauthorized):
            await jobs.apply(client, plan)

    assert not jobs.journal_path(plan).exists()


@pytest.mark.parametrize("way", ["stop", "abort"])
def test_stop_during_the_account_check(tmp_path: Path, way: str) -> None:
    """A stop ends the account check of a service that does not respond."""
    fake = fake_with(3)

    async def job() -> Report:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            without_claims(client)
            fake.fail(status=503, times=None)
            event = anyio.Event()

            def end(progress: jobs.Progress) -> None:
                if progress.elapsed > 20:
                    event.set()

            stop, abort = (event, None) if way == "stop" else (None, event)
            return await jobs.apply(client, plan, on_progress=end, stop=stop, abort=abort)

    report = on_virtual_time(job)

    assert (counts(report), report.pending, sent(fake, "DELETE")) == ({}, 3, [])


# --- One at a time ---------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["same", "copy", "hard link", "symbolic link", "other journal"])
async def test_plan_is_applied_once_at_a_time(tmp_path: Path, way: str) -> None:
    """A plan in use cannot be applied through another path or journal."""
    fake = fake_with(5)
    other = tmp_path / "other.jsonl"
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)
        if way == "copy":
            shutil.copy(plan.path, other)
        elif way == "hard link":
            os.link(plan.path, other)
        elif way == "symbolic link":
            other.symlink_to(plan.path)
        else:
            other = plan.path
        second = jobs.Plan.read(other)
        journal = tmp_path / "journal" if way == "other journal" else None
        problems: list[jobs.JournalError] = []

        async def apply_again() -> None:
            try:
                await jobs.apply(client, second, journal=journal, resume=True)
            except jobs.JournalError as error:
                problems.append(error)

        async with anyio.create_task_group() as group:
            has_started = False

            def begin(_: jobs.Progress) -> None:
                nonlocal has_started
                if not has_started:
                    has_started = True
                    group.start_soon(apply_again)

            fake.fail("latency", seconds=0.5, times=None, method="DELETE")
            report = await jobs.apply(client, plan, on_progress=begin)

    assert counts(report) == {"done": 5}
    assert ["is in use" in str(problem) for problem in problems] == [True]


async def test_old_plan_can_be_resumed_with_a_larger_max_age(tmp_path: Path) -> None:
    """The error for an old plan says how to resume its job."""
    from datetime import timedelta

    async with client_of(fake_with(1)) as client:
        plan = await planned(client, tmp_path)
        with pytest.raises(jobs.PlanRefused, match="To continue this job, pass a larger max_age"):
            await jobs.apply(client, plan, resume=True, max_age=timedelta(seconds=-9))
