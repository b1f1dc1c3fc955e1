"""The tables of the fake, against facts spelled out here."""

from typing import Any

import pytest

from losant_tokens.testing import _contract, _problems, _schemas

USER_READ = [
    "all.User",
    "all.User.bounded",
    "all.User.read",
    "only.User",
    "only.User.bounded",
    "only.User.read",
]
USER_WRITE = ["all.User", "only.User"]
APP_READ = [
    "all.Application",
    "all.Application.bounded",
    "all.Application.read",
    "all.Organization",
    "all.Organization.bounded",
    "all.Organization.read",
    "all.User",
    "all.User.bounded",
    "all.User.read",
]
APP_WRITE = ["all.Application", "all.Organization", "all.User"]
INSTANCE_READ = [
    "all.Instance",
    "all.Instance.bounded",
    "all.Instance.read",
    "all.User",
    "all.User.bounded",
    "all.User.read",
]
INSTANCE_WRITE = ["all.Instance", "all.User"]

FACTS = [
    ("GET", "/me/tokens", "userApiTokens.get", USER_READ, False, None),
    ("POST", "/me/tokens", "userApiTokens.post", USER_WRITE, True, "apiTokenPost"),
    ("GET", "/me/tokens/{apiTokenId}", "userApiToken.get", USER_READ, False, None),
    ("PATCH", "/me/tokens/{apiTokenId}", "userApiToken.patch", USER_WRITE, True, "apiTokenPatch"),
    ("DELETE", "/me/tokens/{apiTokenId}", "userApiToken.delete", USER_WRITE, True, None),
    ("GET", "/me/oauth-tokens", "userOauthTokens.get", USER_READ, False, None),
    (
        "POST",
        "/me/oauth-tokens",
        "userOauthTokens.post",
        USER_WRITE,
        True,
        "userOauthTokenPost",
    ),
    ("GET", "/me/oauth-tokens/{oauthTokenId}", "userOauthToken.get", USER_READ, False, None),
    (
        "PATCH",
        "/me/oauth-tokens/{oauthTokenId}",
        "userOauthToken.patch",
        USER_WRITE,
        True,
        "userOauthTokenPatch",
    ),
    (
        "DELETE",
        "/me/oauth-tokens/{oauthTokenId}",
        "userOauthToken.delete",
        USER_WRITE,
        True,
        None,
    ),
    (
        "GET",
        "/applications/{applicationId}/tokens",
        "applicationApiTokens.get",
        APP_READ,
        False,
        None,
    ),
    (
        "POST",
        "/applications/{applicationId}/tokens",
        "applicationApiTokens.post",
        APP_WRITE,
        False,
        "applicationApiTokenPost",
    ),
    (
        "GET",
        "/applications/{applicationId}/tokens/{apiTokenId}",
        "applicationApiToken.get",
        APP_READ,
        False,
        None,
    ),
    (
        "PATCH",
        "/applications/{applicationId}/tokens/{apiTokenId}",
        "applicationApiToken.patch",
        APP_WRITE,
        False,
        "apiTokenPatch",
    ),
    (
        "DELETE",
        "/applications/{applicationId}/tokens/{apiTokenId}",
        "applicationApiToken.delete",
        APP_WRITE,
        False,
        None,
    ),
    ("GET", "/instances/{instanceId}/tokens", "instanceApiTokens.get", INSTANCE_READ, False, None),
    (
        "POST",
        "/instances/{instanceId}/tokens",
        "instanceApiTokens.post",
        INSTANCE_WRITE,
        False,
        "apiTokenPost",
    ),
    (
        "GET",
        "/instances/{instanceId}/tokens/{apiTokenId}",
        "instanceApiToken.get",
        INSTANCE_READ,
        False,
        None,
    ),
    (
        "PATCH",
        "/instances/{instanceId}/tokens/{apiTokenId}",
        "instanceApiToken.patch",
        INSTANCE_WRITE,
        False,
        "apiTokenPatch",
    ),
    (
        "DELETE",
        "/instances/{instanceId}/tokens/{apiTokenId}",
        "instanceApiToken.delete",
        INSTANCE_WRITE,
        False,
        None,
    ),
]


@pytest.mark.parametrize(
    ("method", "path", "name", "groups", "denies_oauth", "body"), FACTS, ids=lambda value: None
)
def test_operation(
    method: str, path: str, name: str, groups: list[str], denies_oauth: bool, body: str | None
) -> None:
    """Each operation has the method, path, scopes and body of the contract."""
    (operation,) = (one for one in _contract.OPERATIONS if one.name == name)
    expected = (
        method,
        path,
        {*groups, name, name.split(".", maxsplit=1)[0] + ".*"},
        denies_oauth,
        body,
    )

    actual = (
        operation.method,
        operation.path,
        set(operation.scopes),
        operation.denies_oauth,
        operation.body,
    )

    assert expected == actual


def test_no_other_operations() -> None:
    """Besides the twenty operations on tokens there is logging in, which asks for no scope."""
    names = [operation.name for operation in _contract.OPERATIONS]
    log_in = _contract.OPERATIONS[-1]

    assert [fact[2] for fact in FACTS] + ["auth.authenticateUser"] == names
    assert ("POST", "/auth/user", frozenset(), False, "userCredentials") == (
        log_in.method,
        log_in.path,
        log_in.scopes,
        log_in.denies_oauth,
        log_in.body,
    )


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


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        ("apiTokenPost", {"name": "x"}),
        ("apiTokenPost", {"name": "x", "scope": ["a", "b"], "orgRoles": [ORG_ROLE]}),
        ("apiTokenPost", {"name": "x" * 255, "expirationDate": DATE, "defaultRole": "none"}),
        ("apiTokenPost", {"name": "x", "expirationDate": "2026-06-13t04:00:00+02:00"}),
        ("apiTokenPost", {"name": "x", "orgRoles": [{"orgId": "A" * 24, "role": "admin"}]}),
        ("applicationApiTokenPost", {"name": "x", "status": "inactive", "description": ""}),
        ("apiTokenPatch", {}),
        ("userOauthTokenPatch", {"name": "x", "status": "inactive"}),
        ("userOauthTokenPost", {"name": "x", "oauth": OAUTH, "unknown": 1}),
        ("userOauthTokenPost", {"name": "x", "oauth": OAUTH, "expirationDate": None}),
        ("userOauthTokenPost", {"name": "x", "oauth": OAUTH | {"resource": ["a:b"]}}),
        ("userCredentials", LOGIN | {"tokenTTL": 0, "unknown": 1}),
    ],
)
def test_good_bodies(schema: str, body: dict[str, Any]) -> None:
    """What the contract allows passes."""
    _schemas.check_body(schema, body)


@pytest.mark.parametrize(
    ("schema", "body", "paths"),
    [
        ("apiTokenPost", [], ["$"]),
        ("apiTokenPost", {}, ["$"]),
        ("apiTokenPost", {"name": ""}, ["$.name"]),
        ("apiTokenPost", {"name": "x" * 256}, ["$.name"]),
        ("apiTokenPost", {"name": "x", "unknown": 1}, ["$"]),
        ("apiTokenPost", {"name": "x", "scope": ["a", "a"]}, ["$.scope"]),
        ("apiTokenPost", {"name": "x", "scope": ["x" * 1025]}, ["$.scope[0]"]),
        ("apiTokenPost", {"name": "x", "scope": "all.User"}, ["$.scope"]),
        ("apiTokenPost", {"name": "x", "expirationDate": "tomorrow"}, ["$.expirationDate"]),
        ("apiTokenPost", {"name": "x", "expirationDate": "2026-06-13"}, ["$.expirationDate"]),
        ("apiTokenPost", {"name": "x", "expirationDate": None}, ["$.expirationDate"] * 1),
        ("apiTokenPost", {"name": "x", "description": "x" * 32768}, ["$.description"]),
        ("apiTokenPost", {"name": "x", "orgRoles": [{"orgId": "1"}]}, ["$.orgRoles[0]"] * 2),
        ("applicationApiTokenPost", {"name": "x", "defaultRole": "view"}, ["$"]),
        ("apiTokenPatch", {"name": None}, ["$.name"]),
        ("apiTokenPatch", {"status": "asleep", "scope": []}, ["$", "$.status"]),
        ("userOauthTokenPost", {"name": "x"}, ["$"]),
        (
            "userOauthTokenPost",
            {"name": "x", "oauth": OAUTH | {"redirect_uri": "/callback"}},
            ["$.oauth.redirect_uri"],
        ),
        (
            "userOauthTokenPost",
            {"name": "x", "oauth": OAUTH | {"code_challenge": "a" * 42, "redirect_uri": 5}},
            ["$.oauth.code_challenge", "$.oauth.redirect_uri"],
        ),
        ("userCredentials", LOGIN | {"email": "ada"}, ["$.email"]),
        ("userCredentials", LOGIN | {"email": 5}, ["$.email"]),
        ("userCredentials", LOGIN | {"password": "short"}, ["$.password"]),
        ("userCredentials", LOGIN | {"tokenTTL": -1}, ["$.tokenTTL"]),
    ],
)
def test_bad_bodies(schema: str, body: Any, paths: list[str]) -> None:
    """What the contract does not allow is refused with the place of each error."""
    with pytest.raises(_problems.Problem) as refused:
        _schemas.check_body(schema, body)

    errors = refused.value.extra["validationErrors"]
    assert (refused.value.status, refused.value.type) == (400, "Validation")
    assert set(paths) <= {error["path"].removesuffix(".orgId") for error in errors}
    assert len(paths) == len(errors)


def test_refusals_do_not_quote() -> None:
    """A refused password is not repeated in the answer."""
    with pytest.raises(_problems.Problem) as refused:
        _schemas.check_body("userCredentials", LOGIN | {"password": "hunter2"})

    assert "hunter2" not in str(refused.value.body())


def test_unpublished_groups() -> None:
    """The groups whose contents nobody knows are the fourteen of Losant's documentation."""
    expected = {
        "all.User.cli",
        "all.Application.cli",
        "applications",
        "dashboards",
        "dashboards.read",
        "devices",
        "devices.read",
        "devices.state",
        "devices.command",
        "events",
        "flows",
        "me",
        "orgs",
        "webhooks",
    }

    assert expected == _contract.UNPUBLISHED_GROUPS
