"""A worker of a fleet in the foreground: its log, its shutdown, and the page beside it."""

import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import anyio
from attrs import frozen

from losant_tokens import fleet
from losant_tokens.cli._errors import EXIT_INTERRUPTED
from losant_tokens.cli._fleet.page_server import RunsApp, serving
from losant_tokens.cli._logs.capture import logged_records
from losant_tokens.cli._signals.stop_signals import StopSignals
from losant_tokens.cli._terminal.console import (
    print_after_signal,
    print_status,
    print_warning,
    write_output,
)
from losant_tokens.cli._terminal.format import format_iso

_BUSY: tuple[fleet.RunState, ...] = (
    "waiting",
    "planning",
    "approved",
    "applying",
    "sweeping",
    "restoring",
    "quarantined",
)
_POLL_INTERVAL = 1.0  # seconds between two checks for remaining work
_FACTS = ("run", "account", "cleanup", "state")
_STOPPING = (
    "Stopping: the tokens in flight are finished, and other workers continue with the rest. "
    "Ctrl-C again stops immediately, which is safe, too."
)


@frozen(kw_only=True)
class Worker:
    """A worker to run.

    Attributes:
        app: The fleet, with its accounts and its policy.
        name: The name of the worker; `None` for the default.
        concurrency: The maximum number of accounts that it works for at a time.
        fleet_concurrency: The same for all workers; `None` for no limit.
        port: The port of the page; `None` for no page.
        until_idle: Whether to stop when no run needs a worker.
        is_json: Whether to log JSON.
        is_quiet: Whether to print only errors and warnings. The engine logs in a thread of its own,
            which does not have the context of the command.
        exit: Ends the process at the second signal.
    """

    app: fleet.Fleet
    name: str | None
    concurrency: int
    fleet_concurrency: int | None
    port: int | None
    until_idle: bool
    is_json: bool
    is_quiet: bool = False
    exit: Callable[[int], object] = os._exit

    def run(self) -> None:
        """Run the worker until a signal stops it, or no work is left.

        Raises:
            FleetError: The worker cannot start, or lost its lease.
        """
        signals = StopSignals()

        async def work() -> None:
            with anyio.CancelScope() as scope:

                def react() -> None:
                    if signals.count > 1:
                        self.exit(EXIT_INTERRUPTED)
                    if not self.is_quiet:
                        print_after_signal(_STOPPING)
                    scope.cancel()

                with signals.listening(react):
                    await self._work(scope)

        with logged_records(self._log, logging.INFO):
            # Not the event loop of other commands, because that prints warnings, too.
            anyio.run(work)

    async def _work(self, scope: anyio.CancelScope) -> None:
        async with AsyncExitStack() as stack:
            if self.port is not None:
                client = await stack.enter_async_context(self.app.client())
                pages = serving(RunsApp(client, self.app.store), self.port)
                url = await stack.enter_async_context(pages)
                self._print(f"The page with the runs: {url}", {"page": url})
            is_ready = anyio.Event()
            if self.until_idle:
                group = await stack.enter_async_context(anyio.create_task_group())
                group.start_soon(_stop_when_idle, self.app, is_ready, scope)

            def ready(name: str) -> None:
                is_ready.set()
                self._print(f"Worker {name} is ready: {self.app.store}", {"worker": name})

            await self.app.work(
                name=self.name,
                concurrency=self.concurrency,
                fleet_concurrency=self.fleet_concurrency,
                on_ready=ready,
            )

    def _log(self, record: logging.LogRecord) -> None:
        # The requests of a client are logged below this level.
        facts = {name: getattr(record, name) for name in _FACTS if hasattr(record, name)}
        self._print(record.getMessage(), facts, record.levelname.lower())

    def _print(self, message: str, facts: dict[str, Any], level: str = "info") -> None:
        """Write one line, which may come from another thread."""
        time = format_iso(datetime.now(UTC))
        if self.is_json:
            line = {"time": time, "level": level, **facts, "message": message}
            write_output(f"{json.dumps(line)}\n", sys.stdout)
        elif level in ("warning", "error"):
            print_warning(f"{time} {message}")
        elif not self.is_quiet:
            print_status(f"{time} {message}")


async def _stop_when_idle(
    app: fleet.Fleet, is_ready: anyio.Event, scope: anyio.CancelScope
) -> None:
    """Cancel a scope when no run needs a worker now."""
    # The worker creates the tables of a new store, and an SQLite file has one writer at a time.
    await is_ready.wait()
    async with app.client() as client:
        is_busy = True
        while is_busy:
            await anyio.sleep(_POLL_INTERVAL)
            now = datetime.now(UTC)
            is_busy = any([_needs_worker(run, now) async for run in client.runs(state=_BUSY)])
    scope.cancel()


def _needs_worker(run: fleet.Run, now: datetime) -> bool:
    """Return whether a worker has something to do for a run now."""
    if run.retry_at is not None and run.retry_at > now:
        return False
    if run.state == "waiting":  # for a person, or for a webhook that could not be reached
        return run.retry_at is not None
    if run.state != "quarantined":
        return True
    return run.sweep_due_at is not None and run.sweep_due_at <= now
