"""`create`: create a token, and print its secret once."""

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from losant_tokens import Owner
from losant_tokens.cli._console import (
    mute,
    notice_if_interrupted,
    output_problem,
    print_status,
    write_output,
)
from losant_tokens.cli._errors import CommandError, UsageError
from losant_tokens.cli._format import format_datetime, no_expiry
from losant_tokens.cli._options import (
    CURRENT_USER,
    DEFAULT_CONNECTION,
    ConnectionOptions,
    Expiry,
    Json,
    OwnerOption,
    Scopes,
    Status,
    UnlistedScopes,
    choice,
)
from losant_tokens.cli._stop_signals import GRACE, StopSignals
from losant_tokens.errors import ResponseError

if TYPE_CHECKING:
    from losant_tokens import ApiTokenPost, NewApiToken


def create_token(  # noqa: PLR0913 -- one parameter per option
    name: Annotated[str, Parameter(name="NAME", help="Set the display name.")],
    /,
    *,
    scope: Scopes = (),
    unlisted_scope: UnlistedScopes = (),
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
    from losant_tokens import ApiTokenPost, UnlistedScope

    _check_owner(owner)
    post = ApiTokenPost(
        name,
        description=description,
        expiration_date=expires,
        scope=(*scope, *map(UnlistedScope, unlisted_scope)) or None,
        status=status,
    )
    problem = output_problem()
    if problem is not None:
        raise CommandError(
            f"the secret cannot be written to standard output: {problem}. Nothing was created",
            "the secret is shown only once: connect stdout to a terminal, a file or a pipe",
        )
    signals = StopSignals()
    # No signal ends the command until the secret is written. Otherwise the secret would be lost.
    with signals.postponed():
        token = _post(owner, post, connection, signals)
        return _print_created(token, json=json)


def _check_owner(owner: Owner) -> None:
    if owner.kind == "oauth":
        raise UsageError(
            "OAuth tokens cannot be created with this command: "
            "a user creates one by authorizing an application"
        )


def _post(
    owner: Owner, post: "ApiTokenPost", connection: ConnectionOptions, signals: StopSignals
) -> "NewApiToken":
    from losant_tokens.cli._connect import run_with_tokens

    notice = "The token may have been created: check with `losant-tokens list` before you retry."
    with notice_if_interrupted(notice):
        try:
            return run_with_tokens(
                owner, lambda tokens: tokens.post(post), connection, signals=signals, grace=GRACE
            )
        except ResponseError as error:
            if error.token_id is None:
                raise
            raise _secret_is_lost(error.token_id, "the response does not contain it") from None


def _print_created(token: "NewApiToken", *, json: bool) -> int:
    from losant_tokens.cli._json import as_json, as_wire

    # The id comes first, so that a token whose secret is lost can be deleted.
    expiry = format_datetime(token.expiration_date, no_expiry(token))
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
