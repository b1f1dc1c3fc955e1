"""`account list`, `account check` and `whoami`: accounts, and the tokens in use."""

from typing import TYPE_CHECKING, Annotated

import attrs
from cyclopts import Parameter

from losant_tokens.cli._errors import EXIT_ERROR, EXIT_SOME_FAILED
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from losant_tokens import AsyncClient
    from losant_tokens.cli._accounts.view import TokenInUse
    from losant_tokens.cli._options.common import ConnectionOptions


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
    from losant_tokens.cli._accounts.view import check_table, token_as_json
    from losant_tokens.cli._connections.chosen_accounts import selected_connections
    from losant_tokens.cli._tokens.json import as_json

    if not connection.account:
        connection = attrs.evolve(connection, all_accounts=True)
    with quiet_output(quiet):
        tokens = _tokens_in_use(selected_connections(connection))
        if json:
            write_output(as_json([token_as_json(one) for one in tokens]))
        elif not quiet:
            write_output(check_table(tokens))
        else:
            for one in tokens:
                if one.check.state == "failed":
                    print_warning(f"{one.account}: {one.check.detail}")
    return _exit_code(tokens)


def describe_tokens(
    *,
    json: Annotated[Json, Parameter(help="Write JSON: an object, or a list of several.")] = False,
    connection: AccountsOptions = DEFAULT_ACCOUNTS,
) -> int:
    """Show the account, scopes and expiry of the token in use."""
    from losant_tokens.cli._accounts.view import describe, token_as_json
    from losant_tokens.cli._connections.chosen_accounts import selected_connections
    from losant_tokens.cli._tokens.json import as_json

    tokens = _tokens_in_use(selected_connections(connection))
    if json:
        is_list = connection.all_accounts or len(tokens) > 1
        values = [token_as_json(one) for one in tokens]
        write_output(as_json(values if is_list else values[0]))
    else:
        write_output("\n".join(map(describe, tokens)))
    return _exit_code(tokens)


def _tokens_in_use(connections: "Sequence[ConnectionOptions]") -> "list[TokenInUse]":
    """Return the token of each account, with the result of its check."""
    from losant_tokens.cli._accounts.token_check import check_token
    from losant_tokens.cli._accounts.view import TokenInUse
    from losant_tokens.cli._connections.chosen_accounts import account_of, for_each_account
    from losant_tokens.cli._event_loop import run_until_stopped
    from losant_tokens.cli._terminal.console import transient_status

    async def check(client: "AsyncClient", connection: "ConnectionOptions") -> TokenInUse:
        account = account_of(connection)
        result = await check_token(client, () if account is None else account.owners)
        return TokenInUse.of(connection, account, client, result)

    async def run() -> list[TokenInUse]:
        results = await for_each_account(connections, check)
        return [
            result
            if isinstance(result, TokenInUse)
            else TokenInUse.unavailable(connection, account_of(connection), result)
            for connection, result in zip(connections, results, strict=True)
        ]

    with transient_status("Checking the tokens..."):
        return run_until_stopped(run)


def _exit_code(tokens: "Sequence[TokenInUse]") -> int:
    failed = sum(one.check.state == "failed" for one in tokens)
    if not failed:
        return 0
    return EXIT_ERROR if failed == len(tokens) else EXIT_SOME_FAILED
