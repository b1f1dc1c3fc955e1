"""What is compared with what, and what is aimed at."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import Literal

import attrs
from measuring import HERE, Bout, Contender, Run

Figure = Literal["rate", "cpu", "times", "mib", "held"]


@attrs.frozen(kw_only=True)
class Row:
    """A line of the table: one run over another, or by itself.

    Attributes:
        what: What is measured, in words.
        ours: What is put above the line.
        theirs: What is put below it; without it, the figure itself is told.
        figure: Which of the figures of a run.
        target: What is aimed at, if anything.
        at_least: Whether more is better.
        unit: Of a figure without a ratio.
        times: How often it is measured in a round: more than once where the difference is small,
            and what else the machine does would hide it.
    """

    what: str
    ours: Run
    theirs: Run | None = None
    figure: Figure = "cpu"
    target: float | None = None
    at_least: bool = False
    unit: str = ""
    times: int = 1

    @property
    def bout(self) -> Bout:
        """The runs that it needs."""
        return (self.ours,) if self.theirs is None else (self.ours, self.theirs)

    @property
    def is_present(self) -> bool:
        """Whether all of them can run here."""
        return not any(run.contender.absent for run in self.bout)


def python(name: str, module: str, *more: str, absent: str = "", **environment: str) -> Contender:
    """A contender in Python."""
    program = (sys.executable, "-m", f"contenders.{module}")
    return Contender(name, program, more, absent, tuple(environment.items()))


def _no_node() -> str:
    folder = Path(os.environ.get("NODE_FOLDER", ""), "node_modules", "losant-rest")
    return "" if shutil.which("node") and folder.is_dir() else "no Node.js client here"


_NO_ORJSON = "" if importlib.util.find_spec("orjson") else "no orjson here"

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
JOB = python("jobs.apply, without verify", "job", "job")
GROUP = python("delete in a task group", "job", "group")


def rows(count: int) -> tuple[Row, ...]:
    """The lines of the table, at so many requests for each run; all else scales with that."""
    return (*_deletes(count), *_reading(count), *_imports(count), *_jobs(count))


def _deletes(n: int) -> tuple[Row, ...]:
    def rate(what: str, ours: Run, theirs: Run, target: float) -> Row:
        return Row(what=what, ours=ours, theirs=theirs, figure="rate", target=target, at_least=True)

    def cpu(what: str, ours: Run, theirs: Run, target: float) -> Row:
        return Row(what=what, ours=ours, theirs=theirs, target=target)

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
    what = f"CPU to read {tokens:,} tokens"
    held = f"event loop held at the longest, {tokens:,} tokens by iter()"
    return (
        Row(what=what, ours=Run(DECODE, tokens), figure="times", target=4.0),
        Row(what=what, ours=Run(DECODE_ORJSON, tokens), figure="times"),
        Row(what=held, ours=Run(HELD, tokens), figure="held", target=25, unit="ms"),
        Row(what=held, ours=Run(HELD_FROZEN, tokens), figure="held", unit="ms"),
    )


def _imports(n: int) -> tuple[Row, ...]:
    processes = max(1, n // 250)
    theirs = Run(IMPORT_HTTPX, processes)
    what = "CPU of an import"
    return (
        Row(what=what, ours=Run(IMPORT, processes), theirs=theirs, target=1.6),
        Row(what=what, ours=Run(IMPORT_CLIENT, processes), theirs=theirs),
    )


def _jobs(n: int) -> tuple[Row, ...]:
    many, fewer = Run(PLANNING, 200 * n), Run(PLANNING, 20 * n)
    memory = f"peak memory, {many.count:,} tokens"
    whole = 4 * n  # a job finds its pace first, and is meant for tens of thousands
    return (
        Row(what=memory, ours=many, figure="mib", target=120, unit="MiB"),
        Row(what=f"{memory} / {fewer.count:,}", ours=many, theirs=fewer, figure="mib", target=1.1),
        Row(
            what=f"CPU per token, {whole:,} tokens, 50 in flight",
            ours=Run(JOB, whole, 50),
            theirs=Run(GROUP, whole, 50),
            target=1.15,
            times=3,
        ),
    )


CURVES = (FAST, DEFAULT, AIOHTTP, HTTPX, PYTHON, NODE)
CONCURRENCIES = (1, 5, 20, 100, 500)
_MOST_THREADS = 100


def chart_runs(count: int) -> tuple[Run, ...]:
    """What the chart shows: each client at each concurrency that makes sense for it."""
    return tuple(
        Run(contender, count, concurrency)
        for contender in CURVES
        for concurrency in CONCURRENCIES
        if not contender.absent and (contender is not PYTHON or concurrency <= _MOST_THREADS)
    )
