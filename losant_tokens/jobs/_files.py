"""Files that are their owner's alone, locked against other processes where that is wanted."""

import os
import sys
from pathlib import Path

_O_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_O_BINARY = getattr(os, "O_BINARY", 0)


def open_private(path: Path, flags: int) -> int:
    """Opens a file that nobody else can read, however the umask is set; gives its descriptor."""
    descriptor = os.open(path, flags | _O_CLOEXEC | _O_BINARY, 0o600)
    try:
        make_private(descriptor)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def make_private(descriptor: int) -> None:
    """Has nobody but its owner read a file."""
    # Windows has had no such call before Python 3.13, and its files have no such mode.
    if fchmod := getattr(os, "fchmod", None):
        fchmod(descriptor, 0o600)


def reason(error: OSError) -> str:
    """Why a file could not be used, in a few words."""
    return error.strerror or type(error).__name__


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    _FAR_BEHIND = 1 << 40  # a lock keeps others from reading, so it is on no line of the file

    def lock(descriptor: int) -> bool:
        """Locks a file until it is closed, unless another process has it; says whether it did."""
        os.lseek(descriptor, _FAR_BEHIND, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def lock(descriptor: int) -> bool:
        """Locks a file until it is closed, unless another process has it; says whether it did."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
