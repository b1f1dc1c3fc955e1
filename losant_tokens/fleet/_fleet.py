"""`Fleet`: the store, the accounts and the policy of a fleet."""

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from losant_tokens.accounts import Account
from losant_tokens.fleet._client import FleetClient
from losant_tokens.policy import Policy

APPROVE_WITHIN = timedelta(days=7)
RETRY_FOR = timedelta(hours=24)
CONCURRENCY = 4


class Fleet:
    """A fleet: a store, the accounts, and the policy.

    Args:
        store: The store: the URL of a PostgreSQL database, such as `postgresql://db/fleet`, or the
            path of an SQLite file. Default: `LOSANT_TOKENS_FLEET`, or the file `fleet.sqlite` in
            the state folder. The password of the URL is never shown.

    Attributes:
        accounts: The accounts by their names, such as `accounts.load()`. Only workers use them.
        policies: The policy file, such as `policy.load("policy.toml")`. Only workers use it.
        approve_within: How long a plan waits for an approval. Default: 7 days.
        retry_for: How long workers retry a phase that fails because of an outage, or because the
            token of the account cannot be used. Then the run has failed. Default: 24 hours.

    Example::

        app = fleet.Fleet("postgresql://db/fleet")
        app.accounts = accounts.load()
        app.policies = policy.load("policy.toml")
        await app.work()
    """

    accounts: Mapping[str, Account]
    policies: Policy | None
    approve_within: timedelta
    retry_for: timedelta

    def __init__(self, store: str | os.PathLike[str] | None = None) -> None:
        self._store = store
        self.accounts = {}
        self.policies = None
        self.approve_within = APPROVE_WITHIN
        self.retry_for = RETRY_FOR

    @property
    def store(self) -> str:
        """The store, without its password."""
        raise NotImplementedError

    @property
    def path(self) -> Path | None:
        """The SQLite file of the store; `None` if it is a PostgreSQL database."""
        raise NotImplementedError

    def client(self) -> FleetClient:
        """Return a client for the store, to be used with `async with`.

        The store is created if it does not exist.
        """
        raise NotImplementedError

    async def work(
        self,
        *,
        name: str | None = None,
        concurrency: int = CONCURRENCY,
        fleet_concurrency: int | None = None,
        on_ready: Callable[[str], object] | None = None,
    ) -> None:
        """Do the work of the fleet until the call is cancelled.

        When it is cancelled, the worker finishes the token in flight, and gives its runs back.

        Args:
            name: The name of the worker, which is unique in the fleet and stays the same after a
                restart. Default: the name of this machine.
            concurrency: The maximum number of accounts that this worker works for at a time.
                Default: 4.
            fleet_concurrency: The maximum number of accounts that all workers work for at a time.
                Default: no limit.
            on_ready: Called with the name of the worker when it is ready.

        Raises:
            WorkerRefused: A worker with this name is running, or another worker uses this SQLite
                file.
            StoreError: The store cannot be reached.
            FleetError: There is no policy, or the extra `[fleet]` is not installed.
            ValidationError: An argument is invalid.
        """
        raise NotImplementedError
