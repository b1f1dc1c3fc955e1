"""The figures as a table of ratios, and as JSON."""

import importlib.metadata
import os
import platform
import statistics
from collections.abc import Sequence
from typing import Any

import attrs
from measuring import Comparison, Figures, Measurement, Run, all_of
from rows import Row

_HEAD = "| measurement | clients | result | target | met |\n| --- | --- | --- | --- | --- |"
_PACKAGES = ("losant-tokens", "httpx", "httpcore", "aiohttp", "anyio", "cattrs", "losant-rest")


@attrs.frozen
class Measured:
    """The result of a row.

    Attributes:
        value: The median of all repetitions.
        spread: Half of the distance between the smallest and the greatest value.
    """

    value: float
    spread: float


def measured(row: Row, figures: Figures) -> Measured | None:
    """Return the result of a row: the median of the ratios of all repetitions."""
    if not row.is_present:
        return None
    if row.theirs is None:
        values = [ours[row.figure] for ours in all_of(row.ours, figures)]
    else:
        values = [ours[row.figure] / theirs[row.figure] for ours, theirs in figures[row.comparison]]
    return Measured(statistics.median(values), (max(values) - min(values)) / 2)


def is_met(row: Row, found: Measured | None) -> bool | None:
    """Return whether the target is met; `None` without a target or a figure."""
    if found is None or row.target is None:
        return None
    return found.value >= row.target if row.is_higher_better else found.value <= row.target


def table(rows: Sequence[Row], figures: Figures) -> str:
    """Return the table, in Markdown."""
    return "\n".join([_HEAD, *(_line(row, measured(row, figures)) for row in rows)])


def _line(row: Row, found: Measured | None) -> str:
    names = [run.contender.name for run in row.comparison]
    contenders = " / ".join(dict.fromkeys(names))
    unit = f" {row.unit}" if row.unit else ""
    digits = 1 if row.unit else 2
    if found is None:
        shown = next(run.contender.absent for run in row.comparison if run.contender.absent)
    else:
        shown = f"{found.value:.{digits}f} ± {found.spread:.{digits}f}{unit}"
    aim = ""
    if row.target is not None:
        aim = f"{'≥' if row.is_higher_better else '≤'} {row.target:g}{unit}"
    met = {True: "yes", False: "NO", None: ""}[is_met(row, found)]
    return f"| {row.measurement} | {contenders} | {shown} | {aim} | {met} |"


def everything(rows: Sequence[Row], figures: Figures, count: int, rounds: int) -> dict[str, Any]:
    """Return all figures and a description of the machine, for JSON."""
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
        "bouts": [_comparison(comparison, times) for comparison, times in figures.items()],
    }


def _comparison(
    comparison: Comparison, times: list[tuple[Measurement, ...]]
) -> list[dict[str, Any]]:
    """Return the figures of a comparison. Figures at the same place belong together."""
    return [
        {**_run(run), **{name: [each[name] for each in measurements] for name in measurements[0]}}
        for run, measurements in zip(comparison, zip(*times, strict=True), strict=True)
    ]


def _row(row: Row, found: Measured | None) -> dict[str, Any]:
    return {
        "what": row.measurement,
        "figure": row.figure,
        "ours": _run(row.ours),
        "theirs": None if row.theirs is None else _run(row.theirs),
        "measured": None if found is None else attrs.asdict(found),
        "times": row.times,
        "target": row.target,
        "at_least": row.is_higher_better,
        "met": is_met(row, found),
    }


def _run(run: Run) -> dict[str, Any]:
    return {"name": run.contender.name, "count": run.count, "concurrency": run.concurrency}
