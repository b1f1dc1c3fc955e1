"""The columns of a list of tokens, for people and scripts."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from attrs import frozen

from losant_tokens import ApiToken, Owner, UserOauthToken
from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._terminal.format import (
    count_cells,
    describe_expiry,
    ellipsis,
    escaped,
    format_iso,
    no_expiry,
    relative_time,
    short_amount,
    short_relative_time,
)
from losant_tokens.cli._terminal.tables import Cell, Steps

Token = ApiToken | UserOauthToken

EXPIRES_SOON = timedelta(days=30)
_OWNER_DIGITS = 6  # the digits of an id that distinguish owners
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)
_MAX_ROUNDING = timedelta(minutes=1)  # more than the server rounds its time


@frozen
class ListedToken:
    """A token in a list.

    Attributes:
        token: The token.
        owner: The owner that the list was requested for.
        now: The current time, by the server's clock if that is known.
        account: The name of its account, if there are several.
        seen: When the token last changed something, by audit logs; `None` if it was not seen.
    """

    token: Token
    owner: Owner
    now: datetime
    account: str = ""
    seen: datetime | None = None


@frozen
class Column:
    """A column of a list of tokens.

    Attributes:
        text: Returns the complete value, for scripts.
        key: Returns the value to sort by.
        cell: Returns the cell of a table. By default, it is the complete value.
        steps: The widths that the column shrinks to on a narrow terminal, each with its turn: the
            steps with the lowest turns are made first.
    """

    text: Callable[[ListedToken], str]
    key: Callable[[ListedToken], Any]
    cell: Callable[[ListedToken], Cell] | None = None
    steps: tuple[tuple[int, int], ...] = ()


def _text_column(read: Callable[[ListedToken], str], *steps: tuple[int, int]) -> Column:
    return Column(read, lambda one: (read(one).casefold(), read(one)), steps=steps)


def _time_column(
    read: Callable[[ListedToken], datetime | None],
    *steps: tuple[int, int],
    absent: str = "",
    absent_first: bool = False,
) -> Column:
    def text(one: ListedToken) -> str:
        time = read(one)
        return "" if time is None else format_iso(time)

    def key(one: ListedToken) -> tuple[bool, datetime]:
        time = read(one)
        return (time is None) != absent_first, time or _END_OF_TIME

    def cell(one: ListedToken) -> Cell:
        time = read(one)
        if time is None:
            return Cell(absent)
        time = not_ahead(time, one.now)
        return Cell(relative_time(time, one.now), shorter=(short_relative_time(time, one.now),))

    return Column(text, key, cell, steps)


def not_ahead(time: datetime, now: datetime) -> datetime:
    """Return the time of a past event, but `now` if it is less than a minute ahead.

    The server states its time in whole seconds, so an event of this second can seem to be ahead.

    Args:
        time: The time of the event.
        now: The current time, by the server's clock.
    """
    return now if now < time < now + _MAX_ROUNDING else time


def _expires_text(one: ListedToken) -> str:
    expires = one.token.expiration_date
    return no_expiry(one.token) if expires is None else format_iso(expires)


def _expires_key(one: ListedToken) -> tuple[int, datetime]:
    """Sort tokens that never expire after the others, and unreadable dates last."""
    expires = one.token.expiration_date
    if expires is None:
        return (1 if one.token.never_expires else 2), _END_OF_TIME
    return 0, expires


def expires_cell(one: ListedToken) -> Cell:
    """Return the expiration date relative to now, in the color of its urgency."""
    expires = one.token.expiration_date
    if expires is None:
        return Cell(no_expiry(one.token))
    short = short_relative_time(expires, one.now)
    style = expiry_style(one.token, one.now)
    if expires <= one.now:
        shorter = (f"expired {short}", f"expired {short_amount(one.now - expires)}", short)
        return Cell(describe_expiry(one.token, one.now), style, shorter)
    return Cell(relative_time(expires, one.now), style, (short,))


def expiry_style(token: object, now: datetime) -> str:
    """Return the style of an expiration date: red in the past, yellow in the next 30 days.

    Args:
        token: A token, or an entry of a plan.
        now: The current time.
    """
    expires: datetime | None = getattr(token, "expiration_date", None)
    if expires is None or expires - now > EXPIRES_SOON:
        return ""
    return "red" if expires <= now else "yellow"


def scopes_cell(scopes: Sequence[str]) -> Cell:
    """Return a cell that never loses the end of a scope, such as `.read`: `all.User.read +2`."""
    return Cell(" ".join(scopes), shorten=lambda width: short_scopes(scopes, width))


def short_scopes(scopes: Sequence[str], width: int) -> str:
    """Return as many scopes as fit, and the number of the others: `all.User.read +2`.

    If not even the first one fits, it is shortened before its last part: `applicationApi….read +2`.

    Args:
        scopes: The scopes.
        width: The number of terminal cells.
    """
    words = [escaped(scope) for scope in scopes]
    for number in range(len(words), 0, -1):
        text = f"{' '.join(words[:number])}{_others(len(words) - number)}"
        if count_cells(text) <= width:
            return text
    if not words:
        return ""
    group, dot, action = words[0].rpartition(".")
    end = f"{dot}{action}{_others(len(words) - 1)}"
    # At least one character of the group, and the ellipsis.
    room = width - count_cells(end)
    return (
        f"{ellipsis(group, room).rstrip('…').rstrip('.')}…{end}"
        if room > 1
        else ellipsis(" ".join(words), width)
    )


def _others(number: int) -> str:
    return f" +{number}" if number else ""


def _short_owner(owner: Owner, width: int) -> str:
    """Return an owner with the first digits of its id, even if its kind is shortened."""
    room = min(width - _OWNER_DIGITS - 2, len(owner.kind))
    if owner.id is None or room <= 1:
        return ellipsis(str(owner), width)
    return ellipsis(f"{ellipsis(owner.kind, room)}:{owner.id}", width)


def _creator(token: Token) -> str:
    return getattr(token, "creator_name", None) or getattr(token, "creator_id", None) or ""


ACCOUNT = "account"
"""The column with the name of the account."""

SEEN = "seen"
"""The column with the time of the last change that an audit log shows."""

# The keys are the names for --columns and --sort, and in capitals the headers of the table.
COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        "id": _text_column(lambda one: one.token.id, (8, 9)),
        "name": _text_column(lambda one: one.token.name, (2, 24), (5, 16), (7, 14), (10, 10)),
        "status": _text_column(lambda one: one.token.status or ""),
        "expires": Column(_expires_text, _expires_key, expires_cell, ((3, 15), (6, 12), (9, 8))),
        "created": _time_column(lambda one: one.token.creation_date, (3, 8)),
        "updated": _time_column(lambda one: one.token.last_updated, (3, 8)),
        "scopes": Column(
            lambda one: " ".join(one.token.scope),
            lambda one: one.token.scope,
            lambda one: scopes_cell(one.token.scope),
            ((1, 17), (4, 16), (7, 14), (11, 13)),
        ),
        "creator": _text_column(lambda one: _creator(one.token), (2, 12)),
        "owner": Column(
            lambda one: str(one.owner),
            lambda one: str(one.owner),
            lambda one: Cell(str(one.owner), shorten=lambda width: _short_owner(one.owner, width)),
            ((2, 21), (5, 14)),
        ),
        ACCOUNT: _text_column(lambda one: one.account, (2, 16), (5, 10)),
        SEEN: _time_column(lambda one: one.seen, (3, 8), absent="not seen", absent_first=True),
        "description": _text_column(lambda one: one.token.description or "", (1, 16)),
    }
)
DEFAULT_COLUMNS = ("id", "name", "status", "expires", "scopes")


def read_columns(text: str) -> tuple[str, ...]:
    """Return the columns of a list that is separated by commas, each one once.

    Raises:
        UsageError: There is no such column.
    """
    names = [name.strip().lower() for name in text.split(",")]
    for name in names:
        if name not in COLUMNS:
            raise UsageError(
                f'Invalid value for --columns: "{name}" is not a column',
                f"the columns are {', '.join(COLUMNS)}",
            )
    return tuple(dict.fromkeys(names))


def table_row(one: ListedToken, columns: Sequence[str]) -> list[Cell]:
    """Return the cells of a token. Those of an inactive token are dimmed."""
    cells = []
    for name in columns:
        column = COLUMNS[name]
        cell = Cell(column.text(one)) if column.cell is None else column.cell(one)
        if one.token.status == "inactive" and not cell.style:
            cell = Cell(cell.text, "dim", cell.shorter, cell.shorten)
        cells.append(cell)
    return cells


def shrink_steps(columns: Sequence[str]) -> Steps:
    """Return how columns shrink on a narrow terminal, the least important first."""
    steps = sorted(
        (turn, name.upper(), width) for name in columns for turn, width in COLUMNS[name].steps
    )
    return [(name, width) for _, name, width in steps]
