"""Temporary folders for plans that are made without a path.

Nobody knows the path of such a plan, so its files would accumulate. They are removed with the last
object that needs them: the plan, or the report of its job. They are kept if a job has started and
is not complete, because it can be resumed. If the process is killed, the next one removes the
folder, unless it has a journal.
"""

import contextlib
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Self

import attrs

from losant_tokens._utils.private_files import is_own, lock, open_private, reason
from losant_tokens.jobs._errors import JobError

_PREFIX = "losant-tokens-plan-"
_LOCK = "lock"


@attrs.define(eq=False)
class _State:
    descriptor: int
    is_unfinished: bool = False


@attrs.frozen(eq=False)
class TemporaryFolder:
    """A private temporary folder that is removed with this object.

    Attributes:
        path: The path of the folder.
    """

    path: Path
    _state: _State

    @classmethod
    def create(cls) -> Self:
        """Create a folder, and remove the folders of killed processes.

        Raises:
            JobError: The folder cannot be created.
        """
        parent = tempfile.gettempdir()
        try:
            _remove_stale(Path(parent))
            path = Path(tempfile.mkdtemp(prefix=_PREFIX))
            descriptor = open_private(path / _LOCK, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise JobError(f"{parent} cannot be written: {reason(error)}") from None
        lock(descriptor)
        state = _State(descriptor)
        folder = cls(path, state)
        weakref.finalize(folder, _finish, path, state)
        return folder

    def keep(self) -> None:
        """Keep the folder even after this object is gone, because a job has started."""
        self._state.is_unfinished = True

    def release(self) -> None:
        """Remove the folder with this object again, because the job is complete."""
        self._state.is_unfinished = False


def _finish(path: Path, state: _State) -> None:
    os.close(state.descriptor)
    if not state.is_unfinished:
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            (path / _LOCK).unlink()


def _remove_stale(parent: Path) -> None:
    for folder in list(parent.glob(f"{_PREFIX}*")):
        with contextlib.suppress(OSError):
            # A folder without a lock holds the files of a job that can be resumed.
            if is_own(folder.lstat()) and not list(folder.glob("*.journal")):
                _remove_unlocked(folder)


def _remove_unlocked(folder: Path) -> None:
    descriptor = open_private(folder / _LOCK, os.O_RDWR)
    try:
        if lock(descriptor):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)
