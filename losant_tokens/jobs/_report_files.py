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

from losant_tokens.errors import JobError, ValidationError
from losant_tokens.jobs._report import Report
from losant_tokens.jobs._report_html import write_html
from losant_tokens.jobs._report_values import COLUMNS, rows, separated, summary

# What a spreadsheet takes for a formula where it stands at the beginning of a cell; full-width
# forms too. In some countries, cells begin behind a semicolon as well.
_FORMULA = re.compile(r"""(?:^|[\t\r\n;,|"])\s*(?=[=+\-@\uff1d\uff0b\uff0d\uff20])""")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def save(report: Report, path: Path) -> Path:
    """Writes a report in the format that the ending of the path names."""
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise ValidationError(
            f"A report is written to a file that ends in {', '.join(_WRITERS)}, not to {path}"
        )
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        with _private(part) as file:
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


def _private(path: Path) -> TextIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.fchmod(descriptor, 0o600)
    # What no encoding has, half a character say, is shown as an escape: nothing fails over a name.
    return os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="")


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
    """A header, and a line for each token; no cell is a formula, or commands a terminal."""
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for row in rows(report):
        writer.writerow([harmless(cell or "") for cell in row.values()])


def harmless(cell: str) -> str:
    """The same text, with an apostrophe wherever a spreadsheet could see a formula begin.

    What would command a terminal, or turn the direction of the text, is shown as an escape.
    """
    shown = _CONTROL.sub(lambda found: ascii(found[0])[1:-1], cell)
    return _FORMULA.sub(lambda found: found[0] + "'", shown)


_WRITERS: Mapping[str, Callable[[Report, TextIO], None]] = MappingProxyType(
    {".json": _write_json, ".csv": _write_csv, ".html": write_html}
)
ENDINGS = tuple(_WRITERS)
