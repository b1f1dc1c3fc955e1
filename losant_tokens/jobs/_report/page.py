"""Write a list of tokens with its facts as one HTML file, which needs no network.

The problem: names, reasons and errors come from users, so they may be an attack. The approach: the
page has them only as escaped text, or as JSON without a `<`. Its script makes text nodes from them,
and the content security policy of the page allows only that script.

The rows are written as JSON, one by one, and the script draws those of one page of the list. So the
memory to write a page does not grow with its rows, and a browser opens 100,000 of them. The first
rows are in the page as HTML, too, for browsers without JavaScript.
"""

import base64
import hashlib
import heapq
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from typing import TextIO

from attrs import field, frozen

from losant_tokens import Owner, __version__
from losant_tokens.jobs._plan.format import timestamp
from losant_tokens.jobs._report.charts import draw_charts
from losant_tokens.jobs._report.report_data import separate
from losant_tokens.jobs._types import Entry, Header, PaceSample

STATIC_ROWS = 50
"""The number of rows that are in the page as HTML."""


@frozen
class State:
    """A state that the tokens of a page can have, such as the outcome of a job.

    Attributes:
        key: The name of its color.
        label: The label.
    """

    key: str
    label: str


@frozen
class Row:
    """A token of a page.

    Attributes:
        entry: The token.
        state: The number of its state.
        note: Why the token has this state, such as an error; empty if there is no reason.
    """

    entry: Entry
    state: int = 0
    note: str = ""


@frozen(kw_only=True)
class Tile:
    """A number to show in large type.

    Attributes:
        name: The name of the number.
        value: The number, or a string.
        note: An explanation.
        key: The name of a color, or `None`.
    """

    name: str
    value: int | str
    note: str
    key: str | None = None


@frozen
class Fact:
    """A fact with its name.

    Attributes:
        name: The name.
        value: The value.
        is_code: Whether to show the value in a monospaced font, such as a command.
    """

    name: str
    value: str
    is_code: bool = False


@frozen
class Notice:
    """A problem to show above everything else.

    Attributes:
        text: The problem, and what to do.
        command: The command that does it; `None` if there is none.
    """

    text: str
    command: str | None = None


@frozen(kw_only=True)
class Page:
    """The content of a page. Every string is plain text.

    Attributes:
        headline: The headline.
        where: The parts of a text below the headline. Every second part is bold.
        notices: Problems.
        split: The number of tokens for each name of a color, drawn as a bar.
        tiles: Numbers.
        facts_title: The title of the facts above the list.
        facts: Facts to show above the list.
        failures: Each error, with the number of tokens that failed with it.
        state_name: The name of the column of states.
        states: The states. The list is sorted by their number first.
        rows: The rows.
        pace: The samples of the rate; `None` for a page without charts.
        more_facts: Facts to show below the list.
        full_list: Where all tokens are listed for a reader without JavaScript, as a sentence.
    """

    headline: str
    where: Sequence[str]
    notices: Sequence[Notice] = ()
    split: Sequence[tuple[str, int]] = ()
    tiles: Sequence[Tile] = ()
    facts_title: str
    facts: Sequence[Fact] = ()
    failures: Sequence[tuple[str, int]] = ()
    state_name: str
    states: Sequence[State]
    rows: Iterable[Row] = field(repr=False)
    pace: Sequence[PaceSample] | None = None
    more_facts: Sequence[Fact] = ()
    full_list: str


def write_page(page: Page, file: TextIO) -> None:
    """Write a page as one HTML document, whose script is allowed by its hash alone."""
    script = _read("page.js")
    hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    before, after = _read("page.html").split("{{rows}}")
    head = {
        "script_hash": f"sha256-{hashed}",
        "style": _read("page.css"),
        "title": escape_text(f"{page.headline} - losant-tokens"),
        "headline": escape_text(page.headline),
        "where": _where(page.where),
        "notices": "".join(map(_notice, page.notices)),
        "split": "".join(
            f'<i style="--c:var(--{key});flex:{count} 0 0"></i>'
            for key, count in page.split
            if count
        ),
        "tiles": "".join(map(_tile, page.tiles)),
        "sections": _facts_section(page.facts_title, page.facts) + _failures_section(page.failures),
    }
    file.write(_fill(before, head))
    table = _Table(page)
    file.writelines(separate(map(table.line, page.rows)))
    file.write(_fill(after, {**table.values(), "details": _details(page), "script": script}))


def _read(name: str) -> str:
    return files("losant_tokens.jobs._report").joinpath(name).read_text(encoding="utf-8")


def _fill(template: str, values: dict[str, str]) -> str:
    # One pass, so placeholders in the values are not replaced.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], template)


def _json(value: object) -> str:
    """Return a value as ASCII JSON without a `<`, which could end a `<script>`."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def escape_text(text: str) -> str:
    """Return a string as HTML. Characters that could hide or reverse other text become escapes."""
    if not text.isprintable():
        text = "".join(
            f"\\u{{{ord(char):x}}}" if unicodedata.category(char).startswith("C") else char
            for char in text
        )
    return escape(text)


# --- The parts above and below the list ------------------------------------------------------


def _where(parts: Sequence[str]) -> str:
    return "".join(
        f"<strong>{escape_text(part)}</strong>" if number % 2 else escape_text(part)
        for number, part in enumerate(parts)
    )


def _notice(notice: Notice) -> str:
    command = "" if notice.command is None else f"<code>{escape_text(notice.command)}</code>"
    return f'<div class="notice" role="note"><p>{escape_text(notice.text)}</p>{command}</div>'


def _tile(tile: Tile) -> str:
    dot = "" if tile.key is None else f'<i class="dot" style="--c:var(--{tile.key})"></i>'
    number = f"{tile.value:,}" if isinstance(tile.value, int) else tile.value
    return (
        f'<div class="tile"><dt>{dot}{escape_text(tile.name)}</dt>'
        f"<dd>{escape_text(number)}<small>{escape_text(tile.note)}</small></dd></div>"
    )


_LONG = 36  # characters of a value that gets the space of two


def _facts_section(title: str, facts: Sequence[Fact]) -> str:
    if not facts:
        return ""
    items = "".join(map(_fact, facts))
    return f'<section><h2>{escape_text(title)}</h2><dl class="card facts">{items}</dl></section>'


def _fact(fact: Fact) -> str:
    value = escape_text(fact.value)
    value = f"<code>{value}</code>" if fact.is_code else value
    space = ' class="long"' if len(fact.value) > _LONG else ""
    return f"<div{space}><dt>{escape_text(fact.name)}</dt><dd>{value}</dd></div>"


def _failures_section(failures: Sequence[tuple[str, int]]) -> str:
    if not failures:
        return ""
    items = "".join(f"<li><b>{count:,}</b> {escape_text(error)}</li>" for error, count in failures)
    return f'<section><h2>Failures by reason</h2><ul class="card failures">{items}</ul></section>'


def _details(page: Page) -> str:
    charts = "" if page.pace is None else draw_charts(page.pace)
    rate = f'<section class="no-print"><h2>Request rate</h2>{charts}</section>' if charts else ""
    return rate + _facts_section("More facts", page.more_facts)


# --- The list --------------------------------------------------------------------------------


class _Table:
    """Makes the lines of JSON for the script, and then the parts of the table.

    Columns without any value are left out, so that the others have more space.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._count = 0
        self._first: list[tuple[int, int, Row]] = []  # a heap, the last row on top
        self._owner: Owner | None = None
        self._shown = {"creator": False, "scopes": False, "created": False, "owner": False}

    def line(self, row: Row) -> str:
        """Return the line for a row."""
        entry, shown = row.entry, self._shown
        self._owner = self._owner or entry.owner
        shown["owner"] |= self._owner != entry.owner
        shown["creator"] |= bool(creator_of(entry))
        shown["scopes"] |= bool(entry.scope)
        shown["created"] |= entry.creation_date is not None
        item = (-row.state, -self._count, row)
        if self._count < STATIC_ROWS:
            heapq.heappush(self._first, item)
        else:
            heapq.heappushpop(self._first, item)
        self._count += 1
        return f"\n{_json(_row_json(row))}"

    def values(self) -> dict[str, str]:
        """Return the parts of the template below the lines."""
        page, columns = self._page, self._columns()
        rows = [row for _, _, row in sorted(self._first, reverse=True)]
        pace = [
            [round(one.at, 2), round(one.per_second, 1), one.concurrency, one.refused]
            for one in page.pace or ()
        ]
        meta = {
            "states": [[state.key, state.label] for state in page.states],
            "columns": list(columns.items()),
            "pace": pace,
        }
        return {
            "without_script": self._without_script(),
            "wide": "wide" if "owner" in columns else "",
            "scrolls": " scrolls" if "owner" in columns else "",
            "headers": "".join(
                f'<th role="columnheader" scope="col" data-column="{key}">{escape_text(label)}</th>'
                for key, label in columns.items()
            ),
            "first_rows": "".join(_static_row(row, columns, page.states) for row in rows),
            "footer": escape_text(f"Written by losant-tokens {__version__}."),
            "meta": _json(meta),
        }

    def _columns(self) -> dict[str, str]:
        """Return the names and labels of the columns to show."""
        columns = {
            "name": "Name",
            "id": "Id",
            "state": self._page.state_name,
            "detail": "Detail",
            "creator": "Creator",
            "scopes": "Scopes",
            "created": "Created",
            "expires": "Expires",
            "updated": "Last updated",
            "owner": "Owner",
        }
        shown = {**self._shown, "state": len(self._page.states) > 1}
        return {key: label for key, label in columns.items() if shown.get(key, True)}

    def _without_script(self) -> str:
        if self._count <= STATIC_ROWS:
            return "To sort and filter the tokens, allow JavaScript."
        return escape_text(
            f"Without JavaScript, this page shows {STATIC_ROWS} of {self._count:,} tokens. "
            f"{self._page.full_list}"
        )


def creator_of(entry: Entry) -> str:
    """Return the name of the creator, or the id; an empty string if neither is known."""
    return entry.creator_name or entry.creator_id or ""


def _row_json(row: Row) -> list[object]:
    entry = row.entry
    return [
        row.state,
        entry.name,
        entry.id,
        entry.reason,
        row.note,
        creator_of(entry),
        entry.scope or (),
        _time(entry.creation_date),
        _time(entry.expiration_date),
        _time(entry.last_updated),
        str(entry.owner),
        entry.description or "",
        int(entry.can_create_tokens is True),
    ]


def _time(time: datetime | None) -> str:
    """Return a timestamp to the second; an empty string for `None`."""
    return (
        ""
        if time is None
        else (timestamp(time.replace(microsecond=0)) or "").replace("+00:00", "Z")
    )


def _static_row(row: Row, columns: Iterable[str], states: Sequence[State]) -> str:
    entry, state = row.entry, states[row.state]
    description = " ".join((entry.description or "").split())
    note_class = ' class="error"' if state.key == "failed" else ""
    cells = {
        "name": escape_text(entry.name)
        + (f"<small>{escape_text(description)}</small>" if description else ""),
        "id": escape_text(entry.id),
        "state": f'<span class="dot" style="--c:var(--{state.key})"></span>'
        + escape_text(state.label),
        "detail": (f"<div{note_class}>{escape_text(row.note)}</div>" if row.note else "")
        + f"<div>{escape_text(entry.reason)}</div>",
        "creator": escape_text(creator_of(entry)),
        "scopes": "".join(f"<span>{escape_text(scope)}</span>" for scope in entry.scope or ())
        + ('<span class="tag">can create tokens</span>' if entry.can_create_tokens else ""),
        "created": _static_date(entry.creation_date, ""),
        "expires": _static_date(entry.expiration_date, "never"),
        "updated": _static_date(entry.last_updated, ""),
        "owner": escape_text(str(entry.owner)),
    }
    return f'<tr role="row">{"".join(_static_cell(key, cells[key]) for key in columns)}</tr>'


def _static_cell(key: str, html: str) -> str:
    if key == "name":
        return f'<th role="rowheader" scope="row" class="name">{html}</th>'
    return f'<td role="cell" class="{key}">{html}</td>'


def _static_date(time: datetime | None, missing: str) -> str:
    value = _time(time)
    return f'<time datetime="{value}">{value[:10]}</time>' if value else missing


# --- Values that several pages show ----------------------------------------------------------


def format_time(time: datetime) -> str:
    """Return a time in UTC, to the minute."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def format_second(time: datetime) -> str:
    """Return a time in UTC, to the second."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def format_tokens(count: int) -> str:
    """Return a number of tokens in words: `1 token` or `1,200 tokens`."""
    return f"{count:,} {'token' if count == 1 else 'tokens'}"


def account_fact(header: Header) -> str:
    """Return the base URL, with the account if the token claims one."""
    owners = ", ".join(map(str, header.counts))
    account = "" if header.account is None else f", account {header.account}"
    return f"{header.base_url}, {owners}{account}"


def listing_facts(header: Header) -> Iterable[Fact]:
    """Return facts about the listings of a plan."""
    for owner, counts in header.counts.items():
        numbers = f"{counts.listed:,} listed, {counts.selected:,} selected"
        yield Fact(f"Tokens of {owner}", f"{numbers}, {counts.protected:,} protected")
    if header.policy is not None:
        yield Fact("Policy", f"clean-up {header.policy.cleanup} of {header.policy.digest}")
    yield Fact("Protected tokens", ", ".join(header.protected) or "none")
    if header.seen is not None:
        yield Fact("Evidence of use", f"{header.seen}, in {', '.join(header.seen.sources)}")
        for gap in header.seen.gaps:
            yield Fact("Not proved", gap)
    known = header.token_in_use is not None
    yield Fact("Token in use", header.token_in_use or "unknown", is_code=known)
    if header.incomplete:
        yield Fact("Listing", f"tokens may be missing: {'; '.join(header.incomplete)}")
    elif header.drifted:
        yield Fact("Listing", "the tokens kept changing, so some may be missing")
