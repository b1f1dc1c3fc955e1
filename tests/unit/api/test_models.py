"""Models of the API's responses."""

import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

from losant_tokens import (
    ApiToken,
    ApiTokens,
    Application,
    Applications,
    AuditLog,
    AuditLogs,
    AuthenticatedUser,
    Instance,
    InstanceAuditLog,
    InstanceAuditLogs,
    Instances,
    NewApiToken,
    OauthDetails,
    Organization,
    Organizations,
    OrgRole,
    ResourceRole,
    Secret,
    Success,
    UserOauthToken,
    UserOauthTokens,
)
from losant_tokens._api.response_models import RESPONSE_MODELS
from losant_tokens.errors import ClientStateError, ValidationError

ID = "575ec7417ae143cd83dc4a95"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECRET = "hunter2-hunter2"

SMALLEST: list[Any] = [
    ApiToken(id=ID),
    NewApiToken(id=ID, token=Secret(SECRET)),
    ApiTokens(items=()),
    UserOauthToken(id=ID),
    UserOauthTokens(items=()),
    OauthDetails(),
    OrgRole(ID, "view"),
    ResourceRole(ID, "view"),
    AuthenticatedUser(user_id=ID, token=Secret(SECRET)),
    Success(),
    AuditLog(id=ID),
    AuditLogs(items=()),
    InstanceAuditLog(id=ID),
    InstanceAuditLogs(items=()),
    Application(id=ID),
    Applications(items=()),
    Instance(id=ID),
    Instances(items=()),
    Organization(id=ID),
    Organizations(items=()),
]
WITH_EXTRA = [model for model in SMALLEST if hasattr(model, "extra")]


def test_all_models() -> None:
    """`RESPONSE_MODELS` has all models."""
    assert [type(model) for model in SMALLEST] == list(RESPONSE_MODELS)


@pytest.mark.parametrize("model", SMALLEST, ids=lambda model: type(model).__name__)
def test_value(model: Any) -> None:
    """A model is immutable, hashable, and compared by value."""
    name = attrs.fields(type(model))[0].name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(model, name, "other")
    with pytest.raises((AttributeError, TypeError)):
        model.something_else = 1
    assert model == attrs.evolve(model)
    assert hash(model) == hash(attrs.evolve(model))


@pytest.mark.parametrize("model", WITH_EXTRA, ids=lambda model: type(model).__name__)
def test_unlisted_members_count(model: Any) -> None:
    """A model is compared with its unlisted members, of which there are none by default."""
    assert model.extra == {}
    assert model != attrs.evolve(model, extra={"_type": "other"})


def test_audit_logs_keep_no_unlisted_members() -> None:
    """Only the models of audit logs, whose members may be secret, have no place for others."""
    without = {type(model).__name__ for model in SMALLEST if model not in WITH_EXTRA}
    assert without == {"AuditLog", "AuditLogs", "InstanceAuditLog", "InstanceAuditLogs"}


@pytest.mark.parametrize("model", WITH_EXTRA, ids=lambda model: type(model).__name__)
def test_repr_shows_no_unlisted_members(model: Any) -> None:
    """The repr of a model does not show unlisted members, which may be secret."""
    model = attrs.evolve(model, extra={"apiKey": SECRET})
    assert SECRET not in repr(model)
    assert "extra" not in repr(model)


def test_defaults() -> None:
    """Only the id of a token is required."""
    token = ApiToken(id=ID)
    values = {"id": ID, "name": "", "scope": (), "unreadable": frozenset(), "extra": {}}
    expected = {name: values.get(name) for name in attrs.fields_dict(ApiToken)}
    assert expected == attrs.asdict(token)


def test_secret_is_not_shown() -> None:
    """The secret of a token is neither in its repr nor in its pickle."""
    token = ApiToken(id=ID, token=Secret(SECRET))
    pickled = pickle.dumps(token)
    assert "token=Secret('****')" in repr(token)
    assert SECRET not in repr(token)
    assert SECRET.encode() not in pickled
    found = pickle.loads(pickled)
    assert found.id == ID
    with pytest.raises(ClientStateError):
        found.token.reveal()


@pytest.mark.parametrize("kind", [ApiToken, UserOauthToken])
@pytest.mark.parametrize(
    ("status", "expected"),
    [("active", True), ("inactive", False), (None, False), ("Active", False), ("paused", False)],
)
def test_is_active(
    kind: type[ApiToken | UserOauthToken], status: str | None, expected: bool
) -> None:
    """A token is active only if its status is `active`."""
    assert expected is kind(id=ID, status=status).is_active


@pytest.mark.parametrize("kind", [ApiToken, UserOauthToken])
@pytest.mark.parametrize(
    ("expiration", "at", "expected"),
    [
        (None, NOON, False),
        (NOON, NOON - timedelta(microseconds=1), False),
        (NOON, NOON, True),
        (NOON, NOON + timedelta(days=1), True),
        (NOON, datetime(2026, 1, 1, 14, tzinfo=timezone(timedelta(hours=1))), True),
        (NOON, datetime(2026, 1, 1, 12, 30, tzinfo=timezone(timedelta(hours=1))), False),
        (datetime.min.replace(tzinfo=UTC), None, True),
        (datetime.max.replace(tzinfo=UTC), None, False),
    ],
)
def test_is_expired(
    kind: type[ApiToken | UserOauthToken],
    expiration: datetime | None,
    at: datetime | None,
    expected: bool,
) -> None:
    """A token is expired from its expiration date on, compared with the current time by default."""
    token = kind(id=ID, expiration_date=expiration)
    assert expected is token.is_expired(at)
    assert (expiration is None) is token.never_expires


@pytest.mark.parametrize("kind", [ApiToken, UserOauthToken])
def test_unknown_expiration(kind: type[ApiToken | UserOauthToken]) -> None:
    """If the expiration date cannot be read, both properties are `None`."""
    token = kind(id=ID, unreadable=frozenset({"expiration_date"}))
    assert (None, None) == (token.is_expired(), token.never_expires)
    assert (False, True) == (kind(id=ID).is_expired(), kind(id=ID).never_expires)


@pytest.mark.parametrize("kind", [ApiToken, UserOauthToken])
def test_unknown_status(kind: type[ApiToken | UserOauthToken]) -> None:
    """If the status cannot be read, `is_active` is `None`."""
    assert kind(id=ID, unreadable=frozenset({"status"})).is_active is None


@pytest.mark.parametrize("hours", [-23, 0, 23])
@pytest.mark.parametrize(
    ("date", "expected"),
    [(datetime.min.replace(tzinfo=UTC), True), (datetime.max.replace(tzinfo=UTC), False)],
)
def test_first_and_last_expiration_date(date: datetime, hours: int, expected: bool) -> None:
    """The first and the last datetime can be compared in any time zone."""
    token = ApiToken(id=ID, expiration_date=date.replace(tzinfo=timezone(timedelta(hours=hours))))
    assert expected is token.is_expired(NOON)


def test_roles_are_tuples() -> None:
    """Lists of roles become tuples; a string is not split into characters."""
    role = ResourceRole(ID, "view")
    org = OrgRole(ID, "edit", application_roles=[role], dashboard_roles=iter([role, role]))
    assert org.application_roles == (role,)
    assert org.dashboard_roles == (role, role)
    assert OrgRole(ID, "edit").application_roles is None
    assert OrgRole(ID, "edit", application_roles="ab").application_roles == "ab"  # type: ignore[comparison-overlap]


def test_success() -> None:
    """The `success` of a `Success` is true."""
    assert Success().success is True


@pytest.mark.parametrize("expires", [None, datetime(2030, 1, 1, tzinfo=UTC)])
def test_is_expired_at_a_datetime_without_a_zone(expires: datetime | None) -> None:
    """`is_expired` refuses a datetime without a time zone, with any token."""
    token = ApiToken(id=ID, expiration_date=expires)
    with pytest.raises(ValidationError, match=r"is_expired\.at must have a time zone"):
        token.is_expired(at=datetime(2030, 1, 1))  # noqa: DTZ001 -- that is the point
