"""The accounts that a command works on: one, several or all of the configuration file."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio
from attrs import frozen

from losant_tokens import AsyncClient, Owner
from losant_tokens.accounts import Account, config_path, discover_owners, find, load
from losant_tokens.cli._connections.clients import open_client, selected_account
from losant_tokens.cli._errors import CommandError, UsageError
from losant_tokens.cli._library_messages import with_options
from losant_tokens.cli._options.common import AccountsOptions, ConnectionOptions
from losant_tokens.cli._terminal.console import print_warning
from losant_tokens.errors import LosantError

T = TypeVar("T")

MAX_ACCOUNTS = 4
"""How many accounts a command works on at the same time."""

ENVIRONMENT = "environment"
"""The name that is shown for the token in the environment."""


def selected_connections(options: AccountsOptions) -> tuple[ConnectionOptions, ...]:
    """Return the connection to each selected account, without duplicates.

    Without `--account` and `--all-accounts`, it is one: to the account of the environment, or to
    the default account of the configuration file.

    Raises:
        UsageError: The options contradict each other, or the file has no account.
        ConfigError: The configuration file cannot be used, or does not have an account.
        CommandError: There is no token at all.
    """
    if options.account and options.all_accounts:
        raise UsageError("--account cannot be combined with --all-accounts")
    if options.all_accounts:
        names = tuple(load(options.config))
        if not names:
            path = options.config or config_path()
            raise UsageError(f"--all-accounts selects nothing: {path} has no account")
        return tuple(map(options.connection, names))
    for name in options.account:  # All names are checked before the first request.
        find(name, options.config)
    if options.account:
        return tuple(map(options.connection, dict.fromkeys(options.account)))
    account = selected_account(options.connection(None))
    return (options.connection(None if account is None else account.name),)


def account_name(connection: ConnectionOptions) -> str:
    """Return the name of an account for people, also for that of the environment."""
    return connection.account or ENVIRONMENT


def account_of(connection: ConnectionOptions) -> Account | None:
    """Return the account of a selected connection, or None for that of the environment."""
    return None if connection.account is None else find(connection.account, connection.config)


@frozen(kw_only=True)
class AccountOwners:
    """The owners of tokens of an account.

    Attributes:
        owners: The owners, without duplicates.
        discovered: Those that the API listed, and not the user. The API lists applications whose
            tokens the user may not list.
        is_complete: Whether the API listed all of them.
    """

    owners: tuple[Owner, ...]
    discovered: frozenset[Owner] = frozenset()
    is_complete: bool = True


async def owners_of(
    client: AsyncClient, connection: ConnectionOptions, chosen: Sequence[Owner] = ()
) -> AccountOwners:
    """Return the owners of tokens of an account, and print a warning if some may be missing.

    They are the chosen ones, or those that the configuration file lists, and those that the API
    lists if the file says so. The account of the environment has one owner: the user.

    Args:
        client: An open client of the account.
        connection: The selected connection.
        chosen: The owners of `--owner`.
    """
    account = account_of(connection)
    if chosen or account is None:
        return AccountOwners(owners=tuple(dict.fromkeys(chosen)) or (Owner.user(),))
    found = await discover_owners(client, account.discover)
    for name, problem in found.problems.items():
        print_warning(
            f"{account.name}: tokens may be missing, because the list of {name} is not complete: "
            f"{with_options(problem)}"
        )
    return AccountOwners(
        owners=tuple(dict.fromkeys((*account.owners, *found))),
        discovered=frozenset(found) - frozenset(account.owners),
        is_complete=not found.problems,
    )


async def for_each_account(
    connections: Sequence[ConnectionOptions],
    work: Callable[[AsyncClient, ConnectionOptions], Awaitable[T]],
    *,
    max_accounts: int = MAX_ACCOUNTS,
) -> list[T | LosantError | CommandError]:
    """Call a function with an open client for each account, several at once.

    The failure of one account does not stop the others.

    Args:
        connections: The connections.
        work: The coroutine function.
        max_accounts: How many accounts to work on at the same time.

    Returns:
        The result or the error of each account, in the order of the connections.
    """
    results: list[T | LosantError | CommandError | None] = [None] * len(connections)
    limiter = anyio.CapacityLimiter(max_accounts)

    async def run(index: int) -> None:
        async with limiter:
            connection = connections[index]
            try:
                async with open_client(connection) as client:
                    results[index] = await work(client, connection)
            except (LosantError, CommandError) as error:
                results[index] = error

    async with anyio.create_task_group() as group:
        for index in range(len(connections)):
            group.start_soon(run, index)
    return results  # type: ignore[return-value]  # each task has set its result
