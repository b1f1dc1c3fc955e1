"""The ways in which a job can end early, and be resumed."""

import asyncio
import errno
import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from losant_tokens import jobs
from losant_tokens.jobs import Outcome, Progress, Report
from losant_tokens.jobs._execution.journal import Journal
from losant_tokens.testing import FakeLosant
from tests.support.jobs import (
    client_of,
    counts,
    fake_with,
    job_fails_with,
    on_virtual_time,
    planned,
    sent,
)

ONE = "*/me/tokens/*"  # the path of one token, and of no list


# --- Outages ---------------------------------------------------------------------------------


class Outage(httpx.AsyncBaseTransport):
    """Goes to the fake, but for a time in which something else happens."""

    def __init__(
        self, fake: FakeLosant, begin: float, end: float, instead: Callable[[], Awaitable[None]]
    ) -> None:
        self._to_fake = fake.transport()
        self._begin, self._end, self._instead = begin, end, instead
        self.began = -1.0
        self.met: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        now = anyio.current_time()
        if self.began >= 0 and self._begin <= now - self.began < self._end:
            self.met.append(now - self.began)
            await self._instead()
            return httpx.Response(500, json={"type": "Internal", "message": "out"})
        await anyio.sleep(0.01)
        return await self._to_fake.handle_async_request(request)


async def error_500() -> None:
    """Respond with 500."""
    await anyio.sleep(0.01)


async def refuse() -> None:
    """Refuse the connection."""
    raise httpx.ConnectError("refused")


async def hang() -> None:
    """Never respond."""
    await anyio.sleep_forever()


async def drop() -> None:
    """Drop the connection."""
    raise httpx.RemoteProtocolError("dropped")


@pytest.mark.sweep(sample=2)
@pytest.mark.parametrize("instead", [error_500, refuse, hang, drop])
@pytest.mark.parametrize("begin", [0.0, 0.3])
def test_outage_is_waited_out(
    tmp_path: Path, instead: Callable[[], Awaitable[None]], begin: float
) -> None:
    """During an outage, a job sends few requests, and continues after it."""
    fake = fake_with(300)
    outage = Outage(fake, begin, begin + 40, instead)
    reports: list[Progress] = []

    async def job() -> Report:
        async with client_of(fake, transport=outage, timeout=2.0) as client:
            plan = await planned(client, tmp_path)
            outage.began = anyio.current_time()
            return await jobs.apply(client, plan, on_progress=reports.append)

    report = on_virtual_time(job)

    assert (counts(report), fake.tokens()) == ({"done": 300}, ())
    # The requests in flight, ten retries from the budget, and some probes.
    assert len(outage.met) <= 10 + 10 + 60 + 8
    assert report.retries <= 0.1 * 600 + 30
    reason = "service unavailable" if begin else "checking the account"
    assert reason in {progress.pause_reason for progress in reports}
    pauses = [one for one in reports if one.pause_reason == "service unavailable"]
    assert all(0 <= (one.next_attempt_in or 0) <= 30 for one in pauses)
    assert all(200 < (one.gives_up_in or 0) <= 300 for one in pauses)
    assert report.seconds < begin + 40 + 40


@pytest.mark.slow
@pytest.mark.sweep(sample=2)
@pytest.mark.parametrize("instead", [error_500, refuse, hang, drop])
def test_endless_outage(tmp_path: Path, instead: Callable[[], Awaitable[None]]) -> None:
    """When patience ends, the job gives up, and can be resumed."""
    fake = fake_with(200)
    outage = Outage(fake, 0.2, 10_000.0, instead)

    async def job() -> tuple[Report, Report]:
        async with client_of(fake, transport=outage, timeout=2.0) as client:
            plan = await planned(client, tmp_path)
            outage.began = anyio.current_time()
            first = await jobs.apply(client, plan, patience=100.0)
            outage.began = -1.0
            return first, await jobs.apply(client, plan, resume=True)

    first, second = on_virtual_time(job)

    assert (first.gave_up or "").startswith("the API does not respond; last seen: ")
    assert 100 <= first.seconds <= 115
    assert first.counts[Outcome.FAILED] == 0
    assert first.pending + sum(first.counts.values()) == 200
    assert len(outage.met) <= 80
    assert (counts(second), fake.tokens()) == ({"done": 200}, ())


def test_endless_rate_limit(tmp_path: Path) -> None:
    """A job gives up if every request gets a 429 until patience ends."""
    fake = fake_with(50)

    async def job() -> Report:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            fake.fail(status=429, times=None, path=ONE)
            return await jobs.apply(client, plan, patience=60.0)

    report = on_virtual_time(job)

    assert (report.gave_up or "").startswith("the API refuses further requests: userApi")
    assert report.pending == 50
    assert 60 <= report.seconds <= 70
    assert report.requests == report.refused < 60


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_beyond_patience(tmp_path: Path, status: int) -> None:
    """A job gives up if `Retry-After` is longer than patience."""
    fake = fake_with(5)

    async def job() -> Report:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            fake.fail(status=status, times=None, path=ONE, headers={"Retry-After": "3600"})
            return await jobs.apply(client, plan)

    report = on_virtual_time(job)

    assert (report.gave_up or "").startswith("the API refuses further requests: userApi")
    assert report.pending == 5
    assert report.seconds < 1


@pytest.mark.slow
@pytest.mark.parametrize(("status", "unknown"), [(429, 0), (503, 1)])
def test_outcome_after_giving_up(tmp_path: Path, status: int, unknown: int) -> None:
    """A token is untouched after 429s, and unknown after a server error."""
    fake = fake_with(3)
    wait = {"Retry-After": "3600"}

    async def job() -> tuple[Report, Report]:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            fake.fail(status=status, method="DELETE", times=None, headers=wait)
            first = await jobs.apply(client, plan)
            fake.clear_faults()
            return first, await jobs.apply(client, plan, resume=True)

    first, second = on_virtual_time(job)

    assert (first.pending, first.counts[Outcome.UNKNOWN]) == (3 - unknown, unknown)
    assert counts(second) == {"done": 3}


def test_token_in_doubt_stays_unknown(tmp_path: Path) -> None:
    """A token that an earlier run may have changed stays unknown after 429s."""
    fake = fake_with(1)

    async def job() -> Report:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            with Journal.open(plan, jobs.journal_path(plan), resume=False) as journal:
                journal.record_intent(0)
            fake.fail(status=429, method="DELETE", times=None, headers={"Retry-After": "3600"})
            return await jobs.apply(client, plan, resume=True)

    report = on_virtual_time(job)

    assert (report.gave_up or "").startswith("the API refuses further requests: userApi")
    assert counts(report) == {"unknown": 1}


def test_stop_after_a_429(tmp_path: Path) -> None:
    """A token with a 429 is untouched if the job is stopped before the next attempt."""
    fake = fake_with(3)

    async def job() -> Report:
        stop = anyio.Event()

        def stop_when_refused(progress: Progress) -> None:
            if sent(fake, "DELETE"):
                stop.set()

        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            fake.fail(status=429, method="DELETE", times=None, headers={"Retry-After": "90"})
            return await jobs.apply(client, plan, stop=stop, on_progress=stop_when_refused)

    report = on_virtual_time(job)

    assert sent(fake, "DELETE") != []
    assert (report.gave_up, report.pending, counts(report)) == (None, 3, {})


def test_retry_after_is_for_all(tmp_path: Path) -> None:
    """A `Retry-After` of a 429 or a 503 pauses all requests."""
    fake = fake_with(50)
    reports: list[Progress] = []

    async def job() -> Report:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            for status in (429, 503):
                fake.fail(status=status, headers={"Retry-After": "30"}, method="DELETE", skip=5)
            return await jobs.apply(client, plan, on_progress=reports.append)

    report = on_virtual_time(job)

    assert counts(report) == {"done": 50}
    assert 30 <= report.seconds <= 75
    waits = {
        reason: [one.next_attempt_in or 0.0 for one in reports if one.pause_reason == reason]
        for reason in ("rate limited", "service unavailable")
    }
    assert 29 < max(waits["rate limited"]) <= 30
    assert 29 < max(waits["service unavailable"]) <= 30
    assert any(one.gives_up_in is None for one in reports)


def test_budget_limits_retries(tmp_path: Path) -> None:
    """If every third request fails, the job sends probes when its retry budget is empty."""
    fake = fake_with(100)
    for skip in range(0, 100, 2):
        fake.fail(status=500, method="DELETE", skip=skip)

    async def job() -> Report:
        async with client_of(fake) as client:
            return await jobs.apply(client, await planned(client, tmp_path))

    report = on_virtual_time(job)

    assert counts(report) == {"done": 100}


# --- Stopping --------------------------------------------------------------------------------


def slow_fake(tokens: int = 60, seconds: float = 1.0) -> FakeLosant:
    fake = fake_with(tokens)
    fake.fail("latency", seconds=seconds, times=None, method="DELETE")
    return fake


@pytest.mark.parametrize("way", ["stop", "scope"])
def test_stop_has_a_grace_period(tmp_path: Path, way: str) -> None:
    """A stopped job starts no request, and records those in flight as done."""
    fake = slow_fake()

    async def job() -> tuple[dict[str, int], int, Report]:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            stop, started = anyio.Event(), anyio.Event()
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:

                    async def end() -> None:
                        await started.wait()
                        await anyio.sleep(1.5)
                        stop.set() if way == "stop" else scope.cancel()

                    group.start_soon(end)
                    await jobs.apply(
                        client, plan, stop=stop, verify=False, on_progress=lambda _: started.set()
                    )
            intended = len(sent(fake, "DELETE"))
            again = await jobs.apply(client, plan, resume=True, verify=False)
            return counts(again), intended, again

    found, before, again = on_virtual_time(job)

    assert found == {"done": 60}
    assert before == 60 - again.requests
    assert sorted(Counter(sent(fake, "DELETE")).values()) == [1] * 60


@pytest.mark.slow
@pytest.mark.parametrize("way", ["stop", "scope"])
def test_grace_ends(tmp_path: Path, way: str) -> None:
    """A request without a response in the grace period is unknown until the job is resumed."""
    fake = fake_with(30)
    fake.fail("hang", times=3, method="DELETE", after_acting=True, skip=5)

    async def job() -> tuple[float, Report]:
        async with client_of(fake, timeout=100.0) as client:
            plan = await planned(client, tmp_path)
            stop = anyio.Event()
            began = 0.0
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:

                    async def end() -> None:
                        nonlocal began
                        # Files are opened in a thread, for which virtual time does not wait.
                        while not sent(fake, "DELETE"):  # noqa: ASYNC110 -- there is no event for it
                            await anyio.sleep(0.01)
                        began = anyio.current_time()
                        await anyio.sleep(10)
                        stop.set() if way == "stop" else scope.cancel()

                    group.start_soon(end)
                    await jobs.apply(client, plan, stop=stop, grace=3.0)
            took = anyio.current_time() - began
            return took, await jobs.apply(client, plan, resume=True)

    took, again = on_virtual_time(job)

    assert took == pytest.approx(13.0, abs=0.1)
    assert counts(again) == {"done": 30}
    assert sorted(Counter(sent(fake, "DELETE")).values()) == [1] * 30


def test_abort(tmp_path: Path) -> None:
    """An aborted job returns immediately, and requests in flight are unknown."""
    fake = fake_with(6)
    fake.fail("hang", times=None, method="DELETE", after_acting=True)

    async def job() -> tuple[float, Report, Report]:
        async with client_of(fake, timeout=100.0) as client:
            plan = await planned(client, tmp_path)
            stop, abort = anyio.Event(), anyio.Event()
            aborted = 0.0

            async def end() -> None:
                nonlocal aborted
                # Files are opened in a thread, for which virtual time does not wait.
                while not sent(fake, "DELETE"):  # noqa: ASYNC110 -- there is no event for it
                    await anyio.sleep(0.01)
                stop.set()
                await anyio.sleep(2)
                aborted = anyio.current_time()
                abort.set()

            async with anyio.create_task_group() as group:
                group.start_soon(end)
                report = await jobs.apply(client, plan, stop=stop, abort=abort, grace=60.0)
            took = anyio.current_time() - aborted
            fake.clear_faults()
            return took, report, await jobs.apply(client, plan, resume=True)

    took, report, again = on_virtual_time(job)

    in_flight = 6 - report.pending
    assert (took < 0.1, counts(report)) == (True, {"unknown": in_flight})
    assert counts(again) == {"done": 6}


class WatchedJournal(httpx.AsyncBaseTransport):
    """Goes to the fake, and compares the journal with the requests at each of these."""

    def __init__(self, fake: FakeLosant, ids: list[str], journal: Path) -> None:
        self._to_fake = fake.transport()
        self._ids, self._journal = ids, journal
        self._in_flight: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "DELETE":
            return await self._to_fake.handle_async_request(request)
        this = request.url.path.rpartition("/")[2]
        self._in_flight.add(this)
        assert this in self.intended() <= self._in_flight
        await anyio.sleep(0.2)
        response = await self._to_fake.handle_async_request(request)
        if response.status_code == 429:
            self._in_flight.discard(this)
        return response

    def intended(self) -> set[str]:
        """The tokens that were intended, and no more, by the file."""
        lines = self._journal.read_bytes().splitlines()[1:]
        latest = {line["n"]: line["is"] for line in map(json.loads, lines)}
        return {self._ids[number] for number, state in latest.items() if state == "intended"}


@pytest.mark.slow
@pytest.mark.parametrize("verify", [False, True])
def test_only_tokens_in_flight_are_intended(tmp_path: Path, verify: bool) -> None:
    """A killed job leaves in doubt only the tokens whose requests were in flight."""
    fake = fake_with(200)

    async def job() -> Report:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
        ids = [entry.id for entry in plan.entries()]
        watched = WatchedJournal(fake, ids, jobs.journal_path(plan))
        fake.fail(status=429, times=5, skip=50, method="DELETE")
        async with client_of(fake, transport=watched, max_connections=20) as client:
            return await jobs.apply(client, plan, verify=verify)

    report = on_virtual_time(job)

    assert (counts(report), report.refused) == ({"done": 200}, 5)


@pytest.mark.slow
def test_stopped_job_leaves_nothing_in_doubt(tmp_path: Path) -> None:
    """A stopped job knows for each token whether it was changed."""
    fake = fake_with(1000)

    async def job() -> tuple[set[str], Report]:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
        ids = [entry.id for entry in plan.entries()]
        watched = WatchedJournal(fake, ids, jobs.journal_path(plan))
        stop = anyio.Event()

        def stop_in_the_middle(progress: Progress) -> None:
            if progress.finished > 500:
                stop.set()

        async with client_of(fake, transport=watched, max_connections=48) as client:
            report = await jobs.apply(client, plan, stop=stop, on_progress=stop_in_the_middle)
        return watched.intended(), report

    left, report = on_virtual_time(job)

    assert (left, set(counts(report))) == (set(), {"done"})
    assert 0 < report.pending < 500


def test_stop_before_the_start(tmp_path: Path) -> None:
    """A job that is stopped before it starts sends nothing."""
    fake = fake_with(5)

    async def job() -> Report:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            stop = anyio.Event()
            stop.set()
            return await jobs.apply(client, plan, stop=stop)

    report = on_virtual_time(job)

    assert (report.pending, sent(fake, "DELETE")) == (5, [])


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 429, "headers": {"Retry-After": "90"}}]
)
def test_stop_while_waiting(tmp_path: Path, fault: dict[str, Any]) -> None:
    """A job that waits for the service ends immediately when it is stopped."""
    fake = fake_with(30)

    async def job() -> Report:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            fake.fail(**fault, times=None, path=ONE)
            stop, started = anyio.Event(), anyio.Event()

            async def end() -> None:
                await started.wait()
                await anyio.sleep(60.5)
                stop.set()

            found: list[Report] = []
            async with anyio.create_task_group() as group:
                group.start_soon(end)
                found.append(
                    await jobs.apply(
                        client, plan, stop=stop, grace=30.0, on_progress=lambda _: started.set()
                    )
                )
            return found[0]

    report = on_virtual_time(job)

    assert (report.gave_up, report.pending) == (None, 30)
    assert report.seconds == pytest.approx(60.5, abs=0.1)


async def test_cancelled_while_files_are_opened(tmp_path: Path) -> None:
    """A job that is cancelled while it opens its files leaves none of them locked."""
    fake = fake_with(3)
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)
        for _ in range(5):
            task = asyncio.create_task(jobs.apply(client, plan, resume=True))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        report = None
        while report is None:
            with suppress(jobs.JournalError):  # the thread may still be working
                report = await jobs.apply(client, plan, resume=True)

    assert counts(report) == {"done": 3}


# --- A journal that cannot be written --------------------------------------------------------


async def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token whose intent cannot be written is not changed, and the job can be resumed."""
    fake = fake_with(40)
    really_write = os.write
    written: list[dict[str, Any]] = []

    def write(descriptor: int, data: bytes) -> int:
        if data.startswith(b'{"n":'):
            if len(written) >= 25:
                raise OSError(errno.ENOSPC, "No space left on device")
            written.extend(map(json.loads, data.splitlines()))
        return really_write(descriptor, data)

    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write)
            with job_fails_with(jobs.JournalError, match="No space left on device"):
                await jobs.apply(client, plan)
        ids = [entry.id for entry in plan.entries()]
        intended = {ids[line["n"]] for line in written if line["is"] == "intended"}
        assert set(sent(fake, "DELETE")) == intended
        report = await jobs.apply(client, plan, resume=True)

    assert (counts(report), fake.tokens()) == ({"done": 40}, ())


async def test_failing_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed fsync ends the job."""

    def fsync(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("losant_tokens.jobs._execution.worker_pool._CHECKPOINT_INTERVAL", 0.05)
    fake = slow_fake(200, seconds=0.1)
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)
        monkeypatch.setattr(os, "fsync", fsync)
        with job_fails_with(jobs.JournalError, match="Input/output error"):
            await jobs.apply(client, plan)

    assert len(fake.tokens()) > 100
