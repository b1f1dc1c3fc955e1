"""`FileSink`: a private file that holds the secret of a token."""

import os
import stat
from pathlib import Path

import anyio
from attrs import field, frozen

from losant_tokens._utils.private_files import UnfitFileError, open_private, part_of, reason
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import ValidationError
from losant_tokens.sinks._errors import SinkError
from losant_tokens.sinks._types import TokenSecret

_PLACEHOLDERS = ("{id}", "{replaces}")
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def _path(path: object) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise ValidationError(f"FileSink.path must be a path, but it is {type(path).__name__}")
    if "\0" in os.fspath(path):
        raise ValidationError("FileSink.path must not contain a NUL character")
    return Path(path)


@frozen
class FileSink:
    """A file that holds the secret of a token, and that only its owner can read.

    The file is written beside its path and then renamed, so a reader sees the old secret or the new
    one. It ends without a line break. Symbolic links are refused, and so are folders in which
    another user could replace the file.

    Raises:
        ValidationError: The path is not a path, or has a NUL character.
    """

    path: Path = field(converter=_path)
    """The file. `{id}` in its name is replaced by the id of the token, and `{replaces}` by the id
    of the token that it replaces, so that each token gets a file of its own.
    """

    @property
    def is_per_token(self) -> bool:
        """Whether each token gets a file of its own. If not, the next secret replaces the last."""
        return any(name in str(self.path) for name in _PLACEHOLDERS)

    def path_for(self, delivery: TokenSecret) -> Path:
        """Return the file for a token.

        Args:
            delivery: The secret of the token, with its id.

        Raises:
            SinkError: The path has `{replaces}`, but the token replaces no other.
        """
        path = str(self.path)
        if "{replaces}" in path and delivery.replaces is None:
            raise SinkError(
                f"The path {path!r} has {{replaces}}, but token {delivery.token_id} replaces no "
                "other. Use {id} in the path.",
                ambiguous=False,
            )
        return Path(
            path.replace("{id}", delivery.token_id).replace("{replaces}", delivery.replaces or "")
        )

    def check(self) -> None:
        """Check the folder, and the file if there is one, without writing.

        Raises:
            SinkError: The folder or the file is not safe to write to.
        """
        _check(self.path)

    async def deliver(self, delivery: TokenSecret) -> None:
        """Write the file, and return when it is on the disk.

        Raises:
            SinkError: The folder or the file is not safe to write to, or writing failed.
        """
        path = self.path_for(delivery)
        await anyio.to_thread.run_sync(_write, path, delivery.secret)


def _check(path: Path) -> None:
    """Check that only this user can replace a file, and that it is not something else.

    Raises:
        SinkError: The folder or the file is not safe to write to.
    """
    try:
        problem = _problem_of_folder(path.parent)
        if not problem and os.path.lexists(path):
            os.close(open_private(path, os.O_RDONLY))
    except UnfitFileError as error:
        problem = f"{reason(error)}. Remove it, or choose another path"
    except OSError as error:
        problem = f"{reason(error)}. Check its folder and its permissions"
    if problem:
        raise SinkError(f"The secret cannot be written to {path}: {problem}.", ambiguous=False)


def _problem_of_folder(folder: Path) -> str | None:
    """Return why another user could replace a file in a folder, or `None`."""
    found = folder.stat()
    if found.st_uid not in (os.geteuid(), 0):
        return "its folder belongs to another user. Choose a folder of your own"
    if found.st_mode & _OTHERS_MAY_WRITE and not found.st_mode & stat.S_ISVTX:
        return f"others may write to its folder. Run: chmod go-w {str(folder)!r}"
    return None


def _write(path: Path, secret: Secret) -> None:
    """Write a secret to a file, through a temporary file.

    Raises:
        SinkError: The folder or the file is not safe to write to, or writing failed.
    """
    _check(path)
    try:
        with part_of(path) as (descriptor, part):
            _write_all(descriptor, secret)
            os.fsync(descriptor)
            part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        problem = reason(error)
    else:
        return
    raise SinkError(f"The secret cannot be written to {path}: {problem}.")


def _write_all(descriptor: int, secret: Secret) -> None:
    # No variable holds the bytes, because a traceback would show it.
    written = 0
    while written < len(secret.reveal().encode()):
        written += os.write(descriptor, secret.reveal().encode()[written:])


def _sync_folder(folder: Path) -> None:
    """Make the rename of a file in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
