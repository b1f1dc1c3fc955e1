"""Opens the files of a job in a thread, and closes them whatever becomes of who waits for that."""

import threading
from pathlib import Path
from types import TracebackType

import anyio
import attrs

from losant_tokens.jobs._journal import Journal
from losant_tokens.jobs._plan import Entries, Plan


@attrs.define(eq=False)
class Opening:
    """The plan's tokens and the journal, opened for one run of a job.

    A task that is cancelled while a thread opens files goes on its way before the thread has
    done: then it is the thread that closes them. A journal left open would stay locked.
    """

    plan: Plan
    journal_path: Path
    resume: bool
    _entries: Entries | None = None
    _journal: Journal | None = None
    _over: bool = False
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    async def __aenter__(self) -> tuple[Entries, Journal]:
        try:
            return await anyio.to_thread.run_sync(self._open)
        except BaseException:
            self._close()
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def _open(self) -> tuple[Entries, Journal]:
        try:
            self._entries = self.plan.checked_entries()
            self._journal = Journal.open(self.plan, self.journal_path, resume=self.resume)
        except BaseException:
            self._close()
            raise
        with self._lock:
            is_over = self._over
        if is_over:
            self._close()
        return self._entries, self._journal

    def _close(self) -> None:
        with self._lock:
            self._over = True
            for file in (self._entries, self._journal):
                if file is not None:
                    file.close()
