"""The facts that are known about an access token."""

import asyncio
import base64
import contextlib
import json
import math
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import AsyncClient, Secret, UserCredentials
from losant_tokens._calls.session import ScopeCheck
from losant_tokens._credentials.token_claims import (
    LEEWAY,
    Credential,
    expiry_problem,
    issuer_problem,
    read_credential,
)
from losant_tokens.errors import (
    IssuerMismatch,
    LosantError,
    ScopeWarning,
    TokenExpired,
    ValidationError,
)
from tests.support.helpers import frames_hold, jwt

REGISTERED = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "kid", "crit")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def of_claims(claims: object) -> Credential:
    return read_credential(Secret(jwt(claims)))


def test_without_a_token() -> None:
    """A client without a token has a credential without any facts."""
    assert read_credential(None) == Credential(None, None, oauth=False, expires_at=None)


def test_all_claims() -> None:
    """All facts are read from the claims."""
    claims = {"iss": "api.losant.com", "scope": ["me"], "aud": "client", "exp": 1767268800}
    token = Secret(jwt(claims))
    assert read_credential(token) == Credential(
        token, frozenset({"me"}), oauth=True, expires_at=NOW, issuer="api.losant.com"
    )


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, None),
        ({"scope": ["all.User"]}, {"all.User"}),
        ({"scope": ["b", "a", "b"]}, {"a", "b"}),
        ({"scope": "all.User"}, {"all.User"}),
        ({"scope": "a  b\tc"}, {"a", "b", "c"}),
        ({"scope": []}, None),
        ({"scope": ""}, None),
        ({"scope": "  "}, None),
        ({"scope": None}, None),
        ({"scope": 1}, None),
        ({"scope": True}, None),
        ({"scope": {"a": 1}}, None),
        ({"scope": ["a", 1]}, None),
        ({"scope": [["a"]]}, None),
        ({"scope": ["a", None]}, None),
        ({"scopes": ["a"]}, None),
        ({"Scope": ["a"]}, None),
    ],
)
def test_claimed_scopes(claims: dict[str, Any], expected: object) -> None:
    """The `scope` claim is a list or a string; any other value is ignored."""
    assert expected == of_claims(claims).scopes


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, False),
        ({"aud": "client"}, True),
        ({"aud": ["client"]}, True),
        ({"aud": ""}, False),
        ({"aud": []}, False),
        ({"aud": None}, False),
    ],
)
def test_claimed_audience(claims: dict[str, Any], expected: bool) -> None:
    """A token with an audience is an OAuth token."""
    assert expected is of_claims(claims).oauth


@pytest.mark.parametrize(
    ("claimed", "expected"),
    [
        (1767268800, NOW),
        (1767268800.0, NOW),
        (1767268800.5, NOW + timedelta(seconds=0.5)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (253402300799, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (253402300800, None),
        (10**30, None),
        (-(10**30), None),
        (1e300, None),
        (math.inf, None),
        (-math.inf, None),
        (math.nan, None),
        (True, None),
        (None, None),
        ("1767268800", None),
        ("2026-01-01T12:00:00Z", None),
        ([1767268800], None),
    ],
)
def test_claimed_expiry(claimed: object, expected: datetime | None) -> None:
    """The `exp` claim is a number of seconds; any other value is ignored."""
    assert expected == of_claims({"exp": claimed}).expires_at


@pytest.mark.parametrize(
    "token",
    [
        "plain",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "..",
        "....",
        jwt(["scope"]),
        jwt("scope"),
        jwt(None),
        jwt(1),
        jwt({"scope": ["me"]}) + ".more",
        jwt({"scope": ["me"]}).replace(".", "!", 1),
        f"{'!' * 20}.{'!' * 20}.{'!' * 20}",
        "e30.e30.",
    ],
)
def test_token_that_is_not_a_jwt(token: str) -> None:
    """Nothing is known about a token that is not a JWT."""
    assert read_credential(Secret(token)) == Credential(Secret(token))


@pytest.mark.parametrize("depth", [500, 20_000])
def test_deep_claims(depth: int) -> None:
    """Claims that are nested too deep are ignored."""
    nested = base64.urlsafe_b64encode(b'{"a":' * depth + b"1" + b"}" * depth).decode().rstrip("=")
    head, _, tail = jwt({}).split(".")
    token = Secret(f"{head}.{nested}.{tail}")
    assert read_credential(token) == Credential(token)


@pytest.mark.parametrize("signature", ["", "c2lnbmF0dXJl", "e30"])
def test_signature(signature: str) -> None:
    """Claims are read with any signature, because a client cannot check it."""
    token = Secret(jwt({"scope": ["me"], "exp": 1, "nbf": 10**12}, signature))
    assert read_credential(token).scopes == frozenset({"me"})


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1))
def test_any_token(text: str) -> None:
    """Any printable ASCII string is accepted as a token."""
    found = read_credential(Secret(text))
    assert found.secret == Secret(text)
    expiry_problem(found, NOW)


@given(JSON, JSON, JSON)
def test_any_claims(scope: object, exp: object, aud: object) -> None:
    """No claims raise an exception."""
    found = of_claims({"scope": scope, "exp": exp, "aud": aud})
    assert found.scopes is None or all(isinstance(it, str) for it in found.scopes)
    assert found.expires_at is None or found.expires_at.tzinfo is UTC
    assert expiry_problem(found, NOW) is None or isinstance(exp, int | float)


@pytest.mark.parametrize(
    ("claimed", "expected"),
    [
        ("api.losant.com", "api.losant.com"),
        ("API.Losant.Com.", "api.losant.com"),
        ("https://api.losant.com", "api.losant.com"),
        ("https://api.losant.com/oauth?a=b", "api.losant.com"),
        ("127.0.0.1:8080", "127.0.0.1"),
        ("http://[::1]:8080/", "::1"),
        ("losant-fake:8080", "losant-fake"),
        ("localhost", "localhost"),
        ("losant", None),
        ("acme", None),
        ("Losant, Inc.", None),
        ("", None),
        ("https://", None),
        ("urn:losant:api", None),
        ("a" * 300 + ".example", None),
        ("a.example\n", None),
        ("ä.example", None),
        (5, None),
        (None, None),
        (True, None),
        (["api.losant.com"], None),
        ({"host": "api.losant.com"}, None),
    ],
)
def test_claimed_issuer(claimed: object, expected: str | None) -> None:
    """The issuer is a host or the host of a URL; any other value is ignored."""
    assert expected == of_claims({"iss": claimed}).issuer


ISSUERS: list[tuple[str | None, str, bool]] = [
    (None, "api.losant.com", True),
    ("api.losant.com", "api.losant.com", True),
    ("api.losant.com", "API.losant.com.", True),
    ("api.getstructure.io", "api.losant.com", True),
    ("api.losant.com", "api.getstructure.io", True),
    ("losant.example", "losant.example", True),
    ("losant.example", "api.losant.com", False),
    ("api.losant.com", "losant.example", False),
    ("api.getstructure.io", "losant.example", False),
    ("api.losant.com", "evil-api.losant.com", False),
    ("api.losant.com", "127.0.0.1", True),
    ("127.0.0.1", "localhost", True),
    ("losant.example", "localhost", False),
    ("127.0.0.1", "api.losant.com", False),
]


@pytest.mark.parametrize(("issuer", "host", "fits"), ISSUERS)
def test_issuer(issuer: str | None, host: str, fits: bool) -> None:
    """A token is accepted by the host that issued it; Losant's two hosts count as one."""
    credential = Credential(Secret("a"), issuer=issuer)
    error = issuer_problem(credential, host)

    assert fits is (error is None)
    assert error is None or (error.issuer, error.host) == (issuer, host.lower().rstrip("."))


OTHER_HOST = jwt({"iss": "losant.example", "scope": ["all.User"]})
MISMATCH = (
    "The API token was issued by losant.example, but base_url leads to api.losant.com, which would "
    "receive the token. {} Change base_url or the token. If they belong together, pass "
    "scope_check='off'."
)


async def requests_sent(scope_check: ScopeCheck) -> int:
    """Return how many requests a client sends for two lists and one log-in."""
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"items": [], "userId": "5" * 24, "token": "t"})

    transport = httpx.MockTransport(answer)
    async with AsyncClient(
        OTHER_HOST, base_url="https://api.losant.com", scope_check=scope_check, transport=transport
    ) as client:
        await client.auth.authenticate_user(UserCredentials("a@b", "12345678"))
        for _ in range(2):
            with contextlib.suppress(IssuerMismatch):
                await client.user_api_tokens.get()
    return len(sent)


async def test_token_of_another_host() -> None:
    """A token of another host is not sent; a log-in needs no token and is sent."""
    assert await requests_sent("enforce") == 1
    error = issuer_problem(read_credential(Secret(OTHER_HOST)), "api.losant.com")
    assert MISMATCH.format("Nothing was sent.") == str(error)


async def test_token_of_another_host_with_a_warning() -> None:
    """With `scope_check="warn"`, a token of another host is sent with a warning."""
    with pytest.warns(
        ScopeWarning, match=re.escape(MISMATCH.format("The request is sent anyway."))
    ):
        assert await requests_sent("warn") == 3


async def test_token_of_another_host_unchecked() -> None:
    """With `scope_check="off"`, a token of another host is sent."""
    assert await requests_sent("off") == 3


def test_number_of_too_many_digits() -> None:
    """A JWT with too large a number is ignored."""
    head, _, tail = jwt({}).split(".")
    claims = base64.urlsafe_b64encode(b'{"exp": ' + b"9" * 5000 + b"}").decode().rstrip("=")
    token = Secret(f"{head}.{claims}.{tail}")
    assert read_credential(token) == Credential(token)


def test_very_long_token() -> None:
    """A token of megabytes takes no time, and nothing is known about it."""
    token = Secret(jwt({"scope": ["x" * 10_000_000]}))
    started = time.thread_time()
    assert read_credential(token) == Credential(token)
    assert time.thread_time() - started < 1


ODD_HEADERS: list[Any] = [
    [], "a", None, 5, {}, {"alg": 5}, {"alg": ["HS256"]}, {"alg": "none", "kid": 5}, {"b64": False},
    {"crit": 5}, {"alg": "HS256", "b64": False, "crit": ["b64"]}, {"typ": {}}, {"zip": "DEF"},
]  # fmt: skip


@pytest.mark.parametrize("header", ODD_HEADERS)
def test_odd_header(header: object) -> None:
    """A JWT with any header raises no exception."""
    encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    _, claims, signature = jwt({"scope": ["me"]}).split(".")
    found = read_credential(Secret(f"{encoded}.{claims}.{signature}"))

    assert found.scopes in {None, frozenset({"me"})}


@given(st.dictionaries(st.sampled_from(REGISTERED), JSON))
def test_any_registered_claims(claims: dict[str, Any]) -> None:
    """Any value of a registered claim raises no exception."""
    found = of_claims(claims)
    for host in ("api.losant.com", "localhost"):
        issuer_problem(found, host)
    repr(AsyncClient(jwt(claims)))


@given(JSON)
def test_any_payload(payload: object) -> None:
    """A payload that is not an object is ignored."""
    if not isinstance(payload, dict):
        assert of_claims(payload).scopes is None
    else:
        assert isinstance(of_claims(payload), Credential)


@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    """Any string is a token or raises a `ValidationError` that does not show it."""
    secret = f"hunter2{text}"
    error: LosantError | None = None
    try:
        read_credential(Secret(secret))
    except LosantError as raised:
        error = raised
    assert (error is None) is all("!" <= character <= "~" for character in secret)
    if error is not None:
        assert "hunter2" not in f"{error!r} {error}"
        assert frames_hold(error, "hunter2") == []


BAD_TOKENS: list[tuple[Any, str]] = [
    ("", "The API token is empty. Check the place it was copied from."),
    (
        " hunter2",
        "The API token has a space at position 1 of 8. Check the place it was copied from.",
    ),
    (
        "hunter2\n",
        "The API token has a line break at position 8 of 8. Check the place it was copied from.",
    ),
    ("hunter2 \r", "The API token has a space at position 8 of 9."),
    ("hunter2\x7f", "a character that is not printable ASCII at position 8 of 8."),
    ("hunter2\x00", "a character that is not printable ASCII at position 8 of 8."),
    ("ähunter2", "a character that is not printable ASCII at position 1 of 8."),
    ("hunter2\u200b", "a character that is not printable ASCII at position 8 of 8."),
    ("hunter2\ud800", "a character that is not printable ASCII at position 8 of 8."),
    (
        "hunter2\xa0",
        "The API token has a character that is not printable ASCII at position 8 of 8.",
    ),
    (b"hunter2", "The API token must be a string, but it is bytes."),
    (["hunter2"], "The API token must be a string, but it is list."),
    (42, "The API token must be a string, but it is int. Use a string or a Secret."),
    (asyncio.Future.__new__(asyncio.Future), "Pass the async function itself, without calling it."),
]


@pytest.mark.parametrize(("token", "expected"), BAD_TOKENS)
def test_bad_token(token: Any, expected: str) -> None:
    """A token that cannot be sent is refused with the position, but not the value."""
    with pytest.raises(ValidationError) as caught:
        read_credential(Secret(token))
    assert expected in str(caught.value)
    assert "hunter2" not in f"{caught.value!r} {caught.value}"
    assert frames_hold(caught.value, "hunter2") == []


@pytest.mark.parametrize(("token", "expected"), BAD_TOKENS)
def test_bad_token_of_a_client(token: Any, expected: str) -> None:
    """A client refuses such a token as well."""
    with pytest.raises(ValidationError) as caught:
        AsyncClient(token)
    assert expected in str(caught.value)
    assert frames_hold(caught.value, "hunter2") == []


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        (["a", "b"], {"a", "b"}),
        (("a",), {"a"}),
        ({"a"}, {"a"}),
        (["a", "a"], {"a"}),
        ([], set()),
        (None, {"claimed"}),
    ],
)
def test_given_scopes(scopes: Any, expected: object) -> None:
    """The scopes that the caller passes replace those of the claims."""
    token = Secret(jwt({"scope": ["claimed"]}))
    assert expected == read_credential(token, scopes and iter(scopes)).scopes


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        ("me", "scopes must be a list of strings, such as ['all.User.read'], but it is str"),
        ([1], "scopes must be strings, but one is int"),
        (["a", None], "scopes must be strings, but one is NoneType"),
        (b"me", "scopes must be"),
        (5, "scopes must be"),
        ([["me"]], "scopes must be"),
        ({}, "scopes must be a list of strings, such as ['all.User.read'], but it is dict"),
        ({"me": 1}, "scopes must be a list of strings"),
        (bytearray(b"me"), "scopes must be a list of strings"),
        ([{"me": 1}], "scopes must be"),
    ],
)
def test_bad_scopes(scopes: Any, expected: str) -> None:
    """Scopes that are not a list of strings are refused."""
    with pytest.raises(ValidationError) as caught:
        read_credential(None, scopes)
    assert str(caught.value).startswith(expected)


def test_token_passed_as_scopes() -> None:
    """A token that is passed as `scopes` by mistake is not shown."""
    token = jwt({"sub": "hunter2"})
    with pytest.raises(ValidationError) as caught:
        read_credential(None, token)
    assert token not in str(caught.value)


@pytest.mark.parametrize("claims", [{}, {"aud": "client"}])
@pytest.mark.parametrize("oauth", [True, False])
def test_given_oauth(oauth: bool, claims: dict[str, Any]) -> None:
    """The argument `oauth` replaces the fact from the claims."""
    assert oauth is read_credential(Secret(jwt(claims)), oauth=oauth).oauth


ID = "575ec7417ae143cd83dc4a95"


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, set()),
        ({"sub": ID}, {ID}),
        ({"sub": ID.upper(), "jti": "0" * 24, "iss": "api.losant.com"}, {ID, "0" * 24}),
        ({"sub": f"{ID}0", "jti": f"{ID}\n", "tid": int("5" * 24), "ids": [ID]}, set()),
    ],
)
def test_claimed_ids(claims: dict[str, Any], expected: object) -> None:
    """All ids in the claims are known."""
    token = jwt(claims)
    assert expected == read_credential(Secret(token)).claimed_ids
    assert AsyncClient(token).uses_token(ID.upper()) is (ID in str(expected))


@pytest.mark.parametrize(
    ("expires_at", "expired"),
    [
        (None, False),
        (NOW + timedelta(days=1), False),
        (NOW, False),
        (NOW - timedelta(seconds=60), False),
        (NOW - timedelta(seconds=60, microseconds=1), True),
        (NOW - timedelta(days=1), True),
        (datetime.min.replace(tzinfo=UTC), True),
        (datetime.max.replace(tzinfo=UTC), False),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), False),
    ],
)
def test_expired(expires_at: datetime | None, expired: bool) -> None:
    """A token counts as expired one minute after its expiration."""
    error = expiry_problem(Credential(Secret("a"), expires_at=expires_at), NOW)
    assert expired is isinstance(error, TokenExpired)
    assert expired is (error is not None)


def test_expired_text() -> None:
    """The error says when the token expired, what the time is, and that nothing was sent."""
    error = expiry_problem(Credential(Secret("a"), expires_at=NOW - timedelta(hours=1)), NOW)
    assert str(error) == (
        "The API token expired at 2026-01-01T11:00:00+00:00. "
        "The time is 2026-01-01T12:00:00+00:00. Nothing was sent. Use another token."
    )
    assert timedelta(minutes=1) == LEEWAY


def test_repr_shows_no_token() -> None:
    """A credential does not show its token."""
    token = jwt({"scope": ["me"]})
    assert token not in repr(read_credential(Secret(token)))
    assert json.dumps(token) not in repr(read_credential(Secret(token)))


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"userId": "A" * 24}, "userId " + "a" * 24),
        ({"ownerId": "a" * 24, "sub": "b" * 24}, "ownerId " + "a" * 24),
        ({"account_id": "a" * 24, "userId": "b" * 24}, "userId " + "b" * 24),
        ({"sub": "a" * 24}, "sub " + "a" * 24),
        ({"sub": "a" * 23}, None),
        ({"sub": "a" * 25}, None),
        ({"userId": 5, "sub": "a" * 24}, "sub " + "a" * 24),
        ({"userId": "g" * 24}, None),
        ({"jti": "a" * 24}, None),
        ({}, None),
    ],
)
def test_claimed_account(claims: dict[str, Any], expected: str | None) -> None:
    """The account is the first claim that names one by an id; `sub` comes last."""
    assert of_claims(claims).account == expected


def test_fingerprint() -> None:
    """The fingerprint depends on the claims, and not on the signature, which is the secret part."""
    first, other = jwt({"jti": "1"}), jwt({"jti": "2"})
    resigned = f"{first.rpartition('.')[0]}.c2lnbmF0dXJl"

    found = [read_credential(Secret(token)).fingerprint for token in (first, other, resigned)]

    assert len(set(found)) == 2
    assert found[0] == found[2]
    assert read_credential(Secret("opaque")).fingerprint is None
    assert read_credential(None).fingerprint is None
