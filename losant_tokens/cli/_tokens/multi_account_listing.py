"""Read the tokens of several accounts into one list."""

from collections.abc import Sequence

from attrs import define, evolve

from losant_tokens import AsyncClient, Owner
from losant_tokens.cli._connections.chosen_accounts import (
    AccountOwners,
    account_name,
    for_each_account,
    owners_of,
)
from losant_tokens.cli._errors import CommandError, explain
from losant_tokens.cli._evidence import required_logs
from losant_tokens.cli._options.common import ConnectionOptions
from losant_tokens.cli._terminal.console import print_error
from losant_tokens.cli._tokens.columns import COLUMNS
from losant_tokens.cli._tokens.listing import Found, ListQuery
from losant_tokens.errors import LosantError


@define
class AccountsFound:
    """The tokens that were found in all accounts.

    Attributes:
        found: The tokens, and the rule that selects them.
        owners: The owners whose tokens were listed, without duplicates.
        is_complete: Whether all owners of all accounts were listed.
    """

    found: Found
    owners: tuple[Owner, ...] = ()
    is_complete: bool = True


async def list_accounts(
    query: ListQuery, connections: Sequence[ConnectionOptions], owners: tuple[Owner, ...]
) -> AccountsFound:
    """Return the tokens of several accounts, and print an error for each account that fails.

    Args:
        query: The tokens to list. Its owners are not used.
        connections: The connections to the accounts.
        owners: The owners of the tokens; none for those of each account.

    Raises:
        CommandError: There is one account, and it cannot be listed; or all accounts fail.
        LosantError: As above.
    """

    async def read(
        client: AsyncClient, connection: ConnectionOptions
    ) -> tuple[AccountOwners, Found]:
        chosen = await owners_of(client, connection, owners)
        logs = (query.logs or required_logs(chosen.owners, connection)) if query.needs_log else ()
        found = await evolve(
            query, owners=chosen.owners, discovered=chosen.discovered, logs=logs
        ).run(client)
        if len(connections) > 1:
            name = account_name(connection)
            found.tokens = [evolve(one, account=name) for one in found.tokens]
        return chosen, found

    results = await for_each_account(connections, read)
    failures = [one for one in results if isinstance(one, LosantError | CommandError)]
    if len(failures) == len(results):
        raise failures[0]
    all_ = AccountsFound(Found(query.options.filter(), None), is_complete=not failures)
    listed: dict[Owner, None] = {}
    for connection, result in zip(connections, results, strict=True):
        if isinstance(result, LosantError | CommandError):
            _print_failure(connection, result)
            continue
        chosen, found = result
        listed |= dict.fromkeys(chosen.owners)
        all_.is_complete &= chosen.is_complete and not found.refused
        all_.found.tokens += found.tokens
        all_.found.matched += found.matched
    all_.owners = tuple(listed)
    if query.sort is not None and len(connections) > 1:
        all_.found.tokens.sort(key=COLUMNS[query.sort].key, reverse=query.descending)
    if query.limit is not None:
        del all_.found.tokens[query.limit :]
    return all_


def _print_failure(connection: ConnectionOptions, error: LosantError | CommandError) -> None:
    problem = explain(error) if isinstance(error, LosantError) else error
    text = f"{account_name(connection)}: {problem}"
    print_error(CommandError(text, problem.hint, problem.details))
