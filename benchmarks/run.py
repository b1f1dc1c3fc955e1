"""Compare clients, as ratios of figures measured in the same run: `nox -s bench`.

Each contender is a process of its own. Contenders that are compared run directly one after the
other, round by round, so that other load on the machine affects both. Absolute figures depend on
the machine; ratios hardly do. A missed target does not fail the run.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from chart import chart
from measuring import Comparison, Run, measure_all, measure_once
from rows import Row, chart_runs, rows
from table import everything, table

_SMOKE_COUNT = 20  # requests


def main() -> None:
    """Measure, print the table, and write the requested files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=_positive, default=5000, help="requests for each run")
    parser.add_argument("--rounds", type=_positive, default=5, help="number of rounds")
    parser.add_argument(
        "--smoke", action="store_true", help="only check that all contenders run: 20 requests each"
    )
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--svg", type=Path, help="file for the chart; takes more runs")
    options = parser.parse_args()
    if options.smoke:
        lines = rows(_SMOKE_COUNT)
        print(table(lines, measure_once(comparisons_of(lines, ()))))
        return
    lines = rows(options.count)
    curves = chart_runs(options.count) if options.svg else ()
    figures = measure_all(comparisons_of(lines, curves), options.rounds)
    print(table(lines, figures))
    if options.json:
        data = everything(lines, figures, options.count, options.rounds)
        options.json.write_text(json.dumps(data, indent=1) + "\n")
    if options.svg:
        options.svg.write_text(chart(curves, figures))


def comparisons_of(lines: Sequence[Row], alone: Sequence[Run]) -> dict[Comparison, int]:
    """Return the comparisons to measure, with their repetitions in a round.

    A run that is part of a comparison is not measured alone as well.
    """
    comparisons = {(run,): 1 for run in alone} | {
        row.comparison: row.times for row in lines if row.is_present
    }
    compared = {run for comparison in comparisons if len(comparison) > 1 for run in comparison}
    return {
        comparison: times
        for comparison, times in comparisons.items()
        if compared.isdisjoint(comparison) or comparison[1:]
    }


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    main()
