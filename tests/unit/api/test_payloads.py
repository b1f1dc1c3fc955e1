"""Request bodies and the limits of the API."""

import copy
import json
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
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
    Secret,
    UnlistedScope,
    UserCredentials,
    UserOauthTokenPatch,
    UserOauthTokenPost,
)
from losant_tokens.errors import ValidationError
from tests.support.helpers import frames_hold

ID = "575ec7417ae143cd83dc4a95"
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
NAIVE = datetime(2030, 1, 1, 12)  # noqa: DTZ001
WEST = timezone(timedelta(hours=-5))
EAST = timezone(timedelta(hours=5))
CLIENT = "c" * 24
URI = "https://example.com/back"
CHALLENGE = "c" * 43
OAUTH = OauthRequest(CLIENT, URI, CHALLENGE)
PASSWORD = "hunter2-hunter2"

Make = Callable[..., Any]


def post(**more: Any) -> ApiTokenPost:
    return ApiTokenPost(**{"name": "ci", **more})


def oauth_post(**more: Any) -> UserOauthTokenPost:
    return UserOauthTokenPost(**{"name": "ci", "oauth": OAUTH, **more})


def oauth_request(**more: Any) -> OauthRequest:
    least = {"client_id": CLIENT, "redirect_uri": URI, "code_challenge": CHALLENGE}
    return OauthRequest(**{**least, **more})


def credentials(**more: Any) -> UserCredentials:
    return UserCredentials(**{"email": "a@example.com", "password": PASSWORD, **more})


NAMED = (post, oauth_post, ApiTokenPatch, UserOauthTokenPatch)
WITH_ROLES = (post, oauth_post, ApiTokenPatch, UserOauthTokenPatch)
WITH_STATUS = (post, ApiTokenPatch, UserOauthTokenPatch)
ROLE = ResourceRole(ID, "view")


def org_roles(*of_applications: ResourceRole, count: int = 1) -> list[OrgRole]:
    return [OrgRole(ID, "edit", application_roles=of_applications)] * count


WITHIN: list[tuple[tuple[Make, ...], str, list[Any]]] = [
    (NAMED, "name", ["a", "x" * 255, "é" * 255, "\U0001f600" * 127]),
    (NAMED, "description", [None, "", "x" * 32767]),
    (WITH_STATUS, "status", [None, "active", "inactive"]),
    (WITH_ROLES, "default_role", [None, "admin", "edit", "collaborate", "view", "none"]),
    (
        WITH_ROLES,
        "org_roles",
        [
            None,
            (),
            tuple(org_roles(count=25)),
            (OrgRole("sandbox", "admin"),),
            tuple(org_roles(*[ROLE] * 100)),
            (OrgRole(ID, "none", dashboard_roles=(ROLE,) * 100),),
            (OrgRole(ID, "none", dashboard_roles=(ResourceRole(ID.upper(), "collaborate"),)),),
        ],
    ),
    (
        (post,),
        "scope",
        [None, (), ("all.User.read",), ("all.User.cli", "me.*", "userOauthClients.post")],
    ),
    (
        (post, oauth_post),
        "expiration_date",
        [None, NOON, NOON.astimezone(WEST), datetime.max.replace(tzinfo=UTC)],
    ),
    ((oauth_post,), "expiration_date", [NEVER]),
    ((oauth_post,), "scope", [None, (), ("only.User.read", "all.Application.bounded")]),
    ((oauth_request,), "client_id", ["c" * 24, "c" * 1024]),
    ((oauth_request,), "redirect_uri", [URI, "com.example.app:/back", f"https://{'x' * 1016}"]),
    ((oauth_request,), "code_challenge", ["c" * 43, "c" * 128, "azAZ09_-" * 6]),
    ((oauth_request,), "code_challenge_method", ["S256"]),
    ((oauth_request,), "resource", [None, (), (URI,) * 10]),
    ((credentials,), "email", ["a@b", "a+b@example.com", f"{'x' * 1022}@b"]),
    ((credentials,), "password", [Secret("\U0001f600" + "x" * 6), Secret("x" * 2048)]),
    ((credentials,), "requested_scopes", [None, (), ("all.User.read", "me.*")]),
    ((credentials,), "token_ttl", [None, 0, 1, 10**9]),
]


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [(make, name, value) for makes, name, values in WITHIN for make in makes for value in values],
)
def test_accepted(make: Make, name: str, value: object) -> None:
    """A value that the API accepts is accepted unchanged."""
    assert value == getattr(make(**{name: value}), name)


MAPPINGS: list[object] = [{}, {"all.User": True}, MappingProxyType({}), OrderedDict()]
BEYOND: list[tuple[tuple[Make, ...], str, object, str]] = [
    (NAMED, "name", "", "name must have 1 to 255 characters, but it has 0"),
    (NAMED, "name", "x" * 256, "name must have 1 to 255 characters, but it has 256"),
    (NAMED, "name", 1, "name must be a string, but it is int"),
    (
        NAMED,
        "name",
        "\U0001f600" * 128,
        "must have 1 to 255 characters, but it has 256 (UTF-16 code units, which the API counts)",
    ),
    (
        (post,),
        "scope",
        ["all.User.reed"],
        "scope[0] must be a published scope, but it is 'all.User.reed'. Did you m",
    ),
    ((post,), "scope", ["me.*", "me"], "scope[1] must be a published scope, but i"),
    ((post,), "scope", ["ALL.USER"], "it is 'ALL.USER'. Did you mean 'all.User'?"),
    ((post,), "scope", ["x" * 100], "it is a string of 100 characters. If the API has added it"),
    ((oauth_post,), "scope", ["all.User.read"], "scope[0] must be a scope that OAuth tokens can"),
    ((credentials,), "requested_scopes", ["all.Galaxy"], "requested_scopes[0] must be a published"),
    *(
        (makes, name, value, f"{name} must be a list or tuple, but it is {type(value).__name__}")
        for makes, name in (
            (WITH_ROLES, "org_roles"),
            ((post, oauth_post), "scope"),
            ((credentials,), "requested_scopes"),
            ((oauth_request,), "resource"),
        )
        for value in MAPPINGS
    ),
    *(
        ((post,), "scope", value, "scope must be a list or tuple, such as [")
        for value in (b"me.*", bytearray(b"me.*"), memoryview(b"me.*"), "me.*", 5)
    ),
    (
        WITH_ROLES,
        "org_roles",
        [OrgRole(ID, "view", application_roles={})],
        "application_roles must",
    ),
    (NAMED, "description", "x" * 32768, "description must have 0 to 32767 characters, but"),
    (NAMED, "description", b"", "description must be a string, but it is bytes"),
    (WITH_STATUS, "status", "paused", "status must be one of 'active', 'inactive', but it is"),
    (WITH_STATUS, "status", "", "status must be one of 'active', 'inactive', but it is ''"),
    (WITH_ROLES, "default_role", "owner", "'collaborate', 'view', 'none', but it is 'owner'"),
    (WITH_ROLES, "org_roles", org_roles(count=26), "org_roles must have at most 25 members"),
    (WITH_ROLES, "org_roles", ["admin"], "org_roles[0] must be of type OrgRole, but it is str"),
    (
        WITH_ROLES,
        "org_roles",
        [{"orgId": ID}],
        "org_roles[0] must be of type OrgRole, but it is dict",
    ),
    (WITH_ROLES, "org_roles", OrgRole(ID, "view"), "org_roles must be a list or tuple, such as"),
    (WITH_ROLES, "org_roles", [OrgRole("..", "view")], "org_roles[0].org_id must match"),
    (WITH_ROLES, "org_roles", [OrgRole("Sandbox", "view")], "org_roles[0].org_id must match"),
    (WITH_ROLES, "org_roles", [OrgRole(f"{ID}\n", "view")], "org_roles[0].org_id must match"),
    (WITH_ROLES, "org_roles", [OrgRole(ID, "owner")], "org_roles[0].role must be one of 'admin'"),
    (
        WITH_ROLES,
        "org_roles",
        org_roles(*[ROLE] * 101),
        "org_roles[0].application_roles must have at most 100 members, but it has 101",
    ),
    (
        WITH_ROLES,
        "org_roles",
        org_roles(ROLE, ResourceRole("sandbox", "view")),
        "org_roles[0].application_roles[1].resource_id must match",
    ),
    (
        WITH_ROLES,
        "org_roles",
        org_roles(ResourceRole(ID, "admin")),
        "application_roles[0].role must be one of 'collaborate', 'view', 'none', but it is 'admin'",
    ),
    (
        WITH_ROLES,
        "org_roles",
        [OrgRole(ID, "view", dashboard_roles=(ResourceRole(ID, "edit"),))],
        "org_roles[0].dashboard_roles[0].role must be one of",
    ),
    ((post,), "scope", [""], "scope[0] must have 1 to 1024 characters, but it"),
    ((post,), "scope", ["me.*", "x" * 1025], "scope[1] must have 1 to 1024 char"),
    (
        (post, oauth_post),
        "scope",
        "all.User.read",
        "scope must be a list or tuple, such as ['all.User.read'], but it is str",
    ),
    (
        (post, oauth_post),
        "scope",
        ["only.User.read", "all.Application.read", "only.User.read"],
        "scope must have no duplicates, but it has 'only.User.read' twice",
    ),
    ((post, oauth_post), "scope", ["only.User.read", None], "scope[1] must be a string, but"),
    ((post, oauth_post), "expiration_date", NAIVE, "must have a time zone"),
    (
        (post, oauth_post),
        "expiration_date",
        "2030-01-01T00:00:00.000Z",
        "expiration_date must be a datetime, but it is str",
    ),
    *(
        ((post, oauth_post), "expiration_date", value, "expiration_date must")
        for value in (  # of which UTC has no date
            datetime.max.replace(tzinfo=WEST),
            datetime.min.replace(tzinfo=EAST),
        )
    ),
    (
        (post,),
        "expiration_date",
        NEVER,
        "expiration_date must be a datetime, but it is Never",
    ),
    (
        (oauth_post,),
        "oauth",
        {"client_id": CLIENT},
        "oauth must be of type OauthRequest, but it is",
    ),
    ((oauth_post,), "oauth", None, "oauth must be of type OauthRequest, but it is NoneType"),
    ((oauth_request,), "client_id", "c" * 23, "client_id must have 24 to 1024 characters, but"),
    ((oauth_request,), "client_id", "c" * 1025, "client_id must have 24 to 1024 characters, but"),
    ((oauth_request,), "redirect_uri", "", "redirect_uri must have 1 to 1024 characters, but"),
    ((oauth_request,), "redirect_uri", f"https://{'x' * 1017}", "must have 1 to 1024 characters"),
    ((oauth_request,), "redirect_uri", "example.com", "redirect_uri must match"),
    ((oauth_request,), "redirect_uri", "https://a b", "redirect_uri must match"),
    ((oauth_request,), "code_challenge", "c" * 42, "must have 43 to 128 characters, but it has 42"),
    ((oauth_request,), "code_challenge", "c" * 129, "must have 43 to 128 characters, but it has"),
    ((oauth_request,), "code_challenge", "=" * 43, "code_challenge must match [A-Za-z0-9_-]+"),
    ((oauth_request,), "code_challenge", "ä" * 43, "code_challenge must match [A-Za-z0-9_-]+"),
    ((oauth_request,), "code_challenge_method", "plain", "must be one of 'S256', but it is 'pla"),
    ((oauth_request,), "resource", [URI] * 11, "resource must have at most 10 members, but it"),
    ((oauth_request,), "resource", [URI, "no uri"], "resource[1] must match"),
    ((credentials,), "email", "", "email must have 1 to 1024 characters, but it has 0"),
    ((credentials,), "email", f"{'x' * 1023}@b", "email must have 1 to 1024 characters, but it"),
    ((credentials,), "email", "example.com", "email must match"),
    ((credentials,), "email", "a b@example.com", "email must match"),
    ((credentials,), "password", "x" * 7, "password must have 8 to 2048 characters, but it has 7"),
    ((credentials,), "password", "x" * 2049, "password must have 8 to 2048 characters, but it has"),
    ((credentials,), "password", None, "password must be a string, but it is NoneType"),
    ((credentials,), "password", 12345678, "password must be a string, but it is int"),
    ((credentials,), "two_factor_code", "1" * 2049, "two_factor_code must have 0 to 2048 charac"),
    ((credentials,), "two_factor_code", 123456, "two_factor_code must be a string, but it is int"),
    ((credentials,), "requested_scopes", "me", "requested_scopes must be a list or tuple, such"),
    (
        (credentials,),
        "requested_scopes",
        ["me.*", "me.*"],
        "must have no duplicates",
    ),
    ((credentials,), "token_ttl", -1, "token_ttl must be an integer, at least 0, but it is -1"),
    ((credentials,), "token_ttl", True, "token_ttl must be an integer, at least 0, but it is"),
    ((credentials,), "token_ttl", 0.5, "token_ttl must be an integer, at least 0, but it is"),
]


@pytest.mark.parametrize(
    ("make", "name", "value", "expected"),
    [(make, name, value, expected) for makes, name, value, expected in BEYOND for make in makes],
)
def test_refused(make: Make, name: str, value: object, expected: str) -> None:
    """A value that the API would refuse is refused with its place."""
    with pytest.raises(ValidationError) as caught:
        make(**{name: value})
    assert expected in str(caught.value)


@pytest.mark.parametrize("make", NAMED)
@pytest.mark.parametrize("name", ["name", "description"])
def test_secret_in_a_public_field(make: Make, name: str) -> None:
    """A secret is refused for a field that is not secret."""
    with pytest.raises(ValidationError, match=rf"\.{name} must be a string, but it is Secret"):
        make(**{name: Secret("ci")})


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (post, "ApiTokenPost"),
        (oauth_post, "UserOauthTokenPost"),
        (ApiTokenPatch, "ApiTokenPatch"),
        (UserOauthTokenPatch, "UserOauthTokenPatch"),
    ],
)
def test_message_names_the_class(make: Make, expected: str) -> None:
    """The message names the class and the argument."""
    with pytest.raises(ValidationError, match=rf"^{expected}\.name must have"):
        make(name="")


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (oauth_post, "status"),
        (ApiTokenPatch, "scope"),
        (ApiTokenPatch, "expiration_date"),
        (UserOauthTokenPatch, "scope"),
        (UserOauthTokenPatch, "expiration_date"),
        (post, "oauth"),
    ],
)
def test_unknown_argument(make: Make, name: str) -> None:
    """An argument that the API does not know raises a `TypeError`."""
    with pytest.raises(TypeError, match=name):
        make(**{name: None})


@pytest.mark.parametrize(
    ("body", "required"),
    [
        (ApiTokenPost("ci"), {"name": "ci"}),
        (ApiTokenPatch(), {}),
        (UserOauthTokenPatch(), {}),
        (UserOauthTokenPost("ci", OAUTH), {"name": "ci", "oauth": OAUTH}),
        (
            OAUTH,
            {
                "client_id": CLIENT,
                "redirect_uri": URI,
                "code_challenge": CHALLENGE,
                "code_challenge_method": "S256",
            },
        ),
        (
            UserCredentials("a@b", PASSWORD),
            {"email": "a@b", "password": Secret(PASSWORD)},
        ),
    ],
)
def test_defaults(body: attrs.AttrsInstance, required: dict[str, object]) -> None:
    """Optional members are `None`, which leaves them out."""
    expected = {name: required.get(name) for name in attrs.fields_dict(type(body))}
    assert expected == attrs.asdict(body, recurse=False)


@pytest.mark.parametrize("make", [post, oauth_post, oauth_request, credentials, ApiTokenPatch])
def test_value(make: Make) -> None:
    """A request body is immutable and compared by value."""
    body = make()
    assert body == make()
    assert hash(body) == hash(make())
    assert body == attrs.evolve(body)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(body, attrs.fields(type(body))[0].name, "other")


SCOPES = ("me.*", "all.User")


@pytest.mark.parametrize(
    "scopes", [[*SCOPES], SCOPES, iter(SCOPES), (it for it in SCOPES), dict.fromkeys(SCOPES).keys()]
)
def test_lists(scopes: Any) -> None:
    """A list-like value is kept as a tuple in the same order."""
    assert ApiTokenPost("ci", scope=scopes).scope == SCOPES


def test_suggestion() -> None:
    """The error for an unknown scope suggests a similar one and `UnlistedScope`."""
    with pytest.raises(ValidationError) as caught:
        post(scope=["all.User.reed"])
    assert str(caught.value) == (
        "ApiTokenPost.scope[0] must be a published scope, but it is "
        "'all.User.reed'. Did you mean 'all.User.read'? If the API has added it, pass it as an "
        "UnlistedScope"
    )


@pytest.mark.parametrize(
    ("scope", "meant"),
    [
        ("all.user.read ", "all.User.read"),
        ("alluserread", "all.User.read"),
        ("device.gett", "device.get"),
        ("device.show", "device.get"),
        ("device.list", "devices.get"),
        ("devices.create", "devices.post"),
        ("userApiToken.create", "userApiTokens.post"),
        ("userApiTokens.remove", "userApiToken.delete"),
    ],
)
def test_suggestions(scope: str, meant: str) -> None:
    """A scope with another case, verb, number or spelling leads to the one that was meant."""
    with pytest.raises(ValidationError, match=re.escape(f"Did you mean {meant!r}?")):
        post(scope=[scope])


@pytest.mark.parametrize("scope", ["galaxy.get", "*", "all.User.reed" * 4, "all.User.read" * 5])
def test_no_suggestion(scope: str) -> None:
    """A scope that is like no other leads to no suggestion."""
    with pytest.raises(ValidationError) as caught:
        post(scope=[scope])
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("make", [post, oauth_post])
def test_deprecated_scope(make: Make) -> None:
    """The error for a deprecated scope says that no new token can have it."""
    with pytest.raises(
        ValidationError, match=r"'me'\. It is deprecated: new tokens cannot have it"
    ):
        make(scope=["me"])


def test_set_of_scopes() -> None:
    """A set of scopes is accepted."""
    assert set(ApiTokenPost("ci", scope=set(SCOPES)).scope or ()) == set(SCOPES)


@pytest.mark.parametrize(
    ("make", "name"),
    [(post, "scope"), (oauth_post, "scope"), (credentials, "requested_scopes")],
)
def test_unlisted_scopes(make: Make, name: str) -> None:
    """An `UnlistedScope` is accepted, and keeps its class in copies and pickles."""
    body = make(**{name: [UnlistedScope("galaxy.get")]})

    (scope,) = getattr(attrs.evolve(body) if make is not credentials else body, name)
    assert ("galaxy.get", "UnlistedScope('galaxy.get')") == (scope, repr(scope))
    for copied in (pickle.loads(pickle.dumps(body)), copy.deepcopy(body)):
        assert repr(getattr(copied, name)) == "(UnlistedScope('galaxy.get'),)"


@pytest.mark.parametrize("scope", ["", "x" * 1025])
def test_length_of_an_unlisted_scope(scope: str) -> None:
    """The length of an `UnlistedScope` is checked."""
    with pytest.raises(ValidationError, match=r"scope\[0\] must have 1 to 1024 characters"):
        post(scope=[UnlistedScope(scope)])


def test_every_scope_of_the_contract() -> None:
    """Every scope of the contract is accepted."""
    contract = json.loads((Path(__file__).parents[2] / "contract" / "openapi.json").read_text())
    schemas = contract["components"]["schemas"]
    words = {
        name: tuple(schemas[name]["properties"][member]["items"]["enum"])
        for name, member in (
            ("apiTokenPost", "scope"),
            ("userOauthTokenPost", "scope"),
            ("userCredentials", "requestedScopes"),
        )
    }

    assert (500, 7, 500) == tuple(map(len, words.values()))
    assert post(scope=words["apiTokenPost"]).scope == words["apiTokenPost"]
    assert oauth_post(scope=words["userOauthTokenPost"]).scope == words["userOauthTokenPost"]
    requested = credentials(requested_scopes=words["userCredentials"]).requested_scopes
    assert requested == words["userCredentials"]


def test_patches() -> None:
    """The patch of an OAuth token has its own class."""
    assert UserOauthTokenPatch(name="ci") != ApiTokenPatch(name="ci")
    assert isinstance(UserOauthTokenPatch(), ApiTokenPatch)


def test_never() -> None:
    """`NEVER` is shown by its name, and stays the same object in copies and pickles."""
    assert repr(NEVER) == "NEVER"
    assert NEVER is copy.deepcopy(NEVER)
    assert NEVER is pickle.loads(pickle.dumps(NEVER))


def test_credentials_are_not_shown() -> None:
    """Neither the password nor the two-factor code is in a repr or a pickle."""
    body = UserCredentials("a@b", PASSWORD, two_factor_code="123456")
    assert repr(body) == (
        "UserCredentials(email='a@b', password=Secret('****'), "
        "two_factor_code=Secret('****'), requested_scopes=None, token_ttl=None)"
    )
    pickled = pickle.dumps(body)
    assert [PASSWORD.encode() in pickled, b"123456" in pickled] == [False, False]
    assert body.password.reveal() == PASSWORD
    assert body.two_factor_code == Secret("123456")


def test_credentials_of_secrets() -> None:
    """A password that is a `Secret` is accepted."""
    password = Secret(PASSWORD)
    assert password is UserCredentials("a@b", password).password


@pytest.mark.parametrize(
    ("more", "secret"),
    [
        ({"email": ""}, PASSWORD),
        ({"token_ttl": -1}, PASSWORD),
        ({"requested_scopes": ["a", "a"]}, PASSWORD),
        ({"password": "hunter2"}, "hunter2"),
        ({"password": "hunter2" * 300}, "hunter2"),
        ({"password": "hunter2-\ud800"}, "hunter2"),
        ({"two_factor_code": "271828" * 400}, "271828"),
        ({"two_factor_code": "271828", "email": ""}, "271828"),
    ],
)
def test_credentials_refused(more: dict[str, Any], secret: str) -> None:
    """The error shows neither the password nor the code, not even in its traceback."""
    with pytest.raises(ValidationError) as caught:
        credentials(**more)
    assert secret not in f"{caught.value!r} {caught.value}"
    assert frames_hold(caught.value, secret) == []


@given(st.text())
def test_any_password(text: str) -> None:
    """Any string is accepted as a password or raises a `ValidationError`."""
    try:
        body = UserCredentials("a@b", text)
    except ValidationError:
        assert len(text.encode("utf-16-le", "surrogatepass")) < 16 or any(
            "\ud800" <= character <= "\udfff" for character in text
        )
    else:
        assert text == body.password.reveal()
