"""The public class `FakeLosant`: tokens, seeds and names."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from attrs import evolve

import losant_tokens.testing
from losant_tokens.testing import FakeLosant, FakeToken, SeedSummary
from tests.support.fake import NOW


def test_added_tokens(fake: FakeLosant) -> None:
    """A token is kept as it was added, with its dates rounded down to milliseconds."""
    token = fake.add_token(
        "ci-1",
        owner="application:" + "A" * 24,
        scope=["a"],
        creation_date=datetime(2026, 1, 1, 0, 0, 0, 999, tzinfo=UTC),
        creator_id="9" * 24,
        creator_type="flow",
        id="ABCDEF" * 4,
    )

    assert fake.tokens("application:" + "a" * 24) == (token,)
    assert (token.id, token.owner_type, token.owner_id, token.creation_date) == (
        "abcdef" * 4,
        "application",
        "a" * 24,
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert token.last_updated == token.creation_date
    assert (token.creator_id, token.creator_type) == ("9" * 24, "flow")
    assert not token.expired(NOW)


def test_secrets_are_masked(fake: FakeLosant) -> None:
    """No repr shows a secret."""
    token = fake.add_token()
    user = fake.add_user("ada@example.com", "lovelace", "123456")
    shown = repr((token, user, fake))

    assert [text in shown for text in (token.secret, "lovelace", "123456", fake.admin_token)] == [
        False
    ] * 4
    assert fake.user_id in shown


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"owner": "application:1"}, ValueError),
        ({"owner": "me"}, ValueError),
        ({"name": ""}, ValueError),
        ({"status": "asleep"}, ValueError),
        ({"scope": "all.User"}, TypeError),
        ({"expiration_date": datetime(2026, 1, 1)}, ValueError),  # noqa: DTZ001
        ({"id": "1"}, ValueError),
        ({"id": "1" * 24}, ValueError),
    ],
)
def test_impossible_tokens(
    fake: FakeLosant, members: dict[str, Any], error: type[Exception]
) -> None:
    """A token that the API cannot have is refused."""
    fake.add_token(id="1" * 24, owner="oauth")

    with pytest.raises(error):
        fake.add_token(**members)
    assert fake.tokens() == ()


@pytest.mark.parametrize("owner", ["user", "oauth", "application:" + "a" * 24])
def test_seed(fake: FakeLosant, owner: str) -> None:
    """Seeding adds tokens of all kinds, and its summary counts them."""
    summary = fake.seed(300, seed=7, owner=owner)
    tokens = fake.tokens(owner)

    assert summary == SeedSummary(
        total=len(tokens),
        expired=sum(token.expired(NOW) for token in tokens),
        inactive=sum(token.status == "inactive" for token in tokens),
        never_expiring=sum(token.expiration_date is None for token in tokens),
        ci=sum(token.name.startswith("ci-") for token in tokens),
        prod=6,
    )
    assert min(summary.expired, summary.inactive, summary.never_expiring, summary.ci) > 10
    assert {(token.status, token.expiration_date) for token in tokens if "prod-" in token.name} == {
        ("active", None)
    }
    assert {token.owner for token in tokens} == {owner}
    assert {token.oauth is None for token in tokens} == {owner != "oauth"}


def test_seeds_repeat() -> None:
    """The same seed gives the same tokens except for ids, and another seed gives others."""
    first, same, other = (FakeLosant(now=lambda: NOW) for _ in range(3))
    for fake, seed in ((first, 1), (same, 1), (other, 2)):
        fake.seed(20, seed=seed)
    names = [[token.name for token in fake.tokens()] for fake in (first, other)]

    def known(fake: FakeLosant) -> list[FakeToken]:
        blank: Any = dict.fromkeys(("id", "secret", "owner_id", "creator_id"), "")
        return [evolve(token, **blank) for token in fake.tokens()]

    assert known(first) == known(same)
    assert names[0] != names[1]


async def test_clock_offset() -> None:
    """The clock of the fake can be moved: expiry and the date of responses follow it."""
    fake = FakeLosant(now=lambda: NOW, clock_offset=timedelta(days=1))
    token = fake.access_token(expires=NOW + timedelta(days=2))
    async with httpx.AsyncClient(
        transport=fake.transport(),
        base_url="http://fake",
        headers={"Authorization": f"Bearer {token}"},
    ) as client:
        before = await client.get("/me/tokens")
        fake.clock_offset = timedelta(days=30)
        after = await client.get("/me/tokens")

    assert [before.status_code, after.status_code] == [200, 401]
    assert [answer.headers["date"][5:11] for answer in (before, after)] == ["02 Mar", "31 Mar"]


def test_ids_of_two_fakes() -> None:
    """No id of one fake is an id of another, seeded tokens and the user included."""
    first, second = FakeLosant(now=lambda: NOW), FakeLosant(now=lambda: NOW)
    for fake in (first, second):
        fake.seed(20)
        fake.add_token()
    of_first, of_second = (
        {fake.user_id, *(token.id for token in fake.tokens())} for fake in (first, second)
    )

    assert (22, 22, set()) == (len(of_first), len(of_second), of_first & of_second)


def test_ids_grow() -> None:
    """Ids grow with the time of creation, and within one second with the number of tokens."""
    times = iter(NOW + timedelta(seconds=second // 50) for second in range(1000))
    fake = FakeLosant(now=lambda: next(times))
    ids = [fake.add_token().id for _ in range(300)]

    assert sorted(ids) == ids
    assert {24} == {len(id_) for id_ in ids}


def test_seeding_twice(fake: FakeLosant) -> None:
    """Seeding twice with one seed adds twice the tokens, each with its own id and secret."""
    fake.seed(20)
    fake.seed(20)
    fake.seed(20, owner="oauth")

    tokens = (*fake.tokens(), *fake.tokens("oauth"))
    assert (len({token.id for token in tokens}), len({token.secret for token in tokens})) == (
        60,
        60,
    )


def test_names() -> None:
    """`__all__` is sorted, and has every public name and no other."""
    module: Any = losant_tokens.testing
    exported = losant_tokens.testing.__all__

    assert [getattr(module, name).__name__ for name in exported] == exported
    assert sorted(exported) == exported
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = module.Nothing


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """Without the extra, the import error says how to install it."""
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(ImportError, match=r"pip install 'losant-tokens\[testing\]'") as error:
        from losant_tokens.testing import Fault  # noqa: F401

    assert missing in str(error.value)
