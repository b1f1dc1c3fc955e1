"""`account list` and `account check`: the accounts, and whether their tokens work."""

from typing import Annotated

import attrs
from cyclopts import Parameter

from losant_tokens.cli._options.common import (
    CONNECTION_GROUP,
    DEFAULT_ACCOUNTS,
    AccountsOptions,
    ConfigFile,
    Json,
    Quiet,
)
from losant_tokens.cli._terminal.console import (
    print_status,
    print_warning,
    quiet_output,
    write_output,
)


def list_accounts(
    *,
    json: Annotated[Json, Parameter(help="Write JSON, with all settings.")] = False,
    config: Annotated[ConfigFile, Parameter(group=CONNECTION_GROUP)] = None,
) -> int:
    """List the accounts of the configuration file."""
    from losant_tokens.accounts import load
    from losant_tokens.cli._accounts.view import account_as_json, account_table
    from losant_tokens.cli._tokens.json import as_json

    found = load(config)
    if json:
        write_output(as_json([account_as_json(one, found) for one in found.values()]))
    elif not found:
        print_status(f"There are no accounts in {found.path}.")
    else:
        write_output(account_table(found))
    return 0


def check_accounts(
    *,
    json: Annotated[Json, Parameter(help="Write JSON, with the result of each check.")] = False,
    quiet: Quiet = False,
    connection: AccountsOptions = DEFAULT_ACCOUNTS,
) -> int:
    """Check the token of each account with a harmless request."""
    from losant_tokens.cli._accounts.tokens_in_use import exit_code_of, tokens_in_use
    from losant_tokens.cli._accounts.view import check_table, token_as_json
    from losant_tokens.cli._connections.chosen_accounts import selected_connections
    from losant_tokens.cli._tokens.json import as_json

    if not connection.account:
        connection = attrs.evolve(connection, all_accounts=True)
    with quiet_output(quiet):
        tokens = tokens_in_use(selected_connections(connection))
        if json:
            write_output(as_json([token_as_json(one) for one in tokens]))
        elif not quiet:
            write_output(check_table(tokens))
        else:
            for one in tokens:
                if one.check.state == "failed":
                    print_warning(f"{one.account}: {one.check.detail}")
    return exit_code_of(tokens)
