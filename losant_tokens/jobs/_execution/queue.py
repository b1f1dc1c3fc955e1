"""The work queue of a job: the tokens of the plan that are not finished yet, some of them read."""

from collections import deque
from collections.abc import Iterator

import attrs
from anyio.lowlevel import checkpoint

from losant_tokens.jobs._errors import PlanRefused
from losant_tokens.jobs._states import States
from losant_tokens.jobs._throttle.attempts import Attempts
from losant_tokens.jobs._types import Entry


@attrs.define(eq=False)
class WorkItem(Attempts):
    """A token of the plan that is not finished yet, and the attempts for it.

    Attributes:
        number: Its number in the plan.
        entry: Its line of the plan.
        in_doubt: Whether it may have been changed, by this run or an earlier one, and no response
            says so.
        must_look: Whether it has to be read before the next change, also without `verify`.
        was_deferred: Whether it was put off to the end of the queue.
    """

    number: int
    entry: Entry
    in_doubt: bool = False
    must_look: bool = False
    was_deferred: bool = False


class WorkQueue:
    """The tokens of a plan that are not finished yet.

    Args:
        batches: The tokens of the plan, some of them at a time.
        states: How far each token has come.
        retry_failed: Whether tokens that have failed are done again.

    Attributes:
        pending: The items that come next.
        is_read: Whether the plan was read to its end.
    """

    def __init__(
        self, batches: Iterator[list[Entry]], states: States, *, retry_failed: bool = False
    ) -> None:
        self.pending: deque[WorkItem] = deque()
        self.is_read = False
        self._batches = batches
        self._states = states
        self._retry_failed = retry_failed
        self._read = 0
        self._deferred: deque[WorkItem] = deque()

    async def next(self) -> WorkItem | None:
        """Return the next item, or `None` if there is none left.

        A job that is resumed may have to read far for it, so other tasks get a turn meanwhile.

        Raises:
            PlanRefused: The plan is not what its header says.
        """
        while not self.pending and not self.is_read:
            if (batch := next(self._batches, None)) is None:
                self.is_read = True
            else:
                for item in self._unfinished(batch):
                    # A token that could not be done before shall not stop the job before others.
                    has_failed = item.number in self._states.errors and not item.in_doubt
                    (self._deferred if has_failed else self.pending).append(item)
                self._read += len(batch)
                await checkpoint()
        if self.pending:
            return self.pending.popleft()
        return self._deferred.popleft() if self._deferred else None

    def defer(self, item: WorkItem) -> None:
        """Put an item off until all others had their turn."""
        item.was_deferred = True
        item.failures = 0
        self._deferred.append(item)

    @property
    def is_empty(self) -> bool:
        """Whether no item is left, as far as is known."""
        return self.is_read and not self.pending and not self._deferred

    def _unfinished(self, batch: list[Entry]) -> list[WorkItem]:
        states = self._states.open_ones(self._read, len(batch), retry_failed=self._retry_failed)
        if len(states) != len(batch):
            raise PlanRefused(
                f"The plan has more tokens than the {len(self._states)} of its header. Make a new "
                f"plan."
            )
        return [
            WorkItem(number, entry, in_doubt, must_look=in_doubt)
            for number, (entry, in_doubt) in enumerate(zip(batch, states, strict=True), self._read)
            if in_doubt is not None
        ]
