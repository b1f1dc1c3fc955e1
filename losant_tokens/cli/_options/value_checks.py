"""Checks of the values of options by their type, in the words of the command.

The parser accepts more than the help promises: `1.5` for an integer, `nan` for a number, and a
value for an option that takes none. Its messages name types of Python. These checks come first.
"""

import os
import re
import stat
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from cyclopts import Argument, ArgumentCollection, CoercionError

TAKES_NO_VALUE = "it takes no value"
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)", re.ASCII)
_MAX_DIGITS = 18  # No option needs more, and a longer number can exceed what a float holds.


def check_values(_app: object, _commands: object, arguments: ArgumentCollection) -> None:
    """Check the values that were given, before they are converted.

    Raises:
        CoercionError: A value does not have the format that the help promises.
    """
    for argument in arguments:
        if argument.parameter.converter is not None:
            continue  # It reports its own problems.
        kinds = value_types(argument)
        for token in argument.tokens:
            problem = _problem(token.value, kinds)
            if problem is not None:
                raise CoercionError(problem, token=token, argument=argument)


def value_types(argument: Argument) -> set[Any]:
    """Return the types that a value of an argument can have: `{int}` for `tuple[int, ...]`."""
    return set(_flattened(argument.hint)) - {type(None)}


def _flattened(hint: Any) -> list[Any]:
    """Return a type, or the types that a union or a tuple consists of."""
    if get_origin(hint) is Literal or not get_args(hint):
        return [hint]
    return [one for part in get_args(hint) if part is not ... for one in _flattened(part)]


def _problem(value: str, kinds: set[Any]) -> str | None:
    """Return what is wrong with a value, or None."""
    if kinds == {bool}:
        return TAKES_NO_VALUE if value else None
    if kinds == {Path}:
        return None if value else "a file name cannot be empty"
    if kinds in ({int}, {float}):
        is_integer = kinds == {int}
        if not (_INTEGER if is_integer else _NUMBER).fullmatch(value):
            return f'"{value}" is not {"an integer" if is_integer else "a number"}'
        if len(value) > _MAX_DIGITS:
            return f'"{value}" has more than {_MAX_DIGITS} digits'
    return None


def html_name(_type: object, path: Path | None) -> None:
    """Check that the name of a file ends in `.html`.

    Raises:
        ValueError: It does not.
    """
    if path is not None and path.suffix.lower() != ".html":
        raise ValueError(f"the name of the page must end in .html: {path}")


def existing_file(_type: object, path: Path | None) -> None:
    """Check that a file exists and can be read. Pipes and devices are files, too.

    Raises:
        ValueError: It does not exist, is a folder, or cannot be read.
    """
    if path is None:
        return
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if is_folder:
        raise ValueError(f"{path} is a folder")
    if not os.access(path, os.R_OK):
        raise ValueError(f"{path} cannot be read: permission denied")


def quarantine_name(_type: object, name: str | None) -> None:
    """Check the file of a quarantine, if a string is a path and not an id.

    Raises:
        ValueError: The file does not exist, is a folder, or cannot be read; or the string is empty.
    """
    if name == "":
        raise ValueError("a quarantine cannot be an empty string")
    if name is not None and any(mark in name for mark in (".", "/", os.sep)):
        existing_file(None, Path(name))


def quarantine_names(type_: object, names: tuple[str, ...]) -> None:
    """Check the files of quarantines, as `quarantine_name` does.

    Raises:
        ValueError: A file cannot be read, or a string is empty.
    """
    for name in names:
        quarantine_name(type_, name)
