"""Report the progress of a job, and sample its rate for the report."""

import logging
from collections import deque
from collections.abc import Callable

import anyio
import attrs

from losant_tokens.jobs._throttle.throttle import Throttle
from losant_tokens.jobs._token_progress import States
from losant_tokens.jobs._types import Outcome, PaceSample, Progress, count_finished

_log = logging.getLogger("losant_tokens")

_REPORT_INTERVAL = 0.2  # seconds
_SAMPLE_INTERVAL = 1.0  # seconds
_MAX_SAMPLES = 600
_MIN_PAUSE = 1.0  # seconds
_WINDOW = 5.0  # seconds over which the tokens per second are measured


@attrs.define(eq=False)
class Listener:
    """Calls `on_progress`. An error in it does not end the job: the first one is logged."""

    on_progress: Callable[[Progress], None] | None
    _has_failed: bool = False

    def notify(self, progress: Progress) -> None:
        """Report the progress of the job."""
        if self.on_progress is None:
            return
        try:
            self.on_progress(progress)
        except Exception:  # noqa: BLE001 -- it is logged
            if not self._has_failed:
                _log.exception("on_progress failed; the job continues")
            self._has_failed = True


async def report_account_check(listener: Listener, total: int) -> None:
    """Report once a second that the job waits for the account check.

    Args:
        listener: The listener.
        total: The number of tokens that the plan selects.
    """
    started = anyio.current_time()
    while True:
        await anyio.sleep(_SAMPLE_INTERVAL)
        listener.notify(
            Progress(
                total=total,
                counts=dict.fromkeys(Outcome, 0),
                elapsed=anyio.current_time() - started,
                pause_reason="checking the account",
            )
        )


@attrs.define(eq=False)
class ProgressReporter:
    """Reports the progress of a job.

    Attributes:
        total: The number of tokens that the plan selects.
        protected: The number of tokens that the plan protects.
        states: The state of each token.
        throttle: The throttle, which counts requests.
        listener: The listener, which gets each report.
        workers: The number of workers.
        samples: The samples of the rate.
        finished_before: The number of tokens that earlier runs finished.
    """

    total: int
    protected: int
    states: States
    throttle: Throttle
    listener: Listener
    workers: int = 0
    samples: list[PaceSample] = attrs.field(factory=list)
    finished_before: int = attrs.field(init=False)
    _started: float = attrs.field(init=False)
    _selected_before: int = attrs.field(init=False)
    _refused_before: int = 0
    # The elapsed time and the number of finished tokens at each report of the last seconds.
    _finished: deque[tuple[float, int]] = attrs.field(factory=deque, init=False)

    def __attrs_post_init__(self) -> None:
        self._started = self.throttle.now()
        self.finished_before = count_finished(self.states.counts())
        self._selected_before = count_finished(self._counts())

    async def run(self) -> None:
        """Report five times a second, and take a sample once a second, or less often later."""
        interval, due = _SAMPLE_INTERVAL, 0.0
        while True:
            self.report()
            if (elapsed := self.elapsed()) >= due:
                self._sample(elapsed)
                due = elapsed + interval
            if len(self.samples) >= _MAX_SAMPLES:
                self.samples = _every_second(self.samples)
                interval *= 2
            await anyio.sleep(_REPORT_INTERVAL)

    def elapsed(self) -> float:
        """Return the seconds since the start of this run."""
        return self.throttle.now() - self._started

    def report(self) -> None:
        """Report the progress of the job."""
        if self.listener.on_progress is not None:
            self.listener.notify(self._progress())

    def _progress(self) -> Progress:
        counts = self._counts()
        finished = count_finished(counts)
        throttle, now = self.throttle, self.throttle.now()
        pause_reason = self._pause_reason()
        is_paused = pause_reason is not None
        return Progress(
            total=self.total,
            counts=counts,
            requests=throttle.sent,
            retries=throttle.retries,
            refused=throttle.refused,
            per_second=throttle.responses.per_second(now),
            tokens_per_second=self._tokens_per_second(finished),
            concurrency=self.workers,
            elapsed=self.elapsed(),
            remaining=self._remaining(finished - self._selected_before, self.total - finished),
            pause_reason=pause_reason,
            next_attempt_in=throttle.next_attempt_in(now) if is_paused else None,
            gives_up_in=throttle.circuit_breaker.patience_left(now) if is_paused else None,
        )

    def _counts(self) -> dict[Outcome, int]:
        """Return the number of tokens with each outcome, without those that the plan protects."""
        counts = self.states.counts()
        # It is exact at the end. Before, the client's own token may be among those left out.
        counts[Outcome.PROTECTED] -= min(counts[Outcome.PROTECTED], self.protected)
        return counts

    def _tokens_per_second(self, finished: int) -> float:
        elapsed = self.elapsed()
        self._finished.append((elapsed, finished))
        while len(self._finished) > 2 and elapsed - self._finished[0][0] > _WINDOW:  # noqa: PLR2004
            self._finished.popleft()
        before, finished_before = self._finished[0]
        return (finished - finished_before) / (elapsed - before) if elapsed > before else 0.0

    def _remaining(self, finished: int, pending: int) -> float | None:
        """Return the seconds for the pending tokens at the current rate, or the average one."""
        if not finished:
            return None
        current = self.throttle.responses.per_second(self.throttle.now())
        if current > 0:
            return pending * (self.throttle.sent / finished) / current
        return pending * self.elapsed() / finished

    def _pause_reason(self) -> str | None:
        if self.throttle.circuit_breaker.is_open:
            return "service unavailable"
        if self.throttle.circuit_breaker.rate_limited_since is not None:
            return "rate limited"
        if self.throttle.rate.pause_left(self.throttle.now()) > _MIN_PAUSE:
            return "service unavailable"  # a 503 with Retry-After
        return None

    def _sample(self, elapsed: float) -> None:
        refused = self.throttle.refused
        self.samples.append(
            PaceSample(
                at=elapsed,
                per_second=self.throttle.responses.per_second(self.throttle.now()),
                concurrency=self.workers,
                refused=refused - self._refused_before,
            )
        )
        self._refused_before = refused


def _every_second(samples: list[PaceSample]) -> list[PaceSample]:
    """Return every second sample, with the 429s of the sample before it added."""
    return [
        attrs.evolve(second, refused=first.refused + second.refused)
        for first, second in zip(samples[::2], samples[1::2], strict=True)
    ]
