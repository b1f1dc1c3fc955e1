"""The tables of the fake against the published contract, in `tests/contract`."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import (
    NEVER,
    ApiTokenPatch,
    ApiTokenPost,
    OauthRequest,
    OrgRole,
    ResourceRole,
    UserCredentials,
    UserOauthTokenPatch,
    UserOauthTokenPost,
)
from losant_tokens._api.codec import codec
from losant_tokens._api.published_scopes import (
    DEPRECATED_GROUPS,
    GROUPS,
    OAUTH_SCOPES,
    RESOURCES,
    published_scopes,
)
from losant_tokens.errors import ValidationError
from losant_tokens.testing import _operations, _schemas
from losant_tokens.testing._validation import first_problem

CONTRACT = Path(__file__).parents[2] / "contract"
OPENAPI = json.loads((CONTRACT / "openapi.json").read_text())
PUBLISHED = json.loads((CONTRACT / "scopes.json").read_text())
NOT_IN_THE_CONTRACT = {
    *("auth.ssoDomain", "whitelabels.domain"),
    *("applications.get", "instances.get", "orgs.get"),
}
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, item in OPENAPI["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
}


def schema_of(operation: dict[str, Any]) -> str | None:
    """Return the name of the schema of an operation's body."""
    if "requestBody" not in operation:
        return None
    schema: str = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    return schema.rpartition("/")[2]


def resolved(schema: Any) -> Any:
    """Return a schema without references and descriptions."""
    match schema:
        case {"$ref": ref}:
            return resolved(OPENAPI["components"]["schemas"][ref.rpartition("/")[2]])
        case dict():
            return {
                name: resolved(member)
                for name, member in schema.items()
                if name != "example" and not (name == "description" and isinstance(member, str))
            }
        case list():
            return [resolved(item) for item in schema]
        case _:
            return schema


def without_words(schema: Any) -> Any:
    """Return a schema without its enumerations of scopes, which are compared separately."""
    match schema:
        case {"enum": [*words]} if len(words) > 5:
            return {**schema, "enum": "scopes"}
        case dict():
            return {name: without_words(member) for name, member in schema.items()}
        case list():
            return [without_words(item) for item in schema]
        case _:
            return schema


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name: str) -> None:
    """Each operation has the method, path, scopes and body of the contract."""
    (operation,) = (one for one in _operations.OPERATIONS if one.name == name)
    method, path, published = OPERATIONS[name]

    expected = (
        method,
        path,
        set(published["x-scopes"]),
        published.get("x-deny-oauth-tokens", False),
        schema_of(published),
    )

    assert expected == (
        operation.method,
        operation.path,
        set(operation.scopes),
        operation.denies_oauth,
        operation.body,
    )


def test_no_other_operations() -> None:
    """The contract lacks two operations of the official command line, and the lists of owners."""
    names = {operation.name for operation in _operations.OPERATIONS}

    assert {*OPERATIONS, *NOT_IN_THE_CONTRACT} == names


@pytest.mark.parametrize("name", _schemas.SCHEMAS)
def test_schemas(name: str) -> None:
    """Each body has the schema of the contract."""
    expected = without_words(resolved(OPENAPI["components"]["schemas"][name]))

    assert expected == without_words(_schemas.SCHEMAS[name])


@pytest.mark.parametrize("name", ["apiTokenPost", "userCredentials", "userOauthTokenPost"])
def test_enumerations_of_scopes(name: str) -> None:
    """A body accepts the contract's scopes, and the OAuth clients' scopes added by API 1.31."""
    member = "requestedScopes" if name == "userCredentials" else "scope"
    expected = set(OPENAPI["components"]["schemas"][name]["properties"][member]["items"]["enum"])
    if name != "userOauthTokenPost":
        expected |= {scope for scope in published_scopes() if "userOauthClient" in scope}

    assert expected == set(_schemas.SCHEMAS[name]["properties"][member]["items"]["enum"])


def test_published_scopes() -> None:
    """The table of scopes is the published one: 22 groups, 386 actions, and 99 resources."""
    actions = {name: " ".join(actions) for name, actions in PUBLISHED["resources"].items()}

    assert set(PUBLISHED["groups"]) == GROUPS
    assert actions == RESOURCES
    assert (22, 99, 22 + 99 + 386) == (len(GROUPS), len(RESOURCES), len(published_scopes()))
    assert OAUTH_SCOPES < GROUPS
    assert DEPRECATED_GROUPS.isdisjoint(published_scopes())


OAUTH = {
    "client_id": "c" * 24,
    "redirect_uri": "https://example.com/callback",
    "code_challenge": "a" * 43,
    "code_challenge_method": "S256",
}
LOGIN = {"email": "ada@example.com", "password": "eight chars"}
DATE = "2026-06-13T04:00:00.000Z"
ORG_ROLE = {
    "orgId": "sandbox",
    "role": "edit",
    "applicationRoles": [{"resourceId": "5" * 24, "role": "view"}],
}
GOOD: list[tuple[str, Any]] = [
    ("apiTokenPost", {"name": "x"}),
    ("apiTokenPost", {"name": "x", "scope": ["me.*", "all.User.cli"], "orgRoles": [ORG_ROLE]}),
    ("apiTokenPost", {"name": "x" * 255, "expirationDate": DATE, "defaultRole": "none"}),
    ("apiTokenPost", {"name": "x", "expirationDate": "2026-06-13t04:00:00+02:00"}),
    ("apiTokenPost", {"name": "x", "orgRoles": [{"orgId": "A" * 24, "role": "admin"}]}),
    ("apiTokenPatch", {}),
    ("userOauthTokenPatch", {"name": "x", "status": "inactive"}),
    ("userOauthTokenPost", {"name": "x", "oauth": OAUTH, "expirationDate": None}),
    ("userOauthTokenPost", {"name": "x", "oauth": OAUTH | {"resource": ["a:b"]}}),
    ("userCredentials", LOGIN | {"tokenTTL": 0}),
    ("userCredentials", LOGIN | {"tokenTTL": 60.0, "requestedScopes": ["all.User.cli"]}),
]


@pytest.mark.parametrize(("schema", "body"), GOOD)
def test_good_bodies(schema: str, body: Any) -> None:
    """A body that the contract allows is accepted."""
    jsonschema.validate(body, resolved(OPENAPI["components"]["schemas"][schema]))

    assert first_problem(_schemas.SCHEMAS[schema], body, "body") is None


ROLE = {"orgId": "sandbox", "role": "view"}
BAD: list[tuple[str, Any, str]] = [
    ("apiTokenPost", [], "body is the wrong type"),
    ("apiTokenPost", None, "body is the wrong type"),
    ("apiTokenPost", {}, "body.name is required"),
    ("apiTokenPost", {"unknown": 1}, "body.name is required"),
    ("apiTokenPost", {"name": ""}, "body.name has less length than allowed"),
    ("apiTokenPost", {"name": "x" * 256}, "body.name has longer length than allowed"),
    ("apiTokenPost", {"name": "\U0001f600" * 128}, "body.name has longer length than allowed"),
    ("apiTokenPost", {"name": 1, "unknown": 1}, "body has additional properties"),
    ("apiTokenPost", {"name": "x", "scope": ["a", "a"]}, "body.scope must be unique"),
    ("apiTokenPost", {"name": "x", "scope": ["me.*", "me"]}, "body.scope.1 must be an enum value"),
    ("apiTokenPost", {"name": "x", "scope": [["me.*"]]}, "body.scope.0 is the wrong type"),
    ("apiTokenPost", {"name": "x", "scope": "all.User"}, "body.scope is the wrong type"),
    (
        "apiTokenPost",
        {"name": "x", "expirationDate": "tomorrow"},
        "body.expirationDate must be date-time format",
    ),
    (
        "apiTokenPost",
        {"name": "x", "expirationDate": "2026-02-31T00:00:00Z"},
        "body.expirationDate must be date-time format",
    ),
    (
        "apiTokenPost",
        {"name": "x", "expirationDate": None},
        "body.expirationDate is the wrong type",
    ),
    (
        "apiTokenPost",
        {"name": "x", "description": "x" * 32768},
        "body.description has longer length than allowed",
    ),
    (
        "apiTokenPost",
        {"name": "x", "orgRoles": [{"orgId": "1"}]},
        "body.orgRoles.0.role is required",
    ),
    (
        "apiTokenPost",
        {"name": "x", "orgRoles": [{**ROLE, "orgId": f"{'a' * 24}\n"}]},
        "body.orgRoles.0.orgId no (or more than one) schemas match",
    ),
    ("apiTokenPatch", {"orgRoles": [ROLE] * 26}, "body.orgRoles has more items than allowed"),
    ("apiTokenPatch", {"name": None}, "body.name is the wrong type"),
    ("apiTokenPatch", {"status": "asleep", "scope": []}, "body has additional properties"),
    ("apiTokenPatch", {"status": "asleep"}, "body.status must be an enum value"),
    ("userOauthTokenPost", {"name": "x"}, "body.oauth is required"),
    (
        "userOauthTokenPost",
        {"name": "x", "oauth": OAUTH, "scope": ["all.User"]},
        "body.scope.0 must be an enum value",
    ),
    (
        "userOauthTokenPost",
        {"name": "x", "oauth": OAUTH | {"redirect_uri": "/callback"}},
        "body.oauth.redirect_uri must be uri format",
    ),
    (
        "userOauthTokenPost",
        {"name": "x", "oauth": OAUTH | {"code_challenge": "=" * 43}},
        "body.oauth.code_challenge pattern mismatch",
    ),
    ("userCredentials", LOGIN | {"email": "ada"}, "body.email must be email format"),
    ("userCredentials", LOGIN | {"email": 5}, "body.email is the wrong type"),
    (
        "userCredentials",
        LOGIN | {"password": "hunter2"},
        "body.password has less length than allowed",
    ),
    ("userCredentials", LOGIN | {"tokenTTL": -1}, "body.tokenTTL is less than minimum"),
    ("userCredentials", LOGIN | {"tokenTTL": 0.5}, "body.tokenTTL is the wrong type"),
    ("userCredentials", LOGIN | {"tokenTTL": True}, "body.tokenTTL is the wrong type"),
]


@pytest.mark.parametrize(("schema", "body", "expected"), BAD)
def test_bad_bodies(schema: str, body: Any, expected: str) -> None:
    """A body that the contract refuses is refused with its first problem, in Losant's words."""
    assert expected == first_problem(_schemas.SCHEMAS[schema], body, "body")


def test_infinity() -> None:
    """An infinite number is an integer, as in JavaScript."""
    credentials = LOGIN | {"tokenTTL": float("inf")}

    assert first_problem(_schemas.SCHEMAS["userCredentials"], credentials, "body") is None


# Values for any member of any body, most of which are wrong for most members.
VALUES = st.one_of(
    st.none(),
    st.text(max_size=30),
    st.sampled_from(
        [
            *("active", "view", "sandbox", "a@b", "a:b", "5" * 24, "a" * 43, "x" * 256),
            *(
                "\U0001f600" * 127,
                "\U0001f600" * 128,
                "\U0001f600" * 4,
                "12345678",
                NEVER,
                0,
                60,
                -1,
            ),
            datetime(2030, 1, 1, tzinfo=UTC),
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
            datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
            OauthRequest("c" * 24, "a:b", "a" * 43, resource=["a:b"]),
            OrgRole("sandbox", "edit", application_roles=[ResourceRole("5" * 24, "view")]),
            {},
        ]
    ),
    st.lists(st.sampled_from(sorted(published_scopes())), max_size=3),
    st.lists(st.sampled_from(sorted(OAUTH_SCOPES)), max_size=3),
    st.lists(st.builds(OrgRole, st.sampled_from(["sandbox", "5" * 24, "6"]), st.just("view"))),
)
KINDS = {
    ApiTokenPost: "apiTokenPost",
    ApiTokenPatch: "apiTokenPatch",
    UserOauthTokenPatch: "userOauthTokenPatch",
    UserOauthTokenPost: "userOauthTokenPost",
    UserCredentials: "userCredentials",
}


def _units(text: object) -> int:
    """Return the length of a string as the API counts it: in UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2 if isinstance(text, str) else 0


def _min_length(_: Any, limit: int, text: object, __: Any) -> Iterator[jsonschema.ValidationError]:
    if isinstance(text, str) and _units(text) < limit:
        yield jsonschema.ValidationError(f"{text!r} is too short")


def _max_length(_: Any, limit: int, text: object, __: Any) -> Iterator[jsonschema.ValidationError]:
    if _units(text) > limit:
        yield jsonschema.ValidationError(f"{text!r} is too long")


ApiValidator = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft7Validator, {"minLength": _min_length, "maxLength": _max_length}
)


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_bodies_of_the_client(kind: Any, data: st.DataObject) -> None:
    """The contract allows every body that the client makes, with any values."""
    required = {"name": "ci", "oauth": OauthRequest("c" * 24, "a:b", "a" * 43), "email": "a@b"}
    names = [field.name for field in attrs.fields(kind)]
    members: dict[str, Any] = {name: required[name] for name in names if name in required}
    members |= {"password": "12345678"} if "password" in names else {}
    members |= data.draw(st.dictionaries(st.sampled_from(names), VALUES, max_size=4))
    try:
        body = kind(**members)
    except ValidationError:
        return

    sent = json.loads(codec().encode(body))
    assert first_problem(_schemas.SCHEMAS[KINDS[kind]], sent, "body") is None
    if "userOauthClient" not in str(sent):
        ApiValidator(resolved(OPENAPI["components"]["schemas"][KINDS[kind]])).validate(sent)
