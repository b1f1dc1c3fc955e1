"""`losant-tokens __complete`: the values that a shell offers at TAB.

The scripts in `scripts` call it with the words of the command line. It walks the same
app that parses the command line, so it knows each command and option. If in doubt, it prints
nothing: an error would appear in the middle of the line that the user is typing.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import get_origin

from attrs import define, field, frozen
from cyclopts import Argument

from losant_tokens.cli._app import COMMANDS, command_app
from losant_tokens.cli._completion.known_tokens import is_waiting
from losant_tokens.cli._completion.values import Files, Request, Source, Value, source_for
from losant_tokens.cli._terminal.format import ellipsis

_FLAGS = (Value("--help", "Show this help"), Value("--version", "Print the version"))
_SHOWS_WORDS = str(ord("?"))
_COLUMNS = 80
_QUOTES = "'\""
# Characters that bash interprets outside of quotes, except the tilde of a folder.
_SPECIAL = frozenset(" \t!\"#$&'()*;<>?[\\]^`{|}")
# The replacements of characters that bash interprets between quotes. Between double quotes, nothing
# escapes an exclamation mark, so it gets quotes of its own.
_IN_QUOTES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "'": {"'": "'\\''"},
        '"': {'"': '\\"', "$": "\\$", "`": "\\`", "\\": "\\\\", "!": "\"'!'\""},
    }
)


@frozen
class Completion:
    """The result of a completion.

    Attributes:
        values: The values that begin with the word, in order.
        files: The files to complete after a prefix, if the word is the name of a file.
        prefix: The part of the word before the value: `--owner=`, or nothing.
    """

    values: tuple[Value, ...] = ()
    files: Files | None = None
    prefix: str = ""


# --- The words -------------------------------------------------------------------------------


def complete(words: Sequence[str], current: str) -> Completion:
    """Return the completion of a word.

    Args:
        words: The words between the name of the program and the cursor.
        current: The word at the cursor, up to the cursor.
    """
    command, rest = _command_in(words)
    line = _Line(command)
    for word in rest:
        line.read(word)
    if line.expects_value(current):
        return line.value(current)
    name, equals, typed = current.partition("=")
    if equals and name.startswith("--") and not line.only_arguments:
        option = line.option(name)
        return Completion() if option is None else line.value(typed, option, f"{name}=")
    if current.startswith("-") and not line.only_arguments:
        return Completion(_matching(line.free_options(), current))
    if not rest and (subcommands := _subcommands(command)):
        return Completion(_matching([*subcommands, *line.argument("").values], current))
    found = line.argument(current)
    if not current and not found.values and found.files is None:
        return Completion(tuple(line.free_options()))
    return found


def _command_in(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Return the command at the beginning, and the words after it."""
    count = 0
    while count < len(words) and " ".join(words[: count + 1]) in COMMANDS:
        count += 1
    return " ".join(words[:count]), words[count:]


def _subcommands(command: str) -> list[Value]:
    prefix = f"{command} " if command else ""
    return [
        Value(name.removeprefix(prefix), COMMANDS[name].summary.removesuffix("."))
        for name in COMMANDS
        if name.startswith(prefix) and " " not in name.removeprefix(prefix)
    ]


def _matching(values: Iterable[Value], typed: str) -> tuple[Value, ...]:
    return tuple(one for one in values if one.text.startswith(typed))


@define
class _Line:
    """A command line that is read word by word.

    Attributes:
        command: The command, or `""`.
        only_arguments: Whether `--` was read, so that no options follow.
    """

    command: str
    only_arguments: bool = False
    _arguments: list[str] = field(factory=list)
    _options: dict[str, tuple[str, ...]] = field(factory=dict)
    _pending: Argument | None = None
    _known: list[Argument] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        if self.command and COMMANDS[self.command].path is not None:
            collection = command_app(self.command).assemble_argument_collection()
            self._known = list(collection.filter_by(show=True))

    def expects_value(self, word: str) -> bool:
        """Return whether a word is the value of the option before it."""
        return self._pending is not None and _takes(self._pending, word)

    def read(self, word: str) -> None:
        """Read the next word."""
        pending, self._pending = self._pending, None
        name, equals, value = word.partition("=")
        if pending is not None and _takes(pending, word):
            self._add(pending, word)
        elif self.only_arguments or not word.startswith("-"):
            self._arguments.append(word)
        elif word == "--":
            self.only_arguments = True
        elif (option := self.option(name)) is not None:
            self._add(option, *([value] if equals else []))
            if not equals and option.hint is not bool:
                self._pending = option

    def _add(self, option: Argument, *values: str) -> None:
        self._options[option.name] = (*self._options.get(option.name, ()), *values)

    def option(self, name: str) -> Argument | None:
        """Return the option with a name, or None."""
        return next((one for one in self._known if name in one.names and name[:1] == "-"), None)

    def free_options(self) -> list[Value]:
        """Return the options that can still be given, and `--help`."""
        options = [
            Value(one.name, (one.parameter.help or "").removesuffix("."))
            for one in self._known
            if one.name.startswith("-") and (one.name not in self._options or _repeats(one))
        ]
        return [*options, *(_FLAGS if not self.command else _FLAGS[:1])]

    def value(self, typed: str, option: Argument | None = None, prefix: str = "") -> Completion:
        """Return the completion of the value of an option: the one given, or the last one read."""
        argument = option or self._pending
        assert argument is not None  # noqa: S101 -- the caller has checked it
        return self._completed(argument, typed, prefix)

    def argument(self, typed: str) -> Completion:
        """Return the completion of the next argument."""
        position = len(self._arguments)
        for one in self._known:
            if one.index is not None and (one.index == position or _is_last(one, position)):
                return self._completed(one, typed, "")
        return Completion()

    def _completed(self, argument: Argument, typed: str, prefix: str) -> Completion:
        if argument.hint is bool:
            return Completion()
        files = None
        choices = argument.get_choices(force=True)
        if choices:
            values: Iterable[Value] = map(Value, choices)
        else:
            source = _source(self.command, argument)
            if source is None:
                return Completion()
            request = Request(typed, self.command, tuple(self._arguments), self._options)
            files = source if isinstance(source, Files) else None
            values = source.values(request) if isinstance(source, Files) else source(request)
        found = _matching(values, typed)
        return Completion(
            tuple(Value(f"{prefix}{one.text}", one.description) for one in found), files, prefix
        )


def _takes(option: Argument, word: str) -> bool:
    """Return whether a word after an option is its value. Some values can be left out."""
    return not (option.parameter.consume_multiple and word.startswith("-"))


def _repeats(argument: Argument) -> bool:
    return get_origin(argument.hint) is tuple


def _is_last(argument: Argument, position: int) -> bool:
    """Return whether an argument takes all words from its place on."""
    return _repeats(argument) and argument.index is not None and argument.index <= position


def _source(command: str, argument: Argument) -> Source | None:
    if argument.name == "COMMAND...":
        return _words_of_commands
    return source_for(command, argument.name, argument.parameter.metavar or "")


def _words_of_commands(request: Request) -> list[Value]:
    """Return the next words of the commands, for `help`."""
    return _subcommands(" ".join(request.arguments))


# --- The shells ------------------------------------------------------------------------------


def print_completion(arguments: Sequence[str]) -> int:
    """Print the completion for a shell, and return the exit code.

    Args:
        arguments: `zsh` or `fish` and the words up to the cursor, the last one perhaps empty; or
            `bash` and the arguments of `_bash_lines`.
    """
    lines: list[str] = []
    # An error would appear in the middle of the line that the user is typing.
    with suppress(Exception):
        shell, *words = arguments
        lines = _bash_lines(*words) if shell == "bash" else _lines(words)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    if is_waiting():  # The interpreter would wait for the thread at exit.
        sys.stdout.flush()
        os._exit(0)
    return 0


def _lines(words: Sequence[str]) -> list[str]:
    """Return the lines for zsh and fish: see `scripts`."""
    *before, current = words or ("",)
    found = complete(before, current)
    kind = "values" if found.files is None else " ".join(("files", *found.files.patterns))
    return [kind, *(f"{one.text}\t{one.description}" for one in found.values)]


def _bash_lines(line: str, separators: str, reason: str = "", columns: str = "") -> list[str]:
    """Return the lines for bash: whether a space follows, and the words to insert or to show.

    Args:
        line: The line up to the cursor.
        separators: COMP_WORDBREAKS.
        reason: COMP_TYPE. At the second TAB, bash shows the words and inserts none of them, so
            they have their descriptions.
        columns: The width of the terminal, or `""`.
    """
    parsed = _BashLine(separators)
    parsed.read(line)
    found = complete(parsed.words[1:], parsed.current)
    texts = [one.text for one in found.values]
    if found.files is not None:
        typed = parsed.current.removeprefix(found.prefix)
        texts += [found.prefix + path for path in _paths(typed, found.files.patterns)]
    # bash adds the space only to a single value.
    space = "nospace" if texts and texts[0].endswith((":", "/")) else "space"
    words = [parsed.insertion(text) for text in texts]
    if reason == _SHOWS_WORDS and len(words) > 1:
        descriptions = {one.text: one.description for one in found.values}
        words = _described(words, [descriptions.get(text, "") for text in texts], columns)
    return [space, *words]


def _described(words: Sequence[str], descriptions: Sequence[str], columns: str) -> list[str]:
    """Return words in a column, with their descriptions as far as the terminal is wide."""
    width = max(map(len, words))
    room = int(columns or _COLUMNS) - 1
    return [
        ellipsis(f"{word:{width}}  ({description})", room) if description else word
        for word, description in zip(words, descriptions, strict=True)
    ]


def _paths(typed: str, patterns: tuple[str, ...]) -> list[str]:
    """Return the files that match a pattern, and the folders, that begin with what is typed."""
    folder, slash, start = typed.rpartition("/")
    place = Path(f"{folder}{slash}" or ".").expanduser()
    found = []
    with os.scandir(place) as entries:
        for entry in entries:
            is_hidden = entry.name.startswith(".") and not start.startswith(".")
            if is_hidden or not entry.name.startswith(start):
                continue
            if entry.is_dir():
                found.append(f"{folder}{slash}{entry.name}/")
            elif any(fnmatchcase(entry.name, pattern) for pattern in patterns):
                found.append(f"{folder}{slash}{entry.name}")
    return sorted(found)


@define
class _BashLine:
    """A line of bash up to the cursor, split into words without their quotes.

    bash replaces only a part of the word at the cursor: the part after the last unquoted separator
    such as a colon, or after an open quote. `insertion` returns the rest of a value accordingly.

    Attributes:
        separators: The characters that separate words for completion.
        words: The words before the cursor.
        current: The word at the cursor.
    """

    separators: str
    words: list[str] = field(factory=list)
    current: str = ""
    _started: bool = False
    _quote: str = ""
    _replaced_from: int = 0

    def read(self, line: str) -> None:
        """Split a line in words as a shell does, and keep the last one apart."""
        characters = iter(line)
        for one in characters:
            if one == self._quote:
                self._quote = ""
            elif one == "\\" and self._quote != "'":
                self._append(next(characters, ""))
            elif self._quote:
                self._append(one)
            elif one in _QUOTES:
                self._quote, self._started = one, True
                self._replaced_from = len(self.current)
            elif one.isspace():
                self._end_word()
            else:
                self._append(one)
                if one in self.separators:
                    self._replaced_from = len(self.current)

    def _append(self, character: str) -> None:
        self.current += character
        self._started = True

    def _end_word(self) -> None:
        if self._started:
            self.words.append(self.current)
        self.current, self._started, self._replaced_from = "", False, 0

    def insertion(self, value: str) -> str:
        """Return the part of a value that bash inserts, quoted as the word at the cursor is."""
        rest = value[self._replaced_from :]
        if self._quote:
            # A name on the server may be `$(command)`, which bash must not run.
            replacements = _IN_QUOTES[self._quote]
            return "".join(replacements.get(one, one) for one in rest)
        return "".join(f"\\{one}" if one in _SPECIAL else one for one in rest)
