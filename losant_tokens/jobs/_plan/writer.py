"""Writes plans, completely or not at all."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from losant_tokens.errors import JobError, PlanRefused
from losant_tokens.jobs._files import part_of, reason
from losant_tokens.jobs._plan.format import (
    digest_of,
    entry_json,
    first_line,
    header_json,
    json_line,
)
from losant_tokens.jobs._plan.plan import MOST_HEADER, MOST_LINE, Plan
from losant_tokens.jobs._plan.temporary_folder import OwnFolder
from losant_tokens.jobs._types import Entry, Header


class PlanWriter:
    """Writes a plan: its tokens first, as they come, and then the header that counts them.

    Until it is finished, the tokens are in a file without a name, which nobody has to remove.

    Args:
        path: The file; `None` for one in a temporary folder, which goes with the plan.

    Raises:
        PlanRefused: The file exists already.
        JobError: It cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._folder: OwnFolder | None = None
        if path is None:
            self._folder = OwnFolder.create()
            path = self._folder.path / "plan.jsonl"
        self._path = path
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._marked = (0, hashlib.sha256())
        self._lines: list[bytes] = []

    def __enter__(self) -> Self:
        self._refuse_to_replace()
        with self._refusals():
            self._file = tempfile.TemporaryFile(dir=self._path.parent)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._folder = None
        with contextlib.suppress(OSError):  # what was not written is not wanted
            self._opened().close()

    def add(self, entry: Entry) -> None:
        """Take a token. It is written with the next `flush`.

        Raises:
            JobError: It is too long for a plan.
        """
        line = json_line(entry_json(entry)) + b"\n"
        if len(line) > MOST_LINE:
            raise JobError(
                f"The token {entry.id} of {entry.owner} cannot be planned: its members have "
                f"{len(line):,} bytes. Leave it out of the selection."
            )
        self._lines.append(line)

    def flush(self) -> None:
        """Write the tokens that were taken."""
        data = b"".join(self._lines)
        self._lines.clear()
        self._hash.update(data)
        with self._refusals():
            self._opened().write(data)

    def mark(self) -> None:
        """Remember the position."""
        self.flush()
        with self._refusals():
            self._marked = (self._opened().tell(), self._hash.copy())

    def back_to_mark(self) -> None:
        """Drop the tokens that came after the mark."""
        self._lines.clear()
        position, hashed = self._marked
        self._hash = hashed.copy()
        with self._refusals():
            self._opened().seek(position)
            self._opened().truncate()

    def finish(self, header: Header) -> Plan:
        """Save the plan, and return it.

        Raises:
            PlanRefused: There is such a file by now.
            JobError: It cannot be written.
        """
        return self.made(header, self.save(header))

    def save(self, header: Header) -> str:
        """Write the header and the tokens to the path, completely or not at all.

        Returns:
            The digest of the plan.

        Raises:
            PlanRefused: There is such a file by now.
            JobError: It cannot be written.
        """
        self.flush()
        data = header_json(header)
        if len(json_line(data)) > MOST_HEADER:
            raise JobError("The header of the plan is too long. Protect fewer patterns.")
        digest = digest_of(data, self._hash.hexdigest())
        with self._refusals(), part_of(self._path) as (descriptor, part):
            with open(descriptor, "wb", closefd=False) as file:
                file.write(first_line(data, digest))
                self._opened().seek(0)
                shutil.copyfileobj(self._opened(), file)
            os.fsync(descriptor)
            self._put_in_place(part)
        return digest

    def made(self, header: Header, digest: str) -> Plan:
        """Return the plan that was saved, which has the temporary folder from now on."""
        folder, self._folder = self._folder, None
        return Plan(self._path, header, digest, folder=folder)

    def _put_in_place(self, part: Path) -> None:
        """Give the file its name, unless another file has got it meanwhile."""
        try:
            os.link(part, self._path)
        except FileExistsError:
            self._refuse_to_replace()
        except OSError:  # no links on this file system
            self._refuse_to_replace()
            part.rename(self._path)

    def _refuse_to_replace(self) -> None:
        if os.path.lexists(self._path):
            raise PlanRefused(f"{self._path} exists already. Give the plan another name.")

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise JobError(f"{self._path} cannot be written: {reason(error)}") from None

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            raise RuntimeError("A PlanWriter is used in a `with` block.")
        return self._file
