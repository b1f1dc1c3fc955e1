"""One token of a plan as one line, or as two lines on a narrow terminal."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TextIO

from attrs import frozen
from rich.cells import cell_len

from losant_tokens.cli._plans.groups import KEEP
from losant_tokens.cli._terminal.colors import colored, has_color
from losant_tokens.cli._terminal.console import terminal_width
from losant_tokens.cli._terminal.format import (
    ellipsis,
    escaped,
    relative_time,
    short_relative_time,
    wrapped,
)
from losant_tokens.jobs import Entry

SYMBOLS: Mapping[str, str] = MappingProxyType(
    {"delete": "-", "deactivate": "~", "activate": "+", "rotate": "*", "keep": "="}
)
STYLES: Mapping[str, str] = MappingProxyType(
    {"delete": "red", "deactivate": "yellow", "activate": "green", "rotate": "cyan", "keep": "dim"}
)

_GAP = "  "
_NO_LIMIT = 1_000_000  # cells of a line without a terminal: nothing is wrapped or shortened
_NARROW = 100  # terminal cells, below which a token takes two lines
_WIDE = 150  # terminal cells, from which whole ids fit
_MAX_PAD = 40  # cells of a column without a terminal: longer values shift the next column
_SHORT_ID = 8  # characters
_DATED = re.compile(
    r"\b(expired|expires|created|last updated|quarantined) on (\d{4}-\d\d-\d\d)(?!\d)"
)


@frozen
class Page:
    """The width and the colors of the output.

    Attributes:
        width: The width in cells.
        is_terminal: Whether the output is a terminal, so that values are shortened.
        has_color: Whether the output has colors.
    """

    width: int = _NO_LIMIT
    is_terminal: bool = False
    has_color: bool = False

    @classmethod
    def of(cls, file: TextIO) -> "Page":
        """Return the page for a stream."""
        if not file.isatty():
            return cls(has_color=has_color(file))
        return cls(width=terminal_width(file), is_terminal=True, has_color=has_color(file))

    def narrower(self, cells: int) -> "Page":
        """Return the page without some cells of its width."""
        return Page(self.width - cells, self.is_terminal, self.has_color)

    def wrapped(self, text: str, indent: str = "") -> str:
        """Return a string with its lines wrapped."""
        return "\n".join(wrapped(text, self.width, indent))

    def styled(self, text: str, style: str) -> str:
        """Return a string with a style, if the output has colors."""
        return colored(text, style, enabled=self.has_color)

    def action(self, action: str) -> str:
        """Return an action with its symbol: `- delete`."""
        return self.styled(f"{SYMBOLS[action]} {action}", STYLES[action])

    def after_action(self, action: str, text: str) -> str:
        """Return an action with its symbol and a text, with its lines wrapped."""
        start = f"{SYMBOLS[action]} {action}"
        # The escape sequences of the colors must not count as characters of the line.
        lines = self.wrapped(f"{start} {text}", "    ")
        return self.action(action) + lines.removeprefix(start)


@frozen
class Columns:
    """The columns of the lines about tokens.

    Attributes:
        page: The width and the colors of the output.
        now: The time for relative times.
        start: The width of the action with its symbol, in cells.
        widths: The widths of the other columns.
    """

    page: Page
    now: datetime
    start: int
    widths: tuple[int, ...]

    @classmethod
    def of(cls, entries: Iterable[Entry], action: str, page: Page, now: datetime) -> "Columns":
        """Return columns that fit some tokens, and the page.

        Args:
            entries: The tokens.
            action: The action for those that are not protected.
            page: The width and the colors of the output.
            now: The time for relative times.
        """
        widths = [1] * 5
        for entry in entries:
            for index, cell in enumerate(_cells(entry, page, now)):
                widths[index] = max(widths[index], cell_len(cell))
        start = len(SYMBOLS[action]) + 1 + max(len(action), len(KEEP))
        if not page.is_terminal:
            widths = [min(width, _MAX_PAD) for width in widths]
        elif page.width >= _NARROW:
            _shrink(widths, page.width - start - len(_GAP) * len(widths))
        return cls(page, now, start, tuple(widths))

    def line(self, entry: Entry, action: str) -> str:
        """Return the line of a token, or its lines on a narrow terminal."""
        page = self.page
        cells = _cells(entry, page, self.now)
        text = f"{SYMBOLS[action]} {action}"
        start = page.action(action) + " " * (self.start - len(text))
        style = "red" if entry.can_create_tokens and action != KEEP else ""
        if page.is_terminal and page.width < _NARROW:
            name, id_, *rest = cells
            indent = " " * (self.start + len(_GAP))
            width = min(self.widths[0], page.width - len(indent) - len(id_) - len(_GAP))
            first = _GAP.join([start, _padded(ellipsis(name, width), width), id_])
            others = page.wrapped(indent + ", ".join(filter(None, rest)), indent)
            return f"{first}\n{page.styled(others, style)}\n"
        columns = zip(cells, self.widths, strict=True)
        shown = [
            _padded(ellipsis(cell, width) if page.is_terminal else cell, width)
            for cell, width in columns
        ]
        line = _GAP.join([start, *shown[:3], page.styled(shown[3], style), shown[4]])
        return f"{line.rstrip()}\n"


def _shrink(widths: list[int], room: int) -> None:
    """Make the widest columns narrower until all fit. The ids are kept."""
    while sum(widths) > room:
        widest = max((0, 2, 3, 4), key=widths.__getitem__)
        widths[widest] -= 1


def _cells(entry: Entry, page: Page, now: datetime) -> tuple[str, str, str, str, str]:
    """Return the name, the id, the reason, the scopes and the creator of a token."""
    is_short = page.is_terminal and page.width < _WIDE
    id_ = escaped(entry.id)
    if is_short and len(id_) > _SHORT_ID:
        id_ = f"{id_[:_SHORT_ID]}…"
    # At these widths a token has one line, in which `expired 2 years ago` would be cut off.
    is_brief = is_short and page.width >= _NARROW
    why = entry.protected
    if why is None:
        why = relative_reason(entry, now, is_brief=is_brief)
    creator = entry.creator_name or entry.creator_id
    last = [
        *(["can create tokens"] if entry.can_create_tokens else []),
        *([f"created by {creator}"] if creator else []),
    ]
    return (
        escaped(entry.name),
        id_,
        escaped(why),
        escaped(", ".join(entry.scope or ())),
        escaped(", ".join(last)),
    )


def relative_reason(entry: Entry, now: datetime, *, is_brief: bool = False) -> str:
    """Return why a token is selected, with relative times: `expired 3 years ago`.

    Args:
        entry: The token.
        now: The time for relative times.
        is_brief: Whether units are short, as in `expired 3y ago`.
    """
    describe = short_relative_time if is_brief else relative_time
    times = {
        "expired": entry.expiration_date,
        "expires": entry.expiration_date,
        "created": entry.creation_date,
        "last updated": entry.last_updated,
        "quarantined": entry.last_updated,
    }

    def relative(found: re.Match[str]) -> str:
        time = times[found[1]]
        # A date in a name, as in `named 'created on 2024-01-01'`, is not the token's own.
        if time is None or time.date().isoformat() != found[2]:
            return found[0]
        return f"{found[1]} {describe(time, now)}"

    return _DATED.sub(relative, entry.reason)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))
