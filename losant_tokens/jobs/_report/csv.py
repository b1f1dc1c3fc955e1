"""Write a report as CSV, for spreadsheets.

The problem: a spreadsheet reads some cells as formulas, and changes others into numbers or dates.
Names come from users, so a formula may be an attack. The approach: an apostrophe before each start
of a formula, as OWASP recommends against CSV injection, and a tab before an id, a number or a date.
Excel, LibreOffice and Google Sheets keep a cell with a tab as text, and a program can strip it. The
alternative `="123"` is a formula, which other programs read as such.
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
_NUMBER = r"[($\u20ac\xa3]?[0-9][0-9.,:/ _-]*(?:e[+-]?[0-9]+)?(?:%|\)|[ap]m?)?"
# A month with a day or a year becomes a date: "mar-1", "SEPT2", "1 May 2025".
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DATE = rf"(?=.*[0-9])[0-9]{{0,4}}[-/. ,]*{_MONTH}[-/. ,]*[0-9]{{0,4}}[-/. ,]*[0-9]{{0,4}}"
_CONVERTED = re.compile(rf"\s*(?:{_NUMBER}|{_DATE}|true|false)\s*", re.IGNORECASE)
_IDS = [COLUMNS.index("id"), COLUMNS.index("creatorId")]


def write_csv(report: ReportData, file: TextIO) -> None:
    """Write a header, and a line for each token.

    Each id starts with a tab, so that a spreadsheet keeps it as text. Strip it to compare ids.
    """
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for row in report.rows():
        cells = [harmless_cell(_cell(value)) for value in row.values()]
        for number in _IDS:
            cells[number] = f"\t{cells[number].lstrip()}" if cells[number] else ""
        writer.writerow(cells)


def _cell(value: str | Sequence[str] | None) -> str:
    """Return a value as the string of a cell: scopes are separated by spaces."""
    return value if isinstance(value, str) else " ".join(value or ())


def harmless_cell(cell: str) -> str:
    """Return a cell of a CSV file that no spreadsheet reads as a formula, a number or a date.

    A formula gets an apostrophe in front, and a number or a date a tab. Control characters, and
    characters that change the direction of text, become escapes.

    Args:
        cell: The value of the cell.
    """
    visible = _CONTROL.sub(lambda found: ascii(found[0])[1:-1], cell)
    if _CONVERTED.fullmatch(visible):
        return f"\t{visible}"
    return _FORMULA.sub(lambda found: found[0] + "'", visible)
