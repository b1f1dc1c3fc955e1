"""The claims of a secret."""

from datetime import UTC, datetime
from typing import Any

import jwt
import pytest

from losant_tokens import Secret
from losant_tokens.leaks import Claims, read_claims

ID = "575ec7417ae143cd83dc4a95"


def secret_with(**claims: Any) -> Secret:
    known = {name: value for name, value in claims.items() if value is not None}
    return Secret(jwt.encode(known, "k" * 32))


def test_read_claims() -> None:
    """The claims say who issued the token, to whom, when, and for which operations."""
    secret = secret_with(
        iss="api.losant.com", scope=["all.User"], iat=1_700_000_000, exp=1_800_000_000, jti=ID
    )

    claims = read_claims(secret)

    assert claims == Claims(
        fingerprint=claims.fingerprint,
        issuer="api.losant.com",
        scopes=frozenset({"all.User"}),
        issued_at=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        expires_at=datetime(2027, 1, 15, 8, 0, tzinfo=UTC),
        ids=frozenset({ID}),
    )
    assert len(claims.fingerprint) == 16


@pytest.mark.parametrize("secret", ["an-opaque-secret", "with a space", "\ud800", ""])
def test_secret_without_claims(secret: str) -> None:
    """A secret that is not a JWT says nothing, and is identified by its fingerprint."""
    claims = read_claims(Secret(secret))
    assert claims == read_claims(secret)

    assert claims == Claims(fingerprint=claims.fingerprint)
    assert claims.fingerprint != read_claims(Secret(f"{secret}x")).fingerprint


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"scope": ["all.User"]}, True),
        ({"scope": ["applicationApiTokens.post"]}, True),
        ({"scope": ["all.User.read", "device.get"]}, False),
        ({"scope": ["me"]}, None),
        ({}, None),
        ({"scope": ["only.User"]}, True),
        ({"scope": ["only.User"], "aud": "https://api.losant.com"}, False),
    ],
)
def test_can_create_tokens(claims: dict[str, Any], expected: bool | None) -> None:
    """The scopes say whether the token can create tokens, which an OAuth token of a user cannot."""
    assert expected is read_claims(secret_with(**claims)).can_create_tokens


@pytest.mark.parametrize(
    ("issuer", "host", "expected"),
    [
        ("api.losant.com", "api.losant.com", True),
        ("api.getstructure.io", "api.losant.com", True),
        ("https://api.losant.com/", "API.losant.com", True),
        ("evil.example.com", "api.losant.com", False),
        ("api.losant.com", "losant.example.com", False),
        (None, "api.losant.com", True),
    ],
)
def test_is_from(issuer: str | None, host: str, expected: bool) -> None:
    """A secret may be sent to the host that it names, and to any host if it names none."""
    assert expected is read_claims(secret_with(iss=issuer)).is_from(host)
