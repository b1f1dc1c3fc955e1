"""Accounts, and the tokens in use, for people and as JSON."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from losant_tokens import can_create_tokens, published_scopes
from losant_tokens.accounts import Account, Config
from losant_tokens.cli._accounts.tokens_in_use import TokenInUse
from losant_tokens.cli._terminal.format import (
    format_datetime,
    format_number,
    relative_time,
)
from losant_tokens.cli._terminal.tables import Cell, Row, format_table
from losant_tokens.cli._tokens.details import format_details
from losant_tokens.cli._tokens.json import as_wire

_STYLES = {"ok": "green", "failed": "red", "not checked": "yellow"}
_SOON = 30  # days
# Accounts differ by their URLs, so this column shrinks last.
_STEPS = (("OWNERS", 13), ("TOKEN", 12), ("URL", 12))


# --- Accounts --------------------------------------------------------------------------------


def account_table(config: Config) -> str:
    """Return the accounts as a table. It has no secret."""
    rows: list[Row] = [
        (
            f"{name} (default)" if name == config.default_account else name,
            account.base_url,
            ", ".join(_owners(account)),
            str(account.token),
        )
        for name, account in config.items()
    ]
    headers = ("ACCOUNT", "URL", "OWNERS", "TOKEN")
    return format_table(headers, rows, steps=_STEPS, wrap="OWNERS")


def account_as_json(account: Account, config: Config) -> dict[str, Any]:
    """Return an account as plain values."""
    return {
        "name": account.name,
        "url": account.base_url,
        "owners": _owners(account),
        "auditLogs": list(account.audit_logs),
        "token": str(account.token),
        "default": account.name == config.default_account,
    }


def _owners(account: Account) -> list[str]:
    return [*map(str, account.owners), *account.discover]


# --- Tokens in use ---------------------------------------------------------------------------


def check_table(tokens: Iterable[TokenInUse]) -> str:
    """Return the checks of tokens as a table."""
    rows: list[Row] = [
        (
            one.account,
            Cell(one.check.state, _STYLES[one.check.state]),
            _short_expiry(one),
            one.check.detail,
        )
        for one in tokens
    ]
    return format_table(("ACCOUNT", "STATE", "EXPIRES", "DETAIL"), rows, wrap="DETAIL")


def token_as_json(one: TokenInUse) -> dict[str, Any]:
    """Return a token in use as plain values, without its secret."""
    return {
        "account": one.account,
        "url": one.url,
        "token": one.source,
        "user": one.user,
        "scopes": None if one.scopes is None else sorted(one.scopes),
        "canCreateTokens": None if one.scopes is None else can_create_tokens(one.scopes),
        "expiresAt": as_wire(one.expires_at),
        "state": one.check.state,
        "detail": one.check.detail,
    }


def describe(one: TokenInUse) -> str:
    """Return a token in use as lines with labels, which fit a terminal."""
    return format_details(_details(one), sys.stdout)


def _details(one: TokenInUse) -> Iterable[tuple[str, str, Sequence[str]]]:
    yield "Account", "bold", [one.account]
    yield "URL", "", [one.url]
    yield "Token", "", [one.source]
    yield "User", "", [one.user or "unknown: the token does not name it"]
    yield "Scopes", "", _scopes(one.scopes)
    creates = None if one.scopes is None else can_create_tokens(one.scopes)
    yield (
        "Creates tokens",
        "" if creates is False else "yellow",
        ["unknown" if creates is None else "yes" if creates else "no"],
    )
    yield "Expires", "yellow" if _expires_soon(one) else "", [_expiry(one)]
    yield "Check", _STYLES[one.check.state], [f"{one.check.state}: {one.check.detail}"]


def _scopes(scopes: frozenset[str] | None) -> list[str]:
    if scopes is None:
        return ["unknown: the token does not name them, so only the API can refuse a request"]
    unknown = sorted(scopes - published_scopes())
    note = f"This version does not know {format_number(len(unknown), 'scope')} of them: "
    return [*sorted(scopes), *([note + ", ".join(unknown)] if unknown else [])]


def _expiry(one: TokenInUse) -> str:
    if one.expires_at is None:
        return "unknown: the token does not name a date, so perhaps never"
    date = format_datetime(one.expires_at, "")
    return f"{date} ({relative_time(one.expires_at, one.now)})"


def _short_expiry(one: TokenInUse) -> Cell:
    if one.expires_at is None:
        return Cell("unknown")
    style = "yellow" if _expires_soon(one) else ""
    return Cell(relative_time(one.expires_at, one.now), style)


def _expires_soon(one: TokenInUse) -> bool:
    return one.expires_at is not None and (one.expires_at - one.now).days < _SOON
