"""Usage errors in the words of the help, with the nearest command or option as a suggestion."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from shlex import quote
from types import MappingProxyType
from typing import Literal, get_args, get_origin

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)

from losant_tokens.cli._app import COMMANDS
from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._options.value_checks import TAKES_NO_VALUE, value_types

# The names that other programs give to these commands.
_SYNONYMS: Mapping[str, str] = MappingProxyType(
    {
        "edit": "patch",
        "get": "show",
        "ls": "list",
        "new": "create",
        "remove": "delete",
        "rm": "delete",
        "undo": "restore",
        "update": "patch",
    }
)
# Other programs take the name of an account as an argument.
_OF_ACCOUNTS = ("account check", "whoami")
_MIN_PREFIX = 3  # characters; a shorter beginning of a name suggests nothing
# The messages of the validators of cyclopts for numbers.
_LIMIT = re.compile(r"Must be (?P<comparison>>=|>|<=|<) (?P<limit>\S+)\.")
_LIMITS: Mapping[str, str] = MappingProxyType(
    {
        ">=": "is too small: the minimum is",
        ">": "is too small: it must be more than",
        "<=": "is too large: the maximum is",
        "<": "is too large: it must be less than",
    }
)


def usage_error(error: CycloptsError) -> UsageError:
    """Return an error of the parser in the words of the help."""
    command = " ".join(error.command_chain or ())
    hint = f"see {' '.join(filter(None, ('losant-tokens', command, '--help')))}"
    if isinstance(error, UnknownCommandError):
        (word, *_) = error.unused_tokens or ("",)
        if word.startswith("-") and word.strip("-"):
            return UsageError(f"Unknown option: {word}", "options follow the command; " + hint)
        return unknown_command(command, word)
    if isinstance(error, UnusedCliTokensError) and command.endswith("leaked"):
        return UsageError(
            "leaked reads the secret from standard input, never from an argument: other users can "
            "see the arguments of a process",
            "remove this line from the history of your shell; then losant-tokens leaked < FILE, or "
            "losant-tokens leaked without an argument, to paste the secret",
        )
    if isinstance(error, UnusedCliTokensError):
        words = error.unused_tokens or []
        if command in _OF_ACCOUNTS and len(words) == 1:
            hint = f"to choose an account: losant-tokens {command} --account {quote(words[0])}"
        return UsageError(_unexpected(command, words), hint)
    if isinstance(error, UnknownOptionError):
        option = error.token.keyword or error.token.value
        names = (name for one in error.argument_collection if one.show for name in one.names)
        nearest = nearest_name(option, [*names, "--help"])
        return UsageError(f"Unknown option: {option}{_suggestion(nearest)}", hint)
    return UsageError(_value_problem(error), hint)


def unknown_command(command: str, word: str) -> UsageError:
    """Return the error about a word that is not a command, or not a subcommand of a command.

    Args:
        command: The command before the word, or `""`.
        word: The word.
    """
    prefix = f"{command} " if command else ""
    subcommands = {
        name.removeprefix(prefix): name
        for name in COMMANDS
        if name.startswith(prefix) and " " not in name.removeprefix(prefix)
    }
    nearest = None if command else _SYNONYMS.get(word) or _subcommand(word)
    if nearest is None:
        nearest = subcommands.get(nearest_name(word, subcommands) or "")
    return UsageError(
        f"Unknown command: {quoted(f'{prefix}{word}')}{_suggestion(nearest)}",
        f"see losant-tokens {prefix}--help",
    )


def nearest_name(typed: str, names: Iterable[str]) -> str | None:
    """Return the name that is most like the one that was typed, or None if none is like it.

    The only name that begins with it is like it.
    """
    plain = {name.strip("-"): name for name in names}
    word = typed.lower().strip("-")
    matches = get_close_matches(word, plain, n=1)
    if not matches and len(word) >= _MIN_PREFIX:
        matches = [name for name in plain if name.startswith(word)]
    return plain[matches[0]] if len(matches) == 1 else None


def quoted(value: str) -> str:
    """Return a value in quotation marks that it does not contain, if possible."""
    mark = '"' if "'" in value else "'"
    return f"{mark}{value}{mark}"


def _subcommand(word: str) -> str | None:
    """Return the first subcommand of any command with this name."""
    return next((name for name in COMMANDS if name.split()[1:] == [word]), None)


def _suggestion(name: str | None) -> str:
    return "" if name is None else f". Did you mean {name}?"


def _unexpected(command: str, words: list[str]) -> str:
    """Return the problem with words for which a command has no argument."""
    arguments = (
        f"Unexpected argument{'s' if len(words) > 1 else ''}: {', '.join(map(quoted, words))}"
    )
    subcommands = {
        name.rpartition(" ")[2]: name for name in COMMANDS if name.startswith(f"{command} ")
    }
    nearest = nearest_name(words[0], subcommands)
    return arguments + _suggestion(subcommands.get(nearest or ""))


def _value_problem(error: CycloptsError) -> str:
    """Return the problem with a value that is missing, invalid or repeated."""
    if isinstance(error, MissingArgumentError):
        return _missing(error)
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword} is given more than once"
    if isinstance(error, CoercionError | ValidationError) and error.argument is not None:
        token = getattr(error, "token", None) or error.argument.tokens[0]
        name = token.keyword or error.argument.name
        is_file = value_types(error.argument) == {Path} and not name.startswith("-")
        if is_file and isinstance(error, ValidationError):
            return error.exception_message  # It names the file.
        return f"Invalid value for {name}: {_invalid(error, token.value)}"
    return str(error)


def _missing(error: MissingArgumentError) -> str:
    if error.keyword is not None or error.argument is None:
        return f"{error.keyword} needs a value"
    kind = "option" if error.argument.name.startswith("-") else "argument"
    typed = [word for word in error.unused_tokens or () if word.startswith("--")]
    misspelt = nearest_name(error.argument.name, typed)
    instead = f"{error.argument.name} instead of {misspelt}"
    return f"Missing {kind}: {error.argument.name}{_suggestion(misspelt and instead)}"


def _invalid(error: CoercionError | ValidationError, value: str) -> str:
    """Return what is wrong with a value."""
    if isinstance(error, ValidationError):
        message = error.exception_message
        if match := _LIMIT.fullmatch(message):
            return f'"{value}" {_LIMITS[match["comparison"]]} {match["limit"]}'
        return message
    if error.msg is not None:
        return str(error.msg)
    choices = [str(one) for one in _choices(error.target_type)]
    if not choices:  # A flag; `check_values` has checked all other types.
        return TAKES_NO_VALUE
    nearest = nearest_name(value, choices)
    return f'"{value}" is not one of {", ".join(choices)}{_suggestion(nearest)}'


def _choices(hint: object) -> list[object]:
    """Return the values of a type that is a choice between a few."""
    return list(get_args(hint)) if get_origin(hint) is Literal else []
