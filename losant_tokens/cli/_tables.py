"""Tables that fit the width of a terminal. Without a terminal, no cell is shortened."""

import io
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from losant_tokens.cli._colors import has_color
from losant_tokens.cli._console import write_output
from losant_tokens.cli._format import escaped

Row = Sequence[str]

_GAP = 2  # spaces between columns
_MIN_WIDTH = 12  # characters of a column that is truncated or wrapped
_STYLES: Mapping[str, str] = MappingProxyType(
    {
        "inactive": "yellow",
        "delete": "red",
        "deactivate": "yellow",
        "activate": "cyan",
        "keep": "green",
    }
)


def write_table(
    headers: Sequence[str],
    rows: Iterable[Row],
    *,
    cut: str,
    drop: Sequence[str] = (),
    wrap: str = "",
    numbers: Sequence[str] = (),
    file: TextIO | None = None,
) -> None:
    """Write a table.

    Args:
        headers: The names of the columns.
        rows: A string for each column; control characters are escaped.
        cut: The column that is truncated on a narrow terminal.
        drop: The columns that are left out on a narrow terminal, the least important first.
        wrap: The column that wraps if the terminal is still too narrow.
        numbers: The columns that are aligned to the right.
        file: The destination. Default: stdout.
    """
    file = file or sys.stdout
    lines = [list(headers), *([escaped(cell) for cell in row] for row in rows)]
    widths = {
        name: max(map(cell_len, column))
        for name, column in zip(headers, zip(*lines, strict=True), strict=True)
    }
    if not file.isatty():
        write_output(_plain(lines, widths, numbers), file)
        return
    room = shutil.get_terminal_size().columns
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    fitted = fit_columns(widths, room, cut=cut, drop=drop, wrap=wrap)
    for name, width in fitted.items():
        table.add_column(
            name,
            width=width,
            no_wrap=name != wrap,
            overflow="fold" if name == wrap else "ellipsis",
            justify="right" if name in numbers else "left",
        )
    for line in lines[1:]:
        cells = dict(zip(headers, line, strict=True))
        table.add_row(*(Text(cells[name], _STYLES.get(cells[name], "")) for name in fitted))
    write_output(_rendered(table, room, has_color(file)), file)


def fit_columns(
    widths: Mapping[str, int], room: int, *, cut: str, drop: Sequence[str] = (), wrap: str = ""
) -> dict[str, int]:
    """Return the columns that fit a terminal, with their widths.

    Args:
        widths: The preferred width of each column.
        room: The width of the terminal.
        cut: The column that can be truncated.
        drop: The columns that can be left out, the least important first.
        wrap: The column that can wrap.
    """
    fitted = dict(widths)
    for name in drop:
        if _missing(fitted, room) <= _spare(fitted, cut):
            break
        del fitted[name]
    for name in (cut, wrap):
        if name in fitted:
            fitted[name] -= min(_missing(fitted, room), _spare(fitted, name))
    return fitted


def _missing(widths: Mapping[str, int], room: int) -> int:
    return max(sum(widths.values()) + _GAP * (len(widths) - 1) - room, 0)


def _spare(widths: Mapping[str, int], name: str) -> int:
    return max(widths.get(name, 0) - _MIN_WIDTH, 0)


def _plain(lines: Sequence[Row], widths: Mapping[str, int], numbers: Sequence[str]) -> str:
    """Return aligned lines. rich would take seconds for ten thousand rows."""
    columns = [(width, name in numbers) for name, width in widths.items()]
    return "".join((" " * _GAP).join(map(_padded, line, columns)).rstrip() + "\n" for line in lines)


def _padded(text: str, column: tuple[int, bool]) -> str:
    width, right = column
    blanks = " " * (width - cell_len(text))
    return blanks + text if right else text + blanks


def _rendered(table: Table, width: int, color: bool) -> str:
    # Rendered into memory first, because rich would handle a broken pipe by itself.
    target = io.StringIO()
    Console(
        file=target,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
    ).print(table)
    return target.getvalue()
