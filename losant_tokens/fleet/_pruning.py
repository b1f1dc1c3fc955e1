"""Remove finished runs from a store, while workers use it.

The problem. Runs, plans and results stay in the store forever, and a run can be removed only
if nothing needs it: no task, no restore, no sweep, and no schedule.

The approach. A run is removed only if it has finished, no restore is possible, no task of it waits
or runs, and a later run of the same account and clean-up exists. Each run is removed in one
transaction, and only if nobody has changed it since it was read. So a decision at the same time
either keeps the run or finds none, and of two prunes at the same time, one removes it.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from losant_tokens.fleet import _transitions as transitions
from losant_tokens.fleet._types import Run

if TYPE_CHECKING:
    from losant_tokens.fleet._store.run_table import Query, Store, Superseded

_PAGE = 50  # runs, so that a call in a thread is short


class Tasks(Protocol):
    """The tasks of runs, as the engine keeps them."""

    def busy(self, run_ids: Iterable[str]) -> set[str]:
        """Return which of these runs have an unfinished task."""
        ...

    def forget_runs(self, run_ids: Iterable[str]) -> None:
        """Remove the finished tasks of runs."""
        ...


@frozen(kw_only=True)
class Pruner:
    """Removes runs that ended before a time. Its methods block.

    Attributes:
        store: The store.
        tasks: The tasks of runs.
        query: The runs to consider.
        ended_before: The time.
        now: The time now, which decides which plans have expired.
        is_dry_run: Whether to remove nothing.
    """

    store: "Store"
    tasks: Tasks
    query: "Query"
    ended_before: datetime
    now: datetime
    is_dry_run: bool = False

    def prune(
        self, after: tuple[float, str] | None
    ) -> tuple[list[tuple[Run, int]], tuple[float, str] | None]:
        """Remove the runs of the next page, and return them with their sizes.

        Args:
            after: The position after the page before; `None` for the first page.

        Returns:
            The runs that this call removed, or would remove, and the position after the page.

        Raises:
            StoreError: The store cannot be reached.
        """
        page, position = self.store.superseded(self.query, after, now=self.now, size=_PAGE)
        found = [one for one in page if self._has_ended(one)]
        busy = self.tasks.busy(one.record.run.id for one in found)
        found = [one for one in found if one.record.run.id not in busy]
        if not self.is_dry_run:
            found = [one for one in found if self.store.remove(one.record.run.id, one.revision)]
            self.tasks.forget_runs(one.record.run.id for one in found)
        return [(transitions.as_of(one.record.run, self.now), one.size) for one in found], position

    def _has_ended(self, one: "Superseded") -> bool:
        run = transitions.as_of(one.record.run, self.now)
        is_removable = transitions.is_removable(run, has_begun=one.has_begun)
        return is_removable and run.changed_at < self.ended_before
