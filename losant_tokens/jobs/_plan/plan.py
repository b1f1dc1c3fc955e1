"""A plan: what a job will do, as a file that can be read, reviewed, and checked for changes.

JSON Lines. The first line is the header, with a digest over itself and all other lines; each
other line is one token with the reason for which it was selected. No line holds a secret, but
names and ids are nobody else's business, so the file is private (mode 0600).

The digest has no key, so it shows changes but no forgery: a plan of somebody else may hold anything
with a digest that fits. So each line is checked when a plan is read, and the file again when it is
used: it is hashed in blocks as a whole first, and each block again when its lines are read. A file
that is changed in between, in place or by a rename, ends the job before a changed line is used.
Rejected: to keep the verified bytes in memory or in a copy, since plans can have hundreds of MB.
"""

import contextlib
import hashlib
import io
import json
import os
from array import array
from collections.abc import Generator, Iterable, Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Self

import attrs

from losant_tokens import Owner
from losant_tokens import _validators as validators
from losant_tokens.errors import PlanRefused
from losant_tokens.jobs._files import open_regular, reason
from losant_tokens.jobs._plan.format import (
    FORMAT,
    VERSION,
    LineCheck,
    digest_of,
    first_line,
    read_entry,
    read_header,
    unique_members,
)
from losant_tokens.jobs._plan.temporary_folder import OwnFolder
from losant_tokens.jobs._types import Entry, Header

TOLERANCE = timedelta(minutes=5)
"""How far in the future a plan may have been made: clocks differ."""

MOST_HEADER, MOST_LINE = 16 << 20, 4 << 20
"""How many bytes the first line of a plan, and each other line, may have."""

_BLOCK = 65_536  # bytes that are hashed and read together, with the rest of their last line
_AT_A_TIME = 64  # lines
_HASH = 16  # bytes


@attrs.frozen
class Plan:
    """A plan that was made, or read.

    Attributes:
        path: Its file.
        header: The facts about it as a whole.
        digest: The digest of its content, which no other plan has.
        folder: The temporary folder of a plan without a path of its own.
    """

    path: Path
    header: Header
    digest: str
    folder: OwnFolder | None = attrs.field(default=None, eq=False, repr=False, kw_only=True)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Return the plan in a file, once each of its lines was checked.

        Raises:
            PlanRefused: It is no plan, was altered, or cannot be read.
        """
        path = Path(path)
        with _refusing(path), _opened(path) as file:
            data, digest, blocks = _checked(path, file)
            header = read_header(data)
            check = LineCheck(header)
            for lines in Entries(path, file, blocks).chunks():
                check.take(lines)
        if problem := check.problem():
            raise PlanRefused(f"{path} is not a plan of losant-tokens: {problem}")
        return cls(path, header, digest)

    def entries(self) -> Iterator[Entry]:
        """Iterate over the tokens of the plan.

        Raises:
            PlanRefused: The file is not this plan any more.
        """
        entries = self._entries()
        try:
            yield from entries
        finally:
            entries.close()

    def checked_entries(self) -> "Entries":
        """Return the tokens of the plan, once it is certain that the file still is this plan.

        Raises:
            PlanRefused: It is not, or cannot be read.
        """
        if self.folder is not None:
            self.folder.begin()
        return self._entries()

    def _entries(self) -> "Entries":
        with _refusing(self.path), contextlib.ExitStack() as stack:
            file = stack.enter_context(_opened(self.path))
            _, digest, blocks = _checked(self.path, file)
            if digest != self.digest:
                raise PlanRefused(f"{self.path} is another plan by now. Read it again.")
            stack.pop_all()
        return Entries(self.path, file, blocks)

    def detached(self) -> Self:
        """Return the plan without its temporary folder, for objects that must not keep it."""
        return attrs.evolve(self, folder=None)

    def __len__(self) -> int:
        total = self.header.total
        return total.selected + total.protected

    def check(self, base_url: str, max_age: timedelta | None, now: datetime) -> None:
        """Refuse the plan if it must not be applied.

        Args:
            base_url: The address of the API.
            max_age: How old the plan may be; `None` for any age.
            now: The time: the server's, if it is known.

        Raises:
            ValidationError: The age is no timedelta.
            PlanRefused: The plan is for another address, too old, or from the future.
        """
        validators.check_argument(
            validators.optional(validators.instance_of(timedelta)), "apply", "max_age", max_age
        )
        if base_url != self.header.base_url:
            raise PlanRefused(
                f"{self.path} was made for {self.header.base_url}, and this is {base_url}"
            )
        age = now - self.header.created_at
        if age < -TOLERANCE:
            raise PlanRefused(
                f"{self.path} was made at {self.header.created_at.isoformat(timespec='seconds')}, "
                f"which lies in the future: it is {now.isoformat(timespec='seconds')}. Check the "
                f"clock of this machine, or make a new plan."
            )
        # The two times may differ by a second, so that a plan that was just made has no age at all.
        if max_age is not None and (age > max_age or max_age <= timedelta(0)):
            raise PlanRefused(
                f"{self.path} was made {_hours(max(age, timedelta(0)))} ago, and must not be older "
                f"than {_hours(max_age)}. Make a new plan, or pass a larger max_age."
            )


def _hours(span: timedelta) -> str:
    hours = span / timedelta(hours=1)
    return f"{hours:.3g} hours" if hours >= 1 else f"{hours * 3600:.3g} seconds"


def _opened(path: Path) -> BinaryIO:
    return os.fdopen(open_regular(path), "rb")


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn the errors of reading a plan into refusals."""
    try:
        yield
    except (OSError, MemoryError) as error:
        why = reason(error) if isinstance(error, OSError) else "it is too large"
        raise PlanRefused(f"{path} cannot be read: {why}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise PlanRefused(f"{path} is not a plan of losant-tokens") from None


# --- Checking --------------------------------------------------------------------------------


class _Blocks:
    """The sizes and the hashes of the blocks of a file, 24 bytes for each."""

    def __init__(self) -> None:
        self.sizes = array("Q")
        self._hashes = bytearray()

    def add(self, block: bytes) -> None:
        self.sizes.append(len(block))
        self._hashes += _hash(block)

    def is_same(self, number: int, block: bytes) -> bool:
        return self._hashes[_HASH * number : _HASH * (number + 1)] == _hash(block)


def _hash(block: bytes) -> bytes:
    return hashlib.blake2b(block, digest_size=_HASH).digest()


def _checked(path: Path, file: BinaryIO) -> tuple[dict[str, Any], str, _Blocks]:
    """Return what the header of a plan says, the digest, and the blocks of its other lines.

    The file is at its first token then.

    Raises:
        PlanRefused: It is a plan of another version, or was altered.
        ValueError: It is no plan.
    """
    line = _rest_of_line(b"", file, MOST_HEADER)
    data = json.loads(line, object_pairs_hook=unique_members)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError
    if data.get("version") != VERSION:
        raise PlanRefused(
            f"{path} is a plan of version {validators.describe(data.get('version'))}, "
            f"and this release knows version {VERSION} alone. Make a new plan."
        )
    digest = data.pop("digest", None)
    hashed, blocks = hashlib.sha256(), _Blocks()
    while block := file.read(_BLOCK):
        block = _rest_of_line(block, file, MOST_LINE)
        hashed.update(block)
        blocks.add(block)
    # The line itself is compared as well: one that says the same in other bytes is not it.
    if digest != digest_of(data, hashed.hexdigest()) or line != first_line(data, digest):
        raise PlanRefused(f"{path} was altered since it was made. Make a new plan.")
    file.seek(len(line))
    return data, digest, blocks


def _rest_of_line(start: bytes, file: BinaryIO, limit: int) -> bytes:
    """Return the bytes with the rest of their last line.

    Raises:
        ValueError: The line does not end, or not within the limit.
    """
    line = start if start.endswith(b"\n") else start + file.readline(limit)
    if not line.endswith(b"\n"):
        raise ValueError
    return line


class Entries(Iterable[Entry]):
    """The tokens of a plan, one by one, and once.

    Args:
        path: The path of the plan, for messages.
        file: The file, at the first token.
        blocks: The blocks that were checked.
    """

    def __init__(self, path: Path, file: BinaryIO, blocks: _Blocks) -> None:
        self._path = path
        self._file = file
        self._blocks = blocks
        self._chunks = self._read()

    def __iter__(self) -> Iterator[Entry]:
        owner_of = cache(Owner.parse)  # there are few, and they come again and again
        for lines in self._chunks:
            # Together they take half as long as one by one.
            for data in json.loads(b"[%b]" % b",".join(lines)):
                yield read_entry(data, owner_of(data["owner"]))

    def chunks(self) -> Iterator[list[bytes]]:
        """Iterate over the lines, some at a time.

        Raises:
            PlanRefused: The file was changed after it was checked.
        """
        return self._chunks

    def close(self) -> None:
        """Close the file."""
        self._chunks.close()
        self._file.close()

    def _read(self) -> Generator[list[bytes], None, None]:
        with self._file:
            for number, size in enumerate(self._blocks.sizes):
                block = self._read_block(size)
                if not self._blocks.is_same(number, block):
                    raise PlanRefused(
                        f"{self._path} was changed after it was checked. Make a new plan."
                    )
                lines = io.BytesIO(block).readlines()
                for start in range(0, len(lines), _AT_A_TIME):
                    yield lines[start : start + _AT_A_TIME]

    def _read_block(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            raise PlanRefused(f"{self._path} cannot be read: {reason(error)}") from None
