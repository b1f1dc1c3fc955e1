"""Accounts: names for a base URL, the owners of tokens, and the place where a token comes from.

A configuration file describes accounts. It never holds a token: it names an environment variable, a
private file, a command or an entry of the system's keyring, which `Account.read_token` reads.

Example::

    async with AsyncClient.for_account("prod") as client:
        page = await client.user_api_tokens.get()
"""

from losant_tokens.accounts._account import Account
from losant_tokens.accounts._config import Config, config_path, find, load
from losant_tokens.accounts._errors import ConfigError
from losant_tokens.accounts._owner_discovery import DiscoveredOwners, discover_owners
from losant_tokens.accounts._token_file import read_token_file
from losant_tokens.accounts._token_sources import (
    CommandToken,
    EnvironmentToken,
    FileToken,
    KeyringToken,
    TokenSource,
)
from losant_tokens.errors import AccountError, TokenUnavailable

__all__ = [
    "Account",
    "AccountError",
    "CommandToken",
    "Config",
    "ConfigError",
    "DiscoveredOwners",
    "EnvironmentToken",
    "FileToken",
    "KeyringToken",
    "TokenSource",
    "TokenUnavailable",
    "config_path",
    "discover_owners",
    "find",
    "load",
    "read_token_file",
]
