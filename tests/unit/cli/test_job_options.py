"""The rule options as rules."""

from datetime import timedelta

import pytest

from losant_tokens.cli._job_options import RuleOptions

MONTH = timedelta(days=30)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (RuleOptions(), "None"),
        (RuleOptions(any=True), "None"),
        (RuleOptions(expired=True), "expired"),
        (
            RuleOptions(expired=True, older_than=MONTH, any=True),
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
