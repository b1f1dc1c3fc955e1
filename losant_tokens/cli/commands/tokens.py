"""`list`, `show`, `patch` and `create`."""

import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, Literal

from attrs import frozen

from losant_tokens import ApiTokenPatch, ApiTokenPost, NewApiToken, Owner
from losant_tokens._resources.owner_tokens import OwnerTokens, Token
from losant_tokens.cli._connect import connected, new_client, refuse_own_token
from losant_tokens.cli._connection import Connection
from losant_tokens.cli._console import mute, output_problem
from losant_tokens.cli._errors import CommandError, UsageError, say, say_stopped, warn
from losant_tokens.cli._json import as_json, as_wire
from losant_tokens.cli._parse import day, escaped, minute, never
from losant_tokens.cli._signals import GRACE, StopSignals
from losant_tokens.cli._tables import write, write_result, write_table
from losant_tokens.errors import PaginationDriftWarning, ResponseError

Status = Literal["active", "inactive"]

_PER_PAGE = 1000
# Patterns that mean the same to the API as here. For others, all names are listed.
_SAME_AT_THE_API = re.compile(r"[A-Za-z0-9 _.*-]+")


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
        limit: The maximum number of tokens.
        page_size: How many tokens to ask for at a time.
    """

    sort_field: str | None = None
    sort_direction: str | None = None
    filter_field: str | None = None
    filter: str | None = None
    name: str | None = None
    status: str | None = None
    limit: int | None = None
    page_size: int | None = None

    def matches(self, token: Token) -> bool:
        """Return whether a token is wanted. The API filters by one field, and in its own way."""
        if self.status not in {None, token.status}:
            return False
        if self.name is None:
            return True
        from losant_tokens.jobs import name_matches  # noqa: PLC0415 -- other commands do without

        return name_matches(token.name, self.name)

    def options(self, owner: Owner) -> dict[str, Any]:
        """What the API can be asked for: it filters by one field, OAuth tokens by name alone."""
        field, text = self.filter_field, self.filter
        if self.name is not None and _SAME_AT_THE_API.fullmatch(self.name):
            field, text = "name", self.name
        elif self.status is not None and owner.kind != "oauth":
            field, text = "status", self.status
        asked = {
            "sort_field": self.sort_field,
            "sort_direction": self.sort_direction,
            "filter_field": field,
            "filter": text,
            # No more than are wanted, unless some of them are left out here.
            "per_page": (
                min(self.limit, self.page_size or _PER_PAGE)
                if self.limit and not (self.status or self.name)
                else self.page_size
            ),
        }
        return {name: value for name, value in asked.items() if value is not None}


def list_tokens(owner: Owner, query: Query, connection: Connection, *, json: bool) -> int:
    """List the tokens of an owner."""
    if (query.filter_field is None) != (query.filter is None):
        raise UsageError("--filter-field and --filter go together")
    if query.filter is not None and (query.name, query.status) != (None, None):
        raise UsageError("--filter does not go together with --name and --status")
    found = connected(owner, lambda tokens: _found(tokens, query), connection)
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
    listing = tokens.iter(**query.options(tokens.owner))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PaginationDriftWarning)  # printed below, without a line
        async with aclosing(listing):
            async for token in listing:
                if query.matches(token):
                    found.append(token)
                if len(found) == query.limit:
                    break
    for problem in listing.progress.problems:
        warn(f"tokens may be missing, or listed twice: {problem}")
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


def show_token(owner: Owner, token_id: str, connection: Connection, *, json: bool) -> int:
    """Show a token."""
    write(_shown(connected(owner, lambda tokens: tokens.get(token_id), connection), json=json))
    return 0


def patch_token(
    owner: Owner,
    token_id: str,
    connection: Connection,
    *,
    name: str | None,
    description: str | None,
    status: Status | None,
    allow_own_token: bool,
    json: bool,
) -> int:
    """Change a token, and show it as it is then."""
    if (name, description, status) == (None, None, None):
        raise UsageError("nothing to change: give --name, --description or --status")
    patch = ApiTokenPatch(name=name, description=description, status=status)
    client = new_client(connection)
    if status == "inactive":
        refuse_own_token(client, [token_id], "deactivate", allowed=allow_own_token)
    look = f"look with `losant-tokens show {token_id}`"
    with _in_doubt(f"The token may have been changed: {look}."):
        token = connected(
            owner,
            lambda tokens: tokens.patch(token_id, patch),
            connection,
            client=client,
            grace=GRACE,
        )
    write_result(_shown(token, json=json))
    return 0


@contextmanager
def _in_doubt(notice: str) -> Iterator[None]:
    """Say what may have been done if a signal ends the block."""
    try:
        yield
    except KeyboardInterrupt:
        say_stopped(notice)
        raise


def _shown(token: Token, *, json: bool) -> str:
    if json:
        return as_json(as_wire(token))
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
    return "".join(f"{name + ':':<12} {escaped(fact)}\n" for name, fact in facts.items() if fact)


def create_token(
    owner: Owner, new: Callable[[], ApiTokenPost], connection: Connection, *, json: bool
) -> int:
    """Create a token, and write its secret to stdout, which nobody can see a second time."""
    if owner.kind == "oauth":
        raise UsageError(
            "OAuth tokens cannot be created here: they come of a user's consent to an application"
        )
    post = new()
    problem = output_problem()
    if problem is not None:
        raise CommandError(
            f"standard output cannot take the secret: {problem}. Nothing was created",
            "the secret can be seen once: send stdout to a terminal, a file or a pipe",
        )
    signals = StopSignals()
    # From here to the secret no signal ends the command: the secret would be lost.
    with signals.postponed():
        with _in_doubt(
            "The token may have been created: look with `losant-tokens list` before you try again."
        ):
            try:
                token = connected(
                    owner,
                    lambda tokens: tokens.post(post),
                    connection,
                    signals=signals,
                    grace=GRACE,
                )
            except ResponseError as error:
                if error.token_id is None:
                    raise
                raise _secret_is_lost(error.token_id, "the response does not have it") from None
        return _print_created(token, json=json)


def _print_created(token: NewApiToken, *, json: bool) -> int:
    # The id comes first, so that a token whose secret is lost can be deleted.
    expiry = minute(token.expiration_date, never(token))
    say(f"Created {token.name!r}, id {token.id}, expires: {expiry}.")
    say("Its secret can be seen this once:")
    secret = token.token
    problem = _problem_with(
        as_json(as_wire(token) | {"token": secret.reveal()}) if json else f"{secret.reveal()}\n"
    )
    if problem is not None:
        raise _secret_is_lost(token.id, problem)
    return 0


def _secret_is_lost(token_id: str, problem: str) -> CommandError:
    return CommandError(
        f"the token {token_id} was created, but its secret is lost: {problem}",
        f"nobody can see it again; delete the token: losant-tokens delete {token_id}",
    )


def _problem_with(text: str) -> str | None:
    """Write a text to stdout; return why that failed. Never raises: the text holds a secret."""
    try:
        write(text)
    except BrokenPipeError:
        mute(sys.stdout)
        return "nothing reads standard output any more"
    except CommandError as error:
        return str(error)
    return None
