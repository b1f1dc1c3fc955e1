"""`patch`: change the name, description or status of a token."""

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._options.common import (
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
from losant_tokens.cli._options.parse import read_token_ids
from losant_tokens.cli._signals.stop_signals import GRACE
from losant_tokens.cli._terminal.console import notice_if_interrupted, write_result

if TYPE_CHECKING:
    from losant_tokens import AsyncClient


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
    from losant_tokens.cli._connections.clients import new_client, refuse_own_token
    from losant_tokens.cli._event_loop import run_with_client
    from losant_tokens.cli._tokens.details import describe_token
    from losant_tokens.cli._tokens.json import as_json, as_wire

    if (name, description, status) == (None, None, None):
        raise UsageError("nothing to change: pass --name, --description or --status")
    (checked_id,) = read_token_ids([token_id])
    patch = ApiTokenPatch(name=name, description=description, status=status)
    client = new_client(connection)
    if status == "inactive":
        refuse_own_token(client, [checked_id], "deactivate", allowed=allow_own_token)
    notice = f"The token may have been changed: check with `losant-tokens show {checked_id}`."

    async def work(client: "AsyncClient") -> str:
        token = await client.tokens(owner).patch(checked_id, patch)
        if json:
            return as_json(as_wire(token))
        return describe_token(token, client.server_time(), owner=owner, file=sys.stdout)

    with notice_if_interrupted(notice):
        text = run_with_client(work, client=client, grace=GRACE)
    write_result(text)
    return 0
