"""The access token: its secret, and what its claims say about it.

Access tokens are JWTs. A client cannot check their signature, so claims are hints: good for an
early and better error, never proof. A token that is not a JWT works, too; nothing is known of it.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import frozen

from losant_tokens import _validators as validators
from losant_tokens._hosts import is_loopback
from losant_tokens._secret import Secret
from losant_tokens.errors import IssuerMismatch, TokenExpired, ValidationError

LEEWAY = timedelta(seconds=60)
"""How far past its expiration a token is still sent: clocks differ."""

NOT_SENT = "Nothing was sent."
"""The consequence of a problem with a token, in the message of the error."""


@frozen
class Credential:
    """An access token, as far as it is known.

    Attributes:
        secret: The token itself, or `None` for a client that can only log in.
        scopes: What it may do, or `None` where that is unknown.
        oauth: Whether it is an OAuth token.
        expires_at: When it stops working, where it says so.
        claimed_ids: The ids among its claims. One of them may be its own; none says so.
        issuer: The host that issued it, if its claims name one.
        account: The claim that names the account, with its value: `userId 575ec...`. `sub` counts
            only if no other claim names one, because it may be the token's own id.
    """

    secret: Secret | None
    scopes: frozenset[str] | None = None
    oauth: bool = False
    expires_at: datetime | None = None
    claimed_ids: frozenset[str] = frozenset()
    issuer: str | None = None
    account: str | None = None


def read_credential(
    token: Secret | None,
    scopes: Iterable[str] | None = None,
    oauth: bool | None = None,
) -> Credential:
    """What is known about a token: from the caller where given, else from the token's claims.

    Args:
        token: The token.
        scopes: Its scopes, where the caller knows better than the claims.
        oauth: Whether it is an OAuth token, if the caller knows better than the claims.

    Raises:
        ValidationError: The token has characters that cannot stand in a header, or the scopes
            are not a list of texts.
    """
    if token is not None and (problem := _problem(token)):
        raise ValidationError(f"The API token {problem}. Check where it was copied from.")
    claims = _claims(token)
    return Credential(
        secret=token,
        scopes=_given_scopes(scopes) if scopes is not None else _claimed_scopes(claims),
        oauth=oauth if oauth is not None else bool(claims.get("aud")),
        expires_at=_claimed_expiry(claims),
        claimed_ids=frozenset(
            value.lower()
            for value in claims.values()
            if isinstance(value, str) and validators.ID_PATTERN.fullmatch(value)
        ),
        issuer=_claimed_issuer(claims),
        account=_claimed_account(claims),
    )


def issuer_problem(
    credential: Credential, host: str, consequence: str = NOT_SENT
) -> IssuerMismatch | None:
    """Return the error for a token that another host has issued, or `None`.

    The `iss` claim of Losant's tokens is the host of the API; old tokens name `api.getstructure.io`
    for `api.losant.com` (source: `lib/utils.js` of the official command line). On this machine, a
    proxy or a tunnel may lead to the public API, so its tokens are accepted there.

    Args:
        credential: The token.
        host: The host of the base URL.
        consequence: What the message says about the request.
    """
    issuer = credential.issuer
    host = host.lower().rstrip(".")
    if issuer is None or issuer == host or {issuer, host} <= _PUBLIC_HOSTS:
        return None
    if is_loopback(host) and (issuer in _PUBLIC_HOSTS or is_loopback(issuer)):
        return None
    return IssuerMismatch(
        f"The API token was issued by {issuer}, but base_url is at {host}, which would then have "
        f"the token. {consequence} Change base_url or the token; if the two belong together, pass "
        "scope_check='off'.",
        issuer=issuer,
        host=host,
    )


def expiry_problem(
    credential: Credential, now: datetime, consequence: str = NOT_SENT
) -> TokenExpired | None:
    """Return the error for a token that has expired, or `None`.

    Args:
        credential: The token.
        now: The current time, by the server's clock if it is known.
        consequence: What the message says about the request.
    """
    expires_at = credential.expires_at
    if expires_at is None or now - LEEWAY <= expires_at:
        return None
    return TokenExpired(
        f"The API token expired at {expires_at.isoformat(timespec='seconds')}; it is now "
        f"{now.isoformat(timespec='seconds')}. {consequence} Use another token."
    )


_PUBLIC_HOSTS = frozenset({"api.losant.com", "api.getstructure.io"})
_ISSUER = re.compile(
    r"(?:https?://)?(?P<host>[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?P<port>:[0-9]{1,5})?(?:/.*)?",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)
_MAX_JWT = 65536  # characters; no server takes a header that long, so there is nothing to find out
_BAD_CHARACTER = re.compile(r"[^!-~]")
_NOT_IN_A_HEADER = {" ": "a blank", "\t": "a tab", "\n": "a line break", "\r": "a line break"}


def _problem(token: Secret) -> str | None:
    """What is wrong with a token, without saying what it is. Never raises: it holds the text."""
    text: object = token.reveal()
    if not isinstance(text, str):
        return f"must be a text, but it is {type(text).__name__}"
    if not text:
        return "is empty"
    bad = _BAD_CHARACTER.search(text)
    if bad is None:
        return None
    kind = _NOT_IN_A_HEADER.get(bad[0], "a character that is not printable ASCII")
    return f"has {kind} at position {bad.start() + 1} of {len(text)}"


def _claims(token: Secret | None) -> Mapping[str, Any]:
    if token is None or len(token.reveal()) > _MAX_JWT:
        return {}
    if token.reveal().count(".") != 2:  # noqa: PLR2004 -- header.claims.signature
        return {}
    import jwt  # noqa: PLC0415 -- costs 50 ms, and is needed for JWTs alone

    # Without its signature, which could not be checked, and may be of any form.
    signed, _, _ = token.reveal().rpartition(".")
    try:
        return jwt.decode(f"{signed}.", options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return {}


def _given_scopes(scopes: Iterable[str]) -> frozenset[str]:
    if not validators.is_list_like(scopes):
        raise ValidationError(
            f"scopes must be a list of texts, such as ['all.User.read'], "
            f"but it is {type(scopes).__name__}"
        )
    given = tuple(scopes)
    for scope in given:
        if not isinstance(scope, str):
            raise ValidationError(f"scopes must be texts, but one is {type(scope).__name__}")
    return frozenset(given)


def _claimed_scopes(claims: Mapping[str, Any]) -> frozenset[str] | None:
    """The `scope` claim: a list, or one text split at spaces (RFC 8693). All else is unknown."""
    claimed = claims.get("scope")
    scopes = claimed.split() if isinstance(claimed, str) else claimed
    if isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes):
        return frozenset(scopes) or None
    return None


def _claimed_issuer(claims: Mapping[str, Any]) -> str | None:
    """Return the host in the `iss` claim: a bare host as in Losant's tokens, or that of a URL."""
    claimed = claims.get("iss")
    match = _ISSUER.fullmatch(claimed) if isinstance(claimed, str) else None
    if match is None:
        return None
    host = match["host"].lower().strip("[].")
    # One word without a dot or a port may be any name, such as that of a company.
    is_host = "." in host or ":" in host or match["port"] or host == "localhost"
    return host if is_host else None


def _claimed_expiry(claims: Mapping[str, Any]) -> datetime | None:
    """Return the `exp` claim (seconds since 1970, RFC 7519), if it is a time that exists."""
    claimed = claims.get("exp")
    if isinstance(claimed, bool) or not isinstance(claimed, int | float):
        return None
    try:
        return datetime.fromtimestamp(claimed, UTC)
    except (OverflowError, OSError, ValueError):
        return None


_ACCOUNT_CLAIMS = ("userId", "ownerId", "accountId", "user_id", "owner_id", "account_id", "sub")


def _claimed_account(claims: Mapping[str, Any]) -> str | None:
    """Return the first claim that names an account, with its value.

    None of these claims is documented: they are hints. Only ids count, because another string may
    be the same in the tokens of all accounts.
    """
    for name in _ACCOUNT_CLAIMS:
        value = claims.get(name)
        if isinstance(value, str) and validators.ID_PATTERN.fullmatch(value):
            return f"{name} {value.lower()}"
    return None
