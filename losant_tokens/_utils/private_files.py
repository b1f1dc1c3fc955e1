"""Private files: checked when they are opened, locked, and written completely or not at all.

A path may lead to a named pipe that blocks, to a device that acts when it is opened, or to the file
of another user. So a file is checked before it is opened and again when it is open, and it is
changed only after both checks.
"""

import contextlib
import errno
import os
import re
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

_O_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_O_BINARY = getattr(os, "O_BINARY", 0)
_O_NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # do not block on a named pipe
_O_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)

_LOCK_ATTEMPTS = 3
_LOCK_INTERVAL = 0.02  # seconds; `is_locked` holds its lock for microseconds

_PART = re.compile(r"\..+\.[0-9a-f]{12}\.losant-tokens\.part")


class UnfitFileError(OSError):
    """A path leads to another user's file, or to something other than a regular file.

    Args:
        problem: The problem, as a phrase.
        path: The path.
    """

    def __init__(self, problem: str, path: str | os.PathLike[str]) -> None:
        super().__init__(errno.EINVAL, problem, os.fspath(path))


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with the home folder in place of a `~` at its beginning.

    Raises:
        UnfitFileError: The home folder is unknown, or the path has a NUL character.
    """
    problem = "it has a NUL character"
    if "\0" not in os.fspath(path):
        try:
            return Path(path).expanduser()
        except RuntimeError:
            problem = "its home folder is unknown"
    raise UnfitFileError(problem, path)


def open_regular(path: str | os.PathLike[str]) -> int:
    """Open a regular file for reading, and return its descriptor.

    Raises:
        UnfitFileError: The path is a folder, a named pipe, a device or a socket.
        OSError: The file cannot be opened.
    """
    _check_regular(Path(path).stat(), path)
    descriptor = os.open(path, os.O_RDONLY | _O_NONBLOCK | _O_CLOEXEC | _O_BINARY)
    return _checked(descriptor, path, own=False)


def open_private(path: Path, flags: int) -> int:
    """Open a file that belongs to the user, and return its descriptor.

    A new file is private. An existing file is not changed. Make it private with `make_private` once
    you have checked its content.

    Args:
        path: The file. A symbolic link is not followed.
        flags: The flags of `os.open`.

    Raises:
        UnfitFileError: The path is not a regular file, or the file belongs to another user.
        OSError: The file cannot be opened.
    """
    flags |= _O_NOFOLLOW | _O_NONBLOCK | _O_CLOEXEC | _O_BINARY
    if flags & os.O_CREAT:
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, flags | os.O_EXCL, 0o600)
            try:
                make_private(descriptor)  # The umask may have changed the mode.
            except OSError:
                os.close(descriptor)
                raise
            return descriptor
    _check_regular(path.lstat(), path)
    return _checked(os.open(path, flags & ~os.O_CREAT), path, own=True)


def check_private(path: Path) -> None:
    """Check that a path is a regular file of the user, without opening it.

    Raises:
        UnfitFileError: The path is something else, or the file belongs to another user.
        OSError: The file does not exist.
    """
    found = path.lstat()
    _check_regular(found, path)
    if not is_own(found):
        raise UnfitFileError("it belongs to another user", path)


def _checked(descriptor: int, path: str | os.PathLike[str], *, own: bool) -> int:
    """Return the descriptor of an open file, or close it if the file must not be used."""
    try:
        found = os.fstat(descriptor)
        _check_regular(found, path)
        if own and not is_own(found):
            raise UnfitFileError("it belongs to another user", path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _check_regular(found: os.stat_result, path: str | os.PathLike[str]) -> None:
    for is_kind, kind in _KINDS:
        if is_kind(found.st_mode):
            raise UnfitFileError(f"it is {kind}, not a regular file", path)


_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def is_own(found: os.stat_result) -> bool:
    """Return whether a file belongs to the user of this process."""
    return sys.platform == "win32" or found.st_uid == os.geteuid()


def make_private(descriptor: int) -> None:
    """Make a file readable and writable only for its owner."""
    # Windows has no such modes, and no such function before Python 3.13.
    if fchmod := getattr(os, "fchmod", None):
        fchmod(descriptor, 0o600)


def reason(error: OSError) -> str:
    """Return why a file could not be used, as a phrase."""
    return error.strerror or type(error).__name__


# --- Files that are being written ------------------------------------------------------------


@contextlib.contextmanager
def part_of(path: Path) -> Iterator[tuple[int, Path]]:
    """Create a private temporary file beside a path. Rename it to the path once it is complete.

    The file is locked while it is written, and removed at the end if it was not renamed. If the
    process is killed, the next one that writes into the folder removes the file, because nobody
    holds the lock.

    Args:
        path: The path.

    Yields:
        The descriptor and the path of the temporary file.
    """
    remove_stale_parts(path.parent)
    while True:
        part = path.with_name(f".{path.name[:40]}.{uuid4().hex[:12]}.losant-tokens.part")
        descriptor = open_private(part, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        # Another process may have removed it as stale before it was locked.
        if lock(descriptor) and part.exists():
            break
        os.close(descriptor)
    try:
        yield descriptor, part
    finally:
        os.close(descriptor)  # Windows cannot remove a file that is open.
        with contextlib.suppress(OSError):
            part.unlink()


def replace_file(path: Path, content: bytes) -> None:
    """Write a private file completely or not at all, and flush it to the disk.

    Args:
        path: The file, which is replaced if it exists.
        content: Its new content.

    Raises:
        OSError: It cannot be written. It has its old content.
    """
    with part_of(path) as (descriptor, part):
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
        os.fsync(descriptor)
        part.replace(path)


def remove_stale_parts(folder: Path) -> None:
    """Remove the unfinished files of killed processes: the user's files that are not locked."""
    with contextlib.suppress(OSError):
        for file in list(folder.iterdir()):
            if _PART.fullmatch(file.name):
                _remove_if_stale(file)


def _remove_if_stale(file: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = open_private(file, os.O_RDWR)
        try:
            if lock(descriptor):
                file.unlink()
        finally:
            os.close(descriptor)


# --- Locks -----------------------------------------------------------------------------------


def open_lock_file(path: Path) -> int:
    """Open a file to lock, and create it and its folder if they are missing.

    Raises:
        UnfitFileError: The path is not a regular file, or the file belongs to another user.
        OSError: The file or its folder cannot be created.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return open_private(path, os.O_RDWR | os.O_CREAT)


def acquire_lock(descriptor: int) -> bool:
    """Lock a file until it is closed, and return whether no other process has locked it.

    A process that only asks whether the file is locked does not count.
    """
    for _ in range(_LOCK_ATTEMPTS - 1):
        if lock(descriptor):
            return True
        time.sleep(_LOCK_INTERVAL)
    return lock(descriptor)


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    _LOCK_POSITION = 1 << 40  # bytes. A lock prevents reading, so it is past the end of the file.

    def lock(descriptor: int) -> bool:
        """Lock a file until it is closed, and return whether no other process has locked it."""
        os.lseek(descriptor, _LOCK_POSITION, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def is_locked(descriptor: int) -> bool:
        """Return whether a file is locked."""
        if not lock(descriptor):
            return True
        os.lseek(descriptor, _LOCK_POSITION, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        return False

else:
    import fcntl

    def lock(descriptor: int) -> bool:
        """Lock a file until it is closed, and return whether no other process has locked it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_locked(descriptor: int) -> bool:
        """Return whether a file is locked."""
        # Two processes that ask at the same time do not see each other's lock: it is shared.
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False
