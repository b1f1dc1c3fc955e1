"""`show`: show one token."""

import sys
from typing import TYPE_CHECKING

from losant_tokens.cli._options.common import (
    CURRENT_USER,
    DEFAULT_CONNECTION,
    ConnectionOptions,
    Json,
    OwnerOption,
    SeenIn,
    TokenId,
)
from losant_tokens.cli._options.parse import read_token_ids
from losant_tokens.cli._terminal.console import write_output

if TYPE_CHECKING:
    from losant_tokens import AsyncClient


def show_token(
    token_id: TokenId,
    /,
    *,
    owner: OwnerOption = CURRENT_USER,
    seen_in: SeenIn = (),
    json: Json = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Show a token, without its secret."""
    from losant_tokens.cli._event_loop import run_with_client
    from losant_tokens.cli._evidence import read_last_seen
    from losant_tokens.cli._terminal.pager import write_paged
    from losant_tokens.cli._tokens.details import describe_token
    from losant_tokens.cli._tokens.json import LAST_SEEN, as_json, as_wire

    (checked_id,) = read_token_ids([token_id])

    async def work(client: "AsyncClient") -> str:
        token = await client.tokens(owner).get(checked_id)
        seen = await read_last_seen(client, seen_in, [token.id]) if seen_in else None
        if json:
            last = {} if seen is None else {LAST_SEEN: as_wire(seen.get(token.id))}
            return as_json(as_wire(token) | last)
        now = client.server_time()
        return describe_token(token, now, owner=owner, file=sys.stdout, seen=seen)

    text = run_with_client(work, connection)
    if json:
        write_output(text)
    else:
        write_paged(text)
    return 0
