"""The work of a job: the tokens of the plan that are left to do, some of them at hand."""

import json
from collections import deque
from collections.abc import Iterator
from functools import cache
from itertools import islice

import attrs
from anyio.lowlevel import checkpoint

from losant_tokens import Owner
from losant_tokens.jobs._journal import States
from losant_tokens.jobs._plan_format import read_entry, read_heads
from losant_tokens.jobs._requests import Tries
from losant_tokens.jobs._values import Entry


@attrs.define(eq=False)
class Todo(Tries):
    """A token that is left to do, and the tries to do it: to look at it are others.

    Attributes:
        number: Its number in the plan.
        line: The line of the plan, all of which is made an `entry` where it is asked for.
        owner: Whose it is.
        is_protected: Whether a guard forbids to touch it.
        was_asked_for: Whether it may have been changed by an earlier run, and nobody knows.
    """

    number: int
    line: bytes
    owner: Owner
    is_protected: bool
    was_asked_for: bool

    @property
    def entry(self) -> Entry:
        """What the plan says about it."""
        return read_entry(json.loads(self.line), self.owner)


class Work:
    """The tokens that are left to do: those that came to no end yet, or nobody knows to which.

    Args:
        chunks: The lines of the plan, some of them at a time.
        states: How far each token has come.

    Attributes:
        at_hand: Those that come next.
        is_read: Whether the plan has been read to its end, so that no others come to hand.
    """

    def __init__(self, chunks: Iterator[list[bytes]], states: States) -> None:
        self.at_hand: deque[Todo] = deque()
        self.is_read = False
        self._chunks = chunks
        self._states = states
        self._read = 0
        self._owner_of = cache(Owner.parse)  # there are few, and they come again and again

    async def read_on(self) -> bool:
        """Has some at hand, if there are any left.

        A job that is carried on may have to read far until there are: others have a turn meanwhile.
        """
        while not self.at_hand:
            if (chunk := next(self._chunks, None)) is None:
                self.is_read = True
                return False
            self.at_hand += self._open_ones(chunk)
            self._read += len(chunk)
            await checkpoint()
        return True

    def next_ones(self, most: int) -> list[int]:
        """The numbers of those, among so many that come next, that will be changed."""
        return [
            todo.number
            for todo in islice(self.at_hand, most)
            if not (todo.was_asked_for or todo.is_protected)
        ]

    def _open_ones(self, chunk: list[bytes]) -> list[Todo]:
        # All of a chunk at once: one after the other, each in its time, they would take twice as
        # long.
        owner_of = self._owner_of
        said = zip(
            chunk,
            read_heads(chunk),
            self._states.were_asked_for(self._read, len(chunk)),
            strict=True,
        )
        return [
            Todo(id_, number, line, owner_of(owner), guard != "", was_asked_for)
            for number, (line, (owner, id_, guard), was_asked_for) in enumerate(said, self._read)
            if was_asked_for is not None
        ]
