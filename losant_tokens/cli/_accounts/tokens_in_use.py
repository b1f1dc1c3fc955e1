"""The token in use of each account, with the result of its check."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime

from attrs import frozen

from losant_tokens import AsyncClient
from losant_tokens.accounts import Account
from losant_tokens.cli._accounts.token_check import TokenCheck, check_token
from losant_tokens.cli._connections.chosen_accounts import (
    account_name,
    account_of,
    for_each_account,
)
from losant_tokens.cli._errors import EXIT_ERROR, EXIT_SOME_FAILED, CommandError
from losant_tokens.cli._event_loop import run_until_stopped
from losant_tokens.cli._library_messages import with_options
from losant_tokens.cli._options.common import ConnectionOptions
from losant_tokens.cli._terminal.console import transient_status
from losant_tokens.errors import LosantError


@frozen(kw_only=True)
class TokenInUse:
    """A token in use.

    Attributes:
        account: The name of its account.
        url: The base URL of the API.
        source: The place that it comes from.
        user: The claim that names its account, or None.
        scopes: Its scopes, or None if they are unknown.
        expires_at: When it expires, or None if its claims do not say so.
        now: The time of the check, by the server's clock if it is known.
        check: Whether the API accepts it.
    """

    account: str
    url: str
    source: str
    user: str | None = None
    scopes: frozenset[str] | None = None
    expires_at: datetime | None = None
    now: datetime
    check: TokenCheck

    @classmethod
    def of(
        cls,
        connection: ConnectionOptions,
        account: Account | None,
        client: AsyncClient,
        check: TokenCheck,
    ) -> "TokenInUse":
        """Return the token of an open client."""
        return cls(
            account=account_name(connection),
            url=client.base_url,
            source=_source_of(account),
            user=client.account,
            scopes=client.scopes,
            expires_at=client.token_expires_at,
            now=client.server_time() or datetime.now(UTC),
            check=check,
        )

    @classmethod
    def unavailable(
        cls,
        connection: ConnectionOptions,
        account: Account | None,
        error: LosantError | CommandError,
    ) -> "TokenInUse":
        """Return a token that could not be read."""
        return cls(
            account=account_name(connection),
            url="" if account is None else account.base_url,
            source=_source_of(account),
            now=datetime.now(UTC),
            check=TokenCheck("failed", with_options(str(error))),
        )


def _source_of(account: Account | None) -> str:
    """Return the place that a token comes from."""
    if account is not None:
        return str(account.token)
    is_file = os.environ.get("LOSANT_API_TOKEN_FILE")
    return "env LOSANT_API_TOKEN_FILE" if is_file else "env LOSANT_API_TOKEN"


def tokens_in_use(connections: Sequence[ConnectionOptions]) -> list[TokenInUse]:
    """Return the token of each account, with the result of its check."""

    async def check(client: AsyncClient, connection: ConnectionOptions) -> TokenInUse:
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


def exit_code_of(tokens: Sequence[TokenInUse]) -> int:
    """Return the exit code of a command that has checked tokens."""
    failed = sum(one.check.state == "failed" for one in tokens)
    if not failed:
        return 0
    return EXIT_ERROR if failed == len(tokens) else EXIT_SOME_FAILED
