"""The access token and its claims.

Access tokens are JWTs. A client cannot check their signature, so the claims are hints: they allow
an earlier and better error, and prove nothing. A token that is not a JWT works as well, but nothing
is known about it.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import field, frozen

from losant_tokens._utils import validators
from losant_tokens._utils.host_names import is_loopback
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import IssuerMismatch, TokenExpired, ValidationError

LEEWAY = timedelta(seconds=60)
"""How long after its expiration a token is still sent, because clocks differ."""

NOT_SENT = "Nothing was sent."
"""The default consequence of a problem with a token, for the message of the error."""


@frozen
class Credential:
    """An access token and everything that is known about it.

    Attributes:
        secret: The token, or `None` for a client that can only log in.
        scopes: The scopes of the token, or `None` if they are unknown.
        oauth: Whether it is an OAuth token.
        expires_at: When it expires, or `None` if its claims do not say so.
        issued_at: When it was issued, or `None` if its claims do not say so.
        claimed_ids: The ids in its claims. One of them may be the token's own id.
        issuer: The host that issued it, or `None` if its claims name none.
        account: The claim that names the account, with its value: `userId 575ec...`. `sub` counts
            only if no other claim names one, because it may be the token's own id.
        fingerprint: A digest of all claims, which are not secret; `None` if there are none.
    """

    secret: Secret | None
    scopes: frozenset[str] | None = None
    oauth: bool = False
    expires_at: datetime | None = None
    claimed_ids: frozenset[str] = frozenset()
    issuer: str | None = None
    account: str | None = None
    issued_at: datetime | None = None
    fingerprint: str | None = field(default=None, eq=False)  # It says nothing more.


def read_credential(
    token: Secret | None,
    scopes: Iterable[str] | None = None,
    oauth: bool | None = None,
) -> Credential:
    """Return what is known about a token, from the caller and from the token's claims.

    Args:
        token: The token, or `None` for a client that can only log in.
        scopes: Its scopes. Default: the claimed ones.
        oauth: Whether it is an OAuth token. Default: whether it claims an audience.

    Raises:
        ValidationError: The token has a character that is not allowed in a header, or the scopes
            are not a list of strings.
    """
    if token is not None and (problem := _problem(token)):
        raise ValidationError(f"The API token {problem}")
    claims = _claims(token)
    return Credential(
        secret=token,
        scopes=_given_scopes(scopes) if scopes is not None else _claimed_scopes(claims),
        oauth=oauth if oauth is not None else bool(claims.get("aud")),
        expires_at=_claimed_time(claims, "exp"),
        issued_at=_claimed_time(claims, "iat"),
        claimed_ids=frozenset(
            value.lower()
            for value in claims.values()
            if isinstance(value, str) and validators.ID_PATTERN.fullmatch(value)
        ),
        issuer=_claimed_issuer(claims),
        account=_claimed_account(claims),
        fingerprint=_fingerprint(token, claims),
    )


def issuer_problem(
    credential: Credential, host: str, consequence: str = NOT_SENT
) -> IssuerMismatch | None:
    """Return the error for a token that was issued by another host, or `None`.

    The `iss` claim of Losant's tokens is the host of the API. Old tokens name `api.getstructure.io`
    instead of `api.losant.com` (source: `lib/utils.js` of the official command line). A base URL on
    this machine may be a proxy or a tunnel to the public API, so tokens of the public API are
    accepted there.

    Args:
        credential: The token.
        host: The host of the base URL.
        consequence: A sentence for the message: what happens to the request.
    """
    issuer = credential.issuer
    host = host.lower().rstrip(".")
    if issuer is None or issuer == host or {issuer, host} <= _PUBLIC_HOSTS:
        return None
    if is_loopback(host) and (issuer in _PUBLIC_HOSTS or is_loopback(issuer)):
        return None
    return IssuerMismatch(
        f"The API token was issued by {issuer}, but base_url leads to {host}, which would receive "
        f"the token. {consequence} Change base_url or the token. If they belong together, pass "
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
        consequence: A sentence for the message: what happens to the request.
    """
    expires_at = credential.expires_at
    if expires_at is None or now - LEEWAY <= expires_at:
        return None
    return TokenExpired(
        f"The API token expired at {expires_at.isoformat(timespec='seconds')}. The time is "
        f"{now.isoformat(timespec='seconds')}. {consequence} Use another token."
    )


def same_account(account: str | None, other: str | None) -> bool | None:
    """Return whether two tokens claim the same account; `None` if that is unknown.

    Args:
        account: The claim of a token that names its account: `userId 575ec...`.
        other: That of another token.
    """
    if account is None or other is None:
        return None
    if account == other:
        return True
    name, _, _ = account.partition(" ")
    # A `sub` may be the token's own id, so two tokens of one account may differ in it.
    return False if name != "sub" and other.startswith(f"{name} ") else None


_PUBLIC_HOSTS = frozenset({"api.losant.com", "api.getstructure.io"})
_ISSUER = re.compile(
    r"(?:https?://)?(?P<host>[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?P<port>:[0-9]{1,5})?(?:/.*)?",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)
_MAX_JWT_LENGTH = 65536  # characters; servers refuse longer headers, so no claim is worth reading
_FORBIDDEN_CHARACTER = re.compile(r"[^!-~]")
_USE_STRING = "Use a string or a Secret."
_CHECK_PLACE = "Check the place it was copied from."
_CHARACTER_NAMES = {" ": "a space", "\t": "a tab", "\n": "a line break", "\r": "a line break"}


def _problem(token: Secret) -> str | None:
    """Return why a token cannot be sent, or `None`; the problem never holds the token.

    It never raises, because its locals hold the token, and a traceback could show them.
    """
    text: object = token.reveal()
    if not isinstance(text, str):
        is_called = hasattr(text, "__await__")
        remedy = "Pass the async function itself, without calling it." if is_called else _USE_STRING
        return f"must be a string, but it is {type(text).__name__}. {remedy}"
    if not text:
        return f"is empty. {_CHECK_PLACE}"
    match = _FORBIDDEN_CHARACTER.search(text)
    if match is None:
        return None
    name = _CHARACTER_NAMES.get(match[0], "a character that is not printable ASCII")
    return f"has {name} at position {match.start() + 1} of {len(text)}. {_CHECK_PLACE}"


def _claims(token: Secret | None) -> Mapping[str, Any]:
    """Return the claims of a token, without a check of its signature; none if it is not a JWT."""
    if token is None or len(token.reveal()) > _MAX_JWT_LENGTH:
        return {}
    if token.reveal().count(".") != 2:  # noqa: PLR2004 -- header.claims.signature
        return {}
    import jwt  # noqa: PLC0415 -- the import takes 50 ms, and only JWTs need it

    # The signature is left out: it cannot be checked, and PyJWT refuses some forms of it.
    signed, _, _ = token.reveal().rpartition(".")
    try:
        return jwt.decode(f"{signed}.", options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return {}


def _fingerprint(token: Secret | None, claims: Mapping[str, Any]) -> str | None:
    """Return a digest of the claims of a token, or `None` if there are none.

    The signature is left out, because only that makes a token secret.
    """
    if token is None or not claims:
        return None
    encoded = token.reveal().split(".")[1]
    return hashlib.sha256(encoded.encode()).hexdigest()


def _given_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """Return the scopes that the caller has passed.

    Raises:
        ValidationError: They are not a list of strings.
    """
    if not validators.is_list_like(scopes):
        raise ValidationError(
            f"scopes must be a list of strings, such as ['all.User.read'], "
            f"but it is {type(scopes).__name__}"
        )
    given = tuple(scopes)
    for scope in given:
        if not isinstance(scope, str):
            raise ValidationError(f"scopes must be strings, but one is {type(scope).__name__}")
    return frozenset(given)


def _claimed_scopes(claims: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the scopes in the `scope` claim, or `None` if it has another form.

    It is a list, or a string with a space between two scopes (RFC 8693, 4.2).
    """
    claimed = claims.get("scope")
    scopes = claimed.split() if isinstance(claimed, str) else claimed
    if isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes):
        return frozenset(scopes) or None
    return None


def _claimed_issuer(claims: Mapping[str, Any]) -> str | None:
    """Return the host in the `iss` claim, or `None`.

    The claim is a host, as in Losant's tokens, or a URL.
    """
    claimed = claims.get("iss")
    match = _ISSUER.fullmatch(claimed) if isinstance(claimed, str) else None
    if match is None:
        return None
    host = match["host"].lower().strip("[].")
    # A word without a dot or a port may be any name, such as the name of a company.
    is_host = "." in host or ":" in host or match["port"] or host == "localhost"
    return host if is_host else None


def _claimed_time(claims: Mapping[str, Any], name: str) -> datetime | None:
    """Return the time in a claim (seconds since 1970, RFC 7519, 2), or `None`."""
    claimed = claims.get(name)
    if isinstance(claimed, bool) or not isinstance(claimed, int | float):
        return None
    try:
        return datetime.fromtimestamp(claimed, UTC)
    except (OverflowError, OSError, ValueError):
        return None


_ACCOUNT_CLAIMS = ("userId", "ownerId", "accountId", "user_id", "owner_id", "account_id", "sub")


def _claimed_account(claims: Mapping[str, Any]) -> str | None:
    """Return the first claim that names an account, with its value, or `None`.

    None of these claims is documented, so they are hints. Only ids count, because another string
    may be the same in the tokens of all accounts.
    """
    for name in _ACCOUNT_CLAIMS:
        value = claims.get(name)
        if isinstance(value, str) and validators.ID_PATTERN.fullmatch(value):
            return f"{name} {value.lower()}"
    return None
