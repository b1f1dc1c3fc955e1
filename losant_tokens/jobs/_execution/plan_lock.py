"""A lock on a plan, so that one process at a time applies it on this machine.

The journal has a lock, too, but a copy of the plan, a link to it, or another journal path would
bypass that one. So this lock is a file in a private folder, and its name comes from the content of
the plan: its digest, which covers the base URL and the account. The file names the process that
holds the lock.
"""

import hashlib
import json
import os
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import attrs

from losant_tokens._utils import private_files
from losant_tokens.jobs._errors import JobError, JournalError

_PRIVATE = 0o700
_MAX_CONTENT = 1000  # bytes


@attrs.frozen
class LockHolder:
    """The process that holds a lock.

    Attributes:
        process_id: The id of the process; `None` if it is unknown.
        host: The name of its machine; `None` if it is unknown.
    """

    process_id: int | None = None
    host: str | None = None

    def __str__(self) -> str:
        if self.process_id is None:
            return "another process"
        return f"process {self.process_id}" + ("" if self.host is None else f" on {self.host}")


@attrs.define(eq=False)
class PlanLock:
    """A lock that is held until it is closed."""

    _path: Path
    _descriptor: int

    @classmethod
    def acquire(cls, digest: str, base_url: str) -> "PlanLock":
        """Acquire the lock on a plan.

        Args:
            digest: The digest of the plan.
            base_url: The base URL of the API.

        Raises:
            JournalError: Another process holds the lock.
            JobError: There is no folder for the lock.
        """
        path = _folder() / _name(digest, base_url)
        while True:
            try:
                descriptor = private_files.open_private(path, os.O_RDWR | os.O_CREAT)
            except OSError as error:
                raise JobError(f"{path} cannot be used: {private_files.reason(error)}") from None
            lock = cls(path, descriptor)
            if not private_files.acquire_lock(descriptor):
                holder = _read_holder(descriptor)
                os.close(descriptor)
                raise JournalError(
                    f"This plan is in use: {holder} applies it, or a copy of it. Wait until that "
                    f"process has ended."
                )
            if lock._is_current():
                _write_holder(descriptor)
                return lock
            os.close(descriptor)  # its holder has removed the file

    @staticmethod
    def holder(digest: str, base_url: str) -> LockHolder | None:
        """Return the process that holds the lock on a plan, or `None`. Nothing is changed.

        Args:
            digest: The digest of the plan.
            base_url: The base URL of the API.
        """
        name = _name(digest, base_url)
        for folder in _candidates():
            with suppress(OSError):
                descriptor = private_files.open_private(folder / name, os.O_RDWR)
                try:
                    if private_files.is_locked(descriptor):
                        return _read_holder(descriptor)
                finally:
                    os.close(descriptor)
        return None

    def close(self) -> None:
        """Release the lock, and remove its file."""
        with suppress(OSError):  # Windows does not remove an open file
            self._path.unlink()
        os.close(self._descriptor)

    def _is_current(self) -> bool:
        """Return whether the path still leads to the locked file."""
        with suppress(OSError):
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        return False


def _name(digest: str, base_url: str) -> str:
    return hashlib.sha256(f"{digest} {base_url}".encode()).hexdigest()[:32] + ".lock"


def _write_holder(descriptor: int) -> None:
    """Write this process to the file of a lock. It is only for messages, so it may fail."""
    data = {"process": os.getpid(), "host": socket.gethostname()}
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, json.dumps(data).encode())


def _read_holder(descriptor: int) -> LockHolder:
    """Return the process that a lock file names. Other programs may have written the file."""
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        data = json.loads(os.read(descriptor, _MAX_CONTENT))
        return LockHolder(int(data["process"]), str(data["host"])[:255])
    except (OSError, ValueError, KeyError, TypeError):
        return LockHolder()


def _folder() -> Path:
    """Return a folder that only the user can write to.

    Raises:
        JobError: There is no such folder, and it cannot be made.
    """
    for folder in _candidates():
        with suppress(OSError):
            folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            if _is_own(folder) and os.access(folder, os.W_OK):
                return folder
    raise JobError(
        "There is no private folder for the lock of the plan. Set XDG_STATE_HOME to a folder that "
        "only you can write to."
    )


def _candidates() -> Iterator[Path]:
    # The XDG Base Directory Specification declares relative paths invalid.
    if (state := os.environ.get("XDG_STATE_HOME", "")) and Path(state).is_absolute():
        yield Path(state) / "losant-tokens-locks"
    with suppress(RuntimeError):  # the home folder is unknown
        yield Path.home() / ".local" / "state" / "losant-tokens-locks"
    user = "" if sys.platform == "win32" else f"-{os.getuid()}"
    yield Path(tempfile.gettempdir()) / f"losant-tokens{user}-locks"


def _is_own(folder: Path) -> bool:
    """Return whether a folder is not a link, and no other user can write to it."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return False
    if sys.platform == "win32":  # pragma: no cover -- Windows has no file modes
        return True
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
