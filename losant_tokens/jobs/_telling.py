"""Tells how far a job has come, and keeps samples of its pace for the report."""

from collections.abc import Callable

import anyio
import attrs

from losant_tokens.jobs._journal import States
from losant_tokens.jobs._requests import Requests
from losant_tokens.jobs._values import PaceSample, Progress, settled

_TICK = 0.2  # seconds between two reports of progress
_SAMPLE = 1.0  # seconds between two samples of the pace
_MOST_SAMPLES = 600


@attrs.define(eq=False)
class Telling:
    """Tells of a job's progress.

    Attributes:
        total: How many tokens the plan has.
        states: How far they have come.
        requests: What was sent.
        listener: Who is told.
        workers: How many tokens are being done at once.
        settled_before: How many tokens had come to an end before, where the job is carried on.
        samples: The pace so far.
    """

    total: int
    states: States
    requests: Requests
    listener: Callable[[Progress], None] | None
    workers: int = 0
    samples: list[PaceSample] = attrs.field(factory=list)
    _began: float = attrs.field(init=False)
    settled_before: int = attrs.field(init=False)
    _refused_before: int = 0

    def __attrs_post_init__(self) -> None:
        self._began = self.requests.now()
        self.settled_before = settled(self.states.counts())

    async def keep_on(self) -> None:
        """Tells several times a second, and takes a sample now and then."""
        spacing, due = _SAMPLE, 0.0
        while True:
            self.tell()
            if (elapsed := self.elapsed()) >= due:
                self._sample(elapsed)
                due = elapsed + spacing
            if len(self.samples) >= _MOST_SAMPLES:
                self.samples = _half_of(self.samples)
                spacing *= 2
            await anyio.sleep(_TICK)

    def elapsed(self) -> float:
        """The seconds since the job began, or was carried on."""
        return self.requests.now() - self._began

    def tell(self) -> None:
        """Tells how far the job has come."""
        if self.listener is None:
            return
        counts = self.states.counts()
        ended = settled(counts)
        requests = self.requests
        self.listener(
            Progress(
                total=self.total,
                counts=counts,
                requests=requests.sent,
                retries=requests.retries,
                refused=requests.refused,
                per_second=requests.rate.answers.per_second(requests.now()),
                concurrency=self.workers,
                elapsed=self.elapsed(),
                remaining=self._remaining(ended - self.settled_before, self.total - ended),
                pausing=self._why_pausing(),
            )
        )

    def _remaining(self, done: int, left: int) -> float | None:
        """The seconds for what is left, at the pace of late, or where there is none, of all."""
        if not done:
            return None
        lately = self.requests.rate.answers.per_second(self.requests.now())
        if lately > 0:
            return left * (self.requests.sent / done) / lately
        return left * self.elapsed() / done

    def _why_pausing(self) -> str | None:
        if self.requests.health.down_since is not None:
            return "the service does not answer"
        if self.requests.health.starved_since is not None:
            return "the service takes no more for now"
        return None

    def _sample(self, elapsed: float) -> None:
        refused = self.requests.refused
        self.samples.append(
            PaceSample(
                at=elapsed,
                per_second=self.requests.rate.answers.per_second(self.requests.now()),
                concurrency=self.workers,
                refused=refused - self._refused_before,
            )
        )
        self._refused_before = refused


def _half_of(samples: list[PaceSample]) -> list[PaceSample]:
    """Every second sample, with the refusals of the one before it."""
    return [
        attrs.evolve(second, refused=first.refused + second.refused)
        for first, second in zip(samples[::2], samples[1::2], strict=True)
    ]
