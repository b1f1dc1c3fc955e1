"""Runs jobs: the place where the commands for jobs wait for the service."""

import warnings
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import httpx
from attrs import define, evolve, field

from losant_tokens import AsyncClient, aiohttp_transport, httpx_transport, jobs
from losant_tokens._transports import environment_proxy
from losant_tokens._transports.base import Pool
from losant_tokens.cli._connect import AT_ONCE, need_token, report_retries, run_loop, wait_for
from losant_tokens.cli._connection import USUAL, Connection
from losant_tokens.cli._errors import say, say_stopped, warn, with_options
from losant_tokens.cli._progress import job_progress
from losant_tokens.cli._signals import GRACE, StopSignals

_FAST_AT_ONCE = 50
Connect = Callable[[int | None], AsyncClient]


def service_url(connection: Connection = USUAL) -> str:
    """Return the address of the API."""
    return AsyncClient(**connection.settings()).base_url


def connecting(connection: Connection) -> Connect:
    """Return a function that makes clients over the fast pool, if it is installed and works."""

    def connect(max_connections: int | None = None) -> AsyncClient:
        need_token()
        settings = connection.settings()
        if environment_proxy(httpx.URL(service_url(connection))) is not None:
            return AsyncClient(max_connections=max_connections or AT_ONCE, **settings)
        return AsyncClient(transport=pool(max_connections), **settings)

    return connect


def pool(max_connections: int | None) -> Pool:
    """Return the fast pool if it is installed, else the default one."""
    if find_spec("aiohttp") is None:
        return httpx_transport(max_connections=max_connections or AT_ONCE)
    return aiohttp_transport(max_connections=max_connections or _FAST_AT_ONCE)


def planned(
    making: Callable[[AsyncClient, Path], Awaitable[jobs.Plan]], path: Path, connect: Connect
) -> jobs.Plan:
    """Make a plan, and print its warnings."""
    report_retries()
    say("Listing the tokens...")

    async def run() -> jobs.Plan:
        async with connect(None) as client:
            return await making(client, path)

    with warnings.catch_warnings():
        warnings.showwarning = _print_warning  # type: ignore[assignment]  # takes less, by position
        warnings.simplefilter("always", jobs.PlanWarning)
        return wait_for(run)


def _print_warning(message: Warning | str, *_: object) -> None:
    warn(with_options(str(message)))


@define
class Run:
    """A plan that is applied.

    Attributes:
        settings: Further arguments of `jobs.apply`.
        signals: The stop signals so far.
    """

    plan: jobs.Plan
    doing: str
    connect: Connect
    max_concurrency: int | None = None
    settings: dict[str, Any] = field(factory=dict)
    signals: StopSignals = field(factory=StopSignals)
    _at_once: int = 0

    @property
    def is_stopped(self) -> bool:
        """Whether a signal has stopped it."""
        return self.signals.count > 0

    def __call__(self) -> jobs.Report:
        """Apply the plan.

        Raises:
            LosantError: As `jobs.apply`.
        """
        report_retries()
        try:
            report = run_loop(self._run)
        except jobs.JobFailed as error:
            error.report = self._with_settings(error.report)
            raise
        return self._with_settings(report)

    def _with_settings(self, report: jobs.Report) -> jobs.Report:
        settings = {
            "Requests per second": self.settings.get("rate"),
            "Requests at once": self._at_once,
            "Each token read before it is changed": (
                "yes" if self.settings.get("verify", True) else "no"
            ),
        }
        return evolve(report, settings=settings)

    async def _run(self) -> jobs.Report:
        stop, abort = anyio.Event(), anyio.Event()

        def react() -> None:
            if self.signals.count > 1:
                abort.set()
            else:
                stop.set()
                say_stopped(
                    f"Stopping: waiting up to {GRACE:g} seconds for requests in flight. "
                    f"Ctrl-C again stops at once."
                )

        async with self.connect(self.max_concurrency) as client:
            self._at_once = client.max_connections
            with (
                self.signals.listening(react),
                job_progress(self.doing, len(self.plan)) as listener,
            ):
                return await jobs.apply(
                    client,
                    self.plan,
                    grace=GRACE,
                    stop=stop,
                    abort=abort,
                    on_progress=listener,
                    **self.settings,
                )
