"""Measures clients against each other, as ratios within one run: `nox -s bench`.

Each contender is a process of its own. Those that are compared run one right after the other, round
after round, so that what else the machine does meets both alike. Absolute figures are worth little;
ratios travel. No target fails the run: it is for people to look at.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from chart import chart
from measuring import Bout, Run, measure_all
from rows import Row, chart_runs, rows
from table import everything, table


def main() -> None:
    """Measures, prints the table, and writes what it is asked to write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=_whole, default=5000, help="requests for each run")
    parser.add_argument("--rounds", type=_whole, default=5, help="how often all of them run")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    parser.add_argument("--svg", type=Path, help="where to draw the chart, which needs more runs")
    options = parser.parse_args()
    lines = rows(options.count)
    curves = chart_runs(options.count) if options.svg else ()
    figures = measure_all(bouts_of(lines, curves), options.rounds)
    print(table(lines, figures))
    if options.json:
        said = everything(lines, figures, options.count, options.rounds)
        options.json.write_text(json.dumps(said, indent=1) + "\n")
    if options.svg:
        options.svg.write_text(chart(curves, figures))


def bouts_of(lines: Sequence[Row], alone: Sequence[Run]) -> dict[Bout, int]:
    """The bouts there are to be, and how often in a round. What is compared needs none alone."""
    bouts = {(run,): 1 for run in alone} | {row.bout: row.times for row in lines if row.is_present}
    compared = {run for bout in bouts if len(bout) > 1 for run in bout}
    return {bout: times for bout, times in bouts.items() if compared.isdisjoint(bout) or bout[1:]}


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    main()
