"""`load`: read a policy file."""

import hashlib
import os
import re
import stat
import tomllib
from typing import Any

from losant_tokens._utils.private_files import open_regular
from losant_tokens._utils.warn_caller import warn_caller
from losant_tokens.policy._builder import structure
from losant_tokens.policy._errors import Mistake, PolicyError, PolicyWarning
from losant_tokens.policy._places import lines_of
from losant_tokens.policy._types import Policy
from losant_tokens.policy._values import Wrong, path_text

_MAX_SIZE = 1_048_576  # bytes; a policy of a thousand rules has 200 kB
_AT_LINE = re.compile(r"(.*) \(at line ([0-9]+), column [0-9]+\)", re.DOTALL)
_AT_END = " (at end of document)"


def load(path: str | os.PathLike[str]) -> Policy:
    """Read a policy file.

    A `PolicyWarning` warns if every user of the machine can change the file.

    Args:
        path: The file, in TOML.

    Returns:
        The policy.

    Raises:
        PolicyError: The file has mistakes, or is not a policy file. The error has all mistakes.
        OSError: The file cannot be read.
    """
    file = os.fspath(path)
    data, is_writable_by_all = _read(file)
    if is_writable_by_all:
        warn_caller(
            f"Every user of this machine can change {file}. Take that permission away: chmod o-w",
            PolicyWarning,
        )
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    text = _decode(data, file)
    values = _parse(text, file)
    try:
        return structure(values, file, digest)
    except Wrong as error:
        lines = lines_of(text)
        mistakes = [
            Mistake(path_text(place), message, lines.of(place)) for place, message in error.problems
        ]
    raise PolicyError(file, sorted(mistakes, key=lambda one: one.line or 0))


def _read(file: str) -> tuple[bytes, bool]:
    """Return the contents of a file, and whether every user can write it."""
    with open(open_regular(file), "rb") as opened:  # noqa: PTH123 -- a descriptor
        is_writable_by_all = bool(os.fstat(opened.fileno()).st_mode & stat.S_IWOTH)
        data = opened.read(_MAX_SIZE + 1)
    if len(data) > _MAX_SIZE:
        text = f"is larger than {_MAX_SIZE:,} bytes, so it is not a policy file"
        raise PolicyError(file, [Mistake("", text)])
    return data, is_writable_by_all


def _decode(data: bytes, file: str) -> str:
    try:
        # Editors on Windows start a file with a byte order mark, which TOML does not allow.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PolicyError(file, [Mistake("", "is not valid UTF-8", line)]) from None


def _parse(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        problem, line = "is nested too deeply", None
    except ValueError as error:
        problem, line = _toml_problem(str(error), text)
    raise PolicyError(file, [Mistake("", problem, line)])


def _toml_problem(message: str, text: str) -> tuple[str, int | None]:
    """Return a message of `tomllib` as a phrase, and the line that it names."""
    problem, line = message, None
    if found := _AT_LINE.fullmatch(message):
        problem, line = found[1], int(found[2])
    elif message.endswith(_AT_END):
        problem, line = message.removesuffix(_AT_END), text.count("\n") + 1
    return f"is not valid TOML: {problem[:1].lower()}{problem[1:]}", line
