"""Convert JSON to models, and request bodies to JSON."""

import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import (
    NEVER,
    ApiToken,
    ApiTokenPatch,
    ApiTokenPost,
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
    OauthRequest,
    Organization,
    Organizations,
    OrgRole,
    ResourceRole,
    Secret,
    Success,
    UnlistedScope,
    UserCredentials,
    UserOauthToken,
    UserOauthTokenPatch,
    UserOauthTokenPost,
    UserOauthTokens,
)
from losant_tokens._api import codec as codec_module
from losant_tokens._api.codec import Codec, codec
from losant_tokens._api.json_parser import ContentProblem
from losant_tokens._api.response_models import RESPONSE_MODELS
from losant_tokens._api.wire_format import write_datetime
from tests.support.helpers import result_of

ID = "575ec7417ae143cd83dc4a95"
OTHER_ID = "575ec8687ae143cd83dc4a97"
MOMENT = "2016-06-13T04:00:00.000Z"
THEN = datetime(2016, 6, 13, 4, tzinfo=UTC)
CHALLENGE = "c" * 43


def decode(value: object, kind: type[Any]) -> Any:
    return result_of(codec().decode(json.dumps(value).encode(), kind))


def encode(body: Any) -> Any:
    return json.loads(codec().encode(body))


# --- Responses -------------------------------------------------------------------------------

ROLE_JSON = {"resourceId": ID, "role": "view"}
ORG_ROLE_JSON = {
    "orgId": ID,
    "role": "edit",
    "applicationRoles": [ROLE_JSON],
    "dashboardRoles": [],
}
ORG_ROLE = OrgRole(ID, "edit", application_roles=(ResourceRole(ID, "view"),), dashboard_roles=())
TOKEN_JSON = {
    "id": ID,
    "apiTokenId": ID,
    "ownerId": OTHER_ID,
    "ownerType": "application",
    "creatorId": OTHER_ID,
    "creatorType": "user",
    "creatorName": "Ada",
    "name": "My API Token",
    "description": "for CI",
    "creationDate": MOMENT,
    "lastUpdated": MOMENT,
    "expirationDate": "2017-06-13T04:00:00.000Z",
    "defaultRole": "view",
    "orgRoles": [ORG_ROLE_JSON],
    "scope": ["all.Application"],
    "status": "active",
    "token": "the_actual_token_string",
}
TOKEN = ApiToken(
    id=ID,
    api_token_id=ID,
    owner_id=OTHER_ID,
    owner_type="application",
    creator_id=OTHER_ID,
    creator_type="user",
    creator_name="Ada",
    name="My API Token",
    description="for CI",
    creation_date=THEN,
    last_updated=THEN,
    expiration_date=datetime(2017, 6, 13, 4, tzinfo=UTC),
    default_role="view",
    org_roles=(ORG_ROLE,),
    scope=("all.Application",),
    status="active",
    token=Secret("the_actual_token_string"),
)
NEW_TOKEN = NewApiToken(**attrs.asdict(TOKEN, recurse=False))
PAGE_JSON = {
    "count": 1,
    "totalCount": 101,
    "perPage": 100,
    "page": 1,
    "filter": "ci-*",
    "filterField": "name",
    "sortField": "name",
    "sortDirection": "ASC",
}
PAGE: dict[str, Any] = {
    "count": 1,
    "total_count": 101,
    "per_page": 100,
    "page": 1,
    "filter": "ci-*",
    "filter_field": "name",
    "sort_field": "name",
    "sort_direction": "ASC",
}
OAUTH_JSON = {
    "client_id": "https://example.com/client",
    "client_name": "Example",
    "client_uri": "https://example.com",
    "logo_uri": "https://example.com/logo.png",
    "redirect_uri": "https://example.com/back",
    "resource": ["https://api.example.com"],
    "authorizationStatus": "authorized",
}
OAUTH = OauthDetails(
    client_id="https://example.com/client",
    client_name="Example",
    client_uri="https://example.com",
    logo_uri="https://example.com/logo.png",
    redirect_uri="https://example.com/back",
    resource=("https://api.example.com",),
    authorization_status="authorized",
)
OAUTH_TOKEN_JSON = {
    "id": ID,
    "oauthTokenId": ID,
    "name": "Example",
    "description": "",
    "creationDate": MOMENT,
    "lastUpdated": MOMENT,
    "expirationDate": MOMENT,
    "defaultRole": "none",
    "orgRoles": [],
    "scope": ["me"],
    "status": "inactive",
    "oauth": OAUTH_JSON,
}
OAUTH_TOKEN = UserOauthToken(
    id=ID,
    oauth_token_id=ID,
    name="Example",
    description="",
    creation_date=THEN,
    last_updated=THEN,
    expiration_date=THEN,
    default_role="none",
    org_roles=(),
    scope=("me",),
    status="inactive",
    oauth=OAUTH,
)
USER_JSON = {"userId": ID, "token": "secret", "needsToVerifyEmail": False, "orgId": OTHER_ID}
USER = AuthenticatedUser(
    user_id=ID, token=Secret("secret"), needs_to_verify_email=False, org_id=OTHER_ID
)

LOG_JSON = {
    "id": ID,
    "creationDate": MOMENT,
    "actorId": OTHER_ID,
    "actorType": "ApiToken",
    "actorName": "ci",
    "primaryTargetId": ID,
    "primaryTargetType": "Application",
    "primaryTargetName": "Greenhouse",
    "secondaryTargetId": OTHER_ID,
    "secondaryTargetType": "Device",
    "secondaryTargetName": "pump",
    "requestResource": "device",
    "requestAction": "patch",
    "responseStatus": 200,
}
LOG: dict[str, Any] = {
    "id": ID,
    "creation_date": THEN,
    "actor_id": OTHER_ID,
    "actor_type": "ApiToken",
    "actor_name": "ci",
    "primary_target_id": ID,
    "primary_target_type": "Application",
    "primary_target_name": "Greenhouse",
    "secondary_target_id": OTHER_ID,
    "secondary_target_type": "Device",
    "secondary_target_name": "pump",
    "request_resource": "device",
    "request_action": "patch",
    "response_status": 200,
}
ORG_LOG_JSON = {**LOG_JSON, "auditLogId": ID, "orgId": OTHER_ID}
ORG_LOG = AuditLog(**LOG, audit_log_id=ID, org_id=OTHER_ID)
INSTANCE_LOG_JSON = {**LOG_JSON, "instanceAuditLogId": ID, "instanceId": OTHER_ID}
INSTANCE_LOG = InstanceAuditLog(**LOG, instance_audit_log_id=ID, instance_id=OTHER_ID)
LOG_PAGE_JSON = {name: PAGE_JSON[name] for name in PAGE_JSON if not name.startswith("filter")}
LOG_PAGE = {name: PAGE[name] for name in PAGE if not name.startswith("filter")}
OWNER_JSON = {"id": ID, "name": "Greenhouse", "creationDate": MOMENT, "lastUpdated": MOMENT}
OWNER: dict[str, Any] = {
    "id": ID,
    "name": "Greenhouse",
    "creation_date": THEN,
    "last_updated": THEN,
}
APPLICATION_JSON = {
    **OWNER_JSON,
    "applicationId": ID,
    "ownerId": OTHER_ID,
    "ownerType": "organization",
    "organizationName": "Farms",
}
APPLICATION = Application(
    **OWNER,
    application_id=ID,
    owner_id=OTHER_ID,
    owner_type="organization",
    organization_name="Farms",
)
INSTANCE_JSON, INSTANCE = {**OWNER_JSON, "instanceId": ID}, Instance(**OWNER, instance_id=ID)
ORG_JSON, ORG = {**OWNER_JSON, "orgId": ID}, Organization(**OWNER, org_id=ID)
UNSAFE_MEMBERS = {
    "requestBody": {"password": "hunter2"},
    "responseBody": {"token": "hunter2"},
    "requestQueryParams": {"token": "hunter2"},
    "requestPathParams": {"token": "hunter2"},
    "_links": {"self": {"href": "/?token=hunter2"}},
}

FULL: list[tuple[dict[str, Any], Any]] = [
    (TOKEN_JSON, TOKEN),
    (TOKEN_JSON, NEW_TOKEN),
    (
        {**PAGE_JSON, "items": [TOKEN_JSON], "ownerId": OTHER_ID, "ownerType": "application"},
        ApiTokens(**PAGE, items=(TOKEN,), owner_id=OTHER_ID, owner_type="application"),
    ),
    (OAUTH_TOKEN_JSON, OAUTH_TOKEN),
    ({**PAGE_JSON, "items": [OAUTH_TOKEN_JSON]}, UserOauthTokens(**PAGE, items=(OAUTH_TOKEN,))),
    (OAUTH_JSON, OAUTH),
    (ORG_ROLE_JSON, ORG_ROLE),
    (ROLE_JSON, ResourceRole(ID, "view")),
    (USER_JSON, USER),
    ({"success": True}, Success()),
    (ORG_LOG_JSON, ORG_LOG),
    (
        {**LOG_PAGE_JSON, "items": [ORG_LOG_JSON], "orgId": OTHER_ID},
        AuditLogs(**LOG_PAGE, items=(ORG_LOG,), org_id=OTHER_ID),
    ),
    (INSTANCE_LOG_JSON, INSTANCE_LOG),
    (
        {**LOG_PAGE_JSON, "items": [INSTANCE_LOG_JSON], "instanceId": OTHER_ID},
        InstanceAuditLogs(**LOG_PAGE, items=(INSTANCE_LOG,), instance_id=OTHER_ID),
    ),
    (APPLICATION_JSON, APPLICATION),
    ({**PAGE_JSON, "items": [APPLICATION_JSON]}, Applications(**PAGE, items=(APPLICATION,))),
    (INSTANCE_JSON, INSTANCE),
    ({**PAGE_JSON, "items": [INSTANCE_JSON]}, Instances(**PAGE, items=(INSTANCE,))),
    (ORG_JSON, ORG),
    ({**PAGE_JSON, "items": [ORG_JSON]}, Organizations(**PAGE, items=(ORG,))),
]
WITH_EXTRA = [(value, model) for value, model in FULL if hasattr(model, "extra")]


def class_name(value: object) -> str:
    return type(value).__name__ if not isinstance(value, dict) else ""


@pytest.mark.parametrize(("value", "expected"), FULL, ids=class_name)
def test_complete_response(value: dict[str, Any], expected: Any) -> None:
    """A response with every member of the contract becomes a model with the same values."""
    assert expected == decode(value, type(expected))
    meta = {"extra", "is_stated", "unreadable", "unreadable_items"}
    assert len(value) == len(attrs.fields_dict(type(expected)).keys() - meta)


@pytest.mark.parametrize(("value", "expected"), WITH_EXTRA, ids=class_name)
def test_unlisted_members_are_kept(value: dict[str, Any], expected: Any) -> None:
    """Members without an attribute are kept unchanged in `extra`, under their wire names."""
    extra = {"_type": "x", "_links": {"self": {"href": "/"}}, "extra": [1], "name_": 1.5, "": None}
    found = decode({**value, **extra}, type(expected))
    assert found.extra == {name: member for name, member in extra.items() if member is not None}
    assert expected == attrs.evolve(found, extra={})


@pytest.mark.parametrize(
    ("kind", "page_kind", "value"),
    [
        (AuditLog, AuditLogs, ORG_LOG_JSON),
        (InstanceAuditLog, InstanceAuditLogs, INSTANCE_LOG_JSON),
    ],
)
def test_audit_logs_keep_no_secret(kind: type, page_kind: type, value: dict[str, Any]) -> None:
    """Nothing of an audit log keeps the bodies and parameters of requests, readable or not."""
    entry = {**value, **UNSAFE_MEMBERS}
    wrong = {**entry, "actorName": ["hunter2"], "responseStatus": {"token": "hunter2"}}
    unreadable = [{**entry, "id": ["hunter2"]}, {**entry, "id": ""}, "hunter2"]
    items = [entry, wrong, *unreadable]
    page = decode({"items": items, **UNSAFE_MEMBERS, "count": "hunter2"}, page_kind)
    assert page.items[0] == decode(entry, kind) == decode(value, kind)
    assert page.items[1].unreadable == {"actor_name", "response_status"}
    assert page.unreadable_items == (None, None, None)
    for found in (page, decode(entry, kind), decode(wrong, kind)):
        assert "hunter2" not in repr(found)
        assert "hunter2" not in str(attrs.asdict(found))
        assert b"hunter2" not in pickle.dumps(found)


def test_extra_is_not_shared() -> None:
    """Two responses do not share their `extra`."""
    one, other = (decode({"id": ID, "_type": name}, ApiToken) for name in ("a", "b"))
    assert [one.extra, other.extra] == [{"_type": "a"}, {"_type": "b"}]


def test_unlisted_members_of_nested_objects_are_kept() -> None:
    """Members without an attribute are kept at every depth."""
    value = {
        "items": [{"id": ID, "orgRoles": [{"orgId": ID, "role": "edit", "_a": 1}], "_b": 2}],
        "_c": 3,
    }
    found = decode(value, ApiTokens)
    assert [found.extra, found.items[0].extra, found.items[0].org_roles[0].extra] == [
        {"_c": 3},
        {"_b": 2},
        {"_a": 1},
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"id": ID}, ApiToken(id=ID)),
        ({"id": ID, "token": "a"}, NewApiToken(id=ID, token=Secret("a"))),
        ({"id": ID}, UserOauthToken(id=ID)),
        ({"items": []}, ApiTokens(items=())),
        ({"items": []}, UserOauthTokens(items=())),
        ({}, OauthDetails()),
        ({"orgId": ID, "role": "view"}, OrgRole(ID, "view")),
        ({"userId": ID, "token": "a"}, AuthenticatedUser(user_id=ID, token=Secret("a"))),
        ({}, Success()),
        ({"id": ID}, AuditLog(id=ID)),
        ({"items": []}, AuditLogs(items=())),
        ({"id": ID}, InstanceAuditLog(id=ID)),
        ({"items": []}, InstanceAuditLogs(items=())),
        ({"id": ID}, Application(id=ID)),
        ({"items": []}, Applications(items=())),
        ({"id": ID}, Instance(id=ID)),
        ({"items": []}, Instances(items=())),
        ({"id": ID}, Organization(id=ID)),
        ({"items": []}, Organizations(items=())),
    ],
    ids=class_name,
)
def test_optional_members_may_be_missing(value: dict[str, Any], expected: Any) -> None:
    """A response may leave out optional members; `null` means the same."""
    kind = type(expected)
    nulls = {**dict.fromkeys(next(full for full, model in FULL if type(model) is kind)), **value}
    assert expected == decode(value, kind)
    assert expected == decode(nulls, kind)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"status": "paused"}, "paused"),
        ({"status": "ACTIVE"}, "ACTIVE"),
        ({"ownerType": "instance"}, "instance"),
        ({"creatorType": "robot"}, "robot"),
        ({"defaultRole": "emperor"}, "emperor"),
    ],
)
def test_unlisted_values_are_accepted(value: dict[str, Any], expected: str) -> None:
    """Values that the contract does not list for an enumeration are accepted."""
    found = decode({"id": ID, **value}, ApiToken)
    assert expected in attrs.astuple(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MOMENT, THEN),
        ("2016-06-13T04:00:00Z", THEN),
        ("2016-06-13T04:00:00.123Z", THEN + timedelta(milliseconds=123)),
        ("2016-06-13T06:00:00+02:00", THEN),
        ("2016-06-13T04:00:00.123456+00:00", THEN + timedelta(microseconds=123456)),
    ],
)
def test_datetimes_are_read(text: str, expected: datetime) -> None:
    """Datetimes are read in all forms of RFC 3339."""
    assert expected == decode({"id": ID, "expirationDate": text}, ApiToken).expiration_date


STRING = "must be a string, but it is {}"
LIST = "must be a list, but it is {}"
OBJECT = "must be an object, but it is {}"
MISSING = "is missing"

FAULTS: list[tuple[type, object, str, str]] = [
    *((kind, [], OBJECT.format("a list"), "$") for kind in RESPONSE_MODELS),
    *((kind, "a", OBJECT.format("a string"), "$") for kind in RESPONSE_MODELS),
    *((kind, 1, OBJECT.format("a number"), "$") for kind in RESPONSE_MODELS),
    *((kind, 1.5, OBJECT.format("a number"), "$") for kind in RESPONSE_MODELS),
    *((kind, False, OBJECT.format("true or false"), "$") for kind in RESPONSE_MODELS),
    *((kind, None, OBJECT.format("null"), "$") for kind in RESPONSE_MODELS),
    (ApiToken, {}, MISSING, "$.id"),
    (ApiToken, {"id": None}, MISSING, "$.id"),
    (ApiToken, {"id": 1}, STRING.format("a number"), "$.id"),
    (ApiToken, {"id": ["a"], "name": 1}, STRING.format("a list"), "$.id"),
    (UserOauthToken, {"id": {}}, STRING.format("an object"), "$.id"),
    (OrgRole, {"role": "view"}, MISSING, "$.orgId"),
    (OrgRole, {"orgId": ID, "role": 1}, STRING.format("a number"), "$.role"),
    (OrgRole, {**ORG_ROLE_JSON, "dashboardRoles": [{}]}, MISSING, "$.dashboardRoles"),
    (ResourceRole, {"resourceId": ID, "role": None}, MISSING, "$.role"),
    (ApiTokens, {}, MISSING, "$.items"),
    (ApiTokens, {"items": None}, MISSING, "$.items"),
    (ApiTokens, {"items": {}}, LIST.format("an object"), "$.items"),
    (UserOauthTokens, {"items": "a"}, LIST.format("a string"), "$.items"),
    (AuthenticatedUser, {"userId": ID}, MISSING, "$.token"),
    (AuthenticatedUser, {"userId": ID, "token": 1}, STRING.format("a number"), "$.token"),
    (AuthenticatedUser, {"token": "a"}, MISSING, "$.userId"),
    (Success, {"success": False}, "must be true, but it is not", "$.success"),
    (Success, {"success": 1}, "must be true, but it is not", "$.success"),
    (Success, {"success": "true"}, "must be true, but it is not", "$.success"),
]


@pytest.mark.parametrize(("kind", "value", "problem", "path"), FAULTS)
def test_missing_member_is_a_problem(kind: type, value: object, problem: str, path: str) -> None:
    """A response without a required member is a problem with its path."""
    assert decode(value, kind) == ContentProblem(problem, path)


# --- Members that cannot be read -------------------------------------------------------------

ODD_DATES = [
    "+010000-01-01T04:59:59.000Z",
    "-000001-01-01T00:00:00.000Z",
    "",
    "never",
    "2016-12-31T23:59:60.000Z",
    "2016-06-13T04:00:00",
    "2016-06-13",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-05:00",
    "\ud800",
    1465790400,
    1e400,
    10**30,
    {},
    False,
]
ODD: list[tuple[str, str, object]] = [
    *(("expirationDate", "expiration_date", value) for value in ODD_DATES),
    *(("creationDate", "creation_date", value) for value in ODD_DATES),
    *(("lastUpdated", "last_updated", value) for value in ODD_DATES),
    ("name", "name", 1.5),
    ("name", "name", ["a"]),
    ("description", "description", {"text": "a new shape"}),
    ("status", "status", True),
    ("status", "status", 1),
    ("apiTokenId", "api_token_id", 1),
    ("ownerId", "owner_id", {}),
    ("creatorName", "creator_name", []),
    ("scope", "scope", "me"),
    ("scope", "scope", {"me": 1}),
    ("scope", "scope", ["me", 1]),
    ("scope", "scope", ["me", None]),
    ("defaultRole", "default_role", 0),
    ("orgRoles", "org_roles", {}),
    ("orgRoles", "org_roles", ["a"]),
    ("orgRoles", "org_roles", [ORG_ROLE_JSON, {"orgId": None, "role": "view"}]),
    ("orgRoles", "org_roles", [{"orgId": ID}]),
    ("orgRoles", "org_roles", [{**ORG_ROLE_JSON, "dashboardRoles": [{}]}]),
]


@pytest.mark.parametrize(("wire", "name", "odd"), ODD)
def test_unreadable_member_is_unknown(wire: str, name: str, odd: object) -> None:
    """A member that cannot be read is unknown, its raw value is kept, and the rest is read."""
    unknown: dict[str, Any] = {name: attrs.fields_dict(ApiToken)[name].default}
    expected = attrs.evolve(TOKEN, **unknown, extra={wire: odd}, unreadable=frozenset({name}))

    assert decode({**TOKEN_JSON, wire: odd}, ApiToken) == expected


def test_several_unreadable_members() -> None:
    """Each member is read independently; `null` means absent, not unknown."""
    odd = {"scope": 1, "status": [], "description": None, "lastUpdated": ""}

    found = decode({"id": ID, "name": "ci", "_type": "a", **odd}, ApiToken)

    assert found == ApiToken(
        id=ID,
        name="ci",
        unreadable=frozenset({"scope", "status", "last_updated"}),
        extra={"_type": "a", "scope": 1, "status": [], "lastUpdated": ""},
    )


def test_new_secret_beside_an_unreadable_member() -> None:
    """A new token's secret is read even if another member cannot be read."""
    found = decode({**TOKEN_JSON, "expirationDate": ODD_DATES[0]}, ApiToken)
    assert "the_actual_token_string" == found.token.reveal()


@pytest.mark.parametrize(
    ("members", "extra"), [({}, {}), ({"id": None}, {}), ({"id": 7}, {"id": 7})]
)
def test_new_secret_without_an_id(members: dict[str, Any], extra: dict[str, Any]) -> None:
    """A new token's secret is read even if the token's id cannot be."""
    found = decode({"token": "hunter2", "name": "ci", **members}, NewApiToken)

    assert found == NewApiToken(
        id="", name="ci", token=Secret("hunter2"), unreadable=frozenset({"id"}), extra=extra
    )


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ({}, "is missing"),
        ({"token": None}, "is missing"),
        ({"token": 1}, STRING.format("a number")),
    ],
)
def test_new_token_without_its_secret(token: dict[str, Any], problem: str) -> None:
    """A new token is not read without its secret, although all other members are readable."""
    assert decode({"id": ID, "name": "ci", **token}, NewApiToken) == ContentProblem(
        problem, "$.token"
    )


@pytest.mark.parametrize("odd", [{"value": "hunter2"}, ["hunter2"], 12345678])
def test_secret_that_is_not_a_string(odd: object) -> None:
    """A secret that is not a string is kept as a `Secret` of its JSON."""
    found = decode({**TOKEN_JSON, "token": odd}, ApiToken)

    assert (None, frozenset({"token"})) == (found.token, found.unreadable)
    assert json.dumps(odd) == found.extra["token"].reveal()
    assert "hunter2" not in f"{found!r} {found.extra!r}"


def test_secret_nested_too_deep() -> None:
    """A secret that is nested too deep does not raise an exception."""
    deep = b'["]",' * 1000 + b"1" + b',"["]' * 1000
    found: Any = result_of(codec().decode(b'{"id":"a","token":' + deep + b"}", ApiToken))
    assert isinstance(found, ContentProblem) or found.unreadable == {"token"}


def test_unreadable_members_of_other_responses() -> None:
    """Optional members of OAuth details, pages and log-ins may be unreadable, too."""
    oauth = decode({"id": ID, "oauth": {"client_id": 1, "client_uri": "u"}}, UserOauthToken).oauth
    assert oauth == OauthDetails(
        client_uri="u", unreadable=frozenset({"client_id"}), extra={"client_id": 1}
    )
    page = decode({"items": [], "count": "1", "totalCount": 1.5, "perPage": True}, ApiTokens)
    assert page == ApiTokens(
        items=(),
        unreadable=frozenset({"count", "total_count", "per_page"}),
        extra={"count": "1", "totalCount": 1.5, "perPage": True},
    )
    page = decode({"items": [], "count": 10**30, "totalCount": -(2**63)}, ApiTokens)
    assert (None, -(2**63), {"count": 10**30}) == (page.count, page.total_count, page.extra)
    user = decode({"userId": ID, "token": "a", "needsToVerifyEmail": 0}, AuthenticatedUser)
    assert (None, {"needsToVerifyEmail": 0}) == (user.needs_to_verify_email, user.extra)


@pytest.mark.parametrize(
    "odd", [None, 1, "a", [], {}, {"id": None}, {"id": 1, "name": "ci"}, {"name": "ci"}, {"id": ""}]
)
@pytest.mark.parametrize("kind", [ApiTokens, UserOauthTokens])
def test_item_that_is_not_a_token(kind: type[Any], odd: object) -> None:
    """An item without an id is set aside, and the items around it are read."""
    page = decode({"items": [{"id": ID}, odd, {"id": OTHER_ID}], "totalCount": 3}, kind)

    assert [ID, OTHER_ID] == [token.id for token in page.items]
    assert ((odd,), 3) == (page.unreadable_items, page.total_count)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"<html>",
        b"{",
        b'{"id": }',
        b"{'id': 1}",
        b'{"id":"a"} x',
        b"\xff\xfe\x00",
        b"\x80",
        b'{"id":"\xff"}',
    ],
    ids=range(10),
)
@pytest.mark.parametrize("kind", [ApiToken, Success])
def test_not_json(content: bytes, kind: type[Any]) -> None:
    """Content that is not JSON is a problem of the whole response."""
    assert result_of(codec().decode(content, kind)) == ContentProblem("is not JSON")
    assert Codec.parse(content) == ContentProblem("is not JSON")


@pytest.mark.parametrize(
    ("content", "expected"), [(b"null", None), (b" [1] ", [1]), (b'"a"', "a"), (b"{}", {})]
)
def test_parse(content: bytes, expected: object) -> None:
    """`parse` returns the values of JSON, and a problem for other content."""
    assert expected == Codec.parse(content)


def test_byte_order_mark() -> None:
    """JSON may start with a byte order mark."""
    assert result_of(codec().decode(b'\xef\xbb\xbf{"id":"a"}', ApiToken)) == ApiToken(id="a")


NAMES = [*sorted({name for value, _ in FULL for name in value}), "extra", "_type", "other"]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([ID, MOMENT, "2016-06-13", "", "active"])
    | st.text(max_size=5)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=20,
)


KINDS = st.sampled_from(RESPONSE_MODELS)


@given(KINDS, VALUES)
def test_any_json(kind: type, value: object) -> None:
    """Any JSON is decoded to a model or a problem, without an exception."""
    found = decode(value, kind)
    assert isinstance(found, kind) or (
        isinstance(found, ContentProblem) and found.path.startswith("$") and bool(found.text)
    )


@given(KINDS, st.data())
def test_any_members(kind: type, data: st.DataObject) -> None:
    """A response with a changed member is decoded to a model or a problem with a path."""
    full = next(value for value, model in FULL if type(model) is kind)
    name = data.draw(st.sampled_from(sorted(full)))
    found = decode({**full, name: data.draw(VALUES)}, kind)
    assert isinstance(found, kind) or found.path.startswith(f"$.{name}")


@given(KINDS, st.data())
def test_problems_show_no_values(kind: type, data: st.DataObject) -> None:
    """A problem never shows a string or an unlisted member, which may be secret."""
    texts = st.text(max_size=5).map(lambda text: f"hunter2{text}")
    values = st.recursive(
        texts | st.none() | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(NAMES) | texts, inner, max_size=6)
        ),
        max_leaves=10,
    )
    found = decode(data.draw(values), kind)
    assert not isinstance(found, ContentProblem) or "hunter2" not in repr(found)


@given(st.binary(max_size=40))
def test_any_content(content: bytes) -> None:
    """Any bytes are decoded to a model or a problem."""
    assert isinstance(result_of(codec().decode(content, ApiToken)), ApiToken | ContentProblem)


@given(st.integers(0, 2), st.data())
def test_any_changed_item(place: int, data: st.DataObject) -> None:
    """A change to one item of a list does not change the other items."""
    items: list[Any] = [{**TOKEN_JSON, "id": f"{number:024x}"} for number in range(3)]
    whole = decode({"items": items, "totalCount": 3}, ApiTokens)
    odd = data.draw(VALUES)
    if data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(TOKEN_JSON)))
        odd = {**items[place], name: odd}
    items[place] = odd

    page = decode({"items": items, "totalCount": 3}, ApiTokens)

    others = [token for number, token in enumerate(whole.items) if number != place]
    ids = {token.id for token in others}
    assert others == [token for token in page.items if token.id in ids]
    assert 3 == len(page.items) + len(page.unreadable_items)


# --- Bodies ----------------------------------------------------------------------------------

ROLES = (
    OrgRole(ID, "edit", application_roles=(ResourceRole(ID, "view"),)),
    OrgRole("sandbox", "none", dashboard_roles=(), extra={"_type": "orgRole"}),
)
ROLES_JSON = [
    {"orgId": ID, "role": "edit", "applicationRoles": [{"resourceId": ID, "role": "view"}]},
    {"orgId": "sandbox", "role": "none", "dashboardRoles": []},
]
REQUEST = OauthRequest("c" * 24, "https://example.com/back", CHALLENGE)
REQUEST_JSON = {
    "client_id": "c" * 24,
    "redirect_uri": "https://example.com/back",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (ApiTokenPost("ci"), {"name": "ci"}),
        (
            ApiTokenPost(
                "ci",
                description="",
                expiration_date=THEN,
                default_role="view",
                org_roles=ROLES,
                scope=["all.User.read", "me.*"],
                status="inactive",
            ),
            {
                "name": "ci",
                "description": "",
                "expirationDate": MOMENT,
                "defaultRole": "view",
                "orgRoles": ROLES_JSON,
                "scope": ["all.User.read", "me.*"],
                "status": "inactive",
            },
        ),
        (ApiTokenPost("ci", scope=(), org_roles=()), {"name": "ci", "scope": [], "orgRoles": []}),
        (
            ApiTokenPost("ci", scope=[UnlistedScope("galaxy.get"), "me.*"]),
            {"name": "ci", "scope": ["galaxy.get", "me.*"]},
        ),
        (
            ApiTokenPost(
                "ci",
                description="d",
                expiration_date=THEN,
                scope=("all.Application",),
                status="active",
            ),
            {
                "name": "ci",
                "description": "d",
                "expirationDate": MOMENT,
                "scope": ["all.Application"],
                "status": "active",
            },
        ),
        *(
            (patch, expected)
            for kind in (ApiTokenPatch, UserOauthTokenPatch)
            for patch, expected in (
                (kind(), {}),
                (kind(name="ci"), {"name": "ci"}),
                (kind(description=""), {"description": ""}),
                (kind(org_roles=()), {"orgRoles": []}),
                (
                    kind(
                        name="ci",
                        description="d",
                        default_role="none",
                        org_roles=ROLES,
                        status="active",
                    ),
                    {
                        "name": "ci",
                        "description": "d",
                        "defaultRole": "none",
                        "orgRoles": ROLES_JSON,
                        "status": "active",
                    },
                ),
            )
        ),
        (UserOauthTokenPost("ci", REQUEST), {"name": "ci", "oauth": REQUEST_JSON}),
        (
            UserOauthTokenPost("ci", REQUEST, expiration_date=NEVER),
            {"name": "ci", "oauth": REQUEST_JSON, "expirationDate": None},
        ),
        (
            UserOauthTokenPost(
                "ci",
                attrs.evolve(REQUEST, resource=["https://a.example.com"]),
                description="d",
                expiration_date=THEN,
                default_role="edit",
                org_roles=ROLES,
                scope=("only.User.read",),
            ),
            {
                "name": "ci",
                "oauth": {**REQUEST_JSON, "resource": ["https://a.example.com"]},
                "description": "d",
                "expirationDate": MOMENT,
                "defaultRole": "edit",
                "orgRoles": ROLES_JSON,
                "scope": ["only.User.read"],
            },
        ),
        (
            UserCredentials("a@b", "12345678"),
            {"email": "a@b", "password": "12345678"},
        ),
        (
            UserCredentials(
                "a@b",
                Secret("12345678"),
                two_factor_code="123456",
                requested_scopes=["me.*"],
                token_ttl=0,
            ),
            {
                "email": "a@b",
                "password": "12345678",
                "twoFactorCode": "123456",
                "requestedScopes": ["me.*"],
                "tokenTTL": 0,
            },
        ),
    ],
)
def test_request_body(body: Any, expected: dict[str, Any]) -> None:
    """A request body has the API's names, and no members that were not set."""
    assert expected == encode(body)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (THEN, MOMENT),
        (datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), "2030-01-02T03:04:05.678Z"),
        (
            datetime(2030, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))),
            "2029-12-31T23:00:00.000Z",
        ),
        (
            datetime(2030, 1, 1, tzinfo=timezone(-timedelta(hours=3, minutes=30))),
            "2030-01-01T03:30:00.000Z",
        ),
        (datetime.min.replace(tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59.999Z"),
        (
            datetime.max.replace(tzinfo=timezone(-timedelta(hours=5))),
            "9999-12-31T23:59:59.999-05:00",
        ),
    ],
)
def test_write_datetime(value: datetime, expected: str) -> None:
    """Datetimes are written in the format of the API, in UTC and with milliseconds."""
    assert expected == write_datetime(value)


@given(
    st.datetimes(
        min_value=datetime(1, 1, 2),  # noqa: DTZ001
        max_value=datetime(9999, 12, 30),  # noqa: DTZ001
        timezones=st.timezones(),
    )
)
def test_datetimes_round_trip(value: datetime) -> None:
    """A datetime that was written is read as the same time, to the millisecond."""
    utc = value.astimezone(UTC)
    expected = utc.replace(microsecond=utc.microsecond // 1000 * 1000)
    found = decode({"id": ID, "expirationDate": write_datetime(value)}, ApiToken)
    assert expected == found.expiration_date


SENDABLE = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(SENDABLE, st.lists(SENDABLE, max_size=3, unique=True))
def test_bodies_round_trip(name: str, scope: list[str]) -> None:
    """Any string that can be sent is received unchanged."""
    body = ApiTokenPost(name, scope=tuple(map(UnlistedScope, scope)))
    assert encode(body) == {"name": name, "scope": scope}


def test_compact() -> None:
    """A request body is ASCII, without unnecessary spaces."""
    expected = b'{"name":"\\u00e4","scope":["me.*","all.User"]}'
    assert expected == codec().encode(ApiTokenPost("ä", scope=("me.*", "all.User")))


def test_one_codec() -> None:
    """`codec` returns the same object each time."""
    assert codec() is codec()


# --- Long lists ------------------------------------------------------------------------------


def long_page(count: int) -> dict[str, Any]:
    items = [{"id": f"{number:024x}", "name": f"ci-{number}"} for number in range(count)]
    return {"items": items, "count": count, "totalCount": 9999, "_type": "apiTokens"}


@pytest.mark.parametrize(("count", "steps"), [(0, 0), (100, 0), (101, 1), (1000, 9)])
async def test_long_lists_are_read_in_steps(
    count: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other tasks can run while a long list is decoded, and the result is the same."""
    taken: list[None] = []

    async def checkpoint() -> None:
        taken.append(None)

    monkeypatch.setattr(codec_module, "checkpoint", checkpoint)

    page = await codec().decode(json.dumps(long_page(count)).encode(), ApiTokens)

    assert steps == len(taken)
    assert isinstance(page, ApiTokens)
    assert [*range(count)] == [int(token.id, 16) for token in page.items]
    assert {"_type": "apiTokens"} == page.extra


async def test_unreadable_items_in_a_long_list() -> None:
    """Unreadable items of a long list do not change the other items."""
    data = long_page(500)
    data["items"][321]["name"] = 5
    data["items"][322] = "odd"

    page = await codec().decode(json.dumps(data).encode(), ApiTokens)

    assert isinstance(page, ApiTokens)
    assert [n for n in range(500) if n != 322] == [int(token.id, 16) for token in page.items]
    assert ("odd",) == page.unreadable_items
    assert [321] == [int(token.id, 16) for token in page.items if token.unreadable]


def test_items_in_a_single_response() -> None:
    """A member `items` of a response that is not a list has no special meaning."""
    many = [0] * 500
    assert {"items": many} == decode({"id": ID, "items": many}, ApiToken).extra
