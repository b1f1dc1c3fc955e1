"""Check the value `Owner`, and the calls of `OwnerTokens`."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import (
    NEVER,
    ApiToken,
    ApiTokenPatch,
    ApiTokenPost,
    AsyncClient,
    NewApiToken,
    OauthRequest,
    OrgRole,
    Owner,
    Success,
    UserOauthToken,
    UserOauthTokenPatch,
    UserOauthTokenPost,
)
from losant_tokens._resources.owner_tokens import OwnerTokens
from losant_tokens.errors import (
    ValidationError,
)

A = "575ec7417ae143cd83dc4a95"
B = "575ec8687ae143cd83dc4a97"
OAUTH = OauthRequest("c" * 24, "https://example.com/back", "c" * 43)
OAUTH_JSON = {
    "client_id": "c" * 24,
    "redirect_uri": "https://example.com/back",
    "code_challenge": "c" * 43,
    "code_challenge_method": "S256",
}
PATHS = {
    "user": "/me/tokens",
    "oauth": "/me/oauth-tokens",
    f"application:{B}": f"/applications/{B}/tokens",
    f"instance:{B}": f"/instances/{B}/tokens",
}


# --- Owner -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "kind", "id_", "text"),
    [
        (Owner.user(), "user", None, "user"),
        (Owner.user_oauth(), "oauth", None, "oauth"),
        (Owner.application(A), "application", A, f"application:{A}"),
        (Owner.instance(A.upper()), "instance", A.upper(), f"instance:{A.upper()}"),
    ],
)
def test_owner(owner: Owner, kind: str, id_: str | None, text: str) -> None:
    """An owner has a kind and an id, and can be converted to a string and back."""
    assert (kind, id_, text) == (owner.kind, owner.id, str(owner))
    assert owner == Owner.parse(text)
    assert hash(owner) == hash(Owner.parse(text))


def test_owners_differ() -> None:
    """Owners of different kinds, or with different ids, are not equal."""
    owners = [Owner.parse(text) for text in (*PATHS, f"application:{A}", f"instance:{A}")]
    assert len(set(owners)) == 6


def test_immutable() -> None:
    """An owner is immutable."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Owner.user().kind = "oauth"  # type: ignore[misc]


NOT_AN_OWNER = "The owner must be user, oauth, application:ID or instance:ID, but it is "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", f"{NOT_AN_OWNER}''"),
        (":", f"{NOT_AN_OWNER}':'"),
        ("User", f"{NOT_AN_OWNER}'User'"),
        (" user", f"{NOT_AN_OWNER}' user'"),
        ("user\n", NOT_AN_OWNER),
        ("me", f"{NOT_AN_OWNER}'me'"),
        ("user:", f"{NOT_AN_OWNER}'user:'"),
        (f"user:{A}", f"{NOT_AN_OWNER}'user:{A}'"),
        (f"oauth:{A}", f"{NOT_AN_OWNER}'oauth:{A}'"),
        ("application", f"{NOT_AN_OWNER}'application'"),
        ("instance", f"{NOT_AN_OWNER}'instance'"),
        (A, f"{NOT_AN_OWNER}'{A}'"),
        (f"organization:{A}", f"{NOT_AN_OWNER}'organization:{A}'"),
        (f"device:{'x' * 50}", f"{NOT_AN_OWNER}a string of 57 characters"),
        ("application:", "Owner.id must"),
        ("instance:..", "Owner.id must be 24 hexadecimal digits, but it is '..'"),
        (f"application:{A}:{B}", "Owner.id must be 24 hexadecimal digits"),
        (f"application: {A}", "Owner.id must be 24 hexadecimal digits"),
        (f"application:{A}\n", "Owner.id must be 24 hexadecimal digits"),
        (f"application:{A}/../{B}", "Owner.id must be 24 hexadecimal digits"),
    ],
)
def test_parse_refuses(text: str, expected: str) -> None:
    """A string of another form is refused with a message about the valid forms."""
    with pytest.raises(ValidationError) as caught:
        Owner.parse(text)
    assert str(caught.value).startswith(expected)


@given(
    st.text()
    | st.sampled_from(list(PATHS))
    | st.text(":abcdef0123456789userapplicationinstance", max_size=40)
)
def test_any_text(text: str) -> None:
    """Any string is refused, or is the string form of the parsed owner."""
    try:
        owner = Owner.parse(text)
    except ValidationError:
        assert text not in PATHS
    else:
        assert text == str(owner)


@pytest.mark.parametrize(
    ("kind", "id_", "expected"),
    [
        ("user", A, "Owner 'user' takes no id, but the id is "),
        ("oauth", A, "Owner 'oauth' takes no id, but the id is "),
        ("user", "", "Owner 'user' takes no id, but the id is "),
        ("application", None, "Owner.id must be 24 hexadecimal digits, but it is NoneType"),
        ("instance", "", "Owner.id must be 24 hexadecimal digits"),
        ("instance", "..", "Owner.id must be 24 hexadecimal digits"),
        ("instance", 1, "Owner.id must be 24 hexadecimal digits, but it is int"),
        ("me", None, "Owner.kind must be one of 'user', 'oauth', 'application', 'instance', but"),
        (None, None, "Owner.kind must be one of"),
        (["user"], None, "Owner.kind must be one of"),
    ],
)
def test_refused(kind: Any, id_: Any, expected: str) -> None:
    """The constructor refuses the same values as `parse`."""
    with pytest.raises(ValidationError) as caught:
        Owner(kind, id_)
    assert str(caught.value).startswith(expected)


# --- OwnerTokens -----------------------------------------------------------------------------

Call = Callable[[OwnerTokens], Awaitable[Any]]


async def ask(owner: str, call: Call, answer: object = None) -> tuple[str, str, Any, Any]:
    """Return the request of a call (method, path, JSON) and its result."""
    sent: list[tuple[str, str, Any]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        content = request.read()
        sent.append((request.method, request.url.path, json.loads(content) if content else None))
        return httpx.Response(200, json={"id": A} if answer is None else answer)

    transport = httpx.MockTransport(handle)
    async with AsyncClient("token", base_url="https://h", transport=transport) as client:
        found = await call(client.tokens(Owner.parse(owner)))
    assert len(sent) == 1
    return *sent[0], found


def token_of(owner: str) -> object:
    return UserOauthToken(id=A) if owner == "oauth" else ApiToken(id=A)


@pytest.mark.parametrize(("owner", "path"), PATHS.items())
async def test_get(owner: str, path: str) -> None:
    """`get` reads a token of the owner."""
    expected = ("GET", f"{path}/{A}", None, token_of(owner))
    assert expected == await ask(owner, lambda tokens: tokens.get(A))


@pytest.mark.parametrize(("owner", "path"), PATHS.items())
async def test_delete(owner: str, path: str) -> None:
    """`delete` deletes a token of the owner."""
    expected = ("DELETE", f"{path}/{A}", None, Success())
    assert expected == await ask(owner, lambda tokens: tokens.delete(A), {"success": True})


ROLES = (OrgRole(B, "view"),)


@pytest.mark.parametrize(("owner", "path"), PATHS.items())
@pytest.mark.parametrize(
    ("patch", "sent"),
    [
        (ApiTokenPatch(), {}),
        (ApiTokenPatch(status="inactive"), {"status": "inactive"}),
        (
            ApiTokenPatch(name="a", description="", default_role="view", org_roles=ROLES),
            {
                "name": "a",
                "description": "",
                "defaultRole": "view",
                "orgRoles": [{"orgId": B, "role": "view"}],
            },
        ),
        (UserOauthTokenPatch(name="a"), {"name": "a"}),
    ],
)
async def test_patch(owner: str, path: str, patch: ApiTokenPatch, sent: dict[str, Any]) -> None:
    """`patch` accepts both classes of patches for any owner."""
    expected = ("PATCH", f"{path}/{A}", sent, token_of(owner))
    assert expected == await ask(owner, lambda tokens: tokens.patch(A, patch))


SMALL = {"name": "ci", "description": "d", "scope": ["me.*"], "status": "active"}
POSTS: list[tuple[str, Any, dict[str, Any]]] = [
    ("user", ApiTokenPost("ci", org_roles=ROLES), {"orgRoles": [{"orgId": B, "role": "view"}]}),
    (f"instance:{B}", ApiTokenPost("ci", default_role="none"), {"defaultRole": "none"}),
    (f"application:{B}", ApiTokenPost("ci"), {}),
    (
        f"application:{B}",
        ApiTokenPost("ci", description="d", scope=("me.*",), status="active"),
        SMALL,
    ),
    (f"application:{B}", ApiTokenPost("ci", default_role="view"), {"defaultRole": "view"}),
    ("oauth", UserOauthTokenPost("ci", OAUTH), {"oauth": OAUTH_JSON}),
    (
        "oauth",
        UserOauthTokenPost("ci", OAUTH, expiration_date=NEVER),
        {"oauth": OAUTH_JSON, "expirationDate": None},
    ),
]


@pytest.mark.parametrize(("owner", "body", "more"), POSTS)
async def test_post(owner: str, body: Any, more: dict[str, Any]) -> None:
    """A new token is created among the owner's tokens, with the given settings and no others."""
    secret = {} if owner == "oauth" else {"token": "hunter2"}
    expected = ("POST", PATHS[owner], {"name": "ci", **more})
    *sent, token = await ask(owner, lambda tokens: tokens.post(body), {"id": A, **secret})
    assert tuple(sent) == expected
    assert type(token) is (UserOauthToken if owner == "oauth" else NewApiToken)
    assert token.id == A


@pytest.mark.parametrize(
    ("owner", "body", "expected"),
    [
        (
            "oauth",
            ApiTokenPost("ci"),
            "userOauthTokens.post: the request body must be of type UserOauthTokenPost",
        ),
        (
            "user",
            UserOauthTokenPost("ci", OAUTH),
            "userApiTokens.post: the request body must be of type ApiTokenPost",
        ),
        (
            f"instance:{B}",
            None,
            "instanceApiTokens.post: the request body must be of type ApiTokenPost",
        ),
    ],
)
async def test_post_refuses(owner: str, body: Any, expected: str) -> None:
    """`post` refuses the settings of another kind of token."""
    with pytest.raises(ValidationError) as caught:
        await ask(owner, lambda tokens: tokens.post(body))
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize("owner", PATHS)
async def test_patch_refuses(owner: str) -> None:
    """`patch` refuses other objects, and sends nothing."""
    with pytest.raises(ValidationError, match=r"\.patch: the request body must be of type "):
        await ask(owner, lambda tokens: tokens.patch(A, ApiTokenPost("ci")))  # type: ignore[arg-type]


@pytest.mark.parametrize("owner", PATHS)
@pytest.mark.parametrize("bad", ["..", "", f"{A}/.."])
async def test_ids_are_checked(owner: str, bad: str) -> None:
    """A malformed id is refused."""
    for call in (
        lambda tokens: tokens.get(bad),
        lambda tokens: tokens.delete(bad),
        lambda tokens: tokens.patch(bad, ApiTokenPatch()),
    ):
        with pytest.raises(ValidationError, match="must be 24 hexadecimal digits"):
            await ask(owner, call)


@pytest.mark.parametrize(("owner", "path"), PATHS.items())
async def test_iter(owner: str, path: str) -> None:
    """`iter` reads the list of the owner."""

    async def listed(tokens: OwnerTokens) -> list[Any]:
        return [token async for token in tokens.iter(filter_field="name", filter="ci-*")]

    expected = ("GET", path, None, [token_of(owner)])
    assert expected == await ask(owner, listed, {"items": [{"id": A}], "totalCount": 1})


@pytest.mark.parametrize(("owner", "path"), PATHS.items())
@pytest.mark.parametrize("count", [0, 12345, None])
async def test_count(owner: str, path: str, count: int | None) -> None:
    """`count` requests a page with one token."""
    sent: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"items": [], "totalCount": count})

    transport = httpx.MockTransport(handle)
    async with AsyncClient("token", base_url="https://h", transport=transport) as client:
        assert count == await client.tokens(Owner.parse(owner)).count(links=False)
    assert [str(request.url) for request in sent] == [
        f"https://h{path}?_actions=false&_links=false&_embedded=true&page=0&perPage=1"
    ]


async def test_options() -> None:
    """Every method passes on the options of a request, and refuses unknown ones."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"id": A, "token": "s", "items": [], "success": True})

    transport = httpx.MockTransport(handle)
    async with AsyncClient("token", base_url="https://h", transport=transport) as client:
        tokens = client.tokens(Owner.user())
        await tokens.get(A, losantdomain="d", links=False)
        await tokens.patch(A, ApiTokenPatch(), losantdomain="d", links=False)
        await tokens.delete(A, losantdomain="d", links=False)
        await tokens.post(ApiTokenPost("ci"), losantdomain="d", links=False)
        assert [token async for token in tokens.iter(losantdomain="d", links=False)] == []
        with pytest.raises(TypeError, match="Did you mean 'links'"):
            await tokens.get(A, link=False)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="Did you mean 'sort_field'"):
            tokens.iter(sort_fields="name")  # type: ignore[call-arg]
    assert [
        (request.headers["losantdomain"], request.url.params["_links"]) for request in seen
    ] == [("d", "false")] * 5


async def test_oauth_lists_have_other_fields() -> None:
    """The list of OAuth tokens refuses the fields of the other lists."""
    client = AsyncClient("token")
    oauth, user = (client.tokens(Owner.parse(kind)) for kind in ("oauth", "user"))
    with pytest.raises(ValidationError, match="but it is 'expirationDate'"):
        oauth.iter(sort_field="expirationDate")
    with pytest.raises(ValidationError, match="but it is 'status'"):
        oauth.iter(filter_field="status", filter="active")
    assert user.iter(sort_field="expirationDate").progress.operation == "userApiTokens.get"


def test_tokens_know_their_owner() -> None:
    """`OwnerTokens.owner` is the owner."""
    owner = Owner.application(A)
    assert owner is AsyncClient("token").tokens(owner).owner


@pytest.mark.parametrize(
    ("scopes", "oauth", "refused"),
    [
        (["all.User"], False, []),
        (None, False, []),
        (["all.User.read"], False, ["patch", "delete", "post"]),
        (["all.User"], True, ["patch", "delete", "post"]),
        (["userApiToken.delete"], False, ["get", "patch", "post", "page"]),
    ],
)
def test_refusal(scopes: list[str] | None, oauth: bool, refused: list[str]) -> None:
    """`refusal` returns the error of a method that the API is certain to refuse to the token."""
    tokens = AsyncClient("a-token", scopes=scopes, oauth=oauth).tokens("user")
    methods: tuple[Any, ...] = ("get", "patch", "delete", "post", "page")

    assert [method for method in methods if tokens.refusal(method)] == refused


def test_message_of_a_refusal() -> None:
    """The error of `refusal` names the operation and the scopes, and nothing was sent."""
    refusal = AsyncClient("a-token", scopes=["all.User.read"]).tokens("user").refusal("delete")

    assert str(refusal).startswith("userApiToken.delete needs a token with one of the scopes ")
    assert str(refusal).endswith("; this token has all.User.read.")


@pytest.mark.parametrize(("token", "check"), [("a-token", "off"), ("", "enforce")])
def test_refusal_that_is_not_known(token: str, check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no refusal without a token, or if scopes are not checked."""
    monkeypatch.delenv("LOSANT_API_TOKEN", raising=False)
    client = AsyncClient(token or None, scopes=["all.User.read"], scope_check=check)

    assert client.tokens("user").refusal("delete") is None


def test_refusal_of_an_unknown_method() -> None:
    """`refusal` refuses the name of another method."""
    method: Any = "iter"
    with pytest.raises(ValidationError, match=r"refusal\.method must be one of 'get', 'patch'"):
        AsyncClient("a-token").tokens("user").refusal(method)


@pytest.mark.parametrize("text", ["user", "oauth", f"application:{'5' * 24}"])
def test_owner_as_a_string(text: str) -> None:
    """`AsyncClient.tokens` accepts the string form of an owner."""
    client = AsyncClient("a-token")
    assert Owner.parse(text) == client.tokens(text).owner


@pytest.mark.parametrize("what", ["users", None, 7])
def test_no_owner(what: Any) -> None:
    """`AsyncClient.tokens` refuses everything else."""
    with pytest.raises(ValidationError, match="The owner must be user, oauth, application:ID"):
        AsyncClient("a-token").tokens(what)
