"""`list`, `show`, `patch` and `create`: what is asked of the service, and how it is shown."""

import sys
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Literal

from attrs import frozen

from losant_tokens import ApiTokenPatch, ApiTokenPost, Owner
from losant_tokens._owner import OwnerTokens, Token
from losant_tokens.cli._errors import CommandError, UsageError, say
from losant_tokens.cli._json import as_json, as_wire
from losant_tokens.cli._output import write, write_table
from losant_tokens.cli._service import connected
from losant_tokens.cli._text import day, escaped, minute, never

Status = Literal["active", "inactive"]

_PER_PAGE = 1000


@frozen(kw_only=True)
class Query:
    """What to list. `None` leaves it to the API.

    Attributes:
        sort_field: What to sort by.
        sort_direction: `asc` or `desc`.
        filter_field: What to filter by; goes with `filter`.
        filter: What it must match.
        name: What the name must match; goes with `status`.
        status: What the status must be.
        limit: How many tokens at the most.
    """

    sort_field: str | None = None
    sort_direction: str | None = None
    filter_field: str | None = None
    filter: str | None = None
    name: str | None = None
    status: str | None = None
    limit: int | None = None

    def options(self, owner: Owner) -> dict[str, Any]:
        """What the API can be asked for: it filters by one field, OAuth tokens by name alone."""
        field, text = self.filter_field, self.filter
        if self.name is not None:
            field, text = "name", self.name
        elif self.status is not None and owner.kind != "oauth":
            field, text = "status", self.status
        asked = {
            "sort_field": self.sort_field,
            "sort_direction": self.sort_direction,
            "filter_field": field,
            "filter": text,
            # No more than are wanted, but where some of them are yet to be sorted out here.
            "per_page": min(self.limit, _PER_PAGE) if self.limit and not self.status else None,
        }
        return {name: value for name, value in asked.items() if value is not None}


def list_tokens(owner: Owner, query: Query, *, json: bool) -> int:
    """Lists the tokens of an owner."""
    if (query.filter_field is None) != (query.filter is None):
        raise UsageError("--filter-field and --filter go together")
    if query.filter is not None and (query.name, query.status) != (None, None):
        raise UsageError("--filter does not go together with --name and --status")
    found = connected(owner, lambda tokens: _found(tokens, query))
    if json:
        write(as_json([as_wire(token) for token in found]))
        return 0
    write_table(
        ("ID", "NAME", "STATUS", "EXPIRES", "CREATED", "SCOPES"),
        map(_row, found),
        cut="SCOPES",
        drop=("CREATED", "SCOPES"),
        wrap="NAME",
    )
    if sys.stdout.isatty():
        say(f"{len(found):,} token{'' if len(found) == 1 else 's'}")
    return 0


async def _found(tokens: OwnerTokens, query: Query) -> list[Token]:
    found: list[Token] = []
    async with aclosing(tokens.iter(**query.options(tokens.owner))) as listing:
        async for token in listing:
            if query.status in {None, token.status}:
                found.append(token)
            if len(found) == query.limit:
                break
    return found


def _row(token: Token) -> tuple[str, ...]:
    return (
        token.id,
        token.name,
        token.status or "",
        day(token.expiration_date, never(token)),
        day(token.creation_date, ""),
        " ".join(token.scope),
    )


def show_token(owner: Owner, token_id: str, *, json: bool) -> int:
    """Shows a token."""
    _show(connected(owner, lambda tokens: tokens.get(token_id)), json=json)
    return 0


def patch_token(
    owner: Owner,
    token_id: str,
    *,
    name: str | None,
    description: str | None,
    status: Status | None,
    json: bool,
) -> int:
    """Changes a token, and shows it as it is then."""
    if (name, description, status) == (None, None, None):
        raise UsageError("nothing to change: give --name, --description or --status")
    patch = ApiTokenPatch(name=name, description=description, status=status)
    _show(connected(owner, lambda tokens: tokens.patch(token_id, patch)), json=json)
    return 0


def _show(token: Token, *, json: bool) -> None:
    if json:
        write(as_json(as_wire(token)))
        return
    facts = {
        "Id": token.id,
        "Name": token.name,
        "Status": token.status,
        "Expires": minute(token.expiration_date, never(token)),
        "Created": minute(token.creation_date, ""),
        "Updated": minute(token.last_updated, ""),
        "Scopes": " ".join(token.scope),
        "Role": token.default_role,
        "Creator": getattr(token, "creator_name", None),
        "Description": token.description,
    }
    for name, fact in facts.items():
        if fact:
            sys.stdout.write(f"{name + ':':<12} {escaped(fact)}\n")


def create_token(owner: Owner, new: Callable[[], ApiTokenPost], *, json: bool) -> int:
    """Creates a token, and writes its secret to stdout: this once, it can be seen."""
    if owner.kind == "oauth":
        raise UsageError(
            "OAuth tokens cannot be created here: they come of a user's consent to an application"
        )
    post = new()
    try:
        token = connected(owner, lambda tokens: tokens.post(post))
    except KeyboardInterrupt:
        say("The token may have been created: look with `losant-tokens list` before you try again.")
        raise
    secret = getattr(token, "token", None)
    # First which token it is, so that one whose secret goes astray can be deleted.
    expiry = minute(token.expiration_date, never(token))
    say(f"Created {token.name!r}, id {token.id}, expires: {expiry}.")
    if secret is None:
        raise CommandError("the answer has no secret", f"losant-tokens delete {token.id}")
    say("Its secret can be seen this once:")
    if json:
        write(as_json(as_wire(token) | {"token": secret.reveal()}))
    else:
        sys.stdout.write(f"{secret.reveal()}\n")
    return 0
