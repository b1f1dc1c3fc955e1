"""Open the files of a job in a thread, and close them even if the job is cancelled meanwhile."""

import threading
from pathlib import Path
from types import TracebackType

import anyio
import attrs

from losant_tokens.jobs._execution.journal import Journal
from losant_tokens.jobs._execution.plan_lock import PlanLock
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._plan.reader import PlanEntries


@attrs.define(eq=False)
class JobFiles:
    """The lock on the plan, the tokens of the plan, and the journal, open for one run of a job.

    A task that is cancelled does not wait for the thread that opens the files. In that case the
    thread closes them, because a journal that stays open stays locked.

    Attributes:
        plan: The plan.
        journal_path: The file of the journal.
        resume: Whether to continue a job that was started before.
    """

    plan: Plan
    journal_path: Path
    resume: bool
    _lock: PlanLock | None = None
    _entries: PlanEntries | None = None
    _journal: Journal | None = None
    _is_closed: bool = False
    _mutex: threading.Lock = attrs.field(factory=threading.Lock)

    async def __aenter__(self) -> tuple[PlanEntries, Journal]:
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
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close)

    def _open(self) -> tuple[PlanEntries, Journal]:
        try:
            self._lock = PlanLock.acquire(self.plan.digest, self.plan.header.base_url)
            self._entries = self.plan.checked_entries()
            self._journal = Journal.open(self.plan, self.journal_path, resume=self.resume)
        except BaseException:
            self._close()
            raise
        with self._mutex:
            is_closed = self._is_closed
        if is_closed:
            self._close()
        return self._entries, self._journal

    def _close(self) -> None:
        with self._mutex:
            self._is_closed = True
            entries, self._entries = self._entries, None
            journal, self._journal = self._journal, None
            lock, self._lock = self._lock, None
        for file in (entries, journal, lock):
            if file is not None:
                file.close()
