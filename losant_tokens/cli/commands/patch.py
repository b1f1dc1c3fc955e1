"""`patch`: change the name, description or status of a token."""

from typing import Annotated

from cyclopts import Parameter

from losant_tokens.cli._console import notice_if_interrupted, write_result
from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._options import (
    CURRENT_USER,
    DEFAULT_CONNECTION,
    AllowOwnToken,
    ConnectionOptions,
    Json,
    OwnerOption,
    Status,
    TokenId,
    choice,
)
from losant_tokens.cli._stop_signals import GRACE


def patch_token(
    token_id: TokenId,
    /,
    *,
    name: Annotated[str | None, Parameter(metavar="NAME", help="Set the display name.")] = None,
    description: Annotated[
        str | None, Parameter(metavar="TEXT", help='Set the description; "" removes it.')
    ] = None,
    status: Annotated[
        Status | None, choice("active", "inactive", help_="Activate or deactivate the token.")
    ] = None,
    allow_own_token: AllowOwnToken = False,
    owner: OwnerOption = CURRENT_USER,
    json: Json = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Change the name, description or status of a token."""
    from losant_tokens import ApiTokenPatch
    from losant_tokens.cli._connect import new_client, refuse_own_token, run_with_tokens
    from losant_tokens.cli._token_view import describe_token

    if (name, description, status) == (None, None, None):
        raise UsageError("nothing to change: pass --name, --description or --status")
    patch = ApiTokenPatch(name=name, description=description, status=status)
    client = new_client(connection)
    if status == "inactive":
        refuse_own_token(client, [token_id], "deactivate", allowed=allow_own_token)
    notice = f"The token may have been changed: check with `losant-tokens show {token_id}`."
    with notice_if_interrupted(notice):
        token = run_with_tokens(
            owner,
            lambda tokens: tokens.patch(token_id, patch),
            connection,
            client=client,
            grace=GRACE,
        )
    write_result(describe_token(token, json=json))
    return 0
