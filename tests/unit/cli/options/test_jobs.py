"""The options of jobs."""

from datetime import timedelta
from pathlib import Path

import pytest

from losant_tokens import jobs
from losant_tokens.cli._errors import CommandError
from losant_tokens.cli._options.jobs import NO_RULES, RuleOptions
from losant_tokens.cli._plans import planning
from tests.support.command import Command
from tests.support.plans import write


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ("--expired", "expired"),
        ("--expires-within 30d", "expires within 30 days"),
        ("--never-expires", "never expires"),
        ("--older-than 12h", "older than 0.5 days"),
        ("--not-updated-for 4w", "not updated for 28 days"),
        ("--active", "active"),
        ("--inactive", "inactive"),
        ("--named a*", "named 'a*'"),
        ("--named a --named b", "named 'a' or named 'b'"),
        ("--named a --except-named b", "named 'a' and not named 'b'"),
        (
            "--named a --except-named b --except-named c",
            "named 'a' and not named 'b' and not named 'c'",
        ),
        ("--created-by ada --created-by x", "created by 'ada' or created by 'x'"),
        ("--has-scope all.*", "has scope 'all.*'"),
        ("--can-create-tokens", "can create tokens"),
        ("--expired --inactive", "expired and inactive"),
        ("--expired --inactive --any", "expired or inactive"),
        ("--inactive --named a --named b", "inactive and (named 'a' or named 'b')"),
        (
            "--any --inactive --older-than 1d --except-named a",
            "(inactive or older than 1 day) and not named 'a'",
        ),
    ],
)
def test_rules(command: Command, monkeypatch: pytest.MonkeyPatch, options: str, rule: str) -> None:
    """Different options are combined with "and", or "or" with --any; repeated ones with "or"."""
    seen = []

    def record(rules: RuleOptions, *_: object) -> None:
        seen.append(str(rules.rule()))
        raise CommandError("seen")

    monkeypatch.setattr(planning, "selection_planner", record)

    command("plan", *options.split())

    assert seen == [rule]


def test_no_options_are_no_rule() -> None:
    """Without an option there is no rule, instead of a rule that selects everything."""
    assert NO_RULES.rule() is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [([], timedelta(hours=24)), (["--max-age", "4w"], timedelta(weeks=4))],
)
def test_max_age(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    given: list[str],
    expected: timedelta,
) -> None:
    """The maximum age of a plan is one day by default."""
    ages: list[object] = []
    plan = write(tmp_path / "p.jsonl")
    monkeypatch.setattr(jobs.Plan, "check", lambda *arguments: ages.append(arguments[2]))
    monkeypatch.delenv("LOSANT_API_TOKEN", raising=False)

    command("apply", str(plan.path), "--yes", *given)

    assert ages == [expected]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (RuleOptions(), "None"),
        (RuleOptions(any=True), "None"),
        (RuleOptions(expired=True), "expired"),
        (
            RuleOptions(expired=True, older_than=timedelta(days=30), any=True),
            "expired or older than 30 days",
        ),
        (
            RuleOptions(active=True, except_named=("a", "b")),
            "active and not named 'a' and not named 'b'",
        ),
        (RuleOptions(except_named=("a",)), "not named 'a'"),
    ],
)
def test_all_options_are_one_filter(options: RuleOptions, expected: str) -> None:
    """A filter combines all options, and an exclusion alone is a filter, too."""
    assert str(options.filter()) == expected


def test_an_exclusion_alone_selects_nothing() -> None:
    """Without an option that selects tokens, there is no rule for a plan."""
    assert RuleOptions(except_named=("a",)).rule() is None
