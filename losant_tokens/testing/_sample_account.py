"""A whole account of the fake: a user, OAuth clients, applications and an instance."""

from datetime import datetime, timedelta
from typing import Any, Final

from attrs import frozen

from losant_tokens.testing._models import FakeToken
from losant_tokens.testing._seed import add_seeded, creator, oauth_details
from losant_tokens.testing._service import ORGANIZATION_ID
from losant_tokens.testing._store import Store

# These ids are in the examples of the documentation.
_EXAMPLE_TOKEN: Final = "575ec7417ae143cd83dc4a95"  # noqa: S105  -- an id, not a secret
_GREENHOUSE: Final = "application:575ec8687ae143cd83dc4a97"
_GREENHOUSE_TOKEN: Final = "57615eebc035bd0100cb964b"  # noqa: S105

_COLD_CHAIN: Final = "application:5b2f8c9e6d41a70007c3e512"
_FIELD_SERVICE: Final = "instance:59f0b3a27e1c4d0006aa41d8"
_LONG_NAME = (
    "nightly export of all device states to the data lake, requested by operations; "
    "do not rename, because the job finds its token by this name"
)


@frozen(kw_only=True)
class FakeOwner:
    """An owner of tokens in the fake."""

    owner: str
    """`user`, `oauth`, `application:<id>` or `instance:<id>`."""
    name: str
    """A name for people, for example `Greenhouse`."""
    tokens: int
    """The number of tokens in the list of the owner."""


@frozen(kw_only=True)
class FakeAccount:
    """An account in the fake: all that one person can access."""

    own_token: FakeToken | None
    """The token of that person, with the scope `all.User`; None in an account without tokens.

    It is in the list of the user, and its `jti` claim is its id.
    """
    organization_id: str
    """The id of the organization that the applications belong to."""
    owners: tuple[FakeOwner, ...]
    """The owners of tokens. The first is the user."""


def add_account(store: Store, count: int, seed: int) -> FakeAccount:
    """Add an account with a number of API tokens of its user, and fewer of other owners."""
    with store.lock:
        now = store.now()
        of_user = [store.add("user", **members) for members in _user_tokens(now)[:count]]
        add_seeded(store, count - len(of_user), seed, "user")
        add_seeded(store, count // 25, seed, "oauth")
        for owner, tokens in _tokens_of_others(now).items():
            for members in tokens if count else ():
                store.add(owner, **members)
        for owner, share in ((_GREENHOUSE, 16), (_COLD_CHAIN, 40), (_FIELD_SERVICE, 80)):
            add_seeded(store, count // share, seed, owner)
        if count:
            _add_logs(store, now)
        names = {
            "user": "the user",
            "oauth": "OAuth clients",
            _GREENHOUSE: "Greenhouse",
            _COLD_CHAIN: "Cold chain",
            _FIELD_SERVICE: "Field service",
        }
        for owner, name in names.items():
            if ":" in owner:
                store.name_owner(owner, name)
        return FakeAccount(
            own_token=of_user[0] if of_user else None,
            organization_id=ORGANIZATION_ID,
            owners=tuple(
                FakeOwner(owner=owner, name=name, tokens=len(store.of(owner)))
                for owner, name in names.items()
            ),
        )


def _user_tokens(now: datetime) -> list[dict[str, Any]]:
    """Return the members of the tokens that each account has: first the token in use."""
    return [
        _members(now, "losant-tokens sandbox", "ada", age=30, scope=("all.User",)),
        {**_members(now, "ci-build", "grace", age=1200), "id_": _EXAMPLE_TOKEN},
        _members(now, "ci-prod-deploy", "grace", age=400, expires_in=300, scope=("all.User",)),
        _members(now, "ci-prod-smoke-test", "grace", age=380, expires_in=-15),
        _members(now, "nightly", "linus", age=420),
        _members(now, "ci-release", "grace", age=91, expires_in=-1, scope=("all.User",)),
        _members(now, "ci-mint", "linus", age=40, expires_in=-10, scope=("userApiTokens.*",)),
        _members(now, "gateway rollout", "radia", age=83, expires_in=1),
        _members(now, "demo for the fair", "niklaus", age=27, expires_in=3),
        _members(now, _LONG_NAME, "margaret", age=700),
        # Names are not unique.
        _members(now, "my token", "linus", age=300, expires_in=-65),
        _members(now, "my token", "linus", age=200),
        _members(now, "my token", "ada", age=2, expires_in=28),
        _members(now, "Gewächshaus Zürich", "niklaus", age=500),
        _members(now, "温室センサー", "ada", age=365, expires_in=-5),
        _members(now, "\N{SEEDLING} seedling trays", "radia", age=12),
        {**_members(now, "old laptop", "margaret", age=900), "status": "inactive"},
    ]


# The tokens that the audit logs show in use, and how many days ago each changed something last.
_SEEN: Final = {
    "ci-prod-deploy": (3, 4, 11, 60),
    "ci-release": (2, 30),
    "ci-build": (200,),
    "gateway rollout": (1, 5, 8),
    "nightly": (0, 1, 2, 3),
    "field operator": (6,),
    "truck 7": (12, 14),
    "greenhouse gateway": (400,),
}


def _add_logs(store: Store, now: datetime) -> None:
    """Add the entries of the audit logs, the oldest first. Both logs begin years ago."""
    org, instance = f"org:{ORGANIZATION_ID}", _FIELD_SERVICE
    entries: list[tuple[int, str, dict[str, Any]]] = []
    for source in (org, instance):
        members = {"actor_id": store.user_id, "actor_type": "User", "actor_name": "ada"}
        entries += [(days, source, members) for days in (900, 100, 7)]
    for owner in ("user", _GREENHOUSE, _COLD_CHAIN, _FIELD_SERVICE):
        for token in store.of(owner):
            source = instance if owner == _FIELD_SERVICE else org
            members = {"actor_id": token.id, "actor_name": token.name}
            entries += [(days, source, members) for days in _SEEN.get(token.name, ())]
    for days, source, members in sorted(entries, key=lambda entry: -entry[0]):
        store.log(
            source,
            creation_date=now - timedelta(days=days, minutes=5),
            request_resource="device",
            request_action="patch",
            **members,
        )


def _tokens_of_others(now: datetime) -> dict[str, list[dict[str, Any]]]:
    greenhouse_token = _members(
        now, "greenhouse gateway", "grace", age=1100, scope=("all.Application.read",)
    )
    operator = _members(now, "field operator", "ada", age=600, scope=("all.Instance.read",))
    return {
        "oauth": [
            {
                **_members(now, "assistant", "ada", age=5, expires_in=360),
                "oauth": oauth_details("assistant"),
            }
        ],
        _GREENHOUSE: [{**greenhouse_token, "id_": _GREENHOUSE_TOKEN}],
        _COLD_CHAIN: [_members(now, "truck 7", "radia", age=80, scope=("all.Application",))],
        _FIELD_SERVICE: [
            {
                **operator,
                "default_role": "none",
                "org_roles": ({"orgId": ORGANIZATION_ID, "role": "view"},),
            }
        ],
    }


def _members(
    now: datetime,
    name: str,
    by: str,
    *,
    age: int,
    expires_in: int | None = None,
    scope: tuple[str, ...] = ("all.User.read",),
) -> dict[str, Any]:
    """Return the members of a token; `age` and `expires_in` are in days."""
    return {
        "name": name,
        "scope": scope,
        "creation_date": now - timedelta(days=age),
        "last_updated": now - timedelta(days=age // 2),
        "expiration_date": None if expires_in is None else now + timedelta(days=expires_in),
        **creator(by),
    }
