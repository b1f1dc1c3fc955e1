"""`diagnose`: gather the facts about a fleet, and find its problems."""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import anyio
import attrs
from anyio import to_thread

from losant_tokens._credentials.token_claims import read_credential
from losant_tokens.accounts import Account
from losant_tokens.errors import TokenUnavailable, ValidationError
from losant_tokens.fleet._client import client_of
from losant_tokens.fleet._doctor.checks import (
    WATCHED_STATES,
    AccountFacts,
    Diagnosis,
    Facts,
    find_account_problems,
    find_problems,
    unreachable,
)
from losant_tokens.fleet._errors import StoreError
from losant_tokens.fleet._schedules import Schedule, schedules_of
from losant_tokens.fleet._store.database import StoreUrl
from losant_tokens.fleet._workers.worker_record import Worker
from losant_tokens.policy import Cleanup

_AT_A_TIME: Final = 4  # tokens; reading one may start a command


async def diagnose(
    place: StoreUrl, accounts: Mapping[str, Account], cleanups: Iterable[Cleanup]
) -> Diagnosis:
    """Return the problems of a fleet. No request is sent to the API.

    Args:
        place: The place of the store.
        accounts: The accounts by their names.
        cleanups: The clean-ups. Only the tokens of accounts that one applies to are read.
    """
    unresolved: dict[str, str] = {}
    names: set[str] = set()
    cleanups = tuple(cleanups)
    for cleanup in cleanups:
        try:
            names.update(cleanup.select_accounts(accounts))
        except ValidationError as error:
            unresolved[cleanup.name] = str(error)
    now = datetime.now(UTC)
    facts = Facts(
        machine_time=now,
        store_time=now,
        accounts=await _read_tokens([accounts[name] for name in sorted(names)]),
        unresolved=unresolved,
    )
    try:
        facts = await _ask_store(place, facts, schedules_of(cleanups, accounts))
    except StoreError as error:
        problems = (unreachable(str(error)), *find_account_problems(facts))
        return Diagnosis(at=now, problems=problems, workers=())
    return Diagnosis(at=now, problems=find_problems(facts), workers=facts.workers)


async def _ask_store(place: StoreUrl, facts: Facts, schedules: Iterable[Schedule]) -> Facts:
    async with client_of(place) as client:
        runs = [run async for run in client.runs(state=WATCHED_STATES)]
        with_failed_tokens = client.runs(state=("done", "restored"), with_failed_tokens=True)
        runs += [run async for run in with_failed_tokens]
        pending = await client.pending()
        started = time.monotonic()
        machine_time = datetime.now(UTC)
        store_time, workers, last_ticks = await to_thread.run_sync(_read_workers, place)
        # The clocks were read at some time during the call.
        took = timedelta(seconds=time.monotonic() - started)
    # A schedule that no worker has seen yet counts from when the first worker sees it.
    next_ticks = (
        schedule.cron.next_after(last_ticks[schedule.name])
        for schedule in schedules
        if schedule.name in last_ticks
    )
    return attrs.evolve(
        facts,
        machine_time=machine_time + took / 2,
        store_time=store_time,
        uncertainty=took / 2,
        workers=workers,
        pending=pending,
        runs=tuple(runs),
        ticks=tuple(tick for tick in next_ticks if tick <= store_time),
    )


def _read_workers(
    place: StoreUrl,
) -> tuple[datetime, tuple[Worker, ...], Mapping[str, datetime]]:
    from losant_tokens.fleet._workers.worker_table import WorkerTable  # noqa: PLC0415 -- only the fleet needs it

    table = WorkerTable(place.url.reveal())
    try:
        table.create()
        return *table.workers(), table.last_ticks()
    finally:
        table.close()


async def _read_tokens(accounts: list[Account]) -> tuple[AccountFacts, ...]:
    found: dict[str, AccountFacts] = {}
    limiter = anyio.CapacityLimiter(_AT_A_TIME)

    async def read(account: Account) -> None:
        async with limiter:
            found[account.name] = await _read_token(account)

    async with anyio.create_task_group() as tasks:
        for account in accounts:
            tasks.start_soon(read, account)
    return tuple(found[account.name] for account in accounts)


async def _read_token(account: Account) -> AccountFacts:
    try:
        credential = read_credential(await account.read_token())
    except TokenUnavailable as error:
        return AccountFacts(name=account.name, problem=str(error))
    except ValidationError as error:
        problem = f"The token of {account.name} cannot be used. {error}"
        return AccountFacts(name=account.name, problem=problem)
    return AccountFacts(name=account.name, expires_at=credential.expires_at)
