"""Tests of policies, and snapshots."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from losant_tokens import ApiToken, policy
from tests.support.policies import CLEANUP, LADDER, RULE, SAMPLE, load_policy

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
EXAMPLE = Path(__file__).parents[3] / "examples" / "policy.toml"


def token(number: int = 0, **members: Any) -> ApiToken:
    return ApiToken(**{"id": f"{number:024x}", "name": f"ci-{number}", **members})


def test_example_passes() -> None:
    """The tests of the example pass at any time."""
    results = policy.run_tests(policy.load(EXAMPLE), datetime.now(UTC))
    assert [result.test.name for result in results if not result.passed] == []
    assert len(results) == 4


def test_results(tmp_path: Path) -> None:
    """A test fails if an expected rule does not match, or another one does."""
    text = (
        RULE + CLEANUP + SAMPLE + SAMPLE.replace("a date", "2").replace("never-expires", "old-ci")
    )

    passed, failed = policy.run_tests(load_policy(tmp_path, text), NOW)

    assert (passed.passed, passed.matched) == (True, ("never-expires",))
    assert (failed.passed, failed.missing, failed.unexpected) == (
        False,
        ("old-ci",),
        ("never-expires",),
    )


def test_sample_token(tmp_path: Path) -> None:
    """The dates of a sample are relative to the time of the test."""
    (sample,) = (test.token for test in load_policy(tmp_path, RULE + SAMPLE).tests)

    made = sample.at(NOW)
    assert (made.name, made.status, made.scope, made.creator_name) == (
        "svc-1",
        "active",
        ("all.User",),
        "ada",
    )
    assert (NOW - made.creation_date, NOW - made.last_updated) == (30 * DAY, 2 * DAY)  # type: ignore[operator]
    assert made.expiration_date is None


def test_expiration_of_samples() -> None:
    """A sample expires in the future or has expired, and was last updated when it was created."""
    later = policy.SampleToken(name="x", expires=DAY, created=3 * DAY).at(NOW)
    earlier = policy.SampleToken(name="x", expired=DAY).at(NOW)

    assert (later.expiration_date, later.last_updated) == (NOW + DAY, NOW - 3 * DAY)
    assert earlier.expiration_date == NOW - DAY


def test_protected_tokens_do_not_match(tmp_path: Path) -> None:
    """A clean-up does not match a token that it protects by name or id, but a rule does."""
    loaded = load_policy(tmp_path, RULE + LADDER.replace('"svc-*"', f'"svc-*", "{1:024X}"'))
    old = {"last_updated": NOW - 400 * DAY}

    assert loaded.matching(token(0, **old), NOW) == ("never-expires", "stale")
    assert loaded.matching(token(1, **old), NOW) == ("never-expires",)
    assert loaded.matching(token(2, **{**old, "name": "svc-x"}), NOW) == ("never-expires",)


def test_matches(tmp_path: Path) -> None:
    """The matches of a snapshot have the tokens of each entry, and count unknown ones."""
    loaded = load_policy(tmp_path, RULE + CLEANUP.replace("50", "1"))
    tokens = [token(n, creation_date=NOW - 100 * DAY) for n in range(2)]

    rule, cleanup = policy.match_tokens(loaded, [*tokens, token(2), token(3, name="x")], NOW)

    assert (rule.entry.name, len(rule.tokens), rule.unknown) == ("never-expires", 4, 0)
    assert (cleanup.tokens, cleanup.unknown) == (tokens, 1)
    assert (rule.exceeds_max_changes, cleanup.exceeds_max_changes) == (False, True)


def test_snapshot(tmp_path: Path) -> None:
    """A snapshot has the tokens that a list writes as JSON."""
    path = tmp_path / "tokens.json"
    row = {
        "id": "a" * 24,
        "name": "ci",
        "creationDate": "2026-01-01T00:00:00.000Z",
        "owner": "user",
    }
    path.write_text(json.dumps([row]))

    (found,) = policy.read_snapshot(path)

    assert (found.name, found.creation_date) == ("ci", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is not a list of tokens in JSON"),
        ("{}", "is not a list of tokens in JSON"),
        ("[" * 100_000, "is not a list of tokens in JSON"),
        ('[{"name": "x"}, 1]', "[0].id: is missing\n[1]: must be an object, but it is a number"),
    ],
)
def test_other_files(tmp_path: Path, text: str, expected: str) -> None:
    """Another file is an error that names each token that cannot be read."""
    path = tmp_path / "tokens.json"
    path.write_text(text)

    with pytest.raises(policy.PolicyError) as caught:
        policy.read_snapshot(path)

    assert "\n".join(map(str, caught.value.mistakes)) == expected
