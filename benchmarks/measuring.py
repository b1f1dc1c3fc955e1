"""Run contenders, each in a process of its own, and collect their measurements."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import attrs

HERE = Path(__file__).parent
_TIMEOUT = 900  # seconds

Comparison = tuple["Run", ...]
"""Runs that are compared. They run directly one after the other, because the speed of a shared
machine changes within minutes."""

Measurement = dict[str, float]
"""The figures of one run, by name."""

Figures = dict[Comparison, list[tuple[Measurement, ...]]]
"""For each comparison, a list of its repetitions, each with the measurement of every run."""


@attrs.frozen
class Contender:
    """A program that is measured.

    Attributes:
        name: The name in the table.
        program: The command. URL, count and concurrency are appended to it.
        more: Further arguments.
        absent: Why it cannot run on this machine, or an empty string.
        environment: Environment variables to set.
    """

    name: str
    program: tuple[str, ...]
    more: tuple[str, ...] = ()
    absent: str = ""
    environment: tuple[tuple[str, str], ...] = ()


@attrs.frozen
class Run:
    """A contender with a number of requests and a concurrency."""

    contender: Contender
    count: int
    concurrency: int = 1


@contextlib.contextmanager
def served() -> Iterator[str]:
    """Run a compiled server on a loopback port, and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    granian = [sys.executable, "-m", "granian", "--interface", "rsgi", "--log-level", "error"]
    server = subprocess.Popen([*granian, "--port", str(port), "server:app"], cwd=HERE)
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise SystemExit("the server did not start within 10 seconds")


def measure(run: Run, url: str) -> Measurement:
    """Run a contender and return its measurement: the last line that it prints, as JSON."""
    contender = run.contender
    result = subprocess.run(
        [*contender.program, url, str(run.count), str(run.concurrency), *contender.more],
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(HERE), **dict(contender.environment)},
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT,
    )
    if result.returncode:
        raise SystemExit(f"{contender.name} failed:\n{result.stdout}{result.stderr}")
    measurement: Measurement = json.loads(result.stdout.splitlines()[-1])
    return measurement


def measure_all(comparisons: Mapping[Comparison, int], rounds: int) -> Figures:
    """Measure all comparisons, round by round.

    Every second round takes the comparisons in reverse order, and every second repetition takes the
    runs of a comparison in reverse order. So the temperature of the machine affects all alike.

    Args:
        comparisons: The number of repetitions in a round, by comparison.
        rounds: The number of rounds.
    """
    figures: Figures = {comparison: [] for comparison in comparisons}
    with served() as url:
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}: {len(figures)} comparisons", file=sys.stderr)
            for comparison in figures if number % 2 == 0 else reversed(figures):
                for _ in range(comparisons[comparison]):
                    figures[comparison].append(
                        _measured(comparison, url, backwards=len(figures[comparison]) % 2 == 1)
                    )
    return figures


def measure_once(comparisons: Collection[Comparison]) -> Figures:
    """Measure each run once, however many comparisons it is part of."""
    with served() as url:
        runs = {
            run: measure(run, url)
            for run in dict.fromkeys(run for comparison in comparisons for run in comparison)
        }
    return {comparison: [tuple(runs[run] for run in comparison)] for comparison in comparisons}


def _measured(comparison: Comparison, url: str, *, backwards: bool) -> tuple[Measurement, ...]:
    measurement = {
        run: measure(run, url) for run in (reversed(comparison) if backwards else comparison)
    }
    return tuple(measurement[run] for run in comparison)


def all_of(run: Run, figures: Figures) -> list[Measurement]:
    """Return all measurements of a run, from every comparison that it is part of."""
    return [
        measurement
        for comparison, times in figures.items()
        for each in times
        for other, measurement in zip(comparison, each, strict=True)
        if other == run
    ]
