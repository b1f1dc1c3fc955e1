"""A journal: the intents and outcomes of a job, so that it can be resumed after a crash.

JSON Lines, appended to, beside the plan. The first line names the plan; each other line is about a
token of it, by its number: `{"n":7,"is":"intended",...}` before a request is sent that could
change it, and later `{"n":7,"is":"done",...}`. Each line ends in a checksum over itself and all
before it, so that one that was altered, removed or moved is noticed; a last line that was torn by
a crash is cut off. One process at a time has the journal.

An intent has left the process before the request is sent, however the process ends. It is for one
token, and directly before its request, so a process that is killed leaves only those tokens in
doubt whose requests were in flight. An outcome is written with the next intent, or before a wait:
a process that is killed may lose the latest outcomes, and the job that resumes reads their tokens
again. If the machine stops, the lines of the last second may be lost. A token whose attempts are
known to have had no effect (none arrived, or all were refused) is `untouched` again.
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

from losant_tokens.jobs import _files as files
from losant_tokens.jobs._errors import JournalError
from losant_tokens.jobs._plan.format import json_line
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._states import CODES, INTENDED, UNTOUCHED, States
from losant_tokens.jobs._types import Outcome

FORMAT = "losant-tokens journal"
VERSION = 1

_BEGINNING = b'{"format":"losant-tokens journal"'
_CRC = b',"crc":'
_MOST_NOTED = 500  # lines that are written at once: more would hold up the event loop
_BEGINNINGS = {
    outcome: (CODES[outcome.value], b'{"n":%%d,"is":"%b"' % outcome.value.encode())
    for outcome in Outcome
}


class Journal:
    """The journal of a plan, opened for one process.

    Attributes:
        path: Its file.
        states: How far each token has come.
    """

    def __init__(self, plan: Plan, path: Path) -> None:
        self.path = path
        self.states = States.of(len(plan))
        self._plan = plan.detached()
        self._descriptor = -1
        self._checksum = 0
        self._end = 0
        self._noted: list[bytes] = []  # lines that are not written yet, without their ends
        self._broken: str | None = None
        self._unsynced = False

    @classmethod
    def open(cls, plan: Plan, path: Path, *, resume: bool) -> Self:
        """Open the journal of a plan, and read it.

        Args:
            plan: The plan of the job.
            path: The file.
            resume: Whether a job that was begun is to be continued.

        Raises:
            JournalError: It cannot be read or written, belongs to another plan, is in use, or
                says that the job was begun and is not to be continued.
        """
        journal = cls(plan, path)
        try:
            journal._begin(resume=resume)
        except OSError as error:
            journal.close()
            raise JournalError(f"{path} cannot be used: {files.reason(error)}") from None
        except BaseException:
            journal.close()
            raise
        return journal

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
        """Write what was noted, and close the file."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(
            JournalError, OSError
        ):  # a token whose outcome is lost is read again
            self.flush()
            os.fsync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1

    def intend(self, number: int) -> None:
        """Write that a token is about to be changed. Only then may it be changed.

        Raises:
            JournalError: It could not be written.
        """
        self._noted.append(b'{"n":%d,"is":"intended"' % number)
        self.flush()
        self.states.note(number, INTENDED)

    def take_back(self, number: int, error: str | None = None) -> None:
        """Note that a token was certainly not changed. It is written with the next intent.

        Args:
            number: Its number in the plan.
            error: Why not, for the report.
        """
        self._note_later(b'{"n":%d,"is":"untouched"' % number, error)
        self.states.note(number, UNTOUCHED, error)

    def settle(
        self,
        number: int,
        outcome: Outcome,
        error: str | None = None,
        changed: datetime | None = None,
    ) -> None:
        """Record the outcome of a token. It is written with the next intent, or `flush`.

        Args:
            number: Its number in the plan.
            outcome: The outcome.
            error: What went wrong, if anything did.
            changed: When the API says that it was changed, if that is known.

        Raises:
            JournalError: Many outcomes were waiting, and could not be written.
        """
        code, beginning = _BEGINNINGS[outcome]
        self._note_later(beginning % number, error, changed)
        self.states.note(number, code, error, changed)
        if len(self._noted) >= _MOST_NOTED:
            self.flush()

    def _note_later(
        self, line: bytes, error: str | None = None, changed: datetime | None = None
    ) -> None:
        if error is not None:
            line += b',"error":' + json_line(error)
        if changed is not None:
            line += b',"changed":"%b"' % changed.isoformat().encode()
        self._noted.append(line)

    async def sync(self) -> None:
        """Flush and fsync.

        Raises:
            JournalError: It failed.
        """
        self.flush()
        if self._unsynced:
            self._unsynced = False
            try:
                await anyio.to_thread.run_sync(os.fsync, self._descriptor)
            except OSError as error:
                raise self._break(error) from None

    def flush(self) -> None:
        """Write all that was noted.

        Raises:
            JournalError: It could not be written.
        """
        if not self._noted:
            return
        if self._broken is not None:
            raise JournalError(f"{self.path} cannot be written: {self._broken}")
        # Ctrl-C may end this anywhere, and no line may follow a gap. So the journal counts as
        # broken until all is written.
        self._broken = "to write it was interrupted"
        checksum, lines = self._checksum, []
        for line in self._noted:
            checksum = zlib.crc32(line, checksum)
            lines.append(b"%b%b%d}\n" % (line, _CRC, checksum))
        self._noted.clear()
        self._checksum = checksum
        self._write(b"".join(lines))
        self._broken = None

    def _write(self, data: bytes) -> None:
        """Write all of it, or nothing; an error breaks the journal.

        This happens in the event loop and not in a thread: it costs some microseconds for each
        token, and a thread ten times that.

        Raises:
            JournalError: It could not be written.
        """
        try:
            written = os.write(self._descriptor, data)
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            with contextlib.suppress(OSError):  # if it fails, the next run cuts the torn line off
                os.ftruncate(self._descriptor, self._end)
            raise self._break(error) from None
        self._end += written
        self._unsynced = True

    def _break(self, error: OSError) -> JournalError:
        self._broken = files.reason(error)
        return JournalError(f"{self.path} cannot be written: {self._broken}")

    # --- Reading ---------------------------------------------------------------------------

    def _begin(self, *, resume: bool) -> None:
        self._descriptor = files.open_private(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        if not files.lock(self._descriptor):
            raise JournalError(f"{self.path} is in use: another process applies this plan")
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            self._read(file)
        if self._end and not resume:
            raise JournalError(
                f"{self.path} says that this plan was begun before. To continue it, pass "
                f"resume=True."
            )
        files.make_private(self._descriptor)  # only now: a file that is refused is not changed
        os.ftruncate(self._descriptor, self._end)
        if self._end == 0:
            header = {
                "format": FORMAT,
                "version": VERSION,
                "plan": self._plan.digest,
                "begun": datetime.now(UTC).isoformat(),
            }
            self._noted.append(json_line(header)[:-1])
            self.flush()

    def _read(self, lines: Iterable[bytes]) -> None:
        """Read all lines, up to the end of the last complete one."""
        for place, line in enumerate(lines):
            if not line.endswith(b"\n"):  # torn: nothing was done because of it
                if place == 0 and not _is_a_beginning(line):
                    raise JournalError(f"{self.path} is not a journal")
                return
            self._take(place, line)
            self._end += len(line)

    def _take(self, place: int, line: bytes) -> None:
        content, _, checksum = line.rpartition(_CRC)
        try:
            data = json.loads(line)
            if place == 0:
                self._check_header(data)
            self._checksum = zlib.crc32(content, self._checksum)
            is_whole = checksum == b"%d}\n" % self._checksum
            if place > 0 and is_whole:
                self._note(data)
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):
            is_whole = False
        if not is_whole:
            raise JournalError(
                f"{self.path} cannot be read: line {place + 1} is not one of a journal, or was "
                f"altered"
            )

    def _note(self, data: dict[str, Any]) -> None:
        numbers, code, changed = data["n"], CODES[data["is"]], data.get("changed")
        time = None if changed is None else datetime.fromisoformat(changed)
        # Earlier releases wrote several intents in one line.
        for number in numbers if isinstance(numbers, list) else [numbers]:
            self.states.note(number, code, data.get("error"), time)

    def _check_header(self, data: dict[str, Any]) -> None:
        if (data["format"], data["version"]) != (FORMAT, VERSION):
            raise JournalError(f"{self.path} is not a journal that this release can read")
        if data["plan"] != self._plan.digest:
            raise JournalError(f"{self.path} is the journal of another plan")


def _is_a_beginning(line: bytes) -> bool:
    """Return whether a journal may begin like this; nothing else is cut off as torn."""
    return line.startswith(_BEGINNING) or _BEGINNING.startswith(line)
