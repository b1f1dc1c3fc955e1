"""Writes plans, all of one or nothing."""

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
from losant_tokens.jobs._files import make_private, reason
from losant_tokens.jobs._plan import Plan
from losant_tokens.jobs._plan_format import (
    digest_of,
    entry_json,
    first_line,
    header_json,
    json_line,
)
from losant_tokens.jobs._values import Entry, Header


class PlanWriter:
    """Writes a plan: its tokens first, as they come, and then the header that counts them.

    Until it is finished, all there is of it is a file without a name, which nobody has to remove.

    Raises:
        PlanRefused: The file exists already.
        JobError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
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
        with contextlib.suppress(OSError):  # what was not written is not wanted
            self._opened().close()

    def add(self, entry: Entry) -> None:
        """Takes a token. It is written with the next `flush`."""
        self._lines.append(json_line(entry_json(entry)) + b"\n")

    def flush(self) -> None:
        """Writes what was taken."""
        data = b"".join(self._lines)
        self._lines.clear()
        self._hash.update(data)
        with self._refusals():
            self._opened().write(data)

    def mark(self) -> None:
        """Remembers how far it is."""
        self.flush()
        with self._refusals():
            self._marked = (self._opened().tell(), self._hash.copy())

    def back_to_mark(self) -> None:
        """Forgets what came since the mark."""
        self._lines.clear()
        position, hashed = self._marked
        self._hash = hashed.copy()
        with self._refusals():
            self._opened().seek(position)
            self._opened().truncate()

    def finish(self, header: Header) -> Plan:
        """Puts the header before the tokens, and the file in its place: all of it or nothing."""
        self.flush()
        said = header_json(header)
        digest = digest_of(said, self._hash.hexdigest())
        with self._refusals():
            descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    make_private(descriptor)
                    file.write(first_line(said, digest))
                    self._opened().seek(0)
                    shutil.copyfileobj(self._opened(), file)
                    file.flush()
                    os.fsync(descriptor)
                self._put_in_place(name)
            finally:
                Path(name).unlink(missing_ok=True)
        return Plan(self._path, header, digest)

    def _put_in_place(self, name: str) -> None:
        """Gives the file its name, unless another one has got it by now."""
        try:
            os.link(name, self._path)
        except FileExistsError:
            self._refuse_to_replace()
        except OSError:  # no links on this file system
            self._refuse_to_replace()
            Path(name).rename(self._path)

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
