"""The progress of an audit: one line on a terminal, which is erased at the end.

A display that fails never ends an audit: it is dropped, and the audit continues.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TextIO, cast

from losant_tokens.audit import AuditProgress
from losant_tokens.cli._terminal.console import is_quiet
from losant_tokens.cli._terminal.format import format_count, format_number
from losant_tokens.cli._terminal.streams import FaultTolerantStream

Listener = Callable[[AuditProgress], None]


@contextmanager
def audit_progress() -> Iterator[Listener]:
    """Show the progress of an audit, and yield the argument `on_progress` of the audit."""
    with ExitStack() as stack:
        listener: Listener = _ignore
        if not is_quiet() and sys.stderr is not None and sys.stderr.isatty():
            with suppress(Exception):  # Without a display, the audit is the same.
                listener = stack.enter_context(_line())

        def show(progress: AuditProgress) -> None:
            with suppress(Exception):
                listener(progress)

        yield show


def _ignore(_: AuditProgress) -> None:
    """Show nothing."""


@contextmanager
def _line() -> Iterator[Listener]:
    from rich import progress as rich  # noqa: PLC0415 -- only a terminal needs it
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Column  # noqa: PLC0415

    console = Console(file=cast("TextIO", FaultTolerantStream(sys.stderr)))
    # On a narrow terminal, the text is cut off instead of wrapped.
    text = rich.TextColumn(
        "{task.description}",
        markup=False,
        table_column=Column(no_wrap=True, overflow="ellipsis"),
    )
    with rich.Progress(text, console=console, transient=True) as display:
        task = display.add_task("Auditing...", total=None)
        yield lambda progress: display.update(task, description=describe(progress))


def describe(progress: AuditProgress) -> str:
    """Return the progress in words."""
    tokens, findings = format_count(progress.tokens), format_number(progress.findings, "finding")
    if progress.accounts == 1:
        return f"Auditing: {tokens}, {findings}"
    accounts = f"{progress.finished} of {format_number(progress.accounts, 'account')}"
    return f"Auditing: {accounts}, {tokens}, {findings}"
