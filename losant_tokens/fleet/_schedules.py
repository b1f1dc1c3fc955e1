"""Schedules: start each tick of each clean-up once, on whichever worker is alive.

The engine has schedules of its own, which either forget the ticks at which no worker was alive, or
start all of them later. A clean-up needs the last one only: it does the work of those before.

So the store keeps the last tick of each schedule. A worker starts the latest tick since then under
an occasion that contains its time, and then records it. If two workers do that, or one dies in
between, the second start finds the run of the first. A schedule that is new, or has a new time,
counts from when the first worker sees it. So it starts nothing for the time before.

A tick is skipped while an earlier run of the clean-up and the account is not finished: its plan has
the same tokens, and a person would have to decide about each of them at each tick.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from attrs import field, frozen

from losant_tokens.fleet._cron import Cron
from losant_tokens.policy import Cleanup

_log = logging.getLogger("losant_tokens")


@frozen(kw_only=True)
class Schedule:
    """The schedule of a clean-up for one account.

    Attributes:
        account: The name of the account.
        cleanup: The name of the clean-up.
        cron: When it is due.
    """

    account: str
    cleanup: str
    cron: Cron

    @property
    def name(self) -> str:
        """The name in the store, which is another one after a change of the time."""
        return f"{self.account} {self.cleanup} {self.cron.expression} {self.cron.time_zone}"


def schedules_of(cleanups: Iterable[Cleanup], accounts: Iterable[str]) -> tuple[Schedule, ...]:
    """Return the schedules of clean-ups, for the accounts that they apply to.

    Args:
        cleanups: The clean-ups. Those without a schedule are left out.
        accounts: The names of all accounts.
    """
    names = tuple(accounts)
    return tuple(
        Schedule(
            account=account, cleanup=cleanup.name, cron=Cron.parse(cleanup.cron, cleanup.time_zone)
        )
        for cleanup in cleanups
        if cleanup.cron is not None
        for account in names
        if cleanup.applies_to(account)
    )


class Ticks(Protocol):
    """The last ticks of schedules, in the store."""

    def last_tick(self, schedule: str, since: datetime) -> datetime:
        """Return the last tick that was started, or record a time for a new schedule."""
        ...

    def record_tick(self, schedule: str, tick: datetime) -> None:
        """Record that a tick was started."""
        ...


@frozen
class Scheduler:
    """Starts clean-ups that are due.

    Attributes:
        schedules: The schedules.
        start: Starts a run, and returns `None`. It must start the same occasion once, even if it is
            called twice. If an earlier run is not finished, it starts none, and returns its id.
    """

    schedules: tuple[Schedule, ...]
    start: Callable[[Schedule, datetime], str | None]
    _due: dict[str, datetime] = field(factory=dict, init=False)

    def run(self, ticks: Ticks, now: datetime) -> None:
        """Start the clean-ups that are due. Of the ticks that were missed, only the last one.

        Args:
            ticks: The last ticks.
            now: The time of the database.

        Raises:
            StoreError: The store cannot be reached. The next call tries again.
        """
        for schedule in self.schedules:
            due = self._due.get(schedule.name)
            if due is None or due <= now:
                last = ticks.last_tick(schedule.name, now)
                tick = schedule.cron.latest(last, now)
                if tick is not None:
                    unfinished = self.start(schedule, tick)
                    ticks.record_tick(schedule.name, tick)
                    _log_start(schedule, tick, unfinished)
                self._due[schedule.name] = schedule.cron.next_after(tick or max(last, now))


def _log_start(schedule: Schedule, tick: datetime, unfinished: str | None) -> None:
    names = (schedule.cleanup, schedule.account, tick.isoformat())
    if unfinished is None:
        _log.info("Started %s for %s, which was due at %s.", *names)
    else:
        text = "Skipped %s for %s, which was due at %s: run %s is not finished."
        _log.info(text, *names, unfinished)
