"""Realistic tokens, as in an account that nobody cleaned up for some years."""

import random
from datetime import datetime, timedelta
from typing import Any

from attrs import frozen

from losant_tokens.testing._owner_strings import check_owner
from losant_tokens.testing._store import Store

_PROJECTS = ("billing", "edge-agent", "firmware", "ingest", "portal", "reports", "simulator")
_PURPOSES = (
    "backup",
    "dashboard export",
    "data import",
    "device provisioning",
    "load test",
    "sync",
)
_PEOPLE = ("ada", "grace", "linus", "margaret", "niklaus", "radia")
_READ_SCOPES = (("all.User.read",), ("only.User.read",), ("userApiTokens.get",))
_WRITE_SCOPES = (("all.User",), ("all.User.bounded",), ("all.Application",), ("all.User.cli",))
_PER_PRODUCTION = 50  # one token in 50 is in production


@frozen(kw_only=True)
class SeedSummary:
    """The numbers of added tokens by kind. A token can be of several kinds."""

    total: int
    expired: int
    inactive: int
    never_expiring: int
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
                members["oauth"] = _oauth(rng)
            tokens.append(store.add(owner, **members))
    return SeedSummary(
        total=count,
        expired=sum(token.expired(now) for token in tokens),
        inactive=sum(token.status == "inactive" for token in tokens),
        never_expiring=sum(token.expiration_date is None for token in tokens),
        ci=sum(token.name.startswith("ci-") for token in tokens),
        prod=sum(token.name.startswith("prod-") for token in tokens),
    )


def _token(rng: random.Random, number: int, now: datetime) -> dict[str, Any]:
    created = now - timedelta(seconds=rng.randrange(60, 4 * 365 * 86400))
    members = {
        "creation_date": created,
        "last_updated": created + (now - created) * rng.random() ** 3,
        "creator_name": rng.choice(_PEOPLE),
    }
    project = rng.choice(_PROJECTS)
    if number % _PER_PRODUCTION == 0:
        return members | {
            "name": f"prod-{project}-{number // _PER_PRODUCTION + 1}",
            "description": "In production. Do not delete.",
            "scope": rng.choice(_WRITE_SCOPES),
        }
    lifetime = timedelta(days=rng.choice((1, 7, 30, 90, 365, 730)))
    members |= {
        "status": "inactive" if rng.random() < 0.15 else "active",  # noqa: PLR2004
        "expiration_date": None if rng.random() < 0.3 else created + lifetime,  # noqa: PLR2004
    }
    if rng.random() < 0.6:  # noqa: PLR2004  -- CI leaves most of the tokens behind
        return members | {
            "name": f"ci-{project}-{rng.randrange(1000, 99999)}",
            "scope": rng.choice(_READ_SCOPES),
        }
    return members | {
        "name": f"{rng.choice(_PEOPLE)}: {rng.choice(_PURPOSES)}",
        "description": f"For {project}",
        "scope": rng.choice((*_READ_SCOPES, *_WRITE_SCOPES)),
    }


def _oauth(rng: random.Random) -> dict[str, Any]:
    client = rng.choice(_PROJECTS)
    return {
        "client_id": f"https://{client}.example.com/oauth/client.json",
        "client_name": client,
        "redirect_uri": f"https://{client}.example.com/callback",
        "authorizationStatus": "authorized",
    }
