"""Tables: fitted to a terminal, and complete where there is none."""

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

from losant_tokens.cli._console import mute
from losant_tokens.cli._errors import CommandError, complain, say
from losant_tokens.cli._parse import escaped

Row = Sequence[str]

_GAP = 2  # blanks between columns
_LEAST = 12  # characters of a column that is cut or wrapped
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
    """Writes a table.

    Args:
        headers: The names of the columns.
        rows: A text for each column; what a terminal could obey is escaped.
        cut: The column that a narrow terminal cuts short.
        drop: The columns that a narrow terminal goes without, the least important first.
        wrap: The column that goes on in a second line where the terminal is narrower still.
        numbers: The columns that are set to the right.
        file: Where it goes; stdout by default.
    """
    file = file or sys.stdout
    lines = [list(headers), *([escaped(cell) for cell in row] for row in rows)]
    widths = {
        name: max(map(cell_len, column))
        for name, column in zip(headers, zip(*lines, strict=True), strict=True)
    }
    if not file.isatty():
        write(_plain(lines, widths, numbers), file)
        return
    room = shutil.get_terminal_size().columns
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    fitted = fit(widths, room, cut=cut, drop=drop, wrap=wrap)
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
    write(_rendered(table, room), file)


def write(text: str, file: TextIO | None = None) -> None:
    """Write a long text line by line, to stdout by default.

    In one go, and where PYTHONUNBUFFERED is set, Python loses what a pipe does not take at once,
    and does not notice that nobody reads it any more.

    Raises:
        CommandError: Standard output is closed or full.
        BrokenPipeError: Nothing reads it any more.
    """
    target = file or sys.stdout
    try:
        target.writelines(text.splitlines(keepends=True))
        target.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        mute(target)
        if target is sys.stderr:
            return
        raise CommandError(f"standard output cannot be written: {_reason(error)}") from None


def write_result(text: str) -> None:
    """Write the result of a change to stdout, or to stderr if that fails.

    The change was made, so a closed, full or broken stream is no reason to fail.
    """
    try:
        write(text)
    except BrokenPipeError:
        mute(sys.stdout)
    except CommandError as error:
        complain(error)
    else:
        return
    for line in text.splitlines():
        say(line)


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def fit(
    widths: Mapping[str, int], room: int, *, cut: str, drop: Sequence[str] = (), wrap: str = ""
) -> dict[str, int]:
    """The columns that a terminal has room for, with their widths.

    Args:
        widths: How wide each column would like to be.
        room: How wide the terminal is.
        cut: The column that can be cut short.
        drop: The columns that can be gone without, the least important first.
        wrap: The column that can go on in a second line.
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
    return max(widths.get(name, 0) - _LEAST, 0)


def _plain(lines: Sequence[Row], widths: Mapping[str, int], numbers: Sequence[str]) -> str:
    """Lines with their cells one under the other. rich would take seconds for ten thousand."""
    columns = [(width, name in numbers) for name, width in widths.items()]
    return "".join((" " * _GAP).join(map(_padded, line, columns)).rstrip() + "\n" for line in lines)


def _padded(text: str, column: tuple[int, bool]) -> str:
    width, right = column
    blanks = " " * (width - cell_len(text))
    return blanks + text if right else text + blanks


def _rendered(table: Table, width: int) -> str:
    # Into memory first: rich would answer a broken pipe by itself.
    target = io.StringIO()
    Console(file=target, force_terminal=True, width=width, highlight=False).print(table)
    return target.getvalue()
