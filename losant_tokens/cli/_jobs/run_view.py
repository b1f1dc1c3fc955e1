"""The runs of jobs for people and as JSON."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from losant_tokens import jobs
from losant_tokens.cli._jobs.runs import Run
from losant_tokens.cli._terminal.console import fit_lines, print_status, write_output
from losant_tokens.cli._terminal.format import escaped, format_datetime, relative_time
from losant_tokens.cli._terminal.tables import Cell, Row, format_table
from losant_tokens.cli._tokens.json import as_wire

_COLUMNS = ("RUN", "PLANNED", "COMMAND", "TOKENS", "STATE", "OUTCOME")
_MAX_SHOWN_FAILURES = 10
# "24 minutes ago" is "24min ago" on a narrow terminal.
_SHORT_UNITS = {" minute": "min", " hour": "h", " day": "d", " month": "mo", " year": "y"}
_UNIT = re.compile(r"(?<=\d)( minute| hour| day| month| year)s?")
_STYLES = {"complete": "green", "interrupted": "yellow", "running": "cyan", "unreadable": "red"}


def show_runs(runs: Sequence[Run]) -> None:
    """Write runs as a table, with the commands that resume the interrupted ones."""
    if not runs:
        print_status("There are no runs in the state folder.")
        return
    now = datetime.now(UTC)
    table = format_table(
        _COLUMNS,
        [_row(run, now) for run in runs],
        steps=(("PLANNED", len("59min ago")), ("COMMAND", len("quar…"))),
        wrap="OUTCOME",
        numbers=("TOKENS",),
    )
    write_output(table)
    for run in runs:
        if run.problem is not None:
            print_status(run.problem)
        elif run.status == "interrupted":
            print_status(f"To resume {run.id}: {run.next_command()}")


def _row(run: Run, now: datetime) -> Row:
    planned = "unknown" if run.planned_at is None else _past(run.planned_at, now)
    return (
        run.id,
        Cell(planned, shorter=(_UNIT.sub(lambda unit: _SHORT_UNITS[unit[1]], planned),)),
        run.command or "",
        "" if run.state is None else f"{run.state.total:,}",
        Cell(run.status, _STYLES.get(run.status, "")),
        ", ".join(run.outcomes()) or "-",
    )


def show_run(run: Run) -> None:
    """Write the facts about a run, its failures, and the command that continues it."""
    now = datetime.now(UTC)
    facts = [("Run", run.id), ("State", _status(run))]
    if run.command is not None:
        facts.append(("Command", run.command))
    if run.plan is not None:
        header = run.plan.header
        facts += [
            ("Action", header.action),
            ("Rule", header.rule),
            ("API", header.base_url),
            ("Owners", ", ".join(map(str, header.counts))),
            ("Planned", _time(header.created_at, now)),
        ]
    if run.state is not None:
        if run.state.is_started:
            facts.append(("Started", _time(run.state.started_at, now)))
            facts.append(("Updated", _time(run.state.updated_at, now)))
        facts.append(("Tokens", f"{run.state.total:,}"))
        facts.append(("Outcome", ", ".join(run.outcomes()) or "none"))
    facts.append(("Plan", str(run.path)))
    if run.state is not None and run.state.is_started:
        facts.append(("Journal", str(run.state.journal)))
    if run.problem is not None:
        facts.append(("Problem", run.problem))
    write_output("".join(f"{name + ':':<10}{escaped(value)}\n" for name, value in facts))
    _show_failures(run)
    if command := run.next_command():
        print_status(f"{_PURPOSES[run.status]}: {command}")


_PURPOSES = {
    "planned": "To apply it",
    "interrupted": "To resume it",
    "complete": "To retry the failed tokens",
}


def _show_failures(run: Run) -> None:
    failures = run.failures()
    if not failures:
        return
    lines = [
        f"  {one.entry.name} ({one.entry.owner} {one.entry.id}): {one.error}"
        for one in failures[:_MAX_SHOWN_FAILURES]
    ]
    if more := len(failures) - len(lines):
        lines.append(f"  and {more:,} more: see --json")
    fitting = fit_lines(map(escaped, lines), indent="    ")
    write_output("Failures:\n" + "".join(f"{line}\n" for line in fitting))


def _status(run: Run) -> str:
    if run.state is None or run.state.process_id is None:
        return run.status
    return f"{run.status} (process {run.state.process_id} on {run.state.host})"


def _time(time: datetime | None, now: datetime) -> str:
    if time is None:
        return "unknown"
    return f"{format_datetime(time, '')} ({_past(time, now)})"


def _past(time: datetime, now: datetime) -> str:
    """Return a time of the past relative to now. The server's clock may be a little ahead."""
    return relative_time(min(time, now), now)


def run_as_json(run: Run, *, failures: bool = False) -> dict[str, object]:
    """Return a run as JSON values. Members that are unknown are `null`.

    Args:
        run: The run.
        failures: Whether to add the failed tokens.
    """
    header = None if run.plan is None else run.plan.header
    state = run.state
    counts = None if state is None else state.counts
    values: dict[str, object] = {
        "id": None if run.plan is None else run.plan.id,
        "state": run.status,
        "command": run.command,
        "action": None if header is None else header.action,
        "rule": None if header is None else header.rule,
        "baseUrl": None if header is None else header.base_url,
        "owners": None if header is None else list(map(str, header.counts)),
        "plannedAt": as_wire(run.planned_at),
        "startedAt": None if state is None else as_wire(state.started_at),
        "updatedAt": None if state is None else as_wire(state.updated_at),
        "tokens": None if state is None else state.total,
        **{one.value: None if counts is None else counts[one] for one in jobs.Outcome},
        "left": None if state is None else state.pending,
        "plan": str(run.path),
        "journal": None if state is None or not state.is_started else str(state.journal),
        "process": None if state is None else state.process_id,
        "nextCommand": run.next_command(),
        "problem": run.problem,
    }
    if failures:
        values["failures"] = [
            {
                "owner": str(one.entry.owner),
                "id": one.entry.id,
                "name": one.entry.name,
                "error": one.error,
            }
            for one in run.failures()
        ]
    return values
