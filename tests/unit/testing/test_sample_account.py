"""The account that the sandbox has."""

from collections import Counter
from datetime import timedelta

import httpx
import jwt
import pytest

from losant_tokens.testing import FakeLosant
from tests.support.fake import NOW

OWNERS = (
    "user",
    "oauth",
    "application:575ec8687ae143cd83dc4a97",
    "application:5b2f8c9e6d41a70007c3e512",
    "instance:59f0b3a27e1c4d0006aa41d8",
)


def test_owners(fake: FakeLosant) -> None:
    """The account has tokens of each kind of owner, and its summary counts them."""
    account = fake.seed_account(300)

    assert [owner.owner for owner in account.owners] == list(OWNERS)
    assert [owner.tokens for owner in account.owners] == [
        len(fake.tokens(owner)) for owner in OWNERS
    ]
    assert [len(fake.tokens("user")), min(owner.tokens for owner in account.owners) > 1] == [
        300,
        True,
    ]


@pytest.mark.parametrize("owner", OWNERS)
def test_no_majority(fake: FakeLosant, owner: str) -> None:
    """Fewer than half of the tokens have expired, are inactive, or were not updated for long."""
    fake.seed_account()
    tokens = fake.tokens(owner)
    half_a_year_ago = NOW - timedelta(days=180)

    expired = sum(token.expired(NOW) for token in tokens)
    unused = sum(token.expired(NOW) or token.status == "inactive" for token in tokens)
    old = sum(token.last_updated < half_a_year_ago for token in tokens)
    assert 0 < max(expired, unused, old) < len(tokens) / 2


def test_share_of_expired_tokens(fake: FakeLosant) -> None:
    """About a third of the user's tokens have expired."""
    fake.seed_account()

    assert 0.27 < sum(token.expired(NOW) for token in fake.tokens()) / 1000 < 0.37


async def test_own_token(fake: FakeLosant, client: httpx.AsyncClient) -> None:
    """The own token is in the list, names itself in a claim, and can access every owner."""
    own = fake.seed_account(100).own_token
    assert own is not None
    client.headers["Authorization"] = f"Bearer {own.secret}"
    paths = ("me/tokens", "me/oauth-tokens", f"applications/{OWNERS[2][12:]}/tokens")
    answers = [await client.get(f"/{path}") for path in paths]

    claims = jwt.decode(own.secret, options={"verify_signature": False})
    assert claims["jti"] == own.id
    assert own in fake.tokens()
    assert [answer.status_code for answer in answers] == [200, 200, 200]


def test_unusual_tokens(fake: FakeLosant) -> None:
    """The account has tokens that are hard to show, and tokens that deserve a warning."""
    fake.seed_account(20)
    tokens = fake.tokens()
    soon = NOW + timedelta(days=7)

    assert max(len(token.name) for token in tokens) > 100
    assert any(not token.name.isascii() for token in tokens)
    assert max(Counter(token.name for token in tokens).values()) > 1
    assert any(token.expiration_date and NOW < token.expiration_date < soon for token in tokens)
    assert any("userApiTokens.*" in token.scope and token.expired(NOW) for token in tokens)
    assert len({token.creator_id for token in tokens}) > 3


@pytest.mark.parametrize(("count", "others"), [(0, 0), (1, 4), (5, 4)])
def test_small_accounts(fake: FakeLosant, count: int, others: int) -> None:
    """An account has exactly the requested number of API tokens, and none without one."""
    account = fake.seed_account(count)

    assert len(fake.tokens()) == count
    assert sum(owner.tokens for owner in account.owners[1:]) == others
    assert (account.own_token is None) == (count == 0)
