"""The journal of a rotation: each step before its effect and after it, with fsync.

The file is JSON Lines. The first line describes the rotation, and the next ones its tokens. Each
other line is one event of one token, by its number. Each line ends in a checksum over all lines so
far, as in the journal of a job. A last line that was torn by a crash is cut off. No line holds a
secret.
"""

import json
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import attrs

from losant_tokens._utils import private_files
from losant_tokens.jobs._errors import JournalError
from losant_tokens.jobs._plan.format import json_line, parse_timestamp, timestamp
from losant_tokens.jobs._rotation.rotation import (
    Event,
    RotatedToken,
    Rotation,
    advanced,
    parse_settings,
    parse_token,
    settings_json,
    token_json,
)

FORMAT = "losant-tokens rotation"
VERSION = 1
_CRC = b',"crc":'


class RotationJournal:
    """The journal of a rotation, open in one process.

    Attributes:
        rotation: The state of the rotation.
    """

    def __init__(self, descriptor: int, contents: "_Contents") -> None:
        self.rotation = contents.rotation()
        self._tokens = contents.tokens
        self._checksum = contents.checksum
        self._descriptor = descriptor
        self._broken: str | None = None

    @classmethod
    def create(cls, rotation: Rotation) -> Self:
        """Create the journal of a new rotation.

        Raises:
            JournalError: The file exists, or cannot be written.
        """
        path = rotation.path
        header = {
            "format": FORMAT,
            "version": VERSION,
            "id": rotation.id,
            "created": timestamp(rotation.created_at),
            "baseUrl": rotation.base_url,
            "account": rotation.account,
            "settings": settings_json(rotation.settings),
            "sink": rotation.sink,
            "tokens": len(rotation.tokens),
        }
        contents = _Contents(path)
        lines = (json_line(one)[:-1] for one in (header, *map(token_json, rotation.tokens)))
        data = b"".join(map(contents.completed, lines))
        try:
            with private_files.part_of(path) as (descriptor, part):
                _write_all(descriptor, data)
                os.link(part, path)
        except FileExistsError:
            raise JournalError(
                f"{path} exists: it is the journal of an earlier rotation. Resume that one, or "
                f"pass another path."
            ) from None
        except OSError as error:
            raise JournalError(f"{path} cannot be used: {private_files.reason(error)}") from None
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the journal of a rotation, to continue it.

        Raises:
            JournalError: It cannot be read or written, was altered, or another process uses it.
        """
        try:
            descriptor = private_files.open_private(path, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise JournalError(f"{path} cannot be used: {private_files.reason(error)}") from None
        try:
            _lock(descriptor, path)
            contents = _Contents(path)
            with os.fdopen(os.dup(descriptor), "rb") as file:
                contents.read(file)
            os.ftruncate(descriptor, contents.size)
            os.lseek(descriptor, 0, os.SEEK_END)
            return cls(descriptor, contents)
        except BaseException:
            os.close(descriptor)
            raise

    @staticmethod
    def read(path: Path) -> Rotation:
        """Return the state of a rotation. Nothing is changed.

        Raises:
            JournalError: The file cannot be read, was altered, or is not a journal of a rotation.
        """
        contents = _Contents(path)
        try:
            with os.fdopen(private_files.open_regular(path), "rb") as file:
                is_running = private_files.is_locked(file.fileno())
                contents.read(file)
        except OSError as error:
            raise JournalError(f"{path} cannot be read: {private_files.reason(error)}") from None
        return attrs.evolve(contents.rotation(), is_running=is_running)

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
        """Close the file."""
        os.close(self._descriptor)

    def token(self, number: int) -> RotatedToken:
        """Return the state of a token."""
        return self._tokens[number]

    async def record(self, numbers: int | Sequence[int], event: Event) -> None:
        """Record an event of one or more tokens. It is on the disk when this returns.

        Args:
            numbers: The numbers of the tokens.
            event: The event.

        Raises:
            JournalError: The file could not be written. Then the step must not be taken.
        """
        chosen = (numbers,) if isinstance(numbers, int) else numbers
        tokens = {number: advanced(self._tokens[number], event) for number in chosen}
        contents = _Contents(self.rotation.path, checksum=self._checksum)
        data = b"".join(
            contents.completed(json_line({"n": number, **event})[:-1]) for number in chosen
        )
        await anyio.to_thread.run_sync(self._write, data)
        self._checksum = contents.checksum
        for number, token in tokens.items():
            self._tokens[number] = token
        self.rotation = attrs.evolve(self.rotation, tokens=tuple(self._tokens))

    def _write(self, data: bytes) -> None:
        if self._broken is not None:
            raise JournalError(f"{self.rotation.path} cannot be written: {self._broken}")
        # No line may follow a gap, so the journal is broken until the data is on the disk.
        self._broken = "a write was interrupted"
        try:
            _write_all(self._descriptor, data)
        except OSError as error:
            self._broken = private_files.reason(error)
            raise JournalError(f"{self.rotation.path} cannot be written: {self._broken}") from None
        self._broken = None


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all of the data, and fsync."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, data[written:])
    os.fsync(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    """Lock a journal.

    Raises:
        JournalError: Another process uses it.
    """
    if not private_files.acquire_lock(descriptor):
        raise JournalError(
            f"{path} is in use: another process continues this rotation. Wait until it ends."
        )


def read_rotation(journal: str | os.PathLike[str]) -> Rotation:
    """Return the state of a rotation from its journal. Nothing is changed, and nothing is sent.

    Args:
        journal: The file of the journal.

    Raises:
        JournalError: The file cannot be read, was altered, or is not a journal of a rotation.
    """
    return RotationJournal.read(Path(journal).absolute())


@attrs.define
class _Contents:
    """The lines of a journal that were read or written so far."""

    path: Path
    header: dict[str, Any] = attrs.field(factory=dict)
    tokens: list[RotatedToken] = attrs.field(factory=list)
    checksum: int = 0
    size: int = 0

    def completed(self, line: bytes) -> bytes:
        """Return a line with its checksum and a newline."""
        self.checksum = zlib.crc32(line, self.checksum)
        return b"%b%b%d}\n" % (line, _CRC, self.checksum)

    def read(self, lines: Iterable[bytes]) -> None:
        """Read all complete lines.

        Raises:
            JournalError: A line was altered.
        """
        self.checksum = 0
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):  # torn: no step was taken because of it
                return
            content, _, _ = line.rpartition(_CRC)
            try:
                self._add(json.loads(line), is_intact=line == self.completed(content))
            except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError):
                raise JournalError(
                    f"{self.path} cannot be read: line {number} was altered, or is not a line of "
                    f"the journal of a rotation. Restore the file from a copy."
                ) from None
            self.size += len(line)

    def _add(self, data: dict[str, Any], *, is_intact: bool) -> None:
        if not is_intact:
            raise ValueError(data)
        if not self.header:
            if (data["format"], data["version"]) != (FORMAT, VERSION):
                raise ValueError(data)
            # All members are read, so that a header that lacks one is refused here.
            parse_settings(data["settings"])
            parse_timestamp(data["created"])
            self.header = data | {name: data[name] for name in ("id", "baseUrl", "account")}
        elif len(self.tokens) < self.header["tokens"]:
            self.tokens.append(parse_token(data))
        else:
            number = data["n"]
            self.tokens[number] = advanced(self.tokens[number], data)

    def rotation(self) -> Rotation:
        """Return the state of the rotation.

        Raises:
            JournalError: Lines are missing.
        """
        if not self.header or len(self.tokens) < self.header["tokens"]:
            raise JournalError(
                f"{self.path} is not the journal of a rotation, or it lacks lines. Restore the "
                f"file from a copy."
            )
        return Rotation(
            id=str(self.header["id"]),
            path=self.path,
            created_at=parse_timestamp(self.header["created"]),
            base_url=str(self.header["baseUrl"]),
            account=self.header["account"],
            settings=parse_settings(self.header["settings"]),
            tokens=tuple(self.tokens),
            sink=self.header.get("sink"),
        )
