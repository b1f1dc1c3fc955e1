"""Runs contenders, each in a process of its own, and collects what they tell."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

HERE = Path(__file__).parent
_TOO_LONG = 900  # seconds, after which a contender hangs

Bout = tuple["Run", ...]
"""Runs that are compared, and so run one right after the other: a machine that others use is
another one some minutes later."""

Told = dict[str, float]
"""What one run tells of itself: figures, by their names."""

Figures = dict[Bout, list[tuple[Told, ...]]]
"""What was measured: of each bout, time by time, what each of its runs told."""


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


def measure(run: Run, url: str) -> Told:
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
    told: Told = json.loads(result.stdout.splitlines()[-1])
    return told


def measure_all(bouts: Mapping[Bout, int], rounds: int) -> Figures:
    """All bouts, round after round, each of them so many times in a round.

    Every second round takes the bouts in reverse order, and every second time a bout takes its
    runs in reverse: so how warm the machine has become meets all alike.
    """
    figures: Figures = {bout: [] for bout in bouts}
    with served() as url:
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}: {len(figures)} bouts", file=sys.stderr)
            for bout in figures if number % 2 == 0 else reversed(figures):
                for _ in range(bouts[bout]):
                    figures[bout].append(_told(bout, url, backwards=len(figures[bout]) % 2 == 1))
    return figures


def _told(bout: Bout, url: str, *, backwards: bool) -> tuple[Told, ...]:
    told = {run: measure(run, url) for run in (reversed(bout) if backwards else bout)}
    return tuple(told[run] for run in bout)


def all_of(run: Run, figures: Figures) -> list[Told]:
    """All that a run has told of itself, in whatever bout."""
    return [
        told
        for bout, times in figures.items()
        for each in times
        for other, told in zip(bout, each, strict=True)
        if other == run
    ]
