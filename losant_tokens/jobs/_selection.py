"""Which tokens a job is about: rules that can be combined with `&`, `|` and `~`.

A rule gives one of three answers for a token: it matches, it does not, or that cannot be told,
because the API has left out what the rule goes by. What cannot be told is not selected, and
neither is its opposite: a token without a known creation date is neither `older_than(...)` nor
`~older_than(...)`. Pure: a rule knows nothing but the token and the moment.
"""

import operator
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import reduce

from attrs import field, frozen

from losant_tokens import ApiToken, UserOauthToken
from losant_tokens import can_create_tokens as may_create
from losant_tokens._scopes import KNOWN
from losant_tokens.errors import ValidationError

Token = ApiToken | UserOauthToken
Answer = bool | None


@frozen(eq=False)
class Rule:
    """One property of a token, or several combined with `&`, `|` and `~`.

    A rule has no truth value: `expired() and named("ci-*")` would silently be `named("ci-*")`
    alone, because Python's `and`, `or`, `not` and `if` cannot be redefined. They raise `TypeError`.

    Attributes:
        words: The rule in words, as a plan shows it: `expired and named 'ci-*'`.
    """

    words: str
    _answer: Callable[[Token, datetime], Answer] = field(repr=False)
    _reason: Callable[[Token, datetime], str] = field(repr=False)
    _has_or: bool = field(default=False, repr=False)

    def matches(self, token: Token, now: datetime) -> Answer:
        """Whether a token has the property; `None` where that cannot be told."""
        return self._answer(token, now)

    def why(self, token: Token, now: datetime) -> str | None:
        """In words, why a token is selected; `None` for one that is not."""
        return self._reason(token, now) if self.matches(token, now) else None

    def __bool__(self) -> bool:
        """Refuse to be true or false.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            f"The rule {self.words!r} is neither true nor false. Combine rules with & for and, "
            f"| for or, ~ for not; ask rule.matches(token, now) about one token."
        )

    def __and__(self, other: "Rule") -> "Rule":
        if not isinstance(other, Rule):
            return NotImplemented
        return Rule(
            f"{self._as_a_part()} and {other._as_a_part()}",
            lambda token, now: _both(self.matches(token, now), other.matches(token, now)),
            lambda token, now: f"{self.why(token, now)}, {other.why(token, now)}",
        )

    def __or__(self, other: "Rule") -> "Rule":
        if not isinstance(other, Rule):
            return NotImplemented
        return Rule(
            f"{self.words} or {other.words}",
            lambda token, now: _opposite(
                _both(
                    _opposite(self.matches(token, now)),
                    _opposite(other.matches(token, now)),
                )
            ),
            lambda token, now: ", ".join(
                filter(None, (self.why(token, now), other.why(token, now)))
            ),
            has_or=True,
        )

    def __invert__(self) -> "Rule":
        words = f"not {self._as_a_part()}" if " and " not in self.words else f"not ({self.words})"
        return Rule(words, lambda token, now: _opposite(self.matches(token, now)), lambda *_: words)

    def __str__(self) -> str:
        return self.words

    def _as_a_part(self) -> str:
        return f"({self.words})" if self._has_or else self.words


def _both(one: Answer, other: Answer) -> Answer:
    """`and` with three answers: what is false makes all false, what is unknown all else unknown."""
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _opposite(answer: Answer) -> Answer:
    return None if answer is None else not answer


def all_of(rules: Iterable[Rule]) -> Rule:
    """Return the rule for tokens that match all of the rules.

    An empty set of rules is unknown for each token: neither it nor its opposite selects any.

    Raises:
        TypeError: One of them is not a rule.
    """
    return _combined("all_of", rules, operator.and_)


def any_of(rules: Iterable[Rule]) -> Rule:
    """Return the rule for tokens that match at least one of the rules.

    An empty set of rules is unknown for each token: neither it nor its opposite selects any.

    Raises:
        TypeError: One of them is not a rule.
    """
    return _combined("any_of", rules, operator.or_)


def _combined(name: str, rules: Iterable[Rule], combine: Callable[[Rule, Rule], Rule]) -> Rule:
    if isinstance(rules, Rule) or not isinstance(rules, Iterable):
        raise TypeError(f"{name} takes a list of rules, such as {name}([expired(), inactive()])")
    listed = tuple(rules)
    for rule in listed:
        if not isinstance(rule, Rule):
            raise TypeError(
                f"{name} takes rules, but one item is of {type(rule).__name__}. "
                f"Combine rules with &, | and ~; `and`, `or`, `not` and `==` do not combine them."
            )
    return reduce(combine, listed) if listed else _NO_RULE


def nothing() -> Rule:
    """No token at all."""
    return Rule("nothing", lambda *_: False, lambda *_: "")


_NO_RULE = Rule("no rule", lambda *_: None, lambda *_: "")


# --- Time ------------------------------------------------------------------------------------


def expired() -> Rule:
    """Tokens whose expiration date has passed."""
    return Rule(
        "expired",
        lambda token, now: token.is_expired(at=now),
        lambda token, _: f"expired on {_day(token.expiration_date)}",
    )


def expires_within(span: timedelta) -> Rule:
    """Tokens that have not expired yet, but will within the span."""
    limit = _checked("expires_within", span)
    return Rule(
        f"expires within {_days(limit)}",
        lambda token, now: (
            token.expiration_date is not None and now < token.expiration_date <= now + limit
        ),
        lambda token, _: f"expires on {_day(token.expiration_date)}",
    )


def never_expires() -> Rule:
    """Tokens without an expiration date."""
    return Rule("never expires", lambda token, _: token.never_expires, lambda *_: "never expires")


def older_than(span: timedelta) -> Rule:
    """Tokens that were created longer ago than the span."""
    limit = _checked("older_than", span)
    return Rule(
        f"older than {_days(limit)}",
        lambda token, now: _longer_ago(token.creation_date, now, limit),
        lambda token, _: f"created on {_day(token.creation_date)}",
    )


def not_updated_for(span: timedelta) -> Rule:
    """Tokens that were last changed longer ago than the span. It says nothing about their use."""
    limit = _checked("not_updated_for", span)
    return Rule(
        f"not updated for {_days(limit)}",
        lambda token, now: _longer_ago(token.last_updated, now, limit),
        lambda token, _: f"last updated on {_day(token.last_updated)}",
    )


def _longer_ago(moment: datetime | None, now: datetime, span: timedelta) -> Answer:
    return None if moment is None else now - moment > span


def _checked(rule: str, span: object) -> timedelta:
    if not isinstance(span, timedelta) or span < timedelta(0):
        raise ValidationError(f"{rule} takes a timedelta that is not negative, not {span!r}")
    return span


def _days(span: timedelta) -> str:
    days = span / timedelta(days=1)
    return f"{days:g} day{'' if days == 1 else 's'}"


def _day(moment: datetime | None) -> str:
    return moment.date().isoformat() if moment else "an unknown day"


# --- What a token is -------------------------------------------------------------------------


def inactive() -> Rule:
    """Tokens whose status is `inactive`."""
    return Rule(
        "inactive",
        lambda token, _: None if token.status is None else token.status == "inactive",
        lambda *_: "inactive",
    )


def named(glob: str) -> Rule:
    """Tokens whose name matches: `*` is anything, `?` one character, `[ab]` one of them."""
    return Rule(
        f"named {glob!r}",
        lambda token, _: fnmatchcase(token.name, glob),
        lambda *_: f"named {glob!r}",
    )


def created_by(glob: str) -> Rule:
    """Tokens whose creator has this id, or a name that matches."""

    def answer(token: Token, _: datetime) -> Answer:
        creator = (getattr(token, "creator_id", None), getattr(token, "creator_name", None))
        known = [value for value in creator if value is not None]
        return any(fnmatchcase(value, glob) for value in known) if known else None

    return Rule(f"created by {glob!r}", answer, lambda *_: f"created by {glob!r}")


def has_scope(glob: str) -> Rule:
    """Tokens one of whose scopes matches."""
    return Rule(
        f"has scope {glob!r}",
        lambda token, _: (
            any(fnmatchcase(scope, glob) for scope in token.scope) if token.scope else None
        ),
        lambda token, _: (
            "has scope " + ", ".join(scope for scope in token.scope if fnmatchcase(scope, glob))
        ),
    )


def can_create_tokens() -> Rule:
    """Tokens whose scopes let them create tokens, and so make one that may do more.

    Of some scopes it is not published what they allow: about those it cannot be told.
    """

    def answer(token: Token, _: datetime) -> Answer:
        if may_create(token.scope):
            return True
        return False if token.scope and KNOWN.issuperset(token.scope) else None

    return Rule("can create tokens", answer, lambda *_: "can create tokens")
