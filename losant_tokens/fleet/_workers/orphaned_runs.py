"""Find runs that no task continues, and enqueue their next task again. Remove old tasks.

A change of a run and its next task are one transaction, so this finds nothing in normal operation.
But a store may be restored from a backup, a task may have killed its worker too often for the
engine, or a person may have deleted tasks. Such a run would stay as it is forever.

A run that a live process works on is not stalled, although its task may have ended: the engine may
have given it to another worker by mistake, which stopped.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from losant_tokens.fleet import _transitions as transitions
from losant_tokens.fleet._run_codec import Record, task_id
from losant_tokens.fleet._store.run_table import Query, Store
from losant_tokens.fleet._transitions import Next

_INTERVAL: Final = timedelta(minutes=1)
_FORGET_INTERVAL: Final = timedelta(hours=1)
_KEEP: Final = timedelta(days=7)  # how long finished tasks are kept, for people
_OVERDUE: Final = timedelta(minutes=5)  # A sweep that is due later has its task, or will get one.
_PAGE: Final = 200  # tasks

logger = logging.getLogger("losant_tokens.fleet")


class Rescue:
    """Looks once a minute for runs that no task continues. All of its methods block.

    Args:
        store: The store.
        ended: Returns which of some tasks have ended or do not exist.
        forget: Removes the tasks that ended before a time.
        is_in_progress: Returns whether a live process works on a run. Default: none does.
        now: Returns the time. Default: the clock of this machine.
    """

    def __init__(
        self,
        store: Store,
        ended: Callable[[Iterable[str]], set[str]],
        forget: Callable[[datetime], object],
        is_in_progress: Callable[[Record], bool] = lambda _: False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._ended = ended
        self._forget = forget
        self._is_in_progress = is_in_progress
        self._now = now
        self._looked_at: datetime | None = None
        self._forgot_at: datetime | None = None

    def look_if_due(self) -> int:
        """Look if the last look was a minute ago. Return the number of runs that are continued.

        Raises:
            StoreError: The store cannot be reached.
        """
        now = self._now()
        if not _is_due(self._looked_at, _INTERVAL, now):
            return 0
        count = self.look()
        self._looked_at = now
        if _is_due(self._forgot_at, _FORGET_INTERVAL, now):
            self._forget(now - _KEEP)
            self._forgot_at = now
        return count

    def look(self) -> int:
        """Look at all runs that workers must continue. Return the number that are continued.

        Raises:
            StoreError: The store cannot be reached.
        """
        now = self._now()
        query = Query(states=transitions.WORKING, due_before=now - _OVERDUE)
        count = 0
        page: dict[str, Record] = {}
        for record in self._store.each(query, now=now):
            page[task_id(record.run.id, transitions.next_phase(record), record.attempt)] = record
            if len(page) == _PAGE:
                count += self._continue(page)
                page = {}
        return count + self._continue(page)

    def _continue(self, page: dict[str, Record]) -> int:
        count = 0
        for task in sorted(self._ended(page)):
            found = page[task]
            if self._is_in_progress(found):
                continue
            logger.warning("Run %s: no task continues it, so it gets another one", found.run.id)
            count += self._store.change(found.run.id, self._change(found)) is not None
        return count

    def _change(self, found: Record) -> Callable[[Record], Next | None]:
        def change(record: Record) -> Next | None:
            # Otherwise, a worker has changed it meanwhile, so its task did not end too early.
            if record != found:
                return None
            return transitions.rescued(record, now=self._now())

        return change


def _is_due(last: datetime | None, interval: timedelta, now: datetime) -> bool:
    """Return whether an interval has passed, or the clock was set back."""
    return last is None or not timedelta(0) <= now - last < interval
