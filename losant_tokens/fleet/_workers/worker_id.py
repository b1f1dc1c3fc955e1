"""The id of a worker, and the locks that keep two processes from sharing an id or an SQLite file.

The kernel drops the locks when the process ends, even if it is killed. So a process that gets the
lock of an id knows that the one before is dead, and takes over its work at once.
"""

import hashlib
import os
import re
import secrets
import socket
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from losant_tokens._utils import private_files
from losant_tokens.errors import ValidationError
from losant_tokens.fleet._errors import StoreError, WorkerRefused

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_FOLDER_ID = re.compile(r"[0-9a-f]{16}")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MAX_HOST = 48  # characters of a host name in an id
_SHOWN = 6  # characters of the id of a folder, and of the digest of a store


def check_worker_id(text: str) -> str:
    """Return the id of a worker: up to 63 letters, digits, ".", "-" and "_".

    Raises:
        ValidationError: It has another form.
    """
    if not _ID.fullmatch(text):
        raise ValidationError(
            f'The name of a worker must be up to 63 letters, digits, ".", "-" and "_", but it is '
            f"{text[:80]!r}"
        )
    return text


@frozen(kw_only=True)
class Identity:
    """The id of a worker, which is locked on this machine.

    Attributes:
        id: The id, which is the same after each start.
        place: The lock file of the worker, and the boot of the machine. A process that holds the
            lock at the same place proves that the one before is dead.
        host: The name of the machine.
        lock: The descriptor of the lock file. Close it with `release`.
    """

    id: str
    place: str
    host: str
    lock: int

    @classmethod
    def acquire(cls, folder: Path, worker_id: str | None = None, *, store: str = "") -> "Identity":
        """Lock the id of a worker.

        Args:
            folder: A folder that is the same after a restart. It is created if it does not exist.
            store: The store, without its password. Workers of two stores can have the same id.
            worker_id: The id. Default: the name of this machine and a random part, which the
                folder keeps. So two machines with one name have two ids.

        Raises:
            ValidationError: The id is invalid.
            WorkerRefused: Another process on this machine has the id.
            StoreError: The folder cannot be used.
        """
        if worker_id is not None:
            check_worker_id(worker_id)
        host = socket.gethostname()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            of_folder = _id_of_folder(folder / "worker-id")
            chosen = worker_id or _default_id(host, of_folder)
            of_store = hashlib.sha256(store.encode()).hexdigest()[:_SHOWN]
            path = folder / f"worker-{chosen}-{of_store}.lock"
            lock = _locked(path)
        except OSError as error:
            problem = private_files.reason(error)
        else:
            if lock is None:
                raise WorkerRefused(
                    f"A worker with the name {chosen} is running on this machine, because {path} "
                    f"is locked. Stop it, or choose another name."
                )
            return cls(id=chosen, place=_place(of_folder, lock), host=host, lock=lock)
        raise StoreError(f"The folder {folder} of this worker cannot be used: {problem}")

    def release(self) -> None:
        """Drop the lock."""
        os.close(self.lock)


def lock_database(database: Path) -> int:
    """Keep other workers away from an SQLite file, and return the descriptor to close at the end.

    Args:
        database: The SQLite file. The lock is a file beside it.

    Raises:
        WorkerRefused: Another worker uses the file.
        StoreError: The lock cannot be created.
    """
    path = database.with_name(f"{database.name}.worker.lock")
    try:
        lock = _locked(path)
    except OSError as error:
        problem = private_files.reason(error)
    else:
        if lock is None:
            raise WorkerRefused(
                f"Another worker uses {database}. An SQLite file can have only one worker, because "
                f"the limits of accounts would not hold across several. Stop the other worker, or "
                f"use a PostgreSQL database."
            )
        return lock
    raise StoreError(f"{path} cannot be locked: {problem}")


def _locked(path: Path) -> int | None:
    """Lock a file, and return its descriptor; None if another process has locked it."""
    descriptor = private_files.open_lock_file(path)
    if private_files.acquire_lock(descriptor):
        return descriptor
    os.close(descriptor)
    return None


def _default_id(host: str, of_folder: str) -> str:
    name = _UNFIT.sub("-", host)[:_MAX_HOST].strip("-._") or "worker"
    return f"{name}-{of_folder[:_SHOWN]}"


def _id_of_folder(path: Path) -> str:
    """Return the random id that a folder keeps, and create it at the first call."""
    with suppress(OSError, UnicodeDecodeError):
        known = path.read_text("ascii").strip()
        if _FOLDER_ID.fullmatch(known):
            return known
    private_files.replace_file(path, f"{secrets.token_hex(8)}\n".encode())
    # Another process may have replaced the file after this one. Both read the same id.
    return path.read_text("ascii").strip()


def _place(of_folder: str, lock: int) -> str:
    """Return a string that two processes share only if the kernel checks both against one lock.

    A copy of the folder has another file, and a copy of a machine has another boot. If the boot is
    unknown, as on macOS and in some sandboxes, no two processes share the string.
    """
    boot = secrets.token_hex(8)
    with suppress(OSError):
        boot = _BOOT_ID.read_text("ascii").strip() or boot
    found = os.fstat(lock)
    return f"{of_folder}:{boot}:{found.st_dev}:{found.st_ino}"
