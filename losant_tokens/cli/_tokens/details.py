"""The details of one token, for people."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TextIO

from losant_tokens import Owner
from losant_tokens.cli._terminal.colors import colored, has_color
from losant_tokens.cli._terminal.console import terminal_width
from losant_tokens.cli._terminal.format import (
    escaped,
    format_datetime,
    no_expiry,
    relative_time,
    wrapped,
)
from losant_tokens.cli._tokens.columns import (
    ListedToken,
    Token,
    expires_cell,
    expiry_style,
    not_ahead,
)

_LABEL_WIDTH = 15
_NOT_SEEN = "not seen changing anything; reading is not recorded"


def describe_token(
    token: Token,
    server_time: datetime | None,
    *,
    owner: Owner,
    file: TextIO,
    seen: Mapping[str, datetime] | None = None,
) -> str:
    """Return the details of a token, without its secret, as lines.

    Args:
        token: The token.
        server_time: The server's time, or None for the time of this machine.
        owner: The owner of the token.
        file: The destination. On a terminal, the lines fit its width.
        seen: The times of the last changes by audit logs; None if no log was read.
    """
    now = server_time or datetime.now(UTC)
    last = None if seen is None else seen.get(token.id)
    listed = ListedToken(token, owner, now, seen=last)
    return format_details(_details(listed, has_seen=seen is not None), file)


def format_details(details: Iterable[tuple[str, str, Sequence[str]]], file: TextIO) -> str:
    """Return labels with their values as lines. Labels without a value are left out.

    Args:
        details: The label, the style and the lines of each member.
        file: The destination. On a terminal, the lines fit its width.
    """
    width = terminal_width(file) - _LABEL_WIDTH - 1 if file.isatty() else None
    lines = []
    for label, style, values in details:
        texts = [escaped(value) for value in values if value]
        if width is not None:
            texts = [line for text in texts for line in wrapped(text, width)]
        for index, text in enumerate(texts):
            start = f"{label}:" if index == 0 else ""
            shown = colored(text, style, enabled=has_color(file))
            lines.append(f"{start:<{_LABEL_WIDTH}} {shown}\n")
    return "".join(lines)


def _details(one: ListedToken, *, has_seen: bool) -> Iterable[tuple[str, str, Sequence[str]]]:
    """Yield the label, the style and the lines of each member of a token."""
    from losant_tokens.jobs import can_create_tokens  # noqa: PLC0415 -- slow to import

    token, now = one.token, one.now

    def time(value: datetime | None, phrase: str) -> str:
        return f"{format_datetime(value, '')} ({phrase})" if value else ""

    def past(value: datetime | None) -> str:
        return time(value, relative_time(not_ahead(value, now), now)) if value else ""

    expires = time(token.expiration_date, expires_cell(one).text) or no_expiry(token)
    creates = can_create_tokens().matches(token, now)
    yield "Name", "bold", [token.name]
    yield "Id", "", [token.id]
    yield "Owner", "", [str(one.owner)]
    yield "Status", "dim" if token.status == "inactive" else "", [token.status or ""]
    yield "Expires", expiry_style(token, now), [expires]
    yield "Created", "", [past(token.creation_date)]
    yield "Updated", "", [past(token.last_updated)]
    if has_seen:
        changed = f"changed something on {past(one.seen)}"
        yield "Seen", "", [changed if one.seen else _NOT_SEEN]
    yield "Creator", "", [_describe_creator(token)]
    yield "Scopes", "", token.scope
    yield (
        "Creates tokens",
        "" if creates is False else "yellow",
        ["unknown" if creates is None else "yes" if creates else "no"],
    )
    yield "Role", "", [token.default_role or ""]
    yield "Description", "", [token.description or ""]


def _describe_creator(token: Token) -> str:
    name, identity = getattr(token, "creator_name", None), getattr(token, "creator_id", None)
    return f"{name} ({identity})" if name and identity else name or identity or ""
