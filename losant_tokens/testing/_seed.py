"""Realistic tokens, as in an account that nobody cleaned up for some years."""

import random
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from attrs import frozen

from losant_tokens.testing._owner_strings import check_owner
from losant_tokens.testing._store import Store

PEOPLE = ("ada", "grace", "linus", "margaret", "niklaus", "radia")
_PROJECTS = ("billing", "edge-agent", "firmware", "ingest", "portal", "reports", "simulator")
_CI_PROJECTS = (*_PROJECTS, "build")
_PURPOSES = (
    "backup",
    "dashboard export",
    "data import",
    "device provisioning",
    "load test",
    "sync",
)
_READ_SCOPES = (("all.User.read",), ("only.User.read",), ("userApiTokens.get",))
_WRITE_SCOPES = (("all.User",), ("all.User.bounded",), ("all.Application",), ("all.User.cli",))
_CAN_CREATE = ("userApiTokens.get", "userApiTokens.post")
_PER_PRODUCTION = 50  # one token in 50 is in production
_CI_SHARE = 0.45
_INACTIVE_SHARE = 0.1
# An account has fewer expired tokens than half of all, because otherwise the majority guard of jobs
# would refuse to delete them.
_EXPIRED_SHARE = 0.31
# Of the tokens that have not expired.
_NEVER_EXPIRING_SHARE = 0.8
_NEVER_EXPIRING_CI_SHARE = 0.02
_MAX_AGE = timedelta(days=4 * 365)
_MIN_AGE = timedelta(minutes=1)
_SHORT_LIFETIMES = (1, 7, 30, 90, 365)  # days
_LONG_LIFETIMES = (30, 90, 365, 730)


@frozen(kw_only=True)
class SeedSummary:
    """The numbers of added tokens by kind. A token can be of several kinds."""

    total: int
    """The number of all tokens."""
    expired: int
    """The number of expired tokens."""
    inactive: int
    """The number of inactive tokens."""
    never_expiring: int
    """The number of tokens without an expiration date."""
    ci: int
    """Leftovers of CI, named `ci-…`."""
    prod: int
    """Tokens in production, which must be kept: named `prod-…`, active, never expiring."""


def add_seeded(store: Store, count: int, seed: int, owner: str) -> SeedSummary:
    """Add realistic tokens, which depend only on the seed and the time, except ids and secrets."""
    owner = check_owner(owner)
    # Tests need the same numbers each time, not secure ones.
    rng = random.Random(seed)  # noqa: S311
    now = store.now()
    with store.lock:
        tokens = []
        for number in range(count):
            members = _token(rng, number, now)
            members["id_"] = store.new_id(members["creation_date"])
            if owner == "oauth":
                members["oauth"] = oauth_details(rng.choice(_PROJECTS))
            tokens.append(store.add(owner, **members))
    return SeedSummary(
        total=count,
        expired=sum(token.expired(now) for token in tokens),
        inactive=sum(token.status == "inactive" for token in tokens),
        never_expiring=sum(token.expiration_date is None for token in tokens),
        ci=sum(token.name.startswith("ci-") for token in tokens),
        prod=sum(token.name.startswith("prod-") for token in tokens),
    )


def creator(name: str) -> dict[str, str]:
    """Return the members that describe the creator of a token; each name has its own id."""
    return {"creator_id": sha256(name.encode()).hexdigest()[:24], "creator_name": name}


def oauth_details(client: str) -> dict[str, Any]:
    """Return the details of an OAuth token that a client uses."""
    return {
        "client_id": f"https://{client}.example.com/oauth/client.json",
        "client_name": client,
        "redirect_uri": f"https://{client}.example.com/callback",
        "authorizationStatus": "authorized",
    }


def _token(rng: random.Random, number: int, now: datetime) -> dict[str, Any]:
    # The exponents make most tokens young, and updated lately.
    age = _MIN_AGE + (_MAX_AGE - _MIN_AGE) * rng.random() ** 4
    created = now - age
    members = {
        "creation_date": created,
        "last_updated": created + age * rng.random() ** 1.5,
        **creator(rng.choice(PEOPLE)),
    }
    project = rng.choice(_PROJECTS)
    if number % _PER_PRODUCTION == 0:
        return members | {
            "name": f"prod-{project}-{number // _PER_PRODUCTION + 1}",
            "description": "In production. Do not delete.",
            "scope": rng.choice(_WRITE_SCOPES),
        }
    # CI leaves more tokens behind than anything else.
    is_ci = rng.random() < _CI_SHARE
    never_share = _NEVER_EXPIRING_CI_SHARE if is_ci else _NEVER_EXPIRING_SHARE
    members |= {
        "status": "inactive" if rng.random() < _INACTIVE_SHARE else "active",
        "expiration_date": _expiration(rng, created, now, never_share),
    }
    if is_ci:
        return members | {
            "name": f"ci-{rng.choice(_CI_PROJECTS)}-{rng.randrange(1000, 99999)}",
            "scope": _CAN_CREATE if rng.random() < 0.02 else rng.choice(_READ_SCOPES),  # noqa: PLR2004
        }
    return members | {
        "name": f"{rng.choice(PEOPLE)}: {rng.choice(_PURPOSES)}",
        "description": f"For {project}",
        "scope": rng.choice((*_READ_SCOPES, *_WRITE_SCOPES)),
    }


def _expiration(
    rng: random.Random, created: datetime, now: datetime, never_share: float
) -> datetime | None:
    if rng.random() < _EXPIRED_SHARE:
        # A token that is younger than its lifetime has expired at half of its age.
        lifetime = timedelta(days=rng.choice(_SHORT_LIFETIMES))
        return created + min(lifetime, (now - created) / 2)
    if rng.random() < never_share:
        return None
    return now + timedelta(days=rng.choice(_LONG_LIFETIMES)) * (1 - rng.random())
