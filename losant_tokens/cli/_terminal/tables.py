"""Tables that fit the width of a terminal. Without a terminal, no cell is shortened.

No column is ever left out. If a table is too wide, its columns shrink in the order that the caller
gives, and each cell uses the longest of its forms that fits. A column that wraps moves to lines of
its own below the others if its words do not fit beside them.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TextIO

from attrs import frozen
from rich.cells import chop_cells

from losant_tokens.cli._terminal.colors import colored, has_color
from losant_tokens.cli._terminal.console import terminal_width, write_output
from losant_tokens.cli._terminal.format import count_cells, ellipsis, escaped, wrapped

_GAP = 2  # spaces between columns
_MIN_WIDTH = 12  # cells of a column that is cut or wrapped
_LONG_WORD = 24  # cells; a longer word may be broken
_INDENT = 4  # spaces before a column that is below the others
_STYLES: Mapping[str, str] = MappingProxyType(
    {"delete": "red", "deactivate": "yellow", "activate": "cyan", "keep": "green"}
)


@frozen
class Cell:
    """A cell of a table.

    Attributes:
        text: The complete text.
        style: Its style on a terminal, as for `colored`.
        shorter: Other forms of the text, the longest first.
        shorten: Shortens the text to a number of terminal cells if no form fits. By default, the
            shortest form ends with an ellipsis.
    """

    text: str
    style: str = ""
    shorter: tuple[str, ...] = ()
    shorten: Callable[[int], str] | None = None

    def fitted(self, width: int) -> str:
        """Return the longest form that is at most `width` terminal cells wide."""
        form = ""
        for text in (self.text, *self.shorter):
            form = escaped(text)
            if count_cells(form) <= width:
                return form
        return ellipsis(form, width) if self.shorten is None else self.shorten(width)


Row = Sequence[str | Cell]
Steps = Sequence[tuple[str, int]]


def write_table(
    headers: Sequence[str],
    rows: Iterable[Row],
    *,
    cut: str = "",
    wrap: str = "",
    numbers: Sequence[str] = (),
    file: TextIO | None = None,
) -> None:
    """Write a table, as `format_table` returns it.

    Args:
        headers: The names of the columns.
        rows: The cells.
        cut: The column that is shortened first.
        wrap: The column that wraps if the terminal is still too narrow.
        numbers: The columns that are aligned to the right.
        file: The destination. Default: stdout.
    """
    file = file or sys.stdout
    steps = ((cut, _MIN_WIDTH),) if cut else ()
    write_output(
        format_table(headers, rows, steps=steps, wrap=wrap, numbers=numbers, file=file), file
    )


def format_table(
    headers: Sequence[str],
    rows: Iterable[Row],
    *,
    steps: Steps = (),
    wrap: str = "",
    keep: Sequence[str] = (),
    numbers: Sequence[str] = (),
    file: TextIO | None = None,
) -> str:
    """Return a table that fits a terminal, or a complete one for another file.

    Args:
        headers: The names of the columns.
        rows: The cells. Control characters are escaped.
        steps: How the columns shrink on a narrow terminal: pairs of a column and the width that it
            may shrink to, the least important first. A column can have several steps.
        wrap: The column that wraps if the terminal is still too narrow.
        keep: The columns that are never shortened, such as ids that a person copies.
        numbers: The columns that are aligned to the right.
        file: The destination. Default: stdout.
    """
    target = file or sys.stdout
    lines = [[_as_cell(cell) for cell in row] for row in rows]
    widths = {
        name: max([count_cells(name), *(count_cells(escaped(line[index].text)) for line in lines)])
        for index, name in enumerate(headers)
    }
    is_below = False
    if target.isatty():
        room = terminal_width(target)
        fitted = fit_columns(widths, room, steps=steps, wrap=wrap, keep=keep)
        if wrap and fitted[wrap] < _word_width(line[headers.index(wrap)] for line in lines):
            is_below = True
            others = {name: width for name, width in widths.items() if name != wrap}
            beside = fit_columns(others, room, steps=steps, keep=keep)
            fitted = {**beside, wrap: max(room - _INDENT, 1)}
            fitted = {name: fitted[name] for name in headers}
        widths = fitted
    layout = _Layout(widths, wrap, frozenset(numbers), has_color(target), is_below=is_below)
    header = [Cell(name, "bold") for name in headers]
    return "".join(line for row in (header, *lines) for line in layout.lines(row))


def fit_columns(
    widths: Mapping[str, int],
    room: int,
    *,
    steps: Steps = (),
    wrap: str = "",
    keep: Sequence[str] = (),
) -> dict[str, int]:
    """Return the widths of columns that fit a terminal.

    If all steps are not enough, the widest column shrinks until the table fits.

    Args:
        widths: The preferred width of each column.
        room: The width of the terminal.
        steps: As for `format_table`.
        wrap: The column that can wrap.
        keep: The columns that do not shrink, even if the table does not fit.
    """
    fitted = dict(widths)
    for name, width in (*steps, (wrap, _MIN_WIDTH)):
        if name in fitted:
            fitted[name] -= min(_missing(fitted, room), max(fitted[name] - width, 0))
    others = [name for name in fitted if name not in keep]
    while _missing(fitted, room) and max((fitted[name] for name in others), default=1) > 1:
        fitted[max(others, key=fitted.__getitem__)] -= 1
    return fitted


def _word_width(cells: Iterable[Cell]) -> int:
    """Return the width that a column needs to break no word, except for a very long one."""
    words = (count_cells(word) for cell in cells for word in escaped(cell.text).split())
    return min(max(words, default=0), _LONG_WORD)


def _missing(widths: Mapping[str, int], room: int) -> int:
    return max(sum(widths.values()) + _GAP * (len(widths) - 1) - room, 0)


def _as_cell(cell: str | Cell) -> Cell:
    return cell if isinstance(cell, Cell) else Cell(cell, _STYLES.get(cell, ""))


@frozen
class _Layout:
    """The columns of a table, and how its cells are aligned.

    Attributes:
        widths: The width of each column.
        wrap: The column that wraps.
        numbers: The columns that are aligned to the right.
        has_color: Whether cells have styles.
        is_below: Whether the column that wraps is below the others.
    """

    widths: Mapping[str, int]
    wrap: str
    numbers: frozenset[str]
    has_color: bool
    is_below: bool

    def lines(self, row: Iterable[Cell]) -> Iterable[str]:
        """Yield the lines of a row: one, unless a cell wraps."""
        columns = {
            name: self._column(name, width, cell)
            for (name, width), cell in zip(self.widths.items(), row, strict=True)
        }
        below = columns.pop(self.wrap) if self.is_below else []
        for index in range(max(map(len, columns.values()), default=0)):
            parts = [
                column[index] if index < len(column) else " " * self.widths[name]
                for name, column in columns.items()
            ]
            yield (" " * _GAP).join(parts).rstrip() + "\n"
        for text in filter(str.strip, below):
            yield f"{' ' * _INDENT}{text.rstrip()}\n"

    def _column(self, name: str, width: int, cell: Cell) -> list[str]:
        """Return the lines of a cell."""
        texts = [cell.fitted(width)]
        if name == self.wrap:
            lines = wrapped(escaped(cell.text), width)
            texts = [part for line in lines for part in chop_cells(line, width) or [""]]
        return [self._padded(text, name, width, cell.style) for text in texts]

    def _padded(self, text: str, name: str, width: int, style: str) -> str:
        blanks = " " * (width - count_cells(text))
        shown = colored(text, style, enabled=self.has_color)
        return blanks + shown if name in self.numbers else shown + blanks
