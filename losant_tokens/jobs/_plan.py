"""A plan: what a job will do, as a file that can be read, reviewed, and checked for changes.

JSON Lines. The first line is the header, with a digest over itself and all other lines; each
other line is one token with the reason for which it was selected. No line holds a secret; the
file is the owner's alone (mode 0600) all the same.
"""

import contextlib
import json
import os
from collections.abc import Generator, Iterable, Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import BinaryIO, Self

import attrs

from losant_tokens import Owner
from losant_tokens.errors import PlanRefused
from losant_tokens.jobs._files import reason
from losant_tokens.jobs._plan_format import (
    FORMAT,
    VERSION,
    digest_of,
    first_line,
    hash_of,
    read_entry,
    read_header,
)
from losant_tokens.jobs._values import Entry, Header

_AT_A_TIME = 16_384  # bytes, of which at least so many are read


@attrs.frozen
class Plan:
    """A plan that was made, or read.

    Attributes:
        path: Its file.
        header: What it says about itself.
        digest: What tells it from any other plan.
    """

    path: Path
    header: Header
    digest: str

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """The plan in a file, once it is certain that nobody has altered it.

        Raises:
            PlanRefused: It is no plan, was altered, or cannot be read.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                header, digest = _read_checked(path, file)
        except OSError as error:
            raise PlanRefused(f"{path} cannot be read: {reason(error)}") from None
        return cls(path, header, digest)

    def entries(self) -> Iterator[Entry]:
        """The tokens of the plan, read one by one."""
        with self.path.open("rb") as file:
            file.readline()
            yield from Entries(file)

    def checked_entries(self) -> "Entries":
        """The same, once it is certain that it still is this plan that is in the file.

        Raises:
            PlanRefused: It is not.
        """
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(self.path.open("rb"))
                _, digest = _read_checked(self.path, file)
                file.seek(0)
                file.readline()
            except OSError as error:
                raise PlanRefused(f"{self.path} cannot be read: {reason(error)}") from None
            if digest != self.digest:
                raise PlanRefused(f"{self.path} is another plan by now. Read it again.")
            stack.pop_all()
        return Entries(file)

    def __len__(self) -> int:
        total = self.header.total
        return total.selected + total.protected

    def check(self, base_url: str, max_age: timedelta, now: datetime) -> None:
        """Refuses the plan where it may not be applied.

        Raises:
            PlanRefused: It is for another address, or older than it may be.
        """
        if base_url != self.header.base_url:
            raise PlanRefused(
                f"{self.path} was made for {self.header.base_url}, and this is {base_url}"
            )
        age = now - self.header.created
        if age > max_age:
            raise PlanRefused(
                f"{self.path} was made {_hours(age)} ago, and may be {_hours(max_age)} old at the "
                f"most. Make the plan anew, or allow it to be older."
            )


def _hours(span: timedelta) -> str:
    hours = span / timedelta(hours=1)
    return f"{hours:.3g} hours" if hours >= 1 else f"{hours * 3600:.3g} seconds"


def _read_checked(path: Path, file: BinaryIO) -> tuple[Header, str]:
    """The header and the digest of the plan in a file.

    Raises:
        PlanRefused: It is no plan, or was altered.
    """
    line = file.readline()
    try:
        said = json.loads(line)
        if not isinstance(said, dict) or said.get("format") != FORMAT:
            raise PlanRefused(f"{path} is not a plan of losant-tokens")
        if said.get("version") != VERSION:
            raise PlanRefused(
                f"{path} is a plan of version {said.get('version')}, and this release "
                f"knows version {VERSION} alone. Make the plan anew."
            )
        digest = said.pop("digest", None)
        # The line itself is compared as well: one that says the same in other bytes is not it.
        if digest != digest_of(said, hash_of(file)) or line != first_line(said, digest):
            raise PlanRefused(f"{path} was altered since it was made. Make the plan anew.")
        return read_header(said), digest
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise PlanRefused(f"{path} is not a plan of losant-tokens") from None


class Entries(Iterable[Entry]):
    """The tokens of a plan, one by one, and once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._chunks = self._read()

    def __iter__(self) -> Iterator[Entry]:
        owner_of = cache(Owner.parse)  # there are few, and they come again and again
        for lines in self._chunks:
            # Together they take half as long as one by one.
            for said in json.loads(b"[%b]" % b",".join(lines)):
                yield read_entry(said, owner_of(said["owner"]))

    def chunks(self) -> Iterator[list[bytes]]:
        """Their lines, some at a time."""
        return self._chunks

    def close(self) -> None:
        """Lets go of the file."""
        self._chunks.close()
        self._file.close()

    def _read(self) -> Generator[list[bytes], None, None]:
        with self._file:
            while lines := self._file.readlines(_AT_A_TIME):
                yield lines
