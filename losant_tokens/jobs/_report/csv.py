"""Write a report as CSV, for spreadsheets.

The problem: a spreadsheet reads some cells as formulas, and changes others into numbers or dates.
Names come from users, so a formula may be an attack. The approach: an apostrophe before each start
of a formula, as OWASP recommends against CSV injection, and a tab before an id or a number.
"""

import csv
import re
from collections.abc import Sequence
from typing import TextIO

from losant_tokens.jobs._report.report_data import COLUMNS, ReportData

# A cell that starts like this is a formula, also in full-width forms. In some countries, cells also
# start after a semicolon.
_FORMULA = re.compile(r"""(?:^|[\t\r\n;,|"])\s*(?=[=+\-@\uff1d\uff0b\uff0d\uff20])""")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# Digits, also with separators or an exponent, become a number or a date.
_NUMBER = re.compile(r"\s*[0-9][0-9.,:/ _-]*(?:[eE][+-]?[0-9]+)?\s*")
_ID = COLUMNS.index("id")


def write_csv(report: ReportData, file: TextIO) -> None:
    """Write a header, and a line for each token.

    An id starts with a tab, so that a spreadsheet keeps it as text. Readers strip it.
    """
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for row in report.rows():
        cells = [harmless_cell(_cell(value)) for value in row.values()]
        cells[_ID] = f"\t{cells[_ID].lstrip()}"
        writer.writerow(cells)


def _cell(value: str | Sequence[str] | None) -> str:
    """Return a value as the string of a cell: scopes are separated by spaces."""
    return value if isinstance(value, str) else " ".join(value or ())


def harmless_cell(cell: str) -> str:
    """Return a cell of a CSV file that no spreadsheet reads as a formula or a number.

    A formula gets an apostrophe in front, and a number a tab. Control characters, and characters
    that change the direction of text, become escapes.

    Args:
        cell: The value of the cell.
    """
    visible = _CONTROL.sub(lambda found: ascii(found[0])[1:-1], cell)
    if _NUMBER.fullmatch(visible):
        return f"\t{visible}"
    return _FORMULA.sub(lambda found: found[0] + "'", visible)
