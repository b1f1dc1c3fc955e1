"""The figures as a table of ratios, and as JSON."""

import importlib.metadata
import os
import platform
import statistics
from collections.abc import Sequence
from typing import Any

import attrs
from measuring import Bout, Figures, Run, Told, all_of
from rows import Row

_HEAD = "| what | of | measured | aim | met |\n| --- | --- | --- | --- | --- |"
_PACKAGES = ("losant-tokens", "httpx", "httpcore", "aiohttp", "anyio", "cattrs", "losant-rest")


@attrs.frozen
class Measured:
    """What came of a row.

    Attributes:
        value: The median of all times.
        spread: Half of what lies between the least and the greatest.
    """

    value: float
    spread: float


def measured(row: Row, figures: Figures) -> Measured | None:
    """What came of a row; the ratios are taken time by time, before the median."""
    if not row.is_present:
        return None
    if row.theirs is None:
        values = [ours[row.figure] for ours in all_of(row.ours, figures)]
    else:
        values = [ours[row.figure] / theirs[row.figure] for ours, theirs in figures[row.bout]]
    return Measured(statistics.median(values), (max(values) - min(values)) / 2)


def is_met(row: Row, found: Measured | None) -> bool | None:
    """Whether the target is met, if there is one, and a figure."""
    if found is None or row.target is None:
        return None
    return found.value >= row.target if row.at_least else found.value <= row.target


def table(rows: Sequence[Row], figures: Figures) -> str:
    """The table, in Markdown."""
    return "\n".join([_HEAD, *(_line(row, measured(row, figures)) for row in rows)])


def _line(row: Row, found: Measured | None) -> str:
    names = [run.contender.name for run in row.bout]
    who = " / ".join(dict.fromkeys(names))
    unit = f" {row.unit}" if row.unit else ""
    digits = 1 if row.unit else 2
    if found is None:
        told = next(run.contender.absent for run in row.bout if run.contender.absent)
    else:
        told = f"{found.value:.{digits}f} ± {found.spread:.{digits}f}{unit}"
    aim = ""
    if row.target is not None:
        aim = f"{'≥' if row.at_least else '≤'} {row.target:g}{unit}"
    met = {True: "yes", False: "NO", None: ""}[is_met(row, found)]
    return f"| {row.what} | {who} | {told} | {aim} | {met} |"


def everything(rows: Sequence[Row], figures: Figures, count: int, rounds: int) -> dict[str, Any]:
    """All that was measured, and on what, for JSON."""
    return {
        "count": count,
        "rounds": rounds,
        "machine": {
            "cpus": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        },
        "units": {"rate": "1/s", "cpu": "ms each", "times": "ratio", "mib": "MiB", "held": "ms"},
        "rows": [_row(row, measured(row, figures)) for row in rows],
        "bouts": [_bout(bout, times) for bout, times in figures.items()],
    }


def _bout(bout: Bout, times: list[tuple[Told, ...]]) -> list[dict[str, Any]]:
    """What the runs of a bout told, time by time: figures at the same place belong together."""
    return [
        {**_run(run), **{name: [each[name] for each in told] for name in told[0]}}
        for run, told in zip(bout, zip(*times, strict=True), strict=True)
    ]


def _row(row: Row, found: Measured | None) -> dict[str, Any]:
    return {
        "what": row.what,
        "figure": row.figure,
        "ours": _run(row.ours),
        "theirs": None if row.theirs is None else _run(row.theirs),
        "measured": None if found is None else attrs.asdict(found),
        "times": row.times,
        "target": row.target,
        "at_least": row.at_least,
        "met": is_met(row, found),
    }


def _run(run: Run) -> dict[str, Any]:
    return {"name": run.contender.name, "count": run.count, "concurrency": run.concurrency}
