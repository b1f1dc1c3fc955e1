"""`show`: show one token."""

from losant_tokens.cli._console import write_output
from losant_tokens.cli._options import (
    CURRENT_USER,
    DEFAULT_CONNECTION,
    ConnectionOptions,
    Json,
    OwnerOption,
    TokenId,
)


def show_token(
    token_id: TokenId,
    /,
    *,
    owner: OwnerOption = CURRENT_USER,
    json: Json = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Show a token, without its secret."""
    from losant_tokens.cli._connect import run_with_tokens
    from losant_tokens.cli._token_view import describe_token

    token = run_with_tokens(owner, lambda tokens: tokens.get(token_id), connection)
    write_output(describe_token(token, json=json))
    return 0
