"""The proof that a job needs: that a token is gone, was changed, and still is as planned."""

import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from losant_tokens import ApiTokenPatch, AsyncClient, errors, jobs
from losant_tokens.jobs import Outcome, Report
from losant_tokens.testing import FakeLosant
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
        """The seconds between each change and the last look at the same token before it."""
        looks: dict[str, float] = {}
        found = []
        for at, method, token_id in self.sent:
            if method == "GET":
                looks[token_id] = at
            else:
                found.append(at - looks.pop(token_id))
        return found


def strange(status: int, **members: Any) -> httpx.Response:
    """A response that cannot come from the API."""
    if "json" in members:
        return httpx.Response(status, **members)
    return httpx.Response(status, headers=HTML, content=PAGE)


STRANGERS: dict[str, Callable[[], httpx.Response]] = {
    "HTML 404": lambda: strange(404),
    "HTML 200": lambda: strange(200),
    "HTML 302": lambda: strange(302),
    "HTML 401": lambda: strange(401),
    "HTML 403": lambda: strange(403),
    "JSON 200 of another service": lambda: strange(200, json={"status": "ok"}),
    "JSON 404 of another service": lambda: strange(404, json={"error": "no route"}),
}


# --- Responses that cannot come from the API -------------------------------------------------


@pytest.mark.sweep(sample=5)
@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS.keys())
@pytest.mark.parametrize("verify", [True, False])
def test_a_stranger_in_front_of_the_api_is_waited_out(
    tmp_path: Path, stranger: Callable[[], httpx.Response], verify: bool
) -> None:
    """While another service responds, nothing is marked; then every token is done."""
    fake = fake_with(100)
    proxy = Proxy(fake)

    async def job() -> Report:
        async with client_of(fake, transport=proxy) as client:
            plan = await planned(client, tmp_path)
            began = anyio.current_time()

            async def respond(_: httpx.Request) -> httpx.Response | None:
                return stranger() if 0.5 < anyio.current_time() - began < 2.0 else None

            proxy.respond = respond
            return await jobs.apply(client, plan, verify=verify)

    report = on_virtual_time(job)

    assert (counts(report), fake.tokens(), report.gave_up) == ({"done": 100}, (), None)


@pytest.mark.sweep(sample=3)
@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS.keys())
def test_a_stranger_that_stays_ends_the_job(
    tmp_path: Path, stranger: Callable[[], httpx.Response]
) -> None:
    """If another service responds from the beginning, the job says so, and nothing is final."""
    fake = fake_with(30)

    async def respond(_: httpx.Request) -> httpx.Response:
        return stranger()

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


def test_a_page_with_404_after_a_failed_delete_is_no_proof(tmp_path: Path) -> None:
    """A DELETE that failed with 503, and then a proxy's 404: the token is not done."""
    fake = fake_with(10)
    failed: set[str] = set()

    async def respond(request: httpx.Request) -> httpx.Response | None:
        if request.method != "DELETE":
            return None
        if request.url.path in failed:
            return strange(404)
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
def test_a_filter_for_one_token_does_not_end_the_job(tmp_path: Path, method: str) -> None:
    """A token that a firewall always answers for is left to be tried again; others are done."""
    fake = fake_with(20)
    poisoned = fake.tokens()[3].id

    async def respond(request: httpx.Request) -> httpx.Response | None:
        is_poisoned = request.url.path.endswith(poisoned) and request.method == method
        return strange(403) if is_poisoned else None

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
    """If each token is answered with 404 although a list shows it, none is marked as gone."""
    fake = fake_with(tokens)

    async def job() -> tuple[Report, Report]:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            fake.fail(status=404, times=None, path=ONE)
            first = await jobs.apply(client, plan, verify=verify)
            fake.clear_faults()
            return first, await jobs.apply(client, plan, verify=verify, resume=True)

    first, second = on_virtual_time(job)

    assert "do not exist (404)" in (first.gave_up or "")
    assert (counts(first), first.pending) == ({}, tokens)
    assert {result.error for result in first.results()} >= {
        "404, like others in a row, so it is not certain that it is gone"
    }
    assert counts(second) == {"done": tokens}


def test_404_in_a_row_in_the_middle_of_a_job_is_not_final(tmp_path: Path) -> None:
    """A service that begins to answer 404 for everything stops a job that went well before."""
    fake = fake_with(100)

    async def job() -> tuple[Report, Report]:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            fake.fail(status=404, times=None, path=ONE, skip=60)
            first = await jobs.apply(client, plan)
            fake.clear_faults()
            return first, await jobs.apply(client, plan, resume=True)

    first, second = on_virtual_time(job)

    assert "do not exist (404)" in (first.gave_up or "")
    assert set(counts(first)) == {"done"}
    assert counts(second) == {"done": 100}


@pytest.mark.parametrize(("tokens", "deleted"), [(3, 3), (60, 60), (60, 45)])
def test_tokens_that_somebody_deleted_are_gone(tmp_path: Path, tokens: int, deleted: int) -> None:
    """However many tokens somebody else has deleted, the job is complete: a list confirms it."""
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


def test_gone_tokens_of_an_account_that_was_not_checked_are_not_final(tmp_path: Path) -> None:
    """Without the account check, a list may be that of another account, and confirms nothing."""
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


def test_gone_tokens_are_confirmed_while_others_are_found(tmp_path: Path) -> None:
    """A token that is seen alive while the list is read confirms those before it as well."""
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


def test_list_that_fails_confirms_nothing(tmp_path: Path) -> None:
    """If the tokens cannot be listed, a row of 404 is not final either."""
    fake = fake_with(3)

    async def job() -> Report:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            fake.fail(status=404, times=None, path=ONE)
            fake.fail(status=400, times=None, path="*/me/tokens", skip=1)
            return await jobs.apply(client, plan)

    report = on_virtual_time(job)

    assert (counts(report), report.pending) == ({}, 3)


# --- Success ---------------------------------------------------------------------------------


@pytest.mark.sweep(sample=8)
@pytest.mark.parametrize("body", ["{}", '{"success": null}', '{"a": 1}', "", '{"success": false}'])
@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("acts", [True, False])
def test_a_delete_is_done_only_if_that_is_proven(
    tmp_path: Path, body: str, verify: bool, acts: bool
) -> None:
    """A successful status whose body does not say so is followed by a look at the token."""
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


@pytest.mark.parametrize("answer", ["unchanged", "other id"])
def test_a_patch_is_done_only_if_that_is_proven(tmp_path: Path, answer: str) -> None:
    """A PATCH that is answered with the token as it was, or with another one, is not done."""
    fake = fake_with(4)

    async def respond(request: httpx.Request) -> httpx.Response | None:
        if request.method != "PATCH":
            return None
        token_id = request.url.path[-24:] if answer == "unchanged" else "f" * 24
        status = "active" if answer == "unchanged" else "inactive"
        return httpx.Response(200, json={"id": token_id, "status": status, "name": "ci-0"})

    proxy = Proxy(fake, respond)

    async def job() -> Report:
        async with client_of(fake, transport=proxy) as client:
            plan = await planned(client, tmp_path, action="deactivate")
            return await jobs.apply(client, plan, patience=60.0)

    report = on_virtual_time(job)

    assert report.counts[Outcome.DONE] == 0
    assert {token.status for token in fake.tokens()} == {"active"}


def test_time_of_a_change_is_known_only_from_its_response(tmp_path: Path) -> None:
    """If the response to a change was lost, its time is unknown: others may have changed it."""
    fake = fake_with(2)

    async def job() -> Report:
        async with client_of(fake, max_connections=1) as client:
            plan = await planned(client, tmp_path, action="deactivate")
            fake.fail("truncate", method="PATCH")
            return await jobs.apply(client, plan)

    report = on_virtual_time(job)

    assert counts(report) == {"done": 2}
    assert list(report.changed_at) == [1]


# --- The look before a change ----------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [
        lambda: httpx.Response(503),
        lambda: httpx.Response(429),
        lambda: httpx.Response(429, headers={"Retry-After": "10"}),
        lambda: httpx.Response(503, headers={"Retry-After": "10"}),
        lambda: strange(404),
    ],
    ids=["503", "429", "429 for 10 s", "503 for 10 s", "HTML 404"],
)
def test_a_token_that_is_renamed_between_two_attempts_is_left_alone(
    tmp_path: Path, failure: Callable[[], httpx.Response]
) -> None:
    """Each attempt to change a token is preceded by a look at it."""
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


def test_tokens_that_are_renamed_in_an_outage_are_left_alone(tmp_path: Path) -> None:
    """Tokens that were read before an outage are read again after it."""
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
def test_little_time_passes_between_look_and_change(tmp_path: Path, rate: float) -> None:
    """However low the rate is, a token is changed within a second after it was read."""
    fake = fake_with(12)
    proxy = Proxy(fake)

    async def job() -> Report:
        async with client_of(fake, transport=proxy) as client:
            return await jobs.apply(client, await planned(client, tmp_path), rate=rate)

    report = on_virtual_time(job)

    assert counts(report) == {"done": 12}
    assert max(proxy.gaps()) <= 1.0
    assert report.seconds >= 24 / rate - 2 / rate - 1


def test_a_look_that_was_delayed_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the process stood still after the look, the token is read again before it is changed."""
    from losant_tokens.jobs._throttle.throttle import Slot

    fake = fake_with(1)
    proxy = Proxy(fake)
    wait, waits = Slot.wait_for_next, iter([5.0])

    async def stand_still(slot: Slot) -> None:
        await anyio.sleep(next(waits, 0.0))
        await wait(slot)

    monkeypatch.setattr(Slot, "wait_for_next", stand_still)

    async def job() -> Report:
        async with client_of(fake, transport=proxy) as client:
            return await jobs.apply(client, await planned(client, tmp_path))

    report = on_virtual_time(job)

    assert (counts(report), [method for _, method, _ in proxy.sent]) == (
        {"done": 1},
        ["GET", "GET", "DELETE"],
    )


# --- Guards at the beginning -----------------------------------------------------------------


async def test_the_token_in_use_is_protected_at_apply(tmp_path: Path) -> None:
    """A plan that lists the token with which it is applied leaves that one alone."""
    fake = fake_with(3)
    own = fake.tokens()[1].id

    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)
        credential = client._session.credential
        client._session.credential = type(credential)(
            secret=credential.secret, claimed_ids=frozenset({own})
        )
        report = await jobs.apply(client, plan)

    assert outcomes(report) == [Outcome.DONE, Outcome.PROTECTED, Outcome.DONE]
    assert [token.id for token in fake.tokens()] == [own]
    assert list(report.results())[1].error == "the token in use"


async def test_a_malformed_id_fails_alone(tmp_path: Path) -> None:
    """A token whose id the API would not take has failed, and the others are done."""
    real, odd = "5" * 24, "../../me"
    tokens = [{"id": real, "name": "ci-1"}, {"id": odd, "name": "ci-2"}]
    deleted: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/me/tokens":
            return httpx.Response(200, json={"items": tokens, "totalCount": 2})
        if request.method == "DELETE":
            deleted.append(request.url.path)
            return httpx.Response(200, json={"success": True})
        return httpx.Response(200, json=tokens[0])

    transport = httpx.MockTransport(answer)
    async with AsyncClient("x", base_url="https://x.example", transport=transport) as client:
        plan = await planned(client, tmp_path)
        report = await jobs.apply(client, plan, account_check="off")
        again = await jobs.apply(client, plan, account_check="off", resume=True)

    assert counts(report) == counts(again) == {"done": 1, "failed": 1}
    assert deleted == [f"/me/tokens/{real}"]
    assert {"24 hexadecimal digits" in (r.error or "") for r in report.results()} == {True, False}


async def test_a_plan_of_another_account_is_refused_with_a_report(tmp_path: Path) -> None:
    """Nothing is sent for another account; the error has the report of a job not begun."""
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


async def test_a_refused_resumption_reports_what_was_done_before(tmp_path: Path) -> None:
    """The report of a job that may not be resumed has the outcomes of its earlier runs."""
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
    """Let the account of a client be unknown until the API is asked."""
    credential = client._session.credential
    client._session.credential = type(credential)(secret=credential.secret)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "html", "status": 404},
        {"status": 503},
        {"status": 429, "headers": {"Retry-After": "3600"}},
    ],
    ids=str,
)
def test_an_outage_during_the_account_check_is_given_up(
    tmp_path: Path, fault: dict[str, Any]
) -> None:
    """If the account cannot be asked for, the job gives up with a report, and can be resumed."""
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

    assert "the service does not answer; last seen: " in (first.gave_up or "")
    assert (counts(first), first.pending, first.requests) == ({}, 3, 0)
    assert counts(second) == {"done": 3}


async def test_a_refused_token_is_known_from_the_account_check(tmp_path: Path) -> None:
    """A 401 to the account check ends the job with that error before it begins."""
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
def test_a_job_can_be_stopped_while_the_account_is_checked(tmp_path: Path, way: str) -> None:
    """A stop ends the wait for a service that does not answer to the account check."""
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
async def test_a_plan_is_applied_once_at_a_time(tmp_path: Path, way: str) -> None:
    """A plan that is being applied cannot be applied through another path or journal."""
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
            has_begun = False

            def begin(_: jobs.Progress) -> None:
                nonlocal has_begun
                if not has_begun:
                    has_begun = True
                    group.start_soon(apply_again)

            fake.fail("latency", seconds=0.5, times=None, method="DELETE")
            report = await jobs.apply(client, plan, on_progress=begin)

    assert counts(report) == {"done": 5}
    assert ["is in use" in str(problem) for problem in problems] == [True]


async def test_an_old_job_says_how_to_continue(tmp_path: Path) -> None:
    """A job that is resumed after `max_age` is refused with advice that applies to it."""
    from datetime import timedelta

    async with client_of(fake_with(1)) as client:
        plan = await planned(client, tmp_path)
        with pytest.raises(jobs.PlanRefused, match="To continue this job, pass a larger max_age"):
            await jobs.apply(client, plan, resume=True, max_age=timedelta(seconds=-9))
