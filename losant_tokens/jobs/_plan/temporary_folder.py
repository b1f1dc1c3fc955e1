"""Folders for the files of plans that have no path of their own.

Such files would pile up, because nobody knows of them. So they are removed with the last object
that needs them: the plan, or the report of its job. They are kept if a job was begun and is not
complete, because it can be resumed. If the process is killed, the next one removes the folder,
unless there is a journal in it.
"""

import contextlib
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Self

import attrs

from losant_tokens.jobs._errors import JobError
from losant_tokens.jobs._files import is_own, lock, open_private, reason

_PREFIX = "losant-tokens-plan-"
_LOCK = "lock"


@attrs.define(eq=False)
class _State:
    descriptor: int
    is_unfinished: bool = False


@attrs.frozen(eq=False)
class OwnFolder:
    """A private temporary folder that goes with this object.

    Attributes:
        path: Its path.
    """

    path: Path
    _state: _State

    @classmethod
    def create(cls) -> Self:
        """Create a folder, and remove those that killed processes have left.

        Raises:
            JobError: It cannot be created.
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

    def begin(self) -> None:
        """Keep the folder from now on: a job needs it."""
        self._state.is_unfinished = True

    def complete(self) -> None:
        """Let the folder go with this object: the job is complete."""
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
