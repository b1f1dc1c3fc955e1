"""A journal: what a job was about to do, and what came of it, so that it can be carried on.

JSON Lines, appended to, beside the plan. The first line names the plan; each other line is about
one token of it, by its number: `{"n":7,"is":"intended"}` before anything is asked for that could
change it, and later `{"n":7,"is":"done"}`. A last line that was torn by a crash is cut off. One
process at a time has the journal.
"""

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import attrs

from losant_tokens.errors import JournalError
from losant_tokens.jobs._plan import Plan
from losant_tokens.jobs._values import Outcome

FORMAT = "losant-tokens journal"
VERSION = 1

_UNTOUCHED, _INTENDED = 0, 1
_OUTCOMES = tuple(Outcome)
_FIRST_OUTCOME = 2
_CODES = {outcome.value: code for code, outcome in enumerate(_OUTCOMES, _FIRST_OUTCOME)}
_CODES["intended"] = _INTENDED


@attrs.define(eq=False)
class States:
    """How far each token of a plan has come: one byte a token.

    Attributes:
        errors: What went wrong, for those that failed, by their numbers.
    """

    _codes: bytearray
    errors: dict[int, str] = attrs.field(factory=dict)

    @classmethod
    def of(cls, size: int) -> Self:
        """The states of so many tokens, all untouched."""
        return cls(bytearray(size))

    def note(self, number: int, code: int, error: str | None = None) -> None:
        """Takes note of what a line says."""
        self._codes[number] = code
        if error is not None:
            self.errors[number] = error

    def outcome(self, number: int) -> Outcome | None:
        """What came of a token. One that was intended, and no more, is unknown."""
        code = self._codes[number]
        if code == _INTENDED:
            return Outcome.UNKNOWN
        return None if code == _UNTOUCHED else _OUTCOMES[code - _FIRST_OUTCOME]

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
        self._plan = plan
        self._descriptor = -1
        self._pending: list[bytes] = []
        self._taken = 0
        self._written = 0
        self._turn = anyio.Lock(fast_acquire=True)
        self._broken: str | None = None

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
            raise JournalError(f"{path} cannot be used: {error.strerror}") from None
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
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    async def intend(self, number: int) -> None:
        """Writes that a token is about to be changed. Only then may it be.

        Raises:
            JournalError: It could not be written.
        """
        await self._write({"n": number, "is": "intended"})
        self.states.note(number, _INTENDED)

    async def settle(self, number: int, outcome: Outcome, error: str | None = None) -> None:
        """Writes what came of a token.

        Raises:
            JournalError: It could not be written; the token will be unknown.
        """
        line: dict[str, Any] = {"n": number, "is": outcome.value}
        await self._write(line if error is None else {**line, "error": error})
        self.states.note(number, _CODES[outcome.value], error)

    async def _write(self, line: dict[str, Any]) -> None:
        """Writes a line, together with those of others who are waiting to write theirs."""
        self._pending.append(_json(line))
        self._taken += 1
        mine = self._taken
        async with self._turn:
            if self._written < mine and self._broken is None:
                lines, self._pending = self._pending, []
                await anyio.to_thread.run_sync(self._append, b"".join(lines))
                self._written += len(lines)
            if self._broken is not None and self._written < mine:
                raise JournalError(f"{self.path} cannot be written: {self._broken}")

    def _append(self, data: bytes) -> None:
        """Writes all of it or nothing; what cannot be written breaks the journal for good."""
        end = os.lseek(self._descriptor, 0, os.SEEK_END)
        left = data
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            self._broken = error.strerror or type(error).__name__
            os.ftruncate(self._descriptor, end)
            raise JournalError(f"{self.path} cannot be written: {self._broken}") from None

    def _begin(self, *, resume: bool) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(self.path, flags, 0o600)
        os.fchmod(self._descriptor, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalError(
                f"{self.path} is in use: another process applies this plan"
            ) from None
        end = self._read(resume=resume)
        os.ftruncate(self._descriptor, end)
        if end == 0:
            said = {
                "format": FORMAT,
                "version": VERSION,
                "plan": self._plan.digest,
                "begun": datetime.now(UTC).isoformat(),
            }
            self._append(_json(said))

    def _read(self, *, resume: bool) -> int:
        """Takes note of all lines; gives the end of the last whole one."""
        end = 0
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            for place, line in enumerate(file):
                if not line.endswith(b"\n"):  # torn: it was never acted upon
                    break
                self._take(place, line)
                end += len(line)
        if end and not resume:
            raise JournalError(
                f"{self.path} says that this plan was begun before. To carry it on, resume it "
                f"(--resume)."
            )
        return end

    def _take(self, place: int, line: bytes) -> None:
        try:
            said = json.loads(line)
            if place > 0:
                self.states.note(said["n"], _CODES[said["is"]], said.get("error"))
            elif (said["format"], said["version"]) != (FORMAT, VERSION):
                raise JournalError(f"{self.path} is not a journal that this release can read")
            elif said["plan"] != self._plan.digest:
                raise JournalError(f"{self.path} is the journal of another plan")
        except (ValueError, KeyError, TypeError, IndexError):
            raise JournalError(
                f"{self.path} cannot be read: line {place + 1} is not one of a journal"
            ) from None


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
