"""The work of a job: the tokens that are left to do, some of them at hand."""

from collections import deque
from collections.abc import Iterator
from itertools import islice

import attrs
from anyio.lowlevel import checkpoint

from losant_tokens.jobs._journal import Todo


@attrs.define(eq=False)
class Work:
    """The tokens that are left to do.

    Attributes:
        left: Those that are not at hand yet, a chunk at a time.
        at_hand: Those that come next.
    """

    left: Iterator[list[Todo]]
    at_hand: deque[Todo] = attrs.field(factory=deque)

    async def read_on(self) -> bool:
        """Has some at hand, if there are any left.

        A job that is carried on may have to read far until there are: others have a turn meanwhile.
        """
        while not self.at_hand:
            if (chunk := next(self.left, None)) is None:
                return False
            self.at_hand.extend(chunk)
            await checkpoint()
        return True

    def next_ones(self, most: int) -> list[int]:
        """The numbers of those, among so many that come next, that will be changed."""
        return [
            number
            for number, entry, asked_before in islice(self.at_hand, most)
            if entry.protected is None and not asked_before
        ]
