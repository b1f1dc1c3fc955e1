"""Decide which of the listed tokens a secret belongs to."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from attrs import frozen

from losant_tokens._api.models import ApiToken, UserOauthToken
from losant_tokens._api.owner import Owner
from losant_tokens.leaks._claims import Claims

Via = Literal["operator", "secret"]
"""The credential that listed a token: the operator's own, or the leaked secret."""

_TOLERANCE = timedelta(seconds=3)
"""Between the creation of a token and the issue of its secret. Claims are cut off to seconds."""


@frozen(kw_only=True)
class OwnedToken:
    """A token that a list has returned, with the owner of that list."""

    owner: Owner
    """The owner of the list. `user` and `oauth` are the user of the credential."""
    token: ApiToken | UserOauthToken
    """The token, without its secret."""
    via: frozenset[Via] = frozenset({"operator"})
    """The credentials that list it."""


@frozen(kw_only=True)
class Match:
    """Which token a secret belongs to."""

    candidates: tuple[OwnedToken, ...] = ()
    """The tokens that it may belong to."""
    by: Literal["id", "times"] | None = None
    """`id` if a claim is the token's id, `times` if the issue and the expiration match its dates,
    or `None` if no list has such a token.
    """

    @property
    def token(self) -> OwnedToken | None:
        """The token, or `None` if there are several candidates, or none."""
        return self.candidates[0] if len(self.candidates) == 1 else None


def may_match(claims: Claims, token: ApiToken | UserOauthToken) -> bool:
    """Return whether a token may be the one that a secret belongs to.

    Args:
        claims: The claims of the secret.
        token: The token.
    """
    return token.id.lower() in claims.ids or _matches_by_times(claims, token)


def match_tokens(
    claims: Claims, tokens: Iterable[OwnedToken], *, works: bool | None, now: datetime
) -> Match:
    """Return which token a secret belongs to, and by which of its claims.

    Args:
        claims: The claims of the secret.
        tokens: The listed tokens.
        works: Whether the API accepts the secret, or `None` if that is unknown. A secret that works
            does not belong to a token that is inactive or has expired. One that does not work
            does not belong to any other token, so a forged secret never leads to a token in use.
        now: The current time.
    """
    possible = [one for one in tokens if not _contradicts(works, one.token, now)]
    by_id = tuple(one for one in possible if one.token.id.lower() in claims.ids)
    if by_id:
        return Match(candidates=by_id, by="id")
    by_times = tuple(one for one in possible if _matches_by_times(claims, one.token))
    return Match(candidates=by_times, by="times" if by_times else None)


def _contradicts(works: bool | None, token: ApiToken | UserOauthToken, now: datetime) -> bool:
    """Return whether the secret of a token has another state than the API has shown."""
    if works is None:
        return False
    if works:
        return token.is_active is False or token.is_expired(now - _TOLERANCE) is True
    return token.is_active is True and token.is_expired(now + _TOLERANCE) is False


def _matches_by_times(claims: Claims, token: ApiToken | UserOauthToken) -> bool:
    """Return whether the times and the scopes of a token are those of the claims."""
    if claims.issued_at is None or token.creation_date is None:
        return False
    if claims.oauth != isinstance(token, UserOauthToken):
        return False
    if not _is_near(claims.issued_at, token.creation_date):
        return False
    if claims.expires_at is None or token.expiration_date is None:
        same_expiry = claims.expires_at is token.expiration_date and token.never_expires is True
    else:
        same_expiry = _is_near(claims.expires_at, token.expiration_date)
    # A list of tokens may leave out scopes, and a token without the claim says nothing.
    same_scopes = not claims.scopes or not token.scope or claims.scopes == frozenset(token.scope)
    return same_expiry and same_scopes


def _is_near(one: datetime, other: datetime) -> bool:
    return abs(one - other) <= _TOLERANCE
