"""Runs contenders, each in a process of its own, and collects what they tell."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

HERE = Path(__file__).parent
_TOO_LONG = 900  # seconds, after which a contender hangs

Figures = dict["Run", dict[str, list[float]]]
"""What was measured, by run and by the name of the figure: one number for each round."""


@attrs.frozen
class Contender:
    """A program that is measured.

    Attributes:
        name: For the table.
        program: What to run; URL, count and concurrency come behind it.
        more: What comes behind these.
        absent: Why it cannot run here, if it cannot.
        environment: Variables that are set for it.
    """

    name: str
    program: tuple[str, ...]
    more: tuple[str, ...] = ()
    absent: str = ""
    environment: tuple[tuple[str, str], ...] = ()


@attrs.frozen
class Run:
    """A contender, how much it is to do, and how many at once."""

    contender: Contender
    count: int
    concurrency: int = 1


@contextlib.contextmanager
def served() -> Iterator[str]:
    """A compiled server on a loopback port; its address."""
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
    raise SystemExit("the server does not start")


def measure(run: Run, url: str) -> dict[str, float]:
    """What a contender tells of itself: a line of JSON, the last that it prints."""
    contender = run.contender
    result = subprocess.run(
        [*contender.program, url, str(run.count), str(run.concurrency), *contender.more],
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(HERE), **dict(contender.environment)},
        capture_output=True,
        text=True,
        check=False,
        timeout=_TOO_LONG,
    )
    if result.returncode:
        raise SystemExit(f"{contender.name} failed:\n{result.stdout}{result.stderr}")
    told: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return told


def measure_all(runs: Sequence[Run], rounds: int) -> Figures:
    """All runs, round after round; every second round goes backwards.

    So what else the machine does, and how warm it has become, meets all of them alike.
    """
    figures: Figures = {run: defaultdict(list) for run in runs}
    present = [run for run in runs if not run.contender.absent]
    with served() as url:
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}: {len(present)} runs", file=sys.stderr)
            for run in present if number % 2 == 0 else reversed(present):
                for name, figure in measure(run, url).items():
                    figures[run][name].append(figure)
    return figures
