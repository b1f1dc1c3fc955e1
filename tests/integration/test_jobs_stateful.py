"""A job changes only planned tokens, in any order of runs, faults, kills and other changes."""

import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import attrs
import hypothesis
import pytest
import trio
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from trio.testing import MockClock

from losant_tokens import AsyncClient, Owner, errors, jobs
from losant_tokens.jobs import Outcome, Plan, Report
from tests.support.job_service import Ask, InProcess, Reply, Service, html, problem

DOOMED, KEPT = 12, 4

FAULTS: dict[str, Callable[[], Reply]] = {
    "500": lambda: problem(500, "X"),
    "503": lambda: problem(503, "X"),
    "503 later": lambda: problem(503, "X", Retry_After="7"),
    "429": lambda: problem(429, "TooManyRequests", Retry_After="0"),
    "403": lambda: problem(403, "Forbidden"),
    "html 404": lambda: html(404),
    "html 200": lambda: html(200),
    "redirect": lambda: html(302, Location="/login"),
    "other json 404": lambda: Reply(404, {"error": "no route"}),
    "{}": lambda: Reply(content={}),
    "empty": Reply,
    "dropped": lambda: Reply(is_dropped=True),
    "silent": lambda: Reply(is_dropped=True, seconds=40.0),
    "slow": lambda: Reply(content={}, seconds=3.0),
}
"""The faulty responses to a request, which may be carried out or not."""

REFUSALS = {"403", "429"}
"""The responses with which the API says that it did not carry out the request."""


@attrs.frozen
class Fault:
    """A fault of some requests of a run.

    Attributes:
        first: The number of the first request with the fault.
        count: The number of requests with the fault.
        kind: The key of the response in `FAULTS`.
        acts: Whether the request is carried out before the response.
    """

    first: int
    count: int
    kind: str
    acts: bool


@attrs.frozen
class Event:
    """A change by somebody else during a run.

    Attributes:
        at: The number of the request before which it happens.
        kind: The kind of the change.
        token: The number of the token.
    """

    at: int
    kind: str
    token: int


EVENTS = ("rename", "describe", "deactivate", "activate", "delete", "create")
ENDINGS = ("end", "stop", "cancel", "abort", "kill")

faults = st.lists(
    st.builds(
        Fault,
        first=st.integers(0, 30),
        count=st.sampled_from([1, 1, 2, 5, 40]),
        kind=st.sampled_from(sorted(FAULTS)),
        acts=st.booleans(),
    ),
    max_size=3,
)
events = st.lists(
    st.builds(
        Event,
        at=st.integers(0, 30),
        kind=st.sampled_from(EVENTS),
        token=st.integers(0, DOOMED + KEPT - 1),
    ),
    max_size=3,
)


class Jobs(RuleBasedStateMachine):
    """A plan, its job, and the service."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.service = Service.of(DOOMED, kept=KEPT)
        self.ids = list(self.service.tokens)
        self.touched: set[str] = set()
        self.touched_before: set[str] = set()  # before the next run
        self.were_inactive: set[str] = set()
        self.plan: Plan | None = None
        self.report: Report | None = None

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize(action=st.sampled_from(["delete", "deactivate"]), protects=st.booleans())
    def make_plan(self, action: Any, protects: bool) -> None:
        async def work(client: AsyncClient) -> Plan:
            return await jobs.plan(
                client,
                Owner.user(),
                select=jobs.named("ci-*"),
                action=action,
                path=self.folder / "plan.jsonl",
                protect=["ci-3"] if protects else [],
                allow_majority=True,
            )

        self.plan = self._run(work)
        self.service.seen.clear()

    # --- Rules -------------------------------------------------------------------------------

    @rule(kind=st.sampled_from(EVENTS), token=st.integers(0, DOOMED + KEPT - 1))
    def somebody_else(self, kind: str, token: int) -> None:
        self._do(kind, self.ids[token])
        self.touched_before = set(self.touched)

    @rule(
        faults=faults,
        events=events,
        ending=st.sampled_from(ENDINGS),
        at=st.integers(0, 40),
        retry_failed=st.booleans(),
        verify=st.booleans(),
    )
    def work(
        self,
        faults: list[Fault],
        events: list[Event],
        ending: str,
        at: int,
        retry_failed: bool,
        verify: bool,
    ) -> None:
        """Run the job until it ends, or end it at a request."""
        run = _Run(self, faults, events, ending, at)
        self.service.before, self.service.after = run.before, run.after

        async def work(client: AsyncClient) -> Report | None:
            with anyio.CancelScope() as run.scope:
                return await self._apply(
                    client, retry_failed=retry_failed, verify=verify, stop=run.stop, abort=run.abort
                )
            return None

        changed_before = len(self.service.changed)
        try:
            self.report = self._run(work)
        finally:
            run.restore_journal_of_killed_process()
            self._check_verification(changed_before if verify else None)
            self.service.is_cut_off = False
            self.service.before, self.service.after = lambda _: None, lambda _, reply: reply

    @precondition(lambda self: self.plan is not None)
    @rule()
    def complete(self) -> None:
        """Resume the job without faults. It is complete, and every token has an outcome."""
        changed_before = len(self.service.changed)
        report = self._run(lambda client: self._apply(client, retry_failed=True))
        self._check_verification(changed_before)
        assert report is not None
        self.report = report
        assert report.is_complete, report.counts
        for result in report.results():
            if result.entry.protected:
                assert result.outcome is Outcome.PROTECTED
            elif result.entry.id not in self.touched:
                assert result.outcome is Outcome.DONE, result
            else:
                assert result.outcome in {Outcome.DONE, Outcome.GONE, Outcome.CHANGED}, result

    # --- Invariants --------------------------------------------------------------------------

    @invariant()
    def only_planned_tokens_were_changed(self) -> None:
        if self.plan is None:
            return
        planned = {entry.id for entry in self.plan.entries() if not entry.protected}
        assert set(self.service.asked_to_change) <= planned

    @invariant()
    def report_is_true(self) -> None:
        report = self.report
        if report is None:
            return
        counted = dict.fromkeys(Outcome, 0)
        for result in report.results():
            if result.outcome is None:
                continue
            counted[result.outcome] += 1
            current = self.service.tokens.get(result.entry.id)
            deletes = report.plan.header.action == "delete"
            if result.outcome is Outcome.GONE or (result.outcome is Outcome.DONE and deletes):
                assert current is None, result
            elif result.outcome is Outcome.DONE:
                ours = result.entry.id in self.service.changed
                assert ours or result.entry.id in self.were_inactive, result
        assert counted == dict(report.counts)
        assert report.pending == report.total - sum(counted.values())

    def _check_verification(self, changed_before: int | None) -> None:
        """Check that a run with `verify` leaves alone tokens that were touched before it."""
        if changed_before is not None:
            assert self.touched_before.isdisjoint(self.service.changed[changed_before:])
        self.touched_before = set(self.touched)

    # --- Helpers -----------------------------------------------------------------------------

    def _run(self, work: Callable[[AsyncClient], Any]) -> Any:
        async def connected() -> Any:
            async with AsyncClient(
                "t",
                base_url="https://hostile.example",
                transport=InProcess(self.service),
                max_connections=4,
            ) as client:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", jobs.PlanWarning)
                    return await work(client)

        return trio.run(connected, clock=MockClock(autojump_threshold=0))

    async def _apply(self, client: AsyncClient, **options: Any) -> Report | None:
        assert self.plan is not None
        has_started = jobs.journal_path(self.plan).exists()
        try:
            return await jobs.apply(client, self.plan, resume=has_started, patience=60.0, **options)
        except jobs.JobFailed as error:
            if isinstance(error.__cause__, jobs.JournalError):
                raise
            return error.report
        except jobs.JournalError:
            raise
        except errors.LosantError:
            return None

    def _do(self, kind: str, id_: str) -> None:
        if kind == "create":
            self.service.add("ci-new")
            return
        if id_ not in self.service.tokens:
            return
        self.touched.add(id_)
        if kind == "delete":
            del self.service.tokens[id_]
            return
        members = {
            "rename": {"name": "in use"},
            "describe": {"description": "in use"},
            "deactivate": {"status": "inactive"},
            "activate": {"status": "active"},
        }
        self.service.touch(id_, **members[kind])
        if kind == "deactivate":
            self.were_inactive.add(id_)


class _Run:
    """The faults and events of one run."""

    def __init__(
        self, machine: Jobs, faults: list[Fault], events: list[Event], ending: str, at: int
    ) -> None:
        self.stop, self.abort = anyio.Event(), anyio.Event()
        self.scope: anyio.CancelScope | None = None
        self._machine = machine
        self._faults = faults
        self._events = events
        self._ending = ending
        self._at = at
        self._number = -1
        self._journal: bytes | None = None

    def before(self, ask: Ask) -> Reply | None:
        """Return a response for a request that is not carried out, or `None`."""
        self._number += 1
        for event in self._events:
            if event.at == self._number:
                self._machine._do(event.kind, self._machine.ids[event.token])
        if self._number == self._at:
            self._end()
        fault = self._fault()
        acts = fault is None or (fault.acts and fault.kind not in REFUSALS)
        return None if fault is None or acts else FAULTS[fault.kind]()

    def after(self, ask: Ask, reply: Reply) -> Reply:
        """Return the response to a request that was carried out."""
        fault = self._fault()
        return reply if fault is None else FAULTS[fault.kind]()

    def restore_journal_of_killed_process(self) -> None:
        """Restore the journal as it was when the process was killed."""
        if self._journal is not None:
            assert self._machine.plan is not None
            jobs.journal_path(self._machine.plan).write_bytes(self._journal)
            self._machine.report = None

    def _fault(self) -> Fault | None:
        return next(
            (
                fault
                for fault in self._faults
                if fault.first <= self._number < fault.first + fault.count
            ),
            None,
        )

    def _end(self) -> None:
        assert self._machine.plan is not None
        if self._ending == "stop":
            self.stop.set()
        elif self._ending == "abort":
            self.abort.set()
        elif self._ending == "cancel":
            assert self.scope is not None
            self.scope.cancel()
        elif self._ending == "kill":
            journal = jobs.journal_path(self._machine.plan)
            if journal.exists():
                self._journal = journal.read_bytes()
            # This request is carried out. No later one reaches the service.
            self._machine.service.is_cut_off = True
            self.abort.set()


def _run_machine(examples: int, steps: int) -> None:
    settings = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    run_state_machine_as_test(Jobs, settings=settings)


@pytest.mark.slow
def test_sample() -> None:
    """Some random interleavings keep the invariants."""
    _run_machine(25, 6)


@pytest.mark.slow
def test_thoroughly() -> None:
    """Many long random interleavings keep the invariants."""
    _run_machine(80, 10)
