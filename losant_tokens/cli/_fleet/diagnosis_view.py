"""The problems and the workers of a fleet, for people and as JSON."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from losant_tokens import fleet
from losant_tokens.cli._fleet.view import past_cell
from losant_tokens.cli._terminal.console import print_status, write_output
from losant_tokens.cli._terminal.format import format_number
from losant_tokens.cli._terminal.tables import Cell, Row, format_table
from losant_tokens.cli._tokens.json import as_wire

_SEVERITY_STYLES: Mapping[str, str] = MappingProxyType(
    {"critical": "bold red", "high": "red", "medium": "yellow"}
)


def show_diagnosis(found: fleet.Diagnosis) -> None:
    """Write the problems of a fleet, and its workers."""
    tables = []
    if found.problems:
        tables.append(_problem_table(found))
    if found.workers:
        tables.append(_worker_table(found))
    write_output("\n".join(tables))
    live = sum(one.state == "live" for one in found.workers)
    problems = format_number(len(found.problems), "problem") if found.problems else "No problem"
    print_status(f"{problems} found, {format_number(live, 'live worker')}.")


def _problem_table(found: fleet.Diagnosis) -> str:
    rows: list[Row] = [
        (
            Cell(one.severity.value, _SEVERITY_STYLES.get(one.severity.value, "")),
            one.check,
            one.subject or "-",
            f"{one.message}{'' if one.message.endswith(('.', '?')) else '.'} {one.remedy}",
        )
        for one in found.problems
    ]
    headers = ("SEVERITY", "CHECK", "ABOUT", "PROBLEM")
    return format_table(headers, rows, wrap="PROBLEM", keep=("ABOUT",))


def _worker_table(found: fleet.Diagnosis) -> str:
    rows: list[Row] = [
        (
            one.id,
            one.state,
            one.host,
            one.version,
            past_cell(one.started_at, found.at),
            past_cell(one.heartbeat_at, found.at),
        )
        for one in found.workers
    ]
    headers = ("WORKER", "STATE", "HOST", "VERSION", "STARTED", "HEARTBEAT")
    short = len("59min ago")
    steps = (("HOST", 8), ("STARTED", short), ("HEARTBEAT", short))
    return format_table(headers, rows, steps=steps, keep=("WORKER",))


def diagnosis_as_json(found: fleet.Diagnosis) -> dict[str, Any]:
    """Return the problems of a fleet and its workers as JSON values."""
    return {
        "at": as_wire(found.at),
        "isHealthy": found.is_healthy,
        "problems": [
            {
                "severity": one.severity.value,
                "check": one.check,
                "subject": one.subject or None,
                "message": one.message,
                "remedy": one.remedy,
            }
            for one in found.problems
        ],
        "workers": [
            {
                "id": one.id,
                "state": one.state,
                "host": one.host,
                "process": one.process,
                "version": one.version,
                "startedAt": as_wire(one.started_at),
                "heartbeatAt": as_wire(one.heartbeat_at),
                "endedAt": as_wire(one.ended_at),
                "orphans": list(one.orphans),
            }
            for one in found.workers
        ],
    }
