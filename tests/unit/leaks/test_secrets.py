"""Finding secrets in a string."""

import jwt
import pytest

from losant_tokens import Secret
from losant_tokens.leaks import find_secrets
from losant_tokens.leaks._secrets import is_cut_off

ONE = jwt.encode({"scope": ["all.User"], "iat": 1}, "k" * 32)
OTHER = jwt.encode({"scope": ["device.get"], "iat": 2}, "k" * 32)
RS256 = "eyJhbGciOiJSUzI1NiJ9.eyJpYXQiOjF9."


def wrapped(secret: str, width: int = 76) -> str:
    return "\n".join(secret[at : at + width] for at in range(0, len(secret), width))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n", []),
        (ONE, [ONE]),
        (f" {ONE}\n", [ONE]),
        (f"Authorization: Bearer {ONE}\r\n", [ONE]),
        (f'{{"token":"{ONE}","name":"ci"}}', [ONE]),
        (f"GET /me?access_token={ONE}&x=1 200 12ms", [ONE]),
        (f"Bearer%20{ONE}%0A", [ONE]),
        (f"LOSANT_API_TOKEN={ONE}; see {OTHER}.", [ONE, OTHER]),
        (f"{ONE}\n{OTHER}\n{ONE}\n", [ONE, OTHER]),
        (f"> {ONE}\nok", [ONE]),
        (f"{ONE}\nok", [ONE]),
        (wrapped(ONE), [ONE]),
        (wrapped(ONE, len(ONE) - 10), [ONE]),
        (wrapped(ONE, 60).replace("\n", "\r\n"), [ONE]),
        (f"{RS256}{'s' * 342}\n{'s' * 9}", [f"{RS256}{'s' * 342}"]),
        ("an-opaque-secret", ["an-opaque-secret"]),
        ("Authorization: bearer an-opaque-secret", ["an-opaque-secret"]),
        ("short", []),
        ("x" * 8193, []),
        ("no secret is in this sentence", []),
        ("eyJ.eyJ.x in a sentence", []),
    ],
)
def test_find_secrets(text: str, expected: list[str]) -> None:
    """Each secret is found once, whatever is around it."""
    assert expected == [secret.reveal() for secret in find_secrets(text)]
    assert find_secrets(text) == find_secrets(Secret(text))


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        (ONE, False),
        (ONE[:-1], True),
        (f"{ONE}x", True),
        (ONE.rpartition(".")[0] + ".", True),
        (f"{RS256}{'s' * 342}", False),
        (f"{RS256}{'s' * 341}", True),
        ("eyJhbGciOiJYIn0.eyJpYXQiOjF9.x", False),
        ("eyJhbGciOlsxXX0.eyJpYXQiOjF9.x", False),
        ("eyJ0eXAiOiJKV1QifQ.eyJpYXQiOjF9.x", False),
        ("WzFd.eyJpYXQiOjF9.x", False),
        ("an-opaque-secret", False),
        ("é", False),
    ],
)
def test_is_cut_off(secret: str, expected: bool) -> None:
    """A signature that is shorter or longer than its algorithm makes is not complete."""
    assert expected is is_cut_off(Secret(secret))
