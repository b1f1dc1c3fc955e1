"""Measures clients against each other, as ratios within one run: `nox -s bench`.

Each contender is a process of its own and they take turns, round after round, so that what else
the machine does meets all of them alike. Absolute figures are worth little; ratios travel.
"""

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

HERE = Path(__file__).parent


@attrs.frozen
class Contender:
    """A client that is measured."""

    name: str
    program: tuple[str, ...]
    last: tuple[str, ...] = ()


def python(name: str, module: str, *last: str) -> Contender:
    """A contender in Python."""
    return Contender(name, (sys.executable, "-m", f"contenders.{module}"), last)


OURS_FAST = python("losant-tokens, aiohttp's pool", "ours_fast")
OURS = python("losant-tokens, default pool", "ours_default")
AIOHTTP = python("aiohttp alone", "bare_aiohttp")
HTTPX = python("httpx alone, its own pool", "bare_httpx", "httpx")
HTTPX_AIOHTTP = python("httpx alone, aiohttp's pool", "bare_httpx", "aiohttp")
OFFICIAL = python("losant-rest for Python, threads", "official_python")
NODE = Contender(
    "losant-rest for Node.js", ("node", str(HERE / "contenders" / "official_node.mjs"))
)


@attrs.frozen
class Row:
    """A line of the table: one contender over another, and what is aimed at."""

    what: str
    ours: tuple[Contender, int]
    theirs: tuple[Contender, int]
    measure: str
    target: float
    at_least: bool = True


TABLE = (
    Row("throughput, 20 in flight", (OURS_FAST, 20), (OFFICIAL, 20), "rate", 3.0),
    Row("throughput, 100 in flight", (OURS_FAST, 100), (OFFICIAL, 100), "rate", 4.0),
    Row("throughput, 20 in flight", (OURS_FAST, 20), (NODE, 20), "rate", 1.0),
    Row("throughput, 100 in flight", (OURS_FAST, 100), (NODE, 100), "rate", 1.0),
    Row("CPU per request, 100 in flight", (OURS_FAST, 100), (AIOHTTP, 100), "cpu", 2.2, False),
    Row("throughput, 20 in flight", (OURS, 20), (OFFICIAL, 20), "rate", 1.3),
    Row("throughput, 500 over 20 tasks", (OURS, 500), (OURS, 20), "rate", 0.9),
    Row("CPU per request, 20 in flight", (OURS_FAST, 20), (HTTPX_AIOHTTP, 20), "cpu", 1.15, False),
    Row("CPU per request, 1 in flight", (OURS, 1), (HTTPX, 1), "cpu", 1.15, False),
)


@contextlib.contextmanager
def served() -> Iterator[str]:
    """A compiled server on a loopback port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    granian = [sys.executable, "-m", "granian", "--interface", "rsgi", "--log-level", "error"]
    server = subprocess.Popen([*granian, "--port", str(port), "server:app"], cwd=HERE)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def measure(contender: Contender, url: str, count: int, concurrency: int) -> dict[str, float]:
    """Requests per second, and milliseconds of the CPU per request."""
    numbers = [url, str(count), str(concurrency)]
    result = subprocess.run(
        [*contender.program, *numbers, *contender.last],
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SystemExit(f"{contender.name} failed:\n{result.stderr}")
    told = json.loads(result.stdout.splitlines()[-1])
    return {"rate": count / told["seconds"], "cpu": told["cpu"] / count * 1000}


def has_node() -> bool:
    """Whether Node.js is there, and its official client."""
    folder = os.environ.get("NODE_FOLDER", "")
    return bool(shutil.which("node")) and Path(folder, "node_modules", "losant-rest").is_dir()


Figures = dict[tuple[str, int], dict[str, list[float]]]


def run(count: int, rounds: int) -> Figures:
    """All contenders at all concurrencies of the table, in turns."""
    wanted = list(dict.fromkeys(pair for row in TABLE for pair in (row.ours, row.theirs)))
    figures: Figures = {(c.name, n): {"rate": [], "cpu": []} for c, n in wanted}
    with served() as url:
        for number in range(rounds):
            for contender, concurrency in wanted if number % 2 == 0 else reversed(wanted):
                if contender is NODE and not has_node():
                    continue
                for what, figure in measure(contender, url, count, concurrency).items():
                    figures[contender.name, concurrency][what].append(figure)
    return figures


def ratio(row: Row, figures: Figures) -> tuple[float, float] | None:
    """The median of the rounds' ratios, and how far they spread."""
    ours, theirs = (figures[c.name, n][row.measure] for c, n in (row.ours, row.theirs))
    if not ours or not theirs:
        return None
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return statistics.median(ratios), (max(ratios) - min(ratios)) / 2


def line(row: Row, figures: Figures) -> str:
    """A line of the table."""
    found = ratio(row, figures)
    aim = f"{'>=' if row.at_least else '<='} {row.target:.2f}"
    if found is None:
        told, good = "no Node.js here", "-"
    else:
        told = f"{found[0]:.2f} +- {found[1]:.2f}"
        good = "yes" if (found[0] >= row.target) is row.at_least else "NO"
    who = f"{row.ours[0].name} / {row.theirs[0].name}"
    return f"| {row.what} | {who} | {told} | {aim} | {good} |"


def main() -> None:
    """Measures, prints the table, and writes all figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="requests a measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=None, help="where to write all figures")
    options = parser.parse_args()
    figures = run(options.count, options.rounds)
    print("| what | of | ratio | aim | met |\n| --- | --- | --- | --- | --- |")
    for row in TABLE:
        print(line(row, figures))
    print("\n| client | in flight | requests/s | CPU ms/request |\n| --- | --- | --- | --- |")
    for (name, concurrency), what in figures.items():
        if what["rate"]:
            rate, cpu = statistics.median(what["rate"]), statistics.median(what["cpu"])
            print(f"| {name} | {concurrency} | {rate:.0f} | {cpu:.2f} |")
    if options.json:
        all_of_it = [{"client": n, "in_flight": c, **w} for (n, c), w in figures.items()]
        options.json.write_text(json.dumps(all_of_it, indent=1) + "\n")


if __name__ == "__main__":
    main()
