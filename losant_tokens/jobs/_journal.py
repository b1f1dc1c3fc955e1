"""A journal: what a job was about to do, and what came of it, so that it can be carried on.

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
import attrs

from losant_tokens.errors import JournalError
from losant_tokens.jobs import _files as files
from losant_tokens.jobs._plan import Plan
from losant_tokens.jobs._plan_format import json_line
from losant_tokens.jobs._values import Outcome

FORMAT = "losant-tokens journal"
VERSION = 1

_BEGINNING = b'{"format":"losant-tokens journal"'
_CRC = b',"crc":'
_MOST_NOTED = 500  # lines that are written at once: to write many would hold the event loop up

_UNTOUCHED, _INTENDED = 0, 1
_OUTCOMES = tuple(Outcome)
_FIRST_OUTCOME = 2
_CODES = {outcome.value: code for code, outcome in enumerate(_OUTCOMES, _FIRST_OUTCOME)}
_CODES["intended"] = _INTENDED
_CODES["untouched"] = _UNTOUCHED
_BEGINNINGS = {
    outcome: (_CODES[outcome.value], b'{"n":%%d,"is":"%b"' % outcome.value.encode())
    for outcome in Outcome
}
_IN_DOUBT = {_UNTOUCHED: False, _INTENDED: True, _CODES["unknown"]: True}  # others are finished
_IN_DOUBT_TO_RETRY = {**_IN_DOUBT, _CODES["failed"]: False}


@attrs.define(eq=False)
class States:
    """How far each token of a plan has come: one byte a token.

    Attributes:
        errors: What went wrong, for those that failed, by their numbers.
        changed: When the API says that a token was last updated, after it was changed, by its
            number.
    """

    _codes: bytearray
    errors: dict[int, str] = attrs.field(factory=dict)
    changed: dict[int, datetime] = attrs.field(factory=dict)

    @classmethod
    def of(cls, size: int) -> Self:
        """The states of so many tokens, all untouched."""
        return cls(bytearray(size))

    def note(
        self, number: int, code: int, error: str | None = None, changed: datetime | None = None
    ) -> None:
        """Note how far a token has come.

        Args:
            number: Its number in the plan.
            code: How far it has come.
            error: What went wrong, if anything did.
            changed: When the API says that it was changed, if that is known.

        Raises:
            IndexError: There is no token of this number.
        """
        if number < 0:
            raise IndexError(number)
        self._codes[number] = code
        if error is not None:
            self.errors[number] = error
        elif self.errors:
            self.errors.pop(number, None)
        if changed is not None:
            self.changed[number] = changed
        elif self.changed:
            self.changed.pop(number, None)

    def outcome(self, number: int) -> Outcome | None:
        """What came of a token. One that was intended, and no more, is unknown."""
        code = self._codes[number]
        if code == _INTENDED:
            return Outcome.UNKNOWN
        return None if code == _UNTOUCHED else _OUTCOMES[code - _FIRST_OUTCOME]

    def __len__(self) -> int:
        return len(self._codes)

    def open_ones(self, first: int, count: int, *, retry_failed: bool = False) -> list[bool | None]:
        """Return of `count` tokens whether each is in doubt: it may have been changed.

        `None` is returned for those that are finished.

        Args:
            first: The number of the first of them.
            count: How many. Fewer are returned if the plan ends before.
            retry_failed: Whether a token that has failed is not finished.
        """
        in_doubt = _IN_DOUBT_TO_RETRY if retry_failed else _IN_DOUBT
        return [in_doubt.get(code) for code in self._codes[first : first + count]]

    def counts(self) -> dict[Outcome, int]:
        """How many tokens came out how."""
        counts = {
            outcome: self._codes.count(code)
            for code, outcome in enumerate(_OUTCOMES, _FIRST_OUTCOME)
        }
        counts[Outcome.UNKNOWN] += self._codes.count(_INTENDED)
        return counts


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
        """The journal of a plan, with what it says so far.

        Args:
            plan: What the job is to do.
            path: The file.
            resume: Whether a job that was begun shall be carried on.

        Raises:
            JournalError: It cannot be read or written, belongs to another plan, is in use, or
                says that the job was begun, and nobody said to carry it on.
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
        """Lets go of the file."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(JournalError, OSError):  # what is lost is looked at once more
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
        self.states.note(number, _INTENDED)

    def take_back(self, number: int, error: str | None = None) -> None:
        """Note that a token was certainly not changed. It is written with the next intent.

        Args:
            number: Its number in the plan.
            error: Why not, for the report.
        """
        self._note_later(b'{"n":%d,"is":"untouched"' % number, error)
        self.states.note(number, _UNTOUCHED, error)

    def settle(
        self,
        number: int,
        outcome: Outcome,
        error: str | None = None,
        changed: datetime | None = None,
    ) -> None:
        """Takes note of what came of a token. It is written with the next intent, or `flush`.

        Args:
            number: Its number in the plan.
            outcome: What came of it.
            error: What went wrong, if it failed.
            changed: When the API says that it was changed, where it does.

        Raises:
            JournalError: Much was taken note of, and it could not be written.
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
        """Has the disk take what was taken note of.

        Raises:
            JournalError: It did not.
        """
        self.flush()
        if self._unsynced:
            self._unsynced = False
            try:
                await anyio.to_thread.run_sync(os.fsync, self._descriptor)
            except OSError as error:
                raise self._break(error) from None

    def flush(self) -> None:
        """Writes all that was taken note of.

        Raises:
            JournalError: It could not be written.
        """
        if not self._noted:
            return
        if self._broken is not None:
            raise JournalError(f"{self.path} cannot be written: {self._broken}")
        # Until all is written. Ctrl-C may end it anywhere, and nothing may stand behind a gap.
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
        """Writes all of it, or nothing; what cannot be written breaks the journal.

        In the event loop, and not in a thread: it costs some microseconds, a thread ten times
        that, and it is done for each few tokens.

        Raises:
            JournalError: It could not be written.
        """
        try:
            written = os.write(self._descriptor, data)
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            with contextlib.suppress(OSError):  # else it is cut off as a torn line
                os.ftruncate(self._descriptor, self._end)
            raise self._break(error) from None
        self._end += written
        self._unsynced = True

    def _break(self, error: OSError) -> JournalError:
        self._broken = files.reason(error)
        return JournalError(f"{self.path} cannot be written: {self._broken}")

    # --- What it said before -----------------------------------------------------------------

    def _begin(self, *, resume: bool) -> None:
        self._descriptor = files.open_private(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        if not files.lock(self._descriptor):
            raise JournalError(f"{self.path} is in use: another process applies this plan")
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            self._read(file)
        if self._end and not resume:
            raise JournalError(
                f"{self.path} says that this plan was begun before. To carry it on, resume it "
                f"(--resume)."
            )
        files.make_private(self._descriptor)  # only now: a file that is refused is not changed
        os.ftruncate(self._descriptor, self._end)
        if self._end == 0:
            said = {
                "format": FORMAT,
                "version": VERSION,
                "plan": self._plan.digest,
                "begun": datetime.now(UTC).isoformat(),
            }
            self._noted.append(json_line(said)[:-1])
            self.flush()

    def _read(self, lines: Iterable[bytes]) -> None:
        """Takes note of all lines, up to the end of the last whole one."""
        for place, line in enumerate(lines):
            if not line.endswith(b"\n"):  # torn: it was never acted upon
                if place == 0 and not _is_a_beginning(line):
                    raise JournalError(f"{self.path} is not a journal")
                return
            self._take(place, line)
            self._end += len(line)

    def _take(self, place: int, line: bytes) -> None:
        content, _, checksum = line.rpartition(_CRC)
        try:
            said = json.loads(line)
            if place == 0:
                self._check_header(said)
            self._checksum = zlib.crc32(content, self._checksum)
            is_whole = checksum == b"%d}\n" % self._checksum
            if place > 0 and is_whole:
                self._note(said)
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):
            is_whole = False
        if not is_whole:
            raise JournalError(
                f"{self.path} cannot be read: line {place + 1} is not one of a journal, or was "
                f"altered"
            )

    def _note(self, said: dict[str, Any]) -> None:
        numbers, code, changed = said["n"], _CODES[said["is"]], said.get("changed")
        time = None if changed is None else datetime.fromisoformat(changed)
        # Earlier releases wrote several intents in one line.
        for number in numbers if isinstance(numbers, list) else [numbers]:
            self.states.note(number, code, said.get("error"), time)

    def _check_header(self, said: dict[str, Any]) -> None:
        if (said["format"], said["version"]) != (FORMAT, VERSION):
            raise JournalError(f"{self.path} is not a journal that this release can read")
        if said["plan"] != self._plan.digest:
            raise JournalError(f"{self.path} is the journal of another plan")


def _is_a_beginning(line: bytes) -> bool:
    """Whether a journal may begin like this, so that nothing else is cut off as torn."""
    return line.startswith(_BEGINNING) or _BEGINNING.startswith(line)
