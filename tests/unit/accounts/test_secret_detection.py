"""Recognition of secrets in a configuration file."""

import pytest

from losant_tokens.accounts._secret_detection import looks_secret, without_secrets

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0"
KEY = "kT9sQ2vLx7Zb4Wm1Rn8Yd5Hj3Pc6Fg0A"


@pytest.mark.parametrize("text", [JWT, f"X: {JWT}.c2ln", KEY, f"--key={KEY}", "https://a:b@c"])
def test_secrets(text: str) -> None:
    """Access tokens, random keys and passwords in URLs are secrets."""
    assert looks_secret(text)
    assert "****" in without_secrets(f"failed: {text}!")


@pytest.mark.parametrize(
    "text",
    [
        "LOSANT_PRODUCTION_TOKEN_OF_THE_TEAM_2026",
        "op://Private/kT9sQ2vLx7Zb4Wm1Rn8Yd5Hj3P/token",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:losant-AbCdEf",
        "575ecdf07ae143cd83dc4a9a575ecdf07ae143cd",
        "123e4567-e89b-12d3-a456-426614174000",
        "Aa1" * 11,
        "https://api.losant.com",
        "~/secrets/losant-production-token-of-the-Team-2026",
    ],
)
def test_references_are_no_secrets(text: str) -> None:
    """Names, paths, ids and references to a password manager are not taken for secrets."""
    assert not looks_secret(text)
    assert without_secrets(text) == text
