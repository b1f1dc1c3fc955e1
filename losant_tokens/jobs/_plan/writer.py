"""Write plan files, completely or not at all."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from losant_tokens._utils.private_files import part_of, reason
from losant_tokens.jobs._errors import JobError, PlanRefused
from losant_tokens.jobs._plan.format import (
    digest_of,
    entry_json,
    first_line,
    header_json,
    json_line,
)
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._plan.reader import MAX_HEADER_SIZE, MAX_LINE_SIZE
from losant_tokens.jobs._plan.unnamed_plan_folder import TemporaryFolder
from losant_tokens.jobs._types import Entry, Header


class PlanWriter:
    """Writes a plan: first the tokens, as they are listed, then the header with their number.

    Until the plan is saved, its tokens are in a file without a name. The operating system removes
    that file if the process ends.

    Args:
        path: The file of the plan; `None` for a file in a temporary folder, which is removed with
            the plan.

    Raises:
        JobError: The temporary folder cannot be created.
    """

    def __init__(self, path: Path | None) -> None:
        self._folder: TemporaryFolder | None = None
        if path is None:
            self._folder = TemporaryFolder.create()
            path = self._folder.path / "plan.jsonl"
        self._path = path
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._savepoint = (0, hashlib.sha256())
        self._lines: list[bytes] = []

    def __enter__(self) -> Self:
        """Create the file for the tokens.

        Raises:
            PlanRefused: The path already exists.
            JobError: The folder cannot be written to.
        """
        self._refuse_to_replace()
        with self._write_errors():
            self._file = tempfile.TemporaryFile(dir=self._path.parent)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._folder = None
        # Closing the file may flush it and fail, but its content is saved or no longer needed.
        with contextlib.suppress(OSError):
            self._opened().close()

    def add(self, entry: Entry) -> None:
        """Add a token. The next `flush` writes it.

        Raises:
            JobError: The line of the token is too long for a plan.
        """
        line = json_line(entry_json(entry)) + b"\n"
        if len(line) > MAX_LINE_SIZE:
            raise JobError(
                f"The token {entry.id} of {entry.owner} cannot be planned, because its line "
                f"would have {len(line):,} bytes. Leave it out of the selection."
            )
        self._lines.append(line)

    def flush(self) -> None:
        """Write the tokens that were added.

        Raises:
            JobError: They cannot be written.
        """
        data = b"".join(self._lines)
        self._lines.clear()
        self._hash.update(data)
        with self._write_errors():
            self._opened().write(data)

    def savepoint(self) -> None:
        """Write the tokens that were added, and remember the position for `rollback`.

        Raises:
            JobError: They cannot be written.
        """
        self.flush()
        with self._write_errors():
            self._savepoint = (self._opened().tell(), self._hash.copy())

    def rollback(self) -> None:
        """Drop the tokens that were added since the savepoint.

        Raises:
            JobError: The file cannot be truncated.
        """
        self._lines.clear()
        position, hashed = self._savepoint
        self._hash = hashed.copy()
        with self._write_errors():
            self._opened().seek(position)
            self._opened().truncate()

    def finish(self, header: Header) -> Plan:
        """Save the plan, and return it.

        Raises:
            PlanRefused: Another process has created the file meanwhile.
            JobError: It cannot be written.
        """
        return self.saved_plan(header, self.save(header))

    def save(self, header: Header) -> str:
        """Write the header and the tokens to the path, completely or not at all.

        Returns:
            The digest of the plan.

        Raises:
            PlanRefused: Another process has created the file meanwhile.
            JobError: It cannot be written.
        """
        self.flush()
        data = header_json(header)
        if len(json_line(data)) > MAX_HEADER_SIZE:
            raise JobError("The header of the plan is too long. Pass fewer protect patterns.")
        digest = digest_of(data, self._hash.hexdigest())
        with self._write_errors(), part_of(self._path) as (descriptor, part):
            with open(descriptor, "wb", closefd=False) as file:
                file.write(first_line(data, digest))
                self._opened().seek(0)
                shutil.copyfileobj(self._opened(), file)
            os.fsync(descriptor)
            self._put_in_place(part)
        return digest

    def save_refused(self, header: Header) -> str:
        """Write a plan that a guard refused to a temporary folder, for review.

        Returns:
            The digest of the plan.

        Raises:
            JobError: It cannot be written.
        """
        self._folder = TemporaryFolder.create()
        self._path = self._folder.path / "refused.jsonl"
        return self.save(header)

    def saved_plan(self, header: Header, digest: str) -> Plan:
        """Return the plan that `save` wrote. The plan takes over the temporary folder.

        Args:
            header: The header that was saved.
            digest: The digest that `save` returned.
        """
        folder, self._folder = self._folder, None
        return Plan(self._path, header, digest, folder=folder)

    def _put_in_place(self, part: Path) -> None:
        """Give the file its name, unless another process has created a file of that name."""
        try:
            os.link(part, self._path)
        except FileExistsError:
            self._refuse_to_replace()
        except OSError:  # The file system has no hard links.
            self._refuse_to_replace()
            part.rename(self._path)

    def _refuse_to_replace(self) -> None:
        if os.path.lexists(self._path):
            raise PlanRefused(
                f"{self._path} already exists. Give the plan another path, or remove the file."
            )

    @contextlib.contextmanager
    def _write_errors(self) -> Iterator[None]:
        """Raise `JobError` for an error of the file system."""
        try:
            yield
        except OSError as error:
            raise JobError(f"{self._path} cannot be written: {reason(error)}") from None

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            raise RuntimeError("Use a PlanWriter in a `with` block.")
        return self._file
