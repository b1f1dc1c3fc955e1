"""The lines of the values in a TOML file.

A mistake is useful with its line, but `tomllib` gives none, and neither does another library that
reads TOML into plain values. This scanner reads the structure of a document that `tomllib` has
accepted, so it checks nothing: it only counts the lines of keys and items.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from attrs import define, field, frozen

Path = tuple[str | int, ...]

_TOKEN = re.compile(
    r'''
    (?P<skip> [ \t\r]+ | \#[^\n]* )
    | (?P<string> """ (?: \\. | [^\\] )*? "{3,5} (?!") | \'\'\' .*? '{3,5} (?!')
        | " (?: \\. | [^"\\\n] )* " | ' [^'\n]* ' )
    | (?P<mark> [\[\]{}=,.\n] )
    | (?P<bare> [^\s\[\]{}=,.\#"']+ )
    ''',
    re.VERBOSE | re.DOTALL,
)


@frozen
class Lines:
    """The line of each key and each item of a list in a TOML file."""

    _lines: Mapping[Path, int]

    def of(self, path: Path) -> int | None:
        """Return the line of a value, or of the table around it; `None` for the whole file."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path)


class _Word(NamedTuple):
    """A token of TOML with its line."""

    text: str
    line: int


def lines_of(text: str) -> Lines:
    """Return the lines of a document that is valid TOML."""
    scanner = _Scanner(list(_tokens(text)))
    scanner.scan()
    return Lines(scanner.lines)


def _tokens(text: str) -> Iterator[_Word]:
    """Yield the tokens with their lines, and an empty one at the end."""
    line = 1
    for found in _TOKEN.finditer(text):
        if found.lastgroup != "skip":
            yield _Word(found[0], line)
        line += found[0].count("\n")
    yield _Word("", line)


@define
class _Scanner:
    """Reads tokens, and keeps the line of each path.

    Attributes:
        tokens: The tokens.
        lines: The line of each path.
    """

    tokens: list[_Word]
    lines: dict[Path, int] = field(factory=dict)
    _position: int = 0
    _lengths: dict[Path, int] = field(factory=dict)

    def scan(self) -> None:
        """Read all statements: headers of tables, and keys with values."""
        table: Path = ()
        while self._next:
            if self._next == "\n":
                self._take()
            elif self._next == "[":
                table = self._header()
            else:
                self._pair(table)

    @property
    def _next(self) -> str:
        return self.tokens[self._position].text

    def _take(self) -> str:
        self._position += 1
        return self.tokens[self._position - 1].text

    def _keep(self, path: Path) -> None:
        """Keep the line of a path, if it is new: that of the next token."""
        self.lines.setdefault(path, self.tokens[self._position].line)

    def _header(self) -> Path:
        """Read the header of a table, `[a.b]` or `[[a.b]]`, and return the path of the table."""
        start = self._position
        self._take()
        is_item = self._next == "["
        if is_item:
            self._take()
        *parents, key = self._keys()
        path: Path = ()
        for parent in parents:
            path = self._last_item((*path, parent))
            self.lines.setdefault(path, self.tokens[start].line)
        path = (*path, key)
        while self._take() != "]" or self._next == "]":
            pass
        self.lines.setdefault(path, self.tokens[start].line)
        if is_item:
            self._lengths[path] = self._lengths.get(path, 0) + 1
            path = self._last_item(path)
            self.lines[path] = self.tokens[start].line
        return path

    def _last_item(self, path: Path) -> Path:
        """Return the path of the last table of a list of tables, or the path of another table."""
        return (*path, self._lengths[path] - 1) if path in self._lengths else path

    def _keys(self) -> list[str]:
        """Read the parts of a key: `a`, `a.b` or `"a".b`."""
        keys = [self._take().strip("\"'")]
        while self._next == ".":
            self._take()
            keys.append(self._take().strip("\"'"))
        return keys

    def _pair(self, table: Path) -> None:
        """Read a key and its value."""
        start = self._position
        path = table
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, self.tokens[start].line)
        self._take()  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        """Read a value: a list, a table, or a scalar, which may have several tokens: `1.5`."""
        opening = self._take()
        if opening == "[":
            number = 0
            while not self._is_end("]"):
                self._keep((*path, number))
                self._value((*path, number))
                number += 1
        elif opening == "{":
            while not self._is_end("}"):
                self._pair(path)
        else:
            while self._next not in {"", "\n", ",", "]", "}"}:
                self._take()

    def _is_end(self, closing: str) -> bool:
        """Skip commas and line breaks, and take the closing mark if it is next."""
        while self._next in {",", "\n"}:
            self._take()
        if self._next == closing:
            self._take()
            return True
        return False
