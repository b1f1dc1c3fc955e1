"""`Fleet`: the store, the accounts and the policy of a fleet."""

import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVarTuple

import anyio
from anyio import to_thread

from losant_tokens import jobs
from losant_tokens._utils import validators
from losant_tokens.accounts import Account
from losant_tokens.fleet._client import FleetClient, client_of, start_run
from losant_tokens.fleet._doctor.checks import Diagnosis
from losant_tokens.fleet._errors import FleetError
from losant_tokens.fleet._store.database import Database, StoreUrl
from losant_tokens.policy import Policy

if TYPE_CHECKING:
    from losant_tokens.fleet._schedules import Schedule
    from losant_tokens.fleet._store.run_table import Store
    from losant_tokens.fleet._workers.worker_table import WorkerTable

RETRY_FOR: Final = timedelta(hours=24)
CONCURRENCY: Final = 4
SCHEDULE: Final = "schedule"
"""The name that starts the runs of schedules."""

_INTERVAL: Final = 1.0  # seconds between two polls for tasks
_STOP_WITHIN: Final = 60  # seconds, for the requests in flight
Ts = TypeVarTuple("Ts")


class Fleet:
    """A fleet: a store, the accounts, and the policy.

    Args:
        store: The store: the URL of a PostgreSQL database, such as `postgresql://db/fleet`, or the
            path of an SQLite file. Default: `LOSANT_TOKENS_FLEET`, or the file `fleet.sqlite` in
            the state folder. The password of the URL is never shown.

    Example::

        app = fleet.Fleet("postgresql://db/fleet")
        app.accounts = accounts.load()
        app.policies = policy.load("policy.toml")
        await app.work()
    """

    accounts: Mapping[str, Account]
    """The accounts by their names, such as `accounts.load()`. Only workers use them."""
    policies: Policy | None
    """The policy file, such as `policy.load("policy.toml")`. Only workers use it."""
    retry_for: timedelta
    """How long workers retry a phase that fails because of an outage, or because the token of the
    account cannot be used. Then the run has failed. Default: 24 hours.
    """

    def __init__(self, store: str | os.PathLike[str] | None = None) -> None:
        self._place = StoreUrl.of(store)
        self.accounts = {}
        self.policies = None
        self.retry_for = RETRY_FOR
        self._interval = _INTERVAL

    @property
    def store(self) -> str:
        """The store, without its password."""
        return self._place.name

    def __repr__(self) -> str:
        return f"<Fleet {self.store}>"

    @property
    def path(self) -> Path | None:
        """The SQLite file of the store; `None` if it is a PostgreSQL database."""
        return self._place.path

    def client(self) -> FleetClient:
        """Return a client for the store, to be used with `async with`.

        The store is created if it does not exist.
        """
        return client_of(self._place)

    async def diagnose(self) -> Diagnosis:
        """Return the problems of the fleet: dead workers, stuck runs, wrong clocks and more.

        It reads the tokens of `accounts` that a clean-up of `policies` applies to, as a worker on
        this machine would, to find those that are missing or expire soon. It sends no request to
        the API. A store that cannot be reached is one of the problems.

        Raises:
            FleetError: The extra `[fleet]` is not installed.
        """
        from losant_tokens.fleet._doctor.doctor import diagnose  # noqa: PLC0415 -- only few need it

        cleanups = () if self.policies is None else self.policies.cleanups
        return await diagnose(self._place, self.accounts, cleanups)

    async def work(
        self,
        *,
        name: str | None = None,
        concurrency: int = CONCURRENCY,
        fleet_concurrency: int | None = None,
        on_ready: Callable[[str], object] | None = None,
    ) -> None:
        """Do the work of the fleet until the call is cancelled.

        When it is cancelled, the worker finishes the token in flight, and gives its runs back.

        Args:
            name: The name of the worker, which is unique in the fleet and stays the same after a
                restart. Default: the name of this machine and a random part, which the state folder
                keeps.
            concurrency: The maximum number of accounts that each worker works for at a time. The
                worker that starts last sets it for all workers. Default: 4.
            fleet_concurrency: The maximum number of accounts that all workers work for at a time.
                The worker that starts last sets it. Default: no limit.
            on_ready: Called with the name of the worker when it is ready.

        Raises:
            LeaseLost: This worker sent no heartbeat in time, and others do its work now. Start it
                again.
            WorkerRefused: A worker with this name is running, or another worker uses this SQLite
                file.
            StoreError: The store cannot be reached.
            FleetError: There is no policy, or the extra `[fleet]` is not installed.
            ValidationError: An argument is invalid, or a pattern of the accounts of a clean-up
                matches no account.
        """
        optional_integer = validators.optional(validators.integer(minimum=1))
        validators.check_argument(validators.integer(minimum=1), "work", "concurrency", concurrency)
        validators.check_argument(optional_integer, "work", "fleet_concurrency", fleet_concurrency)
        if self.policies is None:
            raise FleetError(
                "The fleet has no policy. Set policies, for example to policy.load('policy.toml')."
            )
        for cleanup in self.policies.cleanups:
            cleanup.select_accounts(self.accounts)
        from losant_tokens.fleet._engine import Engine, EngineClient  # noqa: PLC0415 -- 1 second
        from losant_tokens.fleet._schedules import (  # noqa: PLC0415 -- only workers need it
            Scheduler,
            schedules_of,
        )
        from losant_tokens.fleet._store.run_table import Store  # noqa: PLC0415 -- takes a second
        from losant_tokens.fleet._task_runner import Runner  # noqa: PLC0415 -- takes a second
        from losant_tokens.fleet._workers.lease import read_clocks  # noqa: PLC0415 -- a second
        from losant_tokens.fleet._workers.membership import Membership  # noqa: PLC0415 -- takes a second
        from losant_tokens.fleet._workers.orphaned_runs import Rescue  # noqa: PLC0415 -- takes a second

        database = Database(self._place)
        client = EngineClient(database)
        store = Store(database, client.enqueue)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(_in_thread, database.close)
            await to_thread.run_sync(database.open)
            stack.push_async_callback(_in_thread, client.close)
            await to_thread.run_sync(partial(client.open, upgrade=True))
            await to_thread.run_sync(store.create_tables)
            scheduler = Scheduler(
                schedules_of(self.policies.cleanups, self.accounts),
                partial(_start_scheduled, store),
            )
            rescue = Rescue(
                store,
                client.ended,
                client.forget,
                lambda record: member.works_on(record.owner, record.run.id),
            )

            def on_round(table: "WorkerTable", now: datetime) -> None:
                scheduler.run(table, now)
                rescue.look_if_due()

            member = Membership(
                self._place.url,
                self._place.folder,
                client,
                worker_id=name,
                on_round=on_round,
            )
            await stack.enter_async_context(member)
            runner = Runner(
                store=store,
                worker=member.worker_id,
                accounts=self.accounts,
                policy=self.policies,
                may_change=member.may_change,
                holding=member.holding,
                watch_loop=member.watch_loop,
                retry_for=self.retry_for,
                process=member.process,
                is_live=member.is_live,
                clock=lambda: read_clocks().steady,
            )
            engine = Engine(
                database,
                member.worker_id,
                runner.run,
                concurrency=concurrency,
                fleet_concurrency=fleet_concurrency,
                interval=self._interval,
            )
            # The summary of a plan has the same facts, and nobody reads these.
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", jobs.PlanWarning)
            await to_thread.run_sync(engine.launch)
            stack.push_async_callback(_in_thread, engine.stop, _STOP_WITHIN)
            stack.callback(runner.stop)
            if on_ready is not None:
                on_ready(member.worker_id)
            await member.lost()


def _start_scheduled(store: "Store", schedule: "Schedule", tick: datetime) -> str | None:
    """Start a run, unless an earlier one is not finished. Return the id of that one, or `None`."""
    account, cleanup = schedule.account, schedule.cleanup
    unfinished = store.unfinished(account, cleanup, now=datetime.now(UTC))
    if unfinished is None:
        start_run(store, account, cleanup, by=SCHEDULE, key=f"schedule {tick.isoformat()}")
    return unfinished


async def _in_thread(function: Callable[[*Ts], object], *args: *Ts) -> None:
    """Call a function in a thread, even after the call that waits for it was cancelled."""
    with anyio.CancelScope(shield=True):
        await to_thread.run_sync(function, *args)
