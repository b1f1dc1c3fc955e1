"""Rules: which tokens they match, and how they describe themselves."""

import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from losant_tokens import ApiToken, jobs
from losant_tokens.errors import ValidationError
from losant_tokens.jobs import Rule

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def token(**members: Any) -> ApiToken:
    return ApiToken(**{"id": "575ec7417ae143cd83dc4a95", "name": "ci-1", **members})


YES, NO, UNKNOWN = (
    Rule(word, lambda *_, m=match: m, lambda *_, w=word: w)
    for word, match in (("yes", True), ("no", False), ("unknown", None))
)

# (rule, token, whether it matches, the reason)
TABLE: tuple[tuple[Rule, ApiToken, bool | None, str | None], ...] = (
    (jobs.expired(), token(expiration_date=NOW), True, "expired on 2026-03-01"),
    (jobs.expired(), token(expiration_date=NOW - DAY), True, "expired on 2026-02-28"),
    (jobs.expired(), token(expiration_date=NOW + DAY), False, None),
    (jobs.expired(), token(), False, None),
    (jobs.expires_within(DAY), token(expiration_date=NOW + DAY), True, "expires on 2026-03-02"),
    (jobs.expires_within(DAY), token(expiration_date=NOW + DAY / 2), True, "expires on 2026-03-01"),
    (jobs.expires_within(DAY), token(expiration_date=NOW + 2 * DAY), False, None),
    (jobs.expires_within(DAY), token(expiration_date=NOW - DAY), False, None),
    (jobs.expires_within(DAY), token(expiration_date=NOW), False, None),
    (jobs.expires_within(DAY), token(), False, None),
    (jobs.never_expires(), token(), True, "never expires"),
    (jobs.never_expires(), token(expiration_date=NOW), False, None),
    (jobs.older_than(DAY), token(creation_date=NOW - 2 * DAY), True, "created on 2026-02-27"),
    (jobs.older_than(DAY), token(creation_date=NOW - DAY), False, None),
    (jobs.older_than(DAY), token(creation_date=NOW - DAY / 2), False, None),
    (jobs.older_than(DAY), token(creation_date=NOW + 2 * DAY), False, None),
    (jobs.older_than(DAY), token(), None, None),
    (
        jobs.not_updated_for(DAY),
        token(last_updated=NOW - 2 * DAY),
        True,
        "last updated on 2026-02-27",
    ),
    (jobs.not_updated_for(DAY), token(), None, None),
    (jobs.active(), token(status="active"), True, "active"),
    (jobs.active(), token(status="inactive"), False, None),
    (jobs.active(), token(status=None), None, None),
    (jobs.inactive(), token(status="inactive"), True, "inactive"),
    (jobs.inactive(), token(status="active"), False, None),
    (jobs.inactive(), token(status="pending"), False, None),
    (jobs.inactive(), token(status=None), None, None),
    (jobs.named("ci-?"), token(), True, "named 'ci-?'"),
    (jobs.named("CI-*"), token(), False, None),
    (jobs.named("[!c]*"), token(), False, None),
    (jobs.created_by("ada"), token(creator_name="ada"), True, "created by 'ada'"),
    (jobs.created_by("575*"), token(creator_id="575ec7417ae1"), True, "created by '575*'"),
    (jobs.created_by("ada"), token(creator_name="grace"), False, None),
    (jobs.created_by("ada"), token(), None, None),
    (
        jobs.has_scope("all.*"),
        token(scope=("all.User", "userApiToken.get", "all.Device")),
        True,
        "has scope all.User, all.Device",
    ),
    (jobs.has_scope("all.*"), token(scope=("userApiToken.get",)), False, None),
    (jobs.has_scope("all.*"), token(), None, None),
    (jobs.can_create_tokens(), token(scope=("all.User",)), True, "can create tokens"),
    (jobs.can_create_tokens(), token(scope=("all.User.read",)), False, None),
    (jobs.can_create_tokens(), token(scope=("all.User.cli",)), False, None),
    (jobs.can_create_tokens(), token(), None, None),
    (jobs.no_tokens(), token(), False, None),
)


@pytest.mark.parametrize(("rule", "of", "match", "reason"), TABLE)
def test_rule(rule: Rule, of: ApiToken, match: bool | None, reason: str | None) -> None:
    """Each rule matches the tokens that it describes, and states its reason for each."""
    assert (rule.matches(of, NOW), rule.reason(of, NOW)) == (match, reason)


@pytest.mark.parametrize(("rule", "of", "match", "reason"), TABLE)
def test_opposite(rule: Rule, of: ApiToken, match: bool | None, reason: str | None) -> None:
    """The opposite of an unknown result is unknown."""
    opposite = None if match is None else not match

    assert (~rule).matches(of, NOW) is opposite


@pytest.mark.parametrize(
    ("rule", "match"),
    [
        (YES & YES, True),
        (YES & NO, False),
        (YES & UNKNOWN, None),
        (NO & UNKNOWN, False),
        (UNKNOWN & NO, False),
        (YES | NO, True),
        (NO | NO, False),
        (NO | UNKNOWN, None),
        (UNKNOWN | YES, True),
        (~UNKNOWN, None),
        (~(YES & UNKNOWN), None),
        (~~YES, True),
    ],
    ids=str,
)
def test_combinations_use_three_valued_logic(rule: Rule, match: bool | None) -> None:
    """Rules combine by the logic of true, false and unknown."""
    assert rule.matches(token(), NOW) is match


@pytest.mark.parametrize(
    ("rule", "description"),
    [
        (YES & NO, "yes and no"),
        (YES | NO, "yes or no"),
        (YES & (NO | UNKNOWN), "yes and (no or unknown)"),
        ((YES | NO) & UNKNOWN, "(yes or no) and unknown"),
        ((YES & NO) | UNKNOWN, "yes and no or unknown"),
        (~YES, "not yes"),
        (~(YES & NO), "not (yes and no)"),
        (~(YES | NO), "not (yes or no)"),
        (~YES & NO, "not yes and no"),
        (jobs.older_than(DAY), "older than 1 day"),
        (jobs.not_updated_for(90 * DAY), "not updated for 90 days"),
        (jobs.expires_within(DAY / 2), "expires within 0.5 days"),
        (jobs.all_of([]), "no rule"),
    ],
    ids=str,
)
def test_description(rule: Rule, description: str) -> None:
    """A rule describes itself, with parentheses where they are needed."""
    assert (rule.description, str(rule)) == (description, description)


def test_reasons_of_combinations() -> None:
    """The reason for a combination lists the reasons of the parts that match."""
    rules = (YES & ~NO, YES | NO, NO | YES, YES | YES, UNKNOWN | YES, UNKNOWN & YES)

    reasons = [rule.reason(token(), NOW) for rule in rules]

    assert reasons == ["yes, not no", "yes", "yes", "yes, yes", "yes", None]


@pytest.mark.parametrize("combine", [jobs.all_of, jobs.any_of])
def test_empty_list_of_rules(combine: Callable[[list[Rule]], Rule]) -> None:
    """An empty list of rules selects no token, and neither does its opposite."""
    rules = (combine([]), ~combine([]), combine([]) & YES)

    assert [rule.reason(token(), NOW) for rule in rules] == [None, None, None]


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: YES and NO,
        lambda: YES or NO,
        lambda: not YES,
        lambda: 1 if YES else 2,
        lambda: bool(~(YES & NO)),
        lambda: all([YES, NO]),
        lambda: list(filter(None, [YES])),
        lambda: [one for one in (NO, YES) if one],
        lambda: bool(jobs.all_of([])),
    ],
)
def test_rule_has_no_truth_value(misuse: Callable[[], Any]) -> None:
    """Python's `and`, `or`, `not` and `if` raise an error that names the right operators."""
    with pytest.raises(TypeError, match=r"& for and, \| for or, ~ for not"):
        misuse()


@pytest.mark.parametrize("other", [True, None, "ci-*", 1, [YES], lambda *_: True])
@pytest.mark.parametrize("combine", [operator.and_, operator.or_])
def test_rules_combine_only_with_rules(combine: Callable[[Any, Any], Any], other: Any) -> None:
    """Only a rule can be combined with a rule, on either side."""
    with pytest.raises(TypeError, match="unsupported operand"):
        combine(YES, other)
    with pytest.raises(TypeError, match="unsupported operand"):
        combine(other, YES)


@pytest.mark.parametrize("compare", [operator.lt, operator.ge, operator.contains])
def test_rules_cannot_be_compared(compare: Callable[[Any, Any], Any]) -> None:
    """Rules have no order and no members, so `<` and `in` raise an error."""
    with pytest.raises(TypeError):
        compare(YES, NO)


@pytest.mark.parametrize("make", [jobs.all_of, jobs.any_of])
@pytest.mark.parametrize(
    "rules", [YES, None, True, "ci-*", [YES, True], [None], [YES, "ci-*"], [[YES]]]
)
def test_list_with_other_items_than_rules(make: Callable[[Any], Rule], rules: Any) -> None:
    """`all_of` and `any_of` raise an error if an item is not a rule."""
    with pytest.raises(TypeError, match=r"takes (a list of )?rules"):
        make(rules)


def test_lists_of_rules() -> None:
    """`all_of` combines rules with `&`, and `any_of` with `|`."""
    assert jobs.all_of(iter([YES, NO, UNKNOWN])).description == "yes and no and unknown"
    assert jobs.any_of([YES, NO, UNKNOWN]).description == "yes or no or unknown"
    assert jobs.any_of([YES]) is YES


@pytest.mark.parametrize("make", [jobs.older_than, jobs.not_updated_for, jobs.expires_within])
@pytest.mark.parametrize("span", [-DAY, 30, "30d", None])
def test_wrong_span(make: Callable[[Any], Rule], span: Any) -> None:
    """A span must be a timedelta that is not negative."""
    with pytest.raises(ValidationError, match="takes a timedelta that is not negative"):
        make(span)


UNREADABLE: tuple[tuple[Rule, str], ...] = (
    (jobs.expired(), "expiration_date"),
    (jobs.expires_within(DAY), "expiration_date"),
    (jobs.never_expires(), "expiration_date"),
    (jobs.older_than(DAY), "creation_date"),
    (jobs.not_updated_for(DAY), "last_updated"),
    (jobs.active(), "status"),
    (jobs.inactive(), "status"),
    (jobs.named("*"), "name"),
    (jobs.created_by("*"), "creator_id"),
    (jobs.created_by("ada"), "creator_name"),
    (jobs.has_scope("*"), "scope"),
    (jobs.can_create_tokens(), "scope"),
)


@pytest.mark.parametrize(("rule", "attribute"), UNREADABLE)
def test_unreadable_members_are_unknown(rule: Rule, attribute: str) -> None:
    """If a member cannot be read, neither the rule nor its opposite selects the token."""
    one = token(unreadable=frozenset({attribute}))

    assert (rule.matches(one, NOW), (~rule).matches(one, NOW)) == (None, None)


def test_creator_with_one_unreadable_member() -> None:
    """If one member of the creator cannot be read, a mismatch of the other one is unknown."""
    one = token(creator_name="ada", unreadable=frozenset({"creator_id"}))

    assert jobs.created_by("ada").matches(one, NOW) is True
    assert jobs.created_by("grace").matches(one, NOW) is None


EDGES = [
    datetime.min.replace(tzinfo=timezone(timedelta(hours=23))),
    datetime.min.replace(tzinfo=timezone(-timedelta(hours=23))),
    datetime.min.replace(tzinfo=UTC),
    NOW,
    datetime.max.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=timezone(timedelta(hours=23))),
    datetime.max.replace(tzinfo=timezone(-timedelta(hours=23))),
]
SPANS = [timedelta(0), timedelta.resolution, 1_000_000 * DAY, timedelta.max]


@pytest.mark.parametrize("time", EDGES)
@pytest.mark.parametrize("span", SPANS)
def test_extreme_dates_and_spans(time: datetime, span: timedelta) -> None:
    """The largest and smallest dates and spans cause no overflow."""
    one = token(expiration_date=time, creation_date=time, last_updated=time)
    rules = [
        jobs.expired(),
        *(make(span) for make in (jobs.expires_within, jobs.older_than, jobs.not_updated_for)),
    ]
    for now in (NOW, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        for rule in rules:
            assert isinstance(rule.matches(one, now), bool)
            assert isinstance(rule.description, str)
            assert rule.reason(one, now) is None or rule.matches(one, now)


@pytest.mark.slow
@pytest.mark.parametrize("combine", [jobs.all_of, jobs.any_of])
def test_many_rules(combine: Callable[[list[Rule]], Rule]) -> None:
    """Five thousand rules can be combined, and keep their order."""
    rule = combine([jobs.named(f"ci-{number}") for number in range(5000)])

    assert rule.matches(token(), NOW) is (combine is jobs.any_of)
    assert (~rule).matches(token(), NOW) is (combine is jobs.all_of)
    assert rule.description.startswith("named 'ci-0' ")
    assert rule.description.endswith(" named 'ci-4999'")
    assert len(rule.patterns) == 5000


@pytest.mark.parametrize(
    "rule",
    [jobs.expired(), jobs.expires_within(DAY), jobs.older_than(DAY), jobs.not_updated_for(DAY)],
    ids=str,
)
def test_rules_about_dates_use_time(rule: Rule) -> None:
    """Each rule that compares a date with the current time has `uses_time`."""
    assert rule.uses_time is True


def test_repr_of_a_rule() -> None:
    """The representation of a rule shows only its description."""
    assert repr(jobs.expired() & (YES | NO)) == "Rule(description='expired and (yes or no)')"


def test_patterns_of_a_rule() -> None:
    """A pattern excludes tokens only if it is inverted an odd number of times."""
    rule = jobs.named("a*") & ~jobs.named("b*") & ~~jobs.created_by("c")

    assert [(pattern.call, pattern.excludes) for pattern in rule.patterns] == [
        ("named('a*')", False),
        ("named('b*')", True),
        ("created_by('c')", False),
    ]


def test_combinations_that_use_time() -> None:
    """A combination has `uses_time` if one of its parts has it."""
    timed, plain = jobs.expired(), jobs.named("x")

    assert [rule.uses_time for rule in (timed, ~timed, timed & plain, plain | timed)] == [True] * 4
    assert [rule.uses_time for rule in (plain, ~plain, jobs.never_expires())] == [False] * 3
