"""`whoami`: the account, scopes and expiry of the token in use."""

from typing import Annotated

from cyclopts import Parameter

from losant_tokens.cli._options.common import DEFAULT_ACCOUNTS, AccountsOptions, Json
from losant_tokens.cli._terminal.console import write_output


def describe_tokens(
    *,
    json: Annotated[Json, Parameter(help="Write JSON: an object, or a list of several.")] = False,
    connection: AccountsOptions = DEFAULT_ACCOUNTS,
) -> int:
    """Show the account, scopes and expiry of the token in use."""
    from losant_tokens.cli._accounts.tokens_in_use import exit_code_of, tokens_in_use
    from losant_tokens.cli._accounts.view import describe, token_as_json
    from losant_tokens.cli._connections.chosen_accounts import selected_connections
    from losant_tokens.cli._tokens.json import as_json

    tokens = tokens_in_use(selected_connections(connection))
    if json:
        is_list = connection.all_accounts or len(tokens) > 1
        values = [token_as_json(one) for one in tokens]
        write_output(as_json(values if is_list else values[0]))
    else:
        write_output("\n".join(map(describe, tokens)))
    return exit_code_of(tokens)
