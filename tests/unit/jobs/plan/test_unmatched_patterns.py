"""Patterns that match no token are reported, because they are probably misspelled."""

from losant_tokens import ApiToken, jobs
from losant_tokens.jobs._name_patterns import NamePattern
from losant_tokens.jobs._plan.unmatched_patterns import UnmatchedPatterns

ID = "575ec7417ae143cd83dc4a95"


def unmatched_after(
    names: tuple[str, ...], protect: tuple[str, ...], rule: jobs.Rule
) -> UnmatchedPatterns:
    """The patterns that match none of the tokens with these names and one id."""
    unmatched = UnmatchedPatterns(tuple(map(NamePattern, protect)), rule.patterns)
    for name in names:
        unmatched.add_token(ApiToken(id=ID, name=name))
    return unmatched


def test_protect_patterns() -> None:
    """Each protect pattern that matches no token is reported once."""
    protect = ("prod-*", "ci-?", "prod-*", ID, "9" * 24)
    unmatched = unmatched_after(("ci-1",), protect, jobs.no_tokens())

    assert unmatched.failed_guards() == [
        "The protect pattern 'prod-*' matches no token, so it protects nothing.",
        f"The protect pattern '{'9' * 24}' matches no token, so it protects nothing.",
    ]


def test_excluding_patterns() -> None:
    """An excluding pattern that matches no token is a guard that fails."""
    rule = jobs.named("ci-*") & ~jobs.named("old-*") & ~jobs.named("live-*")
    unmatched = unmatched_after(("ci-1", "old-1", "ci-2"), (), rule)

    assert unmatched.failed_guards() == [
        "~named('live-*') matches no token, so it excludes nothing.",
    ]


def test_selecting_patterns() -> None:
    """A pattern that should select tokens and matches none is reported."""
    rule = jobs.named("ci-*") | jobs.named("bad-*")
    unmatched = unmatched_after(("ci-1", "ci-2"), (), rule)

    assert unmatched.selecting() == ["named('bad-*') matches no token."]


def test_no_patterns() -> None:
    """A plan without patterns reports none."""
    unmatched = unmatched_after(("ci-1",), (), jobs.expired())

    assert (unmatched.failed_guards(), unmatched.selecting()) == ([], [])
