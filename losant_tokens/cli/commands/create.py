"""`create`: create a token, and print its secret once."""

import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from attrs import evolve
from cyclopts import Parameter

from losant_tokens import Owner
from losant_tokens.cli._errors import CommandError, UsageError
from losant_tokens.cli._options.common import (
    CURRENT_USER,
    DEFAULT_CONNECTION,
    AllowUnknownScope,
    ConnectionOptions,
    Expiry,
    Json,
    OwnerOption,
    Scopes,
    Status,
    checked_expiry,
    choice,
)
from losant_tokens.cli._options.parse import read_expiry
from losant_tokens.cli._signals.stop_signals import GRACE, StopSignals
from losant_tokens.cli._terminal.console import (
    ask,
    can_ask,
    notice_if_interrupted,
    print_error,
    print_status,
    print_warning,
    write_output,
)
from losant_tokens.cli._terminal.format import format_datetime, no_expiry, relative_time
from losant_tokens.cli._terminal.streams import mute, output_problem
from losant_tokens.errors import Forbidden, ResponseError, ScopeError

if TYPE_CHECKING:
    from losant_tokens import ApiTokenPost, AsyncClient, NewApiToken


def create_token(  # noqa: PLR0913 -- one parameter per option
    name: Annotated[str, Parameter(name="NAME", help="Set the display name.")],
    /,
    *,
    scope: Scopes = (),
    allow_unknown_scope: AllowUnknownScope = False,
    expires: Expiry = None,
    description: Annotated[
        str | None, Parameter(metavar="TEXT", help="Set the description.")
    ] = None,
    status: Annotated[
        Status | None, choice("active", "inactive", help_="Set the initial status.")
    ] = None,
    owner: OwnerOption = CURRENT_USER,
    json: Annotated[
        Json, Parameter(help="Write the whole token as JSON, including its secret.")
    ] = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Create a token and write its secret to stdout."""
    from losant_tokens import ApiTokenPost
    from losant_tokens.cli._connections.clients import new_client

    _check_owner(owner)
    post = ApiTokenPost(
        name,
        description=description,
        scope=_known_scopes(scope, allow_unknown=allow_unknown_scope) or None,
        status=status,
    )
    client = new_client(connection)
    when = _ask_for_expiry() if expires is None else expires
    problem = output_problem()
    if problem is not None:
        raise CommandError(
            f"the secret cannot be written to standard output: {problem}. Nothing was created",
            "the secret is shown only once: connect stdout to a terminal, a file or a pipe",
        )
    signals = StopSignals()
    # No signal ends the command until the secret is written. Otherwise the secret would be lost.
    with signals.postponed():
        token, now = _post(client, owner, post, when, signals)
        return _print_created(token, now, json=json)


def _check_owner(owner: Owner) -> None:
    if owner.kind == "oauth":
        raise UsageError(
            "OAuth tokens cannot be created with this command: "
            "a user creates one by authorizing an application"
        )


def _known_scopes(scopes: tuple[str, ...], *, allow_unknown: bool) -> tuple[str, ...]:
    """Return the scopes, with the unknown ones marked if they are allowed."""
    from losant_tokens import UnlistedScope, published_scopes

    if not allow_unknown:
        return scopes
    known = published_scopes()
    for scope in scopes:
        if scope not in known:
            print_warning(f'the scope "{scope}" is unknown to this version: check its spelling')
    return tuple(scope if scope in known else UnlistedScope(scope) for scope in scopes)


def _ask_for_expiry() -> str:
    """Ask for the expiration date until the response has the form of one.

    Raises:
        UsageError: Nobody can be asked.
    """
    while can_ask():
        text = ask("Expires (a duration such as 90d, a date such as 2030-01-01, or never):")
        if text is None:
            break
        try:
            return checked_expiry(text)
        except ValueError as error:
            print_error(UsageError(str(error)))
    raise UsageError(
        "create needs --expires",
        "pass a duration such as 90d, a date such as 2030-01-01, or never",
    )


def _post(
    client: "AsyncClient", owner: Owner, post: "ApiTokenPost", when: str, signals: StopSignals
) -> "tuple[NewApiToken, datetime]":
    """Create the token, and return it with the server's time."""
    from losant_tokens.cli._event_loop import run_with_client

    async def work(client: "AsyncClient") -> "tuple[NewApiToken, datetime]":
        if when != "never":
            await _learn_server_time(client, owner)
        now = client.server_time() or datetime.now(UTC)
        try:
            expires = read_expiry(when, now)
        except ValueError as error:
            raise UsageError(str(error)) from None
        token = await client.tokens(owner).post(evolve(post, expiration_date=expires))
        return token, client.server_time() or now

    notice = "The token may have been created: check with `losant-tokens list` before you retry."
    with notice_if_interrupted(notice):
        try:
            return run_with_client(work, client=client, signals=signals, grace=GRACE)
        except ResponseError as error:
            if error.token_id is None:
                raise
            raise _secret_is_lost(error.token_id, "the response does not contain it") from None


async def _learn_server_time(client: "AsyncClient", owner: Owner) -> None:
    """Send a small request, because each response states the server's time.

    A token that may create tokens need not be allowed to list them.
    """
    with suppress(Forbidden, ScopeError):
        await client.tokens(owner).page(per_page=1)


def _print_created(token: "NewApiToken", now: datetime, *, json: bool) -> int:
    from losant_tokens.cli._tokens.json import as_json, as_wire

    # The id comes first, so that a token whose secret is lost can be deleted.
    expires = token.expiration_date
    expiry = (
        no_expiry(token)
        if expires is None
        else f"{format_datetime(expires, '')} ({relative_time(expires, now)})"
    )
    print_status(f"Created {token.name!r}, id {token.id}, expires: {expiry}.")
    print_status("Its secret is shown only once:")
    secret = token.token
    problem = _write_secret(
        as_json(as_wire(token) | {"token": secret.reveal()}) if json else f"{secret.reveal()}\n"
    )
    if problem is not None:
        raise _secret_is_lost(token.id, problem)
    return 0


def _secret_is_lost(token_id: str, problem: str) -> CommandError:
    return CommandError(
        f"the token {token_id} was created, but its secret is lost: {problem}",
        f"the secret cannot be shown again; delete the token: losant-tokens delete {token_id}",
    )


def _write_secret(text: str) -> str | None:
    """Write a secret to stdout, and return why that failed.

    Nothing is raised, because a traceback would show the secret.
    """
    try:
        write_output(text)
    except BrokenPipeError:
        mute(sys.stdout)
        return "the reader of standard output has closed it"
    except CommandError as error:
        return str(error)
    return None
