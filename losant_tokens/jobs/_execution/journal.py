"""The journal of a job: every intent and every outcome, so that the job can resume after a crash.

The file is JSON Lines beside the plan. The first line names the plan. Each other line is about one
token, by its number in the plan: `{"n":7,"is":"intended",...}` before a request that could change
it, and later `{"n":7,"is":"done",...}`. Each line ends in a checksum over all lines so far, so a
line that was altered, removed or moved is detected. A last line that was torn by a crash is cut
off. One process at a time can open a journal.

An intent is written to the file before the request is sent. It is for one token, directly before
its request. So if the process is killed, only the tokens in flight are in doubt. An outcome is
written with the next intent, or before a wait. If the process is killed, the latest outcomes may be
lost, and the resumed job reads these tokens again. If the machine stops, the lines of the last
second may be lost. A token is `untouched` again if no attempt had an effect, because none arrived
or the server refused all of them.
"""

import contextlib
import json
import os
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio

from losant_tokens._utils import private_files
from losant_tokens.jobs._errors import JournalError
from losant_tokens.jobs._plan.format import json_line
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._token_progress import INTENDED, UNTOUCHED, States
from losant_tokens.jobs._types import Outcome

FORMAT = "losant-tokens journal"
VERSION = 1

_START = b'{"format":"losant-tokens journal"'
_CRC = b',"crc":'
_MAX_PENDING = 500  # lines that are written at once, because more would block the event loop


class Journal:
    """The journal of a plan, open in one process.

    Attributes:
        path: The file.
        states: The state of each token.
        started_at: When the job was first started; `None` if it was not started, or if the time is
            unknown.
    """

    def __init__(self, plan: Plan, path: Path) -> None:
        self.path = path
        self.states = States.of(len(plan))
        self.started_at: datetime | None = None
        self._plan = plan.detached()
        self._descriptor = -1
        self._checksum = 0
        self._size = 0  # bytes of complete lines
        self._pending: list[bytes] = []  # lines without their checksums
        self._broken: str | None = None
        self._is_synced = True

    @classmethod
    def open(cls, plan: Plan, path: Path, *, resume: bool) -> Self:
        """Open the journal of a plan, and read it.

        Args:
            plan: The plan of the job.
            path: The file.
            resume: Whether to continue a job that was started before.

        Raises:
            JournalError: The file cannot be read or written, belongs to another plan, or is in use;
                or the job was started before, and `resume` is false.
        """
        journal = cls(plan, path)
        try:
            journal._load(resume=resume)
        except OSError as error:
            journal.close()
            raise JournalError(f"{path} cannot be used: {private_files.reason(error)}") from None
        except BaseException:
            journal.close()
            raise
        return journal

    @classmethod
    def read(cls, plan: Plan, path: Path) -> tuple[Self, bool]:
        """Read the journal of a plan without changing it, and return whether a process has it open.

        Args:
            plan: The plan of the job.
            path: The file.

        Raises:
            JournalError: The file cannot be read, or belongs to another plan.
        """
        journal = cls(plan, path)
        try:
            descriptor = private_files.open_regular(path)
            with os.fdopen(descriptor, "rb") as file:
                is_open = private_files.is_locked(descriptor)
                journal._read(file)
        except OSError as error:
            raise JournalError(f"{path} cannot be read: {private_files.reason(error)}") from None
        return journal, is_open

    @property
    def is_empty(self) -> bool:
        """Whether the job was not started: the file has no complete line."""
        return self._size == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write the pending lines, and close the file."""
        if self._descriptor < 0:
            return
        # A token whose outcome is lost is read again.
        with contextlib.suppress(JournalError, OSError):
            self.flush()
            os.fsync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1

    # --- Writing -----------------------------------------------------------------------------

    def record_intent(self, number: int) -> None:
        """Write that a token is about to be changed. Only then may it be changed.

        Args:
            number: The number of the token in the plan.

        Raises:
            JournalError: The file could not be written.
        """
        self._pending.append(_line(number, INTENDED))
        self.flush()
        self.states.record(number, INTENDED)

    def revert_intent(self, number: int, error: str | None = None) -> None:
        """Record that a token was certainly not changed. It is written with the next intent.

        Args:
            number: The number of the token in the plan.
            error: The error message for the report.
        """
        self._pending.append(_line(number, UNTOUCHED, error))
        self.states.record(number, UNTOUCHED, error)

    def record_outcome(
        self,
        number: int,
        outcome: Outcome,
        error: str | None = None,
        changed_at: datetime | None = None,
    ) -> None:
        """Record the outcome of a token. It is written with the next intent, or by `flush`.

        Args:
            number: The number of the token in the plan.
            outcome: The outcome.
            error: The error message, if something failed.
            changed_at: The time of the change by the API, if it is known.

        Raises:
            JournalError: Many lines were pending, and could not be written.
        """
        state: str = outcome.value
        self._pending.append(_line(number, state, error, changed_at))
        self.states.record(number, state, error, changed_at)
        if len(self._pending) >= _MAX_PENDING:
            self.flush()

    async def checkpoint(self) -> None:
        """Flush and fsync.

        Raises:
            JournalError: The file could not be written.
        """
        self.flush()
        if not self._is_synced:
            self._is_synced = True
            try:
                await anyio.to_thread.run_sync(os.fsync, self._descriptor)
            except OSError as error:
                raise self._break(error) from None

    def flush(self) -> None:
        """Write all pending lines.

        Raises:
            JournalError: The file could not be written.
        """
        if not self._pending:
            return
        if self._broken is not None:
            raise JournalError(f"{self.path} cannot be written: {self._broken}")
        # Ctrl-C may interrupt the write anywhere, and no line may follow a gap. So the journal is
        # broken until all lines are written.
        self._broken = "a write was interrupted"
        checksum, lines = self._checksum, []
        for line in self._pending:
            checksum = zlib.crc32(line, checksum)
            lines.append(b"%b%b%d}\n" % (line, _CRC, checksum))
        self._pending.clear()
        self._checksum = checksum
        self._write(b"".join(lines))
        self._broken = None

    def _write(self, data: bytes) -> None:
        """Write all of the data, or nothing. An error breaks the journal.

        It runs in the event loop, because it takes some microseconds for each token, and a thread
        takes ten times as long.

        Raises:
            JournalError: The file could not be written.
        """
        try:
            written = os.write(self._descriptor, data)
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            # If the truncation fails, the next run cuts the torn line off.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise self._break(error) from None
        self._size += written
        self._is_synced = False

    def _break(self, error: OSError) -> JournalError:
        self._broken = private_files.reason(error)
        return JournalError(f"{self.path} cannot be written: {self._broken}")

    # --- Reading -----------------------------------------------------------------------------

    def _load(self, *, resume: bool) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        self._descriptor = private_files.open_private(self.path, flags)
        if not private_files.acquire_lock(self._descriptor):
            raise JournalError(
                f"{self.path} is in use: another process applies this plan. Wait until it ends."
            )
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            self._read(file)
        if self._size and not resume:
            raise JournalError(
                f"This plan was applied before: {self.path} is its journal. To continue the job, "
                f"pass resume=True."
            )
        # The file is changed only after all checks, so a refused file stays as it is.
        private_files.make_private(self._descriptor)
        os.ftruncate(self._descriptor, self._size)
        if self._size == 0:
            self._write_header()

    def _write_header(self) -> None:
        header = {
            "format": FORMAT,
            "version": VERSION,
            "plan": self._plan.digest,
            "begun": datetime.now(UTC).isoformat(),
        }
        self._pending.append(json_line(header)[:-1])
        self.flush()

    def _read(self, lines: Iterable[bytes]) -> None:
        """Read all complete lines."""
        for index, line in enumerate(lines):
            if not line.endswith(b"\n"):  # torn: no request was sent because of it
                if index == 0 and not _may_start_journal(line):
                    raise JournalError(
                        f"{self.path} is not a journal. Pass another path for the journal."
                    )
                return
            self._read_line(index, line)
            self._size += len(line)

    def _read_line(self, index: int, line: bytes) -> None:
        content, _, checksum = line.rpartition(_CRC)
        try:
            data = json.loads(line)
            if index == 0:
                self._check_header(data)
            self._checksum = zlib.crc32(content, self._checksum)
            is_intact = checksum == b"%d}\n" % self._checksum
            if index > 0 and is_intact:
                self._apply(data)
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):
            is_intact = False
        if not is_intact:
            raise JournalError(
                f"{self.path} cannot be read: line {index + 1} was altered, or is not a line of a "
                f"journal. Restore the file from a copy, or make a new plan."
            )

    def _apply(self, data: dict[str, Any]) -> None:
        numbers, state, changed = data["n"], data["is"], data.get("changed")
        changed_at = None if changed is None else datetime.fromisoformat(changed)
        # Earlier releases wrote several intents in one line.
        for number in numbers if isinstance(numbers, list) else [numbers]:
            self.states.record(number, state, data.get("error"), changed_at)

    def _check_header(self, data: dict[str, Any]) -> None:
        if (data["format"], data["version"]) != (FORMAT, VERSION):
            raise JournalError(
                f"{self.path} is not a journal that this release can read. Use the release that "
                f"wrote it, or make a new plan."
            )
        if data["plan"] != self._plan.digest:
            raise JournalError(
                f"{self.path} is the journal of another plan. Pass another path for the journal."
            )
        with contextlib.suppress(KeyError, TypeError, ValueError):
            self.started_at = datetime.fromisoformat(data["begun"])


def journal_path(plan: Plan) -> Path:
    """Return the default path of a plan's journal: beside the plan, with `.journal` appended."""
    return plan.path.with_name(plan.path.name + ".journal")


def _line(
    number: int, state: str, error: str | None = None, changed_at: datetime | None = None
) -> bytes:
    """Return a line without its checksum and its newline."""
    line = b'{"n":%d,"is":"%b"' % (number, state.encode())
    if error is not None:
        line += b',"error":%b' % json_line(error)
    if changed_at is not None:
        line += b',"changed":"%b"' % changed_at.isoformat().encode()
    return line


def _may_start_journal(line: bytes) -> bool:
    """Return whether a torn first line may be that of a journal. Nothing else is cut off."""
    return line.startswith(_START) or _START.startswith(line)
