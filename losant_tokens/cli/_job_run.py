"""Where the commands for jobs wait for the service."""

import asyncio
import signal
import threading
import warnings
from collections.abc import Awaitable, Callable
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import anyio
import httpx
from attrs import define, evolve

from losant_tokens import AsyncClient, aiohttp_transport, httpx_transport, jobs
from losant_tokens._pool import Pool
from losant_tokens._transport import environment_proxy
from losant_tokens.cli._errors import say, say_stopped, warn
from losant_tokens.cli._job_progress import job_progress
from losant_tokens.cli._job_view import carry_on
from losant_tokens.cli._service import AT_ONCE, need_token, tell_of_retries, wait_for
from losant_tokens.errors import LosantError

_FAST_AT_ONCE = 50
Connect = Callable[[int | None], AsyncClient]

_GRACE = 30.0  # seconds that what is under way has, after the first Ctrl-C


def service_url() -> str:
    """Where the API is."""
    return AsyncClient().base_url


def new_client(max_connections: int | None = None) -> AsyncClient:
    """A client over the fast pool, where that is installed and can get through.

    Raises:
        CommandError: The environment has no token.
    """
    need_token()
    if environment_proxy(httpx.URL(service_url())) is not None:  # aiohttp's goes past it
        return AsyncClient(max_connections=max_connections or AT_ONCE)
    return AsyncClient(transport=pool(max_connections))


def pool(max_connections: int | None) -> Pool:
    """The fast pool where that is installed, else the default one."""
    if find_spec("aiohttp") is None:
        return httpx_transport(max_connections=max_connections or AT_ONCE)
    return aiohttp_transport(max_connections=max_connections or _FAST_AT_ONCE)


def planned(
    making: Callable[[AsyncClient, Path], Awaitable[jobs.Plan]],
    path: Path,
    connect: Connect = new_client,
) -> jobs.Plan:
    """Makes a plan, and says aloud what it warns of."""
    tell_of_retries()
    say("Listing the tokens...")

    async def run() -> jobs.Plan:
        async with connect(None) as client:
            return await making(client, path)

    with warnings.catch_warnings():
        warnings.showwarning = _say_aloud  # type: ignore[assignment]  # takes less, by position
        warnings.simplefilter("always", jobs.PlanWarning)
        return wait_for(run)


def _say_aloud(message: Warning | str, *_: object) -> None:
    warn(str(message))


@define
class Run:
    """A plan that is applied.

    Attributes:
        options: What to carry it on with, where somebody stops it.
        stopped: Whether somebody has stopped it.
    """

    plan: jobs.Plan
    doing: str
    resume: bool = False
    verify: bool = True
    rate: float | None = None
    max_concurrency: int | None = None
    max_age: timedelta = jobs.MAX_AGE
    connect: Connect = new_client
    options: tuple[str, ...] = ()
    stopped: bool = False
    _at_once: int = 0

    def __call__(self) -> jobs.Report:
        """Applies it.

        Raises:
            LosantError: As `jobs.apply`.
            KeyboardInterrupt: At the second Ctrl-C.
        """
        try:
            report = wait_for(self._run)
        except (KeyboardInterrupt, asyncio.CancelledError):
            say_stopped(carry_on(self.plan, self.options))
            raise KeyboardInterrupt from None
        except LosantError as error:
            if error.report is not None:
                error.report = self._with_settings(error.report)
            raise
        return self._with_settings(report)

    def _with_settings(self, report: jobs.Report) -> jobs.Report:
        settings = {
            "Requests per second": self.rate,
            "Requests at once": self._at_once,
            "Each token read before it is changed": "yes" if self.verify else "no",
        }
        return evolve(report, settings=settings)

    async def _run(self) -> jobs.Report:
        stop = anyio.Event()
        async with self.connect(self.max_concurrency) as client:
            self._at_once = client.max_connections
            outcome: jobs.Report | LosantError
            async with anyio.create_task_group() as group:
                # Signals come to the main thread; a program may run the command in another.
                if threading.current_thread() is threading.main_thread():
                    await group.start(self._heed_signals, stop)
                try:
                    outcome = await self._applied(client, stop)
                except LosantError as error:
                    outcome = error
                group.cancel_scope.cancel()
        if isinstance(outcome, LosantError):
            raise outcome
        return outcome

    async def _applied(self, client: AsyncClient, stop: anyio.Event) -> jobs.Report:
        with job_progress(self.doing, len(self.plan)) as listener:
            return await jobs.apply(
                client,
                self.plan,
                resume=self.resume,
                verify=self.verify,
                rate=self.rate,
                max_age=self.max_age,
                grace=_GRACE,
                stop=stop,
                on_progress=listener,
            )

    async def _heed_signals(
        self, stop: anyio.Event, *, task_status: anyio.abc.TaskStatus[None]
    ) -> None:
        """Stops the job at the first signal, and all that is under way at the second."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                if self.stopped:
                    break
                self.stopped = True
                stop.set()
                say_stopped("Stopping: waiting for what is under way. Ctrl-C again stops at once.")
        # Not by a cancel scope: against those, the job shields what it has sent. What was intended
        # stands in the journal, and is looked at when the job is carried on.
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
