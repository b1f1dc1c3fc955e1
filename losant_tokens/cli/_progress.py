"""The progress of a job: a bar on a terminal, else a line now and then.

A display that fails never decides over a job: it is dropped, and the job goes on.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO, cast

from attrs import define

from losant_tokens.cli._console import Forgiving
from losant_tokens.cli._errors import is_quiet, say
from losant_tokens.cli._render import lasting
from losant_tokens.jobs import Outcome, Progress

_EVERY = 10.0  # seconds between two lines
_TENTHS = 10

Listener = Callable[[Progress], None]


@contextmanager
def job_progress(what: str, total: int) -> Iterator[Listener]:
    """Show the progress of a job; yields the `on_progress` of the job."""
    stack, streams = ExitStack(), (sys.stdout, sys.stderr)
    listener: Listener = _Lines(what)
    if is_quiet():
        listener = _nothing
    elif sys.stderr.isatty():
        try:
            listener = stack.enter_context(_bar(what, total))
        except Exception:  # noqa: BLE001 -- then there are lines
            stack = ExitStack()

    def show(now: Progress) -> None:
        nonlocal listener
        try:
            listener(now)
        except Exception:  # noqa: BLE001 -- then nothing is shown
            listener = _nothing

    try:
        yield show
    finally:
        try:
            stack.close()
        except Exception as error:  # noqa: BLE001 -- the job is what counts
            sys.stdout, sys.stderr = streams  # The bar had replaced them.
            say(f"the display failed: {type(error).__name__}")


def _nothing(_: Progress) -> None:
    """Show nothing."""


@contextmanager
def _bar(what: str, total: int) -> Iterator[Listener]:
    from rich import progress as rich  # noqa: PLC0415 -- where there is no terminal, never
    from rich.console import Console  # noqa: PLC0415

    with rich.Progress(
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(bar_width=28),
        rich.MofNCompleteColumn(),
        rich.TextColumn("{task.fields[said]}", markup=False),
        console=Console(file=cast("TextIO", Forgiving(sys.stderr))),
    ) as bar:
        task = bar.add_task(what, total=total, said="")
        yield lambda now: bar.update(task, completed=now.settled, said=", ".join(_said(now)))


def _said(now: Progress) -> list[str]:
    """What there is to say, the most important first: a terminal may be narrow."""
    if now.pausing is not None:
        return [f"waiting: {now.pausing}", *_trouble(now)]
    pace = f"{now.per_second:,.0f}/s" + (f", {now.concurrency} at once" if now.concurrency else "")
    left = [f"{lasting(now.remaining)} left"] if now.settled < now.total else []
    return [*_trouble(now), pace, *left]


def _trouble(now: Progress) -> list[str]:
    """How many came out otherwise than wanted, by outcome."""
    return [
        f"{count:,} {outcome.value}"
        for outcome, count in now.counts.items()
        if count and outcome not in {Outcome.DONE, Outcome.UNKNOWN}
    ]


@define
class _Lines:
    """Says a line at each tenth, and where that takes long, in between."""

    what: str
    tenths: int = 0
    said_at: float = 0.0

    def __call__(self, now: Progress) -> None:
        tenths = now.settled * _TENTHS // max(now.total, 1)
        if tenths > self.tenths or now.elapsed - self.said_at >= _EVERY:
            self.tenths, self.said_at = tenths, now.elapsed
            say(f"{self.what}: {now.settled:,} of {now.total:,}; {', '.join(_said(now))}")
