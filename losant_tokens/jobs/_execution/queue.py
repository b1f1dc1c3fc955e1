"""The work queue of a job: the tokens of the plan that are not finished yet, read in batches."""

from collections import deque
from collections.abc import Iterator

import attrs
from anyio.lowlevel import checkpoint

from losant_tokens.jobs._errors import PlanRefused
from losant_tokens.jobs._throttle.token_attempts import Attempts
from losant_tokens.jobs._token_progress import States
from losant_tokens.jobs._types import Entry


@attrs.define(eq=False)
class WorkItem(Attempts):
    """A token of the plan that is not finished yet, and the attempts for it.

    Attributes:
        number: The number of the token in the plan.
        entry: The line of the plan.
        in_doubt: Whether this run or an earlier one may have changed it, without a proof.
        must_verify: Whether to read it before the next change, even without `verify`.
        was_deferred: Whether it was moved to the end of the queue.
    """

    number: int
    entry: Entry
    in_doubt: bool = False
    must_verify: bool = False
    was_deferred: bool = False


class WorkQueue:
    """The tokens of a plan that are not finished yet.

    Args:
        batches: The tokens of the plan in batches.
        states: The state of each token.
        retry_failed: Whether to try failed tokens again.

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

        A resumed job may have to skip many finished tokens, so other tasks run between batches.

        Raises:
            PlanRefused: The plan contradicts its header.
        """
        while not self.pending and not self.is_read:
            if (batch := next(self._batches, None)) is None:
                self.is_read = True
            else:
                self._add(batch)
                await checkpoint()
        if self.pending:
            return self.pending.popleft()
        return self._deferred.popleft() if self._deferred else None

    def defer(self, item: WorkItem) -> None:
        """Move an item to the end of the queue."""
        item.was_deferred = True
        item.failures = 0
        self._deferred.append(item)

    @property
    def is_empty(self) -> bool:
        """Whether no item is left, and the plan was read to its end."""
        return self.is_read and not self.pending and not self._deferred

    def _add(self, batch: list[Entry]) -> None:
        first = self._read
        states = self._states.in_doubt(first, len(batch), retry_failed=self._retry_failed)
        if len(states) != len(batch):
            raise PlanRefused(
                f"The plan has more tokens than the {len(self._states)} of its header. Make a new "
                f"plan."
            )
        for number, (entry, in_doubt) in enumerate(zip(batch, states, strict=True), first):
            if in_doubt is None:
                continue
            item = WorkItem(number, entry, in_doubt, must_verify=in_doubt)
            # A token that failed before must not stop the job before it reaches the others.
            has_failed = number in self._states.errors and not in_doubt
            (self._deferred if has_failed else self.pending).append(item)
        self._read += len(batch)
