"""The progress of a job: a bar on a terminal. Without one, lines from time to time if verbose.

A display that fails never ends a job: it is dropped, and the job continues.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TextIO, cast

from attrs import define

from losant_tokens.cli._terminal.console import is_quiet, is_verbose, print_status
from losant_tokens.cli._terminal.format import format_seconds
from losant_tokens.cli._terminal.streams import FaultTolerantStream
from losant_tokens.jobs import Outcome, Progress

_INTERVAL = 10.0  # seconds between two lines
_TENTHS = 10
_MIN_BAR, _MAX_BAR = 6, 40  # columns
_SLOW = 10.0  # tokens or requests per second, below which one decimal is shown

Listener = Callable[[Progress], None]


@contextmanager
def job_progress(label: str, total: int, *, prints_lines: bool = False) -> Iterator[Listener]:
    """Show the progress of a job, and yield the argument `on_progress` of the job.

    Args:
        label: The text beside the progress, such as `Deleting`.
        total: The number of tokens.
        prints_lines: Whether to print lines without a terminal even if the command is not verbose.
    """
    stack, streams = ExitStack(), (sys.stdout, sys.stderr)
    listener: Listener = _ProgressLines(label) if prints_lines or is_verbose() else _ignore
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

    class Bar(rich.BarColumn):
        """A bar that can be left out: rich would show one column of it."""

        def render(self, task: rich.Task) -> Any:
            return super().render(task) if self.bar_width else ""

    bar = Bar()
    console = Console(file=cast("TextIO", FaultTolerantStream(sys.stderr)))
    columns = (rich.TextColumn("{task.description}", markup=False), bar)
    status = rich.TextColumn("{task.fields[status]}", markup=False)
    with rich.Progress(*columns, status, console=console) as display:
        task = display.add_task(label, total=total, status="")

        def show(progress: Progress) -> None:
            # The terminal may have another width than before.
            bar.bar_width, text = fitted_status(progress, console.width - len(label))
            display.update(task, completed=progress.finished, status=text)

        show(Progress(total=total, counts=dict.fromkeys(Outcome, 0)))
        yield show


# --- The status in words ---------------------------------------------------------------------


def fitted_status(progress: Progress, columns: int) -> tuple[int, str]:
    """Return the width of the bar and the longest status that fits beside it.

    Args:
        progress: The progress of the job.
        columns: The number of columns for both.
    """
    tokens = f"{progress.finished:,}/{progress.total:,}"
    variants = [", ".join((tokens, *parts)) for parts in _variants(progress)]
    columns -= 3  # spaces, one of them at the end of the line
    # Nothing moves during a pause, so the bar is the least important part.
    min_bar = _MIN_BAR if progress.pause_reason is None else 0
    text = next((one for one in variants if len(one) + min_bar <= columns), tokens)
    bar = columns - len(text)
    return (min(bar, _MAX_BAR) if bar >= _MIN_BAR else 0), text


def _variants(progress: Progress) -> list[list[str]]:
    """Return the parts of the status, and then versions of it that are shorter and shorter."""
    if progress.pause_reason is not None:
        return _pause_variants(progress)
    parts = [*_unexpected_outcomes(progress), *_time_left(progress), *_rates(progress)]
    return [parts[:length] for length in range(len(parts), -1, -1)]


def _pause_variants(progress: Progress) -> list[list[str]]:
    reason = cast("str", progress.pause_reason)
    parts = _pause_parts(progress)
    outcomes = _unexpected_outcomes(progress)
    return [
        [*outcomes, reason, *parts],
        [reason, *parts],
        [reason.removeprefix("service "), *parts],
        [reason, *parts[:1]],
        [reason.removeprefix("service "), *parts[:1]],
        [reason],
    ]


def _pause_parts(progress: Progress) -> list[str]:
    next_attempt, gives_up = progress.next_attempt_in, progress.gives_up_in
    return [
        *([] if next_attempt is None else [f"next attempt in {format_seconds(next_attempt)}"]),
        *([] if gives_up is None else [f"gives up in {format_seconds(gives_up)}"]),
    ]


def _time_left(progress: Progress) -> list[str]:
    if progress.finished >= progress.total or progress.remaining is None:
        return []
    return [f"{format_seconds(progress.remaining)} left"]


def _rates(progress: Progress) -> list[str]:
    """Return the rates of the job by name, and the number of requests at once."""
    return [
        f"{_rate(progress.tokens_per_second)} tokens/s",
        f"{_rate(progress.per_second)} requests/s",
        *([f"{progress.concurrency:,} at once"] if progress.concurrency else []),
    ]


def _rate(value: float) -> str:
    return f"{value:.1f}" if 0 < value < _SLOW else f"{value:,.0f}"


def _unexpected_outcomes(progress: Progress) -> list[str]:
    """Return the number of tokens for each outcome other than success, failures first."""
    counts = progress.counts
    outcomes = (Outcome.FAILED, Outcome.CHANGED, Outcome.GONE, Outcome.PROTECTED)
    return [f"{counts[one]:,} {one.value}" for one in outcomes if counts[one]]


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
                f"{', '.join(_variants(progress)[0])}"
            )
