"""The types of accounts."""

from pathlib import Path
from typing import assert_type

from losant_tokens import AccountClient, AsyncClient, Owner, Secret, accounts


async def client(account: accounts.Account) -> None:
    async with AsyncClient.for_account(account) as opened:
        assert_type(opened, AsyncClient)
    async with AsyncClient.for_account("prod", config="config.toml", proxy="http://p") as named:
        assert_type(named, AsyncClient)
    unopened = AsyncClient.for_account("prod")
    assert_type(unopened, AccountClient[AsyncClient])
    assert_type(await unopened.open(), AsyncClient)


async def account() -> None:
    config = accounts.load()
    assert_type(config, accounts.Config)
    assert_type(config.default_account, str | None)
    assert_type(config["prod"], accounts.Account)
    found = accounts.find("prod", Path("config.toml"))
    assert_type(found, accounts.Account)
    assert_type(found.owners, tuple[Owner, ...])
    assert_type(found.token, accounts.TokenSource)
    assert_type(await found.read_token(), Secret)
    found_owners = await accounts.discover_owners(AsyncClient(), ["applications"])
    assert_type(found_owners, accounts.DiscoveredOwners)
    assert_type(list(found_owners), list[Owner])
    assert_type(accounts.config_path(), Path)
    assert_type(accounts.read_token_file("token"), Secret)
