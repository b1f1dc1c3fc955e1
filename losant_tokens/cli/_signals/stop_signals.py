"""Turn SIGINT, SIGTERM and SIGHUP into a graceful stop.

`signal.signal` is used instead of the event loop's `add_signal_handler`, which Windows does not
support. A handler runs between two bytecodes of the main thread, so it only counts the signal and
wakes the event loop. The reaction runs as a callback of the loop: it sets an event or cancels a
scope, and never cancels tasks of other code.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import define

from losant_tokens.cli._signals.early_handlers import handled

GRACE = 8.0  # Seconds for requests in flight. Docker kills a container 10 s after its SIGTERM.

_MAX_POSTPONED = 2  # The next signal ends the command.


@define(eq=False)
class StopSignals:
    """Count the stop signals that a command receives.

    Attributes:
        count: The number of signals.
    """

    count: int = 0

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """Only count signals during the block, so that results are reported.

        Raises:
            KeyboardInterrupt: At the third signal.
        """
        with handled(self._postpone):
            yield

    @contextmanager
    def listening(self, react: Callable[[], None]) -> Iterator[None]:
        """Call a function in the running event loop after each signal, including earlier ones."""
        loop = asyncio.get_running_loop()

        def received(_: int) -> None:
            self.count += 1
            loop.call_soon_threadsafe(react)

        with handled(received):
            if self.count:
                loop.call_soon(react)
            yield

    def _postpone(self, _: int) -> None:
        self.count += 1
        if self.count > _MAX_POSTPONED:
            raise KeyboardInterrupt
