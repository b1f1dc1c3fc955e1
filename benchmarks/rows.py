"""The rows of the table: the comparisons and their targets."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import Literal

import attrs
from measuring import HERE, Comparison, Contender, Run

Figure = Literal["rate", "cpu", "times", "mib", "held"]


@attrs.frozen(kw_only=True)
class Row:
    """A row of the table: the ratio of two runs, or the figure of a single run.

    Attributes:
        measurement: The description of the measurement.
        ours: The run in the numerator.
        theirs: The run in the denominator. Without it, the row shows the figure itself.
        figure: The name of the figure.
        target: The aim, or `None`.
        is_higher_better: Whether a greater value is better.
        unit: The unit of a figure without a ratio.
        times: The number of repetitions in a round. More than one if the difference is so small
            that other load on the machine would hide it.
    """

    measurement: str
    ours: Run
    theirs: Run | None = None
    figure: Figure = "cpu"
    target: float | None = None
    is_higher_better: bool = False
    unit: str = ""
    times: int = 1

    @property
    def comparison(self) -> Comparison:
        """The runs that the row needs."""
        return (self.ours,) if self.theirs is None else (self.ours, self.theirs)

    @property
    def is_present(self) -> bool:
        """Whether all runs are possible on this machine."""
        return not any(run.contender.absent for run in self.comparison)


def python(name: str, module: str, *more: str, absent: str = "", **environment: str) -> Contender:
    """Return a contender that is a module of `contenders`."""
    program = (sys.executable, "-m", f"contenders.{module}")
    return Contender(name, program, more, absent, tuple(environment.items()))


def _no_node() -> str:
    folder = Path(os.environ.get("NODE_FOLDER", ""), "node_modules", "losant-rest")
    return "" if shutil.which("node") and folder.is_dir() else "the Node.js client is not installed"


_NO_ORJSON = "" if importlib.util.find_spec("orjson") else "orjson is not installed"

FAST = python("losant-tokens, aiohttp's pool", "ours_fast")
DEFAULT = python("losant-tokens, default pool", "ours_default")
AIOHTTP = python("aiohttp alone", "bare_aiohttp")
HTTPX = python("httpx alone, its own pool", "bare_httpx", "httpx")
HTTPX_FAST = python("httpx alone, the same pool", "bare_httpx", "aiohttp")
PYTHON = python("losant-rest for Python, threads", "official_python")
NODE = Contender(
    "losant-rest for Node.js",
    ("node", str(HERE / "contenders" / "official_node.mjs")),
    absent=_no_node(),
)
DECODE = python("losant-tokens' codec / json.loads alone", "decode")
DECODE_ORJSON = python(
    "losant-tokens' codec with orjson / json.loads alone",
    "decode",
    absent=_NO_ORJSON,
    WITH_ORJSON="1",
)
HELD = python("losant-tokens, default pool", "held")
HELD_FROZEN = python("losant-tokens, default pool, after gc.freeze()", "held", "frozen")
IMPORT = python("import losant_tokens", "imports", "import losant_tokens")
IMPORT_CLIENT = python(
    "from losant_tokens import AsyncClient", "imports", "from losant_tokens import AsyncClient"
)
IMPORT_HTTPX = python("import httpx", "imports", "import httpx")
PLANNING = python("jobs.plan", "planning")
JOB = python("jobs.apply", "job", "job")
GROUP = python("get and delete in a task group", "job", "group")


def rows(count: int) -> tuple[Row, ...]:
    """Return the rows of the table.

    Args:
        count: The number of requests of a run. Everything else scales with it.
    """
    return (*_deletes(count), *_reading(count), *_imports(count), *_jobs(count))


def _deletes(n: int) -> tuple[Row, ...]:
    def rate(measurement: str, ours: Run, theirs: Run, target: float) -> Row:
        return Row(
            measurement=measurement,
            ours=ours,
            theirs=theirs,
            figure="rate",
            target=target,
            is_higher_better=True,
        )

    def cpu(measurement: str, ours: Run, theirs: Run, target: float) -> Row:
        return Row(measurement=measurement, ours=ours, theirs=theirs, target=target)

    return (
        rate("throughput, 20 in flight", Run(FAST, n, 20), Run(PYTHON, n, 20), 3.0),
        rate("throughput, 100 in flight", Run(FAST, n, 100), Run(PYTHON, n, 100), 4.0),
        rate("throughput, 20 in flight", Run(FAST, n, 20), Run(NODE, n, 20), 1.0),
        rate("throughput, 100 in flight", Run(FAST, n, 100), Run(NODE, n, 100), 1.0),
        cpu("CPU per request, 100 in flight", Run(FAST, n, 100), Run(AIOHTTP, n, 100), 2.2),
        rate("throughput, 20 in flight", Run(DEFAULT, n, 20), Run(PYTHON, n, 20), 1.3),
        rate("throughput, 500 tasks / 20 tasks", Run(DEFAULT, n, 500), Run(DEFAULT, n, 20), 0.9),
        cpu("CPU per request, 20 in flight", Run(FAST, n, 20), Run(HTTPX_FAST, n, 20), 1.15),
        cpu("CPU per request, 1 in flight", Run(DEFAULT, n), Run(HTTPX, n), 1.15),
    )


def _reading(n: int) -> tuple[Row, ...]:
    tokens = 20 * n
    measurement = f"CPU to read {tokens:,} tokens"
    held = f"longest block of the event loop, {tokens:,} tokens by iter()"
    return (
        Row(measurement=measurement, ours=Run(DECODE, tokens), figure="times", target=4.0),
        Row(measurement=measurement, ours=Run(DECODE_ORJSON, tokens), figure="times"),
        Row(measurement=held, ours=Run(HELD, tokens), figure="held", target=25, unit="ms"),
        Row(measurement=held, ours=Run(HELD_FROZEN, tokens), figure="held", unit="ms"),
    )


def _imports(n: int) -> tuple[Row, ...]:
    processes = max(1, n // 250)
    theirs = Run(IMPORT_HTTPX, processes)
    measurement = "CPU of an import"
    return (
        Row(measurement=measurement, ours=Run(IMPORT, processes), theirs=theirs, target=1.6),
        Row(measurement=measurement, ours=Run(IMPORT_CLIENT, processes), theirs=theirs),
    )


def _jobs(n: int) -> tuple[Row, ...]:
    large, small = Run(PLANNING, 200 * n), Run(PLANNING, 20 * n)
    memory = f"peak memory, {large.count:,} tokens"
    tokens = 4 * n  # a job first adapts its rate, and is meant for tens of thousands
    return (
        Row(measurement=memory, ours=large, figure="mib", target=120, unit="MiB"),
        Row(
            measurement=f"{memory} / {small.count:,}",
            ours=large,
            theirs=small,
            figure="mib",
            target=1.1,
        ),
        Row(
            measurement=f"CPU per token, {tokens:,} tokens, 50 in flight",
            ours=Run(JOB, tokens, 50),
            theirs=Run(GROUP, tokens, 50),
            target=1.15,
            times=3,
        ),
    )


CURVES = (FAST, DEFAULT, AIOHTTP, HTTPX, PYTHON, NODE)
CONCURRENCIES = (1, 5, 20, 100, 500)
_MAX_THREADS = 100


def chart_runs(count: int) -> tuple[Run, ...]:
    """Return the runs of the chart: each client at each concurrency that suits it."""
    return tuple(
        Run(contender, count, concurrency)
        for contender in CURVES
        for concurrency in CONCURRENCIES
        if not contender.absent and (contender is not PYTHON or concurrency <= _MAX_THREADS)
    )
