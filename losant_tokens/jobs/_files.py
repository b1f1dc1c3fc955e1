"""Private files: opened with care, locked against other processes, written completely or not.

A path may lead to something else than expected: a named pipe that blocks, a device that acts when
it is opened, the file of another user. So a file is looked at before it is opened, once more when
it is open, and nothing is changed before it was accepted.
"""

import contextlib
import errno
import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

_O_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_O_BINARY = getattr(os, "O_BINARY", 0)
_O_NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # so that a named pipe does not block
_O_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)

_PART = re.compile(r"\..+\.[0-9a-f]{12}\.losant-tokens\.part")


class UnfitFileError(OSError):
    """A path leads to something that is not used: it is no regular file, or not the user's own."""

    def __init__(self, problem: str, path: str | os.PathLike[str]) -> None:
        super().__init__(errno.EINVAL, problem, os.fspath(path))


def open_regular(path: str | os.PathLike[str]) -> int:
    """Open a regular file to read it, and return its descriptor.

    Raises:
        UnfitFileError: It is a folder, a named pipe, a device or the like.
        OSError: It cannot be opened.
    """
    _check_regular(Path(path).stat(), path)
    descriptor = os.open(path, os.O_RDONLY | _O_NONBLOCK | _O_CLOEXEC | _O_BINARY)
    return _checked(descriptor, path, own=False)


def open_private(path: Path, flags: int) -> int:
    """Open a file of the user's own, and return its descriptor.

    A new file is private. One that exists is not changed: once its content was accepted, make it
    private with `make_private`.

    Args:
        path: The file. A symbolic link is not followed.
        flags: How to open it, as for `os.open`.

    Raises:
        UnfitFileError: It is no regular file, or belongs to another user.
        OSError: It cannot be opened.
    """
    flags |= _O_NOFOLLOW | _O_NONBLOCK | _O_CLOEXEC | _O_BINARY
    if flags & os.O_CREAT:
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, flags | os.O_EXCL, 0o600)
            try:
                make_private(descriptor)  # however the umask is set
            except OSError:
                os.close(descriptor)
                raise
            return descriptor
    _check_regular(path.lstat(), path)
    return _checked(os.open(path, flags & ~os.O_CREAT), path, own=True)


def _checked(descriptor: int, path: str | os.PathLike[str], *, own: bool) -> int:
    """Return the descriptor of a file that was opened, if the file is fit for use."""
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
    """Return whether a file belongs to the user that runs this process."""
    return sys.platform == "win32" or found.st_uid == os.geteuid()


def make_private(descriptor: int) -> None:
    """Let nobody but its owner read a file."""
    # Windows has had no such call before Python 3.13, and its files have no such mode.
    if fchmod := getattr(os, "fchmod", None):
        fchmod(descriptor, 0o600)


def reason(error: OSError) -> str:
    """Return in a few words why a file could not be used."""
    return error.strerror or type(error).__name__


# --- Files that are being written ------------------------------------------------------------


@contextlib.contextmanager
def part_of(path: Path) -> Iterator[tuple[int, Path]]:
    """Create a private file beside a path, to be renamed to it once it is complete.

    It is locked while it is written, and removed at the end if it was not renamed. If the process
    is killed, the next one that writes into the folder removes it, because nobody holds the lock.

    Yields:
        Its descriptor and its path.
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
        os.close(descriptor)  # first, because Windows removes no file that is open
        with contextlib.suppress(OSError):
            part.unlink()


def remove_stale_parts(folder: Path) -> None:
    """Remove unfinished files of processes that were killed: own files that nobody has locked."""
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


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    _FAR_BEHIND = 1 << 40  # a lock keeps others from reading, so it is on no line of the file

    def lock(descriptor: int) -> bool:
        """Lock a file until it is closed, and return whether no other process has locked it."""
        os.lseek(descriptor, _FAR_BEHIND, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def lock(descriptor: int) -> bool:
        """Lock a file until it is closed, and return whether no other process has locked it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
