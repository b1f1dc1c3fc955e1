"""The progress of a job: a bar on a terminal, otherwise a line from time to time.

A display that fails never ends a job: it is dropped, and the job continues.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO, cast

from attrs import define

from losant_tokens.cli._console import FaultTolerantStream, is_quiet, print_status
from losant_tokens.cli._format import format_seconds
from losant_tokens.jobs import Outcome, Progress

_INTERVAL = 10.0  # seconds between two lines
_TENTHS = 10

Listener = Callable[[Progress], None]


@contextmanager
def job_progress(label: str, total: int) -> Iterator[Listener]:
    """Show the progress of a job, and yield the argument `on_progress` of the job."""
    stack, streams = ExitStack(), (sys.stdout, sys.stderr)
    listener: Listener = _ProgressLines(label)
    if is_quiet() or not total:
        listener = _ignore
    elif sys.stderr.isatty():
        try:
            listener = stack.enter_context(_bar(label, total))
        except Exception:  # noqa: BLE001 -- lines are printed instead
            stack = ExitStack()

    def show(progress: Progress) -> None:
        nonlocal listener
        try:
            listener(progress)
        except Exception:  # noqa: BLE001 -- the job continues without a display
            listener = _ignore

    try:
        yield show
    finally:
        try:
            stack.close()
        except Exception as error:  # noqa: BLE001 -- the job matters more than its display
            sys.stdout, sys.stderr = streams  # The bar had replaced them.
            print_status(f"the progress display failed: {type(error).__name__}")


def _ignore(_: Progress) -> None:
    """Show nothing."""


@contextmanager
def _bar(label: str, total: int) -> Iterator[Listener]:
    from rich import progress as rich  # noqa: PLC0415 -- only a terminal needs it
    from rich.console import Console  # noqa: PLC0415

    with rich.Progress(
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(bar_width=28),
        rich.MofNCompleteColumn(),
        rich.TextColumn("{task.fields[status]}", markup=False),
        console=Console(file=cast("TextIO", FaultTolerantStream(sys.stderr))),
    ) as bar:
        task = bar.add_task(label, total=total, status="")

        def show(progress: Progress) -> None:
            status = ", ".join(_status_parts(progress))
            bar.update(task, completed=progress.finished, status=status)

        yield show


def _status_parts(progress: Progress) -> list[str]:
    """Return the status, the most important part first, because a terminal may be narrow."""
    if progress.pause_reason is not None:
        return [f"waiting: {progress.pause_reason}", *_unexpected_outcomes(progress)]
    pace = f"{progress.per_second:,.0f}/s"
    if progress.concurrency:
        pace += f", {progress.concurrency} at once"
    is_done = progress.finished >= progress.total
    remaining = [] if is_done else [f"{format_seconds(progress.remaining)} left"]
    return [*_unexpected_outcomes(progress), pace, *remaining]


def _unexpected_outcomes(progress: Progress) -> list[str]:
    """Return the number of tokens for each outcome other than success."""
    return [
        f"{count:,} {outcome.value}"
        for outcome, count in progress.counts.items()
        if count and outcome not in {Outcome.DONE, Outcome.UNKNOWN}
    ]


@define
class _ProgressLines:
    """Print a line at each tenth of a job, and at least one every 10 seconds."""

    label: str
    tenths: int = 0
    printed_at: float = 0.0

    def __call__(self, progress: Progress) -> None:
        tenths = progress.finished * _TENTHS // max(progress.total, 1)
        if tenths > self.tenths or progress.elapsed - self.printed_at >= _INTERVAL:
            self.tenths, self.printed_at = tenths, progress.elapsed
            print_status(
                f"{self.label}: {progress.finished:,} of {progress.total:,}; "
                f"{', '.join(_status_parts(progress))}"
            )
