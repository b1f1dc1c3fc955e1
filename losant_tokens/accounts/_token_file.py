"""Reading a token from a file that only its owner can read."""

import os

from losant_tokens._utils.private_files import expanded, is_own, open_regular, reason
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import TokenUnavailable

MAX_TOKEN_SIZE = 65536  # bytes; servers refuse longer headers
_OTHERS = 0o077


def read_token_file(path: str | os.PathLike[str]) -> Secret:
    """Return the token in a private file, without one line break at its end.

    Symbolic links are followed, because Kubernetes and other systems mount secrets as links. The
    file that they lead to is checked after it was opened, so it cannot be exchanged in between.

    Args:
        path: The file. A `~` at its beginning is the home folder.

    Raises:
        TokenUnavailable: The file cannot be read, is empty or too large, is not a regular file,
            belongs to another user than this one or root, or can be read by others: its mode is
            not 0600 or stricter.
    """
    try:
        path = expanded(path)
        descriptor = open_regular(path)
    except OSError as error:
        problem = f"cannot be read: {reason(error)}"
    else:
        try:
            token, problem = _read(descriptor)
        finally:
            os.close(descriptor)
        if token is not None:
            return token
    raise TokenUnavailable(f"The token file {os.fspath(path)} {problem}.")


def _read(descriptor: int) -> tuple[Secret | None, str]:
    """Return the token, or the problem of the file; never raise, because locals hold the token."""
    found = os.fstat(descriptor)
    if not is_own(found) and found.st_uid != 0:
        return None, "belongs to another user"
    if found.st_mode & _OTHERS:
        mode = f"{found.st_mode & 0o777:04o}"
        return None, (
            f"can be used by other users: its mode is {mode}. Run chmod 600 on it, and replace the "
            f"token if others may have read it"
        )
    try:
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return token_in(file.read(MAX_TOKEN_SIZE + 1))
    except OSError as error:
        return None, f"cannot be read: {reason(error)}"


def token_in(data: bytes | bytearray) -> tuple[Secret | None, str]:
    """Return the token in the bytes of a file or of a command's output, or a problem as a phrase.

    One line break at the end is removed.
    """
    if len(data) > MAX_TOKEN_SIZE:
        return None, f"has more than {MAX_TOKEN_SIZE:,} bytes, which no token has"
    text = bytes(data).decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
    if not text:
        return None, "is empty"
    if "\n" in text or "\r" in text:
        return None, "has several lines, and a token has one"
    if any(not "!" <= character <= "~" for character in text):
        return None, "has a character that no token has: only printable ASCII without spaces"
    return Secret(text), ""
