"""Report the progress of a job, and keep samples of its pace for the report."""

import logging
from collections.abc import Callable

import anyio
import attrs

from losant_tokens.jobs._states import States
from losant_tokens.jobs._throttle.throttle import Throttle
from losant_tokens.jobs._types import Outcome, PaceSample, Progress, settled

_log = logging.getLogger("losant_tokens")

_TICK = 0.2  # seconds between two reports of progress
_SAMPLE = 1.0  # seconds between two samples of the pace
_MOST_SAMPLES = 600


@attrs.define(eq=False)
class Listener:
    """Calls `on_progress`. An error of it never decides over the job: the first one is logged."""

    on_progress: Callable[[Progress], None] | None
    _has_failed: bool = False

    def notify(self, progress: Progress) -> None:
        """Report how far the job has come."""
        if self.on_progress is None:
            return
        try:
            self.on_progress(progress)
        except Exception:  # noqa: BLE001 -- it is logged
            if not self._has_failed:
                _log.exception("on_progress failed; the job goes on")
            self._has_failed = True


async def report_check(listener: Listener, total: int) -> None:
    """Report once a second that a job has not begun yet, because its account is being checked."""
    began = anyio.current_time()
    while True:
        await anyio.sleep(_SAMPLE)
        listener.notify(
            Progress(
                total=total,
                counts=dict.fromkeys(Outcome, 0),
                elapsed=anyio.current_time() - began,
                pausing="the account is being checked",
            )
        )


@attrs.define(eq=False)
class ProgressReporter:
    """Reports the progress of a job.

    Attributes:
        total: How many tokens the plan has.
        states: How far they have come.
        throttle: Which requests were sent.
        listener: Is given each report.
        workers: How many tokens are being done at once.
        settled_before: How many tokens were finished before, if the job is resumed.
        samples: The pace so far.
    """

    total: int
    states: States
    throttle: Throttle
    listener: Listener
    workers: int = 0
    samples: list[PaceSample] = attrs.field(factory=list)
    settled_before: int = attrs.field(init=False)
    _began: float = attrs.field(init=False)
    _refused_before: int = 0

    def __attrs_post_init__(self) -> None:
        self._began = self.throttle.now()
        self.settled_before = settled(self.states.counts())

    async def run(self) -> None:
        """Report several times a second, and take a sample from time to time."""
        spacing, due = _SAMPLE, 0.0
        while True:
            self.report()
            if (elapsed := self.elapsed()) >= due:
                self._sample(elapsed)
                due = elapsed + spacing
            if len(self.samples) >= _MOST_SAMPLES:
                self.samples = _half_of(self.samples)
                spacing *= 2
            await anyio.sleep(_TICK)

    def elapsed(self) -> float:
        """Return the seconds since the job began, or was resumed."""
        return self.throttle.now() - self._began

    def report(self) -> None:
        """Report how far the job has come."""
        if self.listener.on_progress is not None:
            self.listener.notify(self._progress())

    def _progress(self) -> Progress:
        counts = self.states.counts()
        finished = settled(counts)
        throttle = self.throttle
        return Progress(
            total=self.total,
            counts=counts,
            requests=throttle.sent,
            retries=throttle.retries,
            refused=throttle.refused,
            per_second=throttle.rate.answers.per_second(throttle.now()),
            concurrency=self.workers,
            elapsed=self.elapsed(),
            remaining=self._remaining(finished - self.settled_before, self.total - finished),
            pausing=self._why_pausing(),
        )

    def _remaining(self, done: int, left: int) -> float | None:
        """Return the seconds for what is left at the latest pace, or at the overall one."""
        if not done:
            return None
        lately = self.throttle.rate.answers.per_second(self.throttle.now())
        if lately > 0:
            return left * (self.throttle.sent / done) / lately
        return left * self.elapsed() / done

    def _why_pausing(self) -> str | None:
        if self.throttle.circuit_breaker.is_open:
            return "the service does not answer"
        if self.throttle.circuit_breaker.rate_limited_since is not None:
            return "the service takes no more for now"
        return None

    def _sample(self, elapsed: float) -> None:
        refused = self.throttle.refused
        self.samples.append(
            PaceSample(
                at=elapsed,
                per_second=self.throttle.rate.answers.per_second(self.throttle.now()),
                concurrency=self.workers,
                refused=refused - self._refused_before,
            )
        )
        self._refused_before = refused


def _half_of(samples: list[PaceSample]) -> list[PaceSample]:
    """Return every second sample, with the refusals of the one before it."""
    return [
        attrs.evolve(second, refused=first.refused + second.refused)
        for first, second in zip(samples[::2], samples[1::2], strict=True)
    ]
