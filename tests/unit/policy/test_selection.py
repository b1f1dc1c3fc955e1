"""The table `select` of a policy file."""

# ruff: noqa: E501 -- a mistake and its message are one line

from pathlib import Path

import pytest

from losant_tokens import jobs
from losant_tokens.cli._options.jobs import RuleOptions
from tests.support.policies import CLEANUP, load_policy, places

RULE = '[[rules]]\nname = "x"\nseverity = "low"\nmessage = "x"\nselect = {}\n'


def rule_text(select: str) -> str:
    """Return a policy file with one rule that has a selection."""
    return RULE.replace("{}", f"{{ {select} }}")


@pytest.mark.parametrize(
    ("select", "description"),
    [
        ("expired = true", "expired"),
        ('older_than = "90d"', "older than 90 days"),
        ('named = ["a", "b-*"]', "named 'a' or named 'b-*'"),
        (
            'older_than = "90d", named = ["a", "b"]',
            "older than 90 days and (named 'a' or named 'b')",
        ),
        (
            'named = ["a*"], except_named = ["ab", "ac"]',
            "named 'a*' and not named 'ab' and not named 'ac'",
        ),
        (
            'inactive = true, any = [{ expired = true }, { named = ["x"], older_than = "1d" }]',
            "inactive and (expired or named 'x' and older than 1 day)",
        ),
        (
            'expired = true, not = { named = ["x"], created_by = ["ada"] }',
            "expired and not (named 'x' and created by 'ada')",
        ),
        ('not = { named = ["team-*"] }', "not named 'team-*'"),
        ('except_named = ["team-*"]', "not named 'team-*'"),
    ],
)
def test_rule(tmp_path: Path, select: str, description: str) -> None:
    """All conditions of a table must hold, one table of `any`, and not all of `not`."""
    policy = load_policy(tmp_path, rule_text(select))
    assert str(policy.rules[0].rule()) == description


def test_conditions_are_the_options() -> None:
    """A policy has the conditions of the command: each option of the command is in the table."""
    options = set(RuleOptions.__annotations__) - {"any"}
    assert set(jobs.PREDICATES) == options


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("", ": must have a condition, because an empty table would select every token"),
        ('named = ["*"]', ".named: matches every token: leave it out, or write a narrower pattern"),
        (
            'named = ["a", "?*"]',
            ".named: matches every token: leave it out, or write a narrower pattern",
        ),
        (
            'named = ["a"], except_named = ["**"]',
            ".except_named: leaves out every token: leave it out, or write a narrower pattern",
        ),
        ("named = []", ".named: must have a pattern"),
        ('named = [" "]', ".named[0]: must not be blank"),
        (r'named = ["a\u001b"]', ".named[0]: must be one line without control characters"),
        (
            'named = "ci-*"',
            '.named: must be a list of strings, such as ["ci-*"], but it is a string',
        ),
        (
            "older_than = 90",
            '.older_than: must be a duration, such as "90d", but it is a number',
        ),
        ('older_than = "0d"', '.older_than: "0d" must be longer than 0'),
        (
            'older_than = "90x"',
            '.older_than: "90x" is not a duration: use hours, days, weeks, months or years, such as 12h, 30d, 4w, 18mo or 2y',
        ),
        (
            "expired = false",
            ".expired: must be true, but it is false: leave it out, or use not = { expired = true }",
        ),
        (
            "expired = 2026-03-01",
            ".expired: must be true, but it is a date: leave it out, or use not = { expired = true }",
        ),
        ("active = true, inactive = true", ".inactive: contradicts active: no token matches both"),
        (
            'never_expires = true, expires_within = "1d"',
            ".expires_within: contradicts never_expires: no token matches both",
        ),
        (
            'named = ["a"], except_named = ["b", "a"]',
            ".except_named: leaves out all names of named",
        ),
        (
            "expired = true, not = { expired = true }",
            ".not: leaves out every token that the other conditions select",
        ),
        ("expired = true, not = {}", ".not: must have a condition"),
        (
            "expired = true, not = true",
            ".not: must be a table of conditions, such as { expired = true }, but it is true or false",
        ),
        (
            "any = [{ expired = true }]",
            ".any: must have at least 2 tables, one of which must match",
        ),
        ("any = [{ expired = true }, {}]", ".any[1]: must have a condition"),
        (
            "any = true",
            ".any: must be a list of tables, such as [{ expired = true }, { inactive = true }], but it is true or false",
        ),
        ("older-than = true", ".older-than: is not a key: did you mean older_than?"),
        ('status = "active"', ".status: is not a key: write active = true or inactive = true"),
        (
            "not = { any = [] }",
            f".not.any: is not a key: the keys are {', '.join(jobs.PREDICATES)}",
        ),
    ],
)
def test_mistakes(tmp_path: Path, select: str, expected: str) -> None:
    """A selection that is wrong, selects everything or nothing is a mistake with its place."""
    assert places(tmp_path, rule_text(select)) == [f"5: rules[0].select{expected}"]


@pytest.mark.parametrize(
    "select",
    [
        'except_named = ["x"]',
        "not = { expired = true }",
        "any = [{ active = true }, { inactive = true }]",
        'any = [{ expired = true }, { except_named = ["x"] }]',
    ],
)
def test_cleanup_of_nearly_everything(tmp_path: Path, select: str) -> None:
    """A clean-up must say which tokens it selects, not only which it leaves out."""
    text = CLEANUP.replace('{ named = ["ci-*"], older_than = "90d" }', f"{{ {select} }}")
    (place,) = places(tmp_path, text)
    assert place.startswith(
        "4: cleanups[0].select: would select nearly all tokens: add a condition"
    )
