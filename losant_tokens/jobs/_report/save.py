"""Reports as files: JSON for programs, CSV for spreadsheets, and the way all of them are written.

Token by token, as they are read from the plan, so that a million of them take no more memory than
a thousand.
"""

import contextlib
import csv
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TextIO
from uuid import uuid4

from losant_tokens.jobs._errors import JobError
from losant_tokens.jobs._files import lock, make_private
from losant_tokens.jobs._report.html import write_html
from losant_tokens.jobs._report.report import Report
from losant_tokens.jobs._report.target import check_report_path
from losant_tokens.jobs._report.values import COLUMNS, rows, separated, summary

# A spreadsheet takes a cell that begins like this for a formula; full-width forms, too. In some
# countries, cells begin behind a semicolon as well.
_FORMULA = re.compile(r"""(?:^|[\t\r\n;,|"])\s*(?=[=+\-@\uff1d\uff0b\uff0d\uff20])""")
_ID = COLUMNS.index("id")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# Digits, also with separators or an exponent: a spreadsheet makes a number or a date of them.
_NUMBER = re.compile(r"\s*[0-9][0-9.,:/ _-]*(?:[eE][+-]?[0-9]+)?\s*")


def save(report: Report, path: Path) -> Path:
    """Write a report in the format that the ending of the path names."""
    check_report_path(path, report.plan)
    write = _WRITERS[path.suffix.lower()]
    remove_leftovers(path)
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        with _private(part, _ENCODINGS.get(path.suffix.lower(), "utf-8")) as file:
            write(report, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        about = "" if error.filename in {None, str(part)} else f" ({error.filename})"
        raise JobError(f"{path} cannot be written: {error.strerror}{about}") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return path


def remove_leftovers(path: Path) -> None:
    """Remove half-written files that a killed process left beside a report.

    The process that writes one holds a lock on it, so what can be locked is left over.
    """
    leftover = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.part")
    with contextlib.suppress(OSError):
        for part in path.parent.iterdir():
            if leftover.fullmatch(part.name) and not part.is_symlink() and part.is_file():
                _remove_unlocked(part)


def _remove_unlocked(part: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(part, os.O_RDWR)
        try:
            if lock(descriptor):
                part.unlink()
        finally:
            os.close(descriptor)


def _private(path: Path, encoding: str) -> TextIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    make_private(descriptor)
    with contextlib.suppress(OSError):  # Some file systems have no locks.
        lock(descriptor)
    # What no encoding has, half a character say, is shown as an escape: nothing fails over a name.
    return os.fdopen(descriptor, "w", encoding=encoding, errors="backslashreplace", newline="")


# --- JSON ------------------------------------------------------------------------------------


def _write_json(report: Report, file: TextIO) -> None:
    """One document; each token has a line of its own."""
    head = json.dumps(summary(report), indent=2)
    file.write(head.removesuffix("\n}") + ',\n  "tokens": [')
    lines = (f"\n    {json.dumps(row)}" for row in rows(report))
    file.writelines(separated(lines))
    file.write("\n  ]\n}\n")


# --- CSV -------------------------------------------------------------------------------------


def _write_csv(report: Report, file: TextIO) -> None:
    """Write a header and a line for each token.

    No cell is a formula, commands a terminal, or is changed by a spreadsheet: ids begin with a
    tab, which spreadsheets take for text and readers can strip.
    """
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for row in rows(report):
        cells = [harmless(cell or "") for cell in row.values()]
        cells[_ID] = f"\t{cells[_ID].lstrip()}"
        writer.writerow(cells)


def harmless(cell: str) -> str:
    """Return a text with an apostrophe wherever a spreadsheet could see a formula begin.

    A text that a spreadsheet would turn into a number gets a tab in front. What would command a
    terminal, or turn the direction of the text, is shown as an escape.
    """
    shown = _CONTROL.sub(lambda found: ascii(found[0])[1:-1], cell)
    if _NUMBER.fullmatch(shown):
        return f"\t{shown}"
    return _FORMULA.sub(lambda found: found[0] + "'", shown)


_WRITERS: Mapping[str, Callable[[Report, TextIO], None]] = MappingProxyType(
    {".json": _write_json, ".csv": _write_csv, ".html": write_html}
)
# Without a byte order mark, Excel takes UTF-8 for the code page of the machine.
_ENCODINGS: Mapping[str, str] = MappingProxyType({".csv": "utf-8-sig"})
