"""Rules select the tokens of a plan. They combine with `&`, `|` and `~`.

A rule has three results for a token: it matches, it does not match, or the result is unknown,
because the API left out a member that the rule needs, or sent one that cannot be read. An unknown
result selects nothing, and neither does its opposite: a token without a known creation date is
neither `older_than(...)` nor `~older_than(...)`. Pure: a rule depends on the token and a time.
"""

import operator
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from attrs import field, frozen

from losant_tokens import ApiToken, UserOauthToken
from losant_tokens import can_create_tokens as may_create
from losant_tokens._scopes import KNOWN
from losant_tokens.errors import ValidationError
from losant_tokens.jobs._name_patterns import NamePattern

Token = ApiToken | UserOauthToken
Answer = bool | None
Decide = Callable[[Token, datetime], Answer]


@frozen(eq=False)
class Pattern:
    """A part of a rule that matches by a pattern, so that a pattern without a match is noticed.

    Attributes:
        words: The part in words: `named 'ci-*'`.
        matches: Whether a token matches the pattern.
        excludes: Whether the rule leaves out the tokens that match, as in `~named("prod-*")`.
    """

    words: str
    matches: Callable[[Token], Answer]
    excludes: bool = False

    def inverted(self) -> "Pattern":
        """Return the same part of the opposite rule."""
        return Pattern(self.words, self.matches, not self.excludes)


@frozen(eq=False)
class Rule:
    """One property of a token, or several combined with `&`, `|` and `~`.

    A rule has no truth value: `expired() and named("ci-*")` would silently be `named("ci-*")`
    alone, because Python's `and`, `or`, `not` and `if` cannot be redefined. They raise `TypeError`.

    Attributes:
        words: The rule in words, as a plan shows it: `expired and named 'ci-*'`.
        uses_time: Whether the result depends on the time.
        patterns: The parts that match by a pattern.
    """

    words: str
    _answer: Decide = field(repr=False)
    _reason: Callable[[Token, datetime], str] = field(repr=False)
    _has_or: bool = field(default=False, repr=False)
    uses_time: bool = field(default=False, repr=False, kw_only=True)
    patterns: tuple[Pattern, ...] = field(default=(), repr=False, kw_only=True)

    def matches(self, token: Token, now: datetime) -> Answer:
        """Return whether the token has the property; `None` if that is unknown."""
        return self._answer(token, now)

    def why(self, token: Token, now: datetime) -> str | None:
        """Return in words why the rule selects the token; `None` if it does not."""
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
            uses_time=self.uses_time or other.uses_time,
            patterns=self.patterns + other.patterns,
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
            uses_time=self.uses_time or other.uses_time,
            patterns=self.patterns + other.patterns,
        )

    def __invert__(self) -> "Rule":
        words = f"not {self._as_a_part()}" if " and " not in self.words else f"not ({self.words})"
        return Rule(
            words,
            lambda token, now: _opposite(self.matches(token, now)),
            lambda *_: words,
            uses_time=self.uses_time,
            patterns=tuple(pattern.inverted() for pattern in self.patterns),
        )

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
    return _tree(listed, combine) if listed else _NO_RULE


def _tree(rules: tuple[Rule, ...], combine: Callable[[Rule, Rule], Rule]) -> Rule:
    """Combine rules by halves: a chain of a thousand would be too deep a recursion."""
    if len(rules) == 1:
        return rules[0]
    middle = len(rules) // 2
    return combine(_tree(rules[:middle], combine), _tree(rules[middle:], combine))


def nothing() -> Rule:
    """Return the rule that matches no token."""
    return Rule("nothing", lambda *_: False, lambda *_: "")


_NO_RULE = Rule("no rule", lambda *_: None, lambda *_: "")


def _is_unreadable(token: Token, attribute: str) -> bool:
    """Return whether the API sent the member, but in a form that cannot be read."""
    return attribute in getattr(token, "unreadable", ())


# --- Time ------------------------------------------------------------------------------------


def expired() -> Rule:
    """Return the rule for tokens whose expiration date has passed."""
    return Rule(
        "expired",
        lambda token, now: _is_within(token, lambda expires: expires <= now),
        lambda token, _: f"expired on {_day(token.expiration_date)}",
        uses_time=True,
    )


def expires_within(span: timedelta) -> Rule:
    """Return the rule for tokens that have not expired yet, but will within the span."""
    limit = _checked("expires_within", span)
    return Rule(
        f"expires within {_days(limit)}",
        # A sum of a date and a span could leave the years 1 to 9999; a difference cannot.
        lambda token, now: _is_within(token, lambda expires: timedelta(0) < expires - now <= limit),
        lambda token, _: f"expires on {_day(token.expiration_date)}",
        uses_time=True,
    )


def never_expires() -> Rule:
    """Return the rule for tokens without an expiration date."""
    return Rule(
        "never expires",
        lambda token, _: (
            None if _is_unreadable(token, "expiration_date") else token.expiration_date is None
        ),
        lambda *_: "never expires",
    )


def older_than(span: timedelta) -> Rule:
    """Return the rule for tokens that were created longer ago than the span."""
    limit = _checked("older_than", span)
    return Rule(
        f"older than {_days(limit)}",
        lambda token, now: _longer_ago(token.creation_date, now, limit),
        lambda token, _: f"created on {_day(token.creation_date)}",
        uses_time=True,
    )


def not_updated_for(span: timedelta) -> Rule:
    """Return the rule for tokens that were last changed longer ago than the span.

    It says nothing about the use of a token.
    """
    limit = _checked("not_updated_for", span)
    return Rule(
        f"not updated for {_days(limit)}",
        lambda token, now: _longer_ago(token.last_updated, now, limit),
        lambda token, _: f"last updated on {_day(token.last_updated)}",
        uses_time=True,
    )


def _is_within(token: Token, check: Callable[[datetime], bool]) -> Answer:
    """Return the result of a check of the expiration date; `None` if the date is unknown."""
    if token.expiration_date is None:
        return None if _is_unreadable(token, "expiration_date") else False
    return check(token.expiration_date)


def _longer_ago(time: datetime | None, now: datetime, span: timedelta) -> Answer:
    return None if time is None else now - time > span


def _checked(rule: str, span: object) -> timedelta:
    if not isinstance(span, timedelta) or span < timedelta(0):
        raise ValidationError(f"{rule} takes a timedelta that is not negative, not {span!r}")
    return span


def _days(span: timedelta) -> str:
    days = span / timedelta(days=1)
    return f"{days:g} day{'' if days == 1 else 's'}"


def _day(time: datetime | None) -> str:
    return time.date().isoformat() if time else "an unknown day"


# --- Properties of a token -------------------------------------------------------------------


def inactive() -> Rule:
    """Return the rule for tokens whose status is `inactive`."""
    return Rule(
        "inactive",
        lambda token, _: None if token.status is None else token.status == "inactive",
        lambda *_: "inactive",
    )


def named(glob: str) -> Rule:
    """Return the rule for tokens with a name that matches.

    Args:
        glob: A name, or a glob: `*` is any string, `?` one character, `[ab]` one of them. The
            name that equals it always matches, and Unicode forms do not matter.

    Raises:
        ValidationError: It is not a string, or blank.
    """
    pattern = NamePattern.checked("named", "glob", glob)
    return _by_pattern(
        f"named {glob!r}",
        lambda token: None if _is_unreadable(token, "name") else pattern.matches(token.name),
    )


def created_by(glob: str) -> Rule:
    """Return the rule for tokens with a creator that has this id, or a name that matches.

    Raises:
        ValidationError: The glob is not a string, or blank.
    """
    pattern = NamePattern.checked("created_by", "glob", glob)

    def answer(token: Token) -> Answer:
        creator = (getattr(token, "creator_id", None), getattr(token, "creator_name", None))
        known = [value for value in creator if value is not None]
        if any(map(pattern.matches, known)):
            return True
        unreadable = any(_is_unreadable(token, name) for name in ("creator_id", "creator_name"))
        return False if known and not unreadable else None

    return _by_pattern(f"created by {glob!r}", answer)


def has_scope(glob: str) -> Rule:
    """Return the rule for tokens with a scope that matches.

    Raises:
        ValidationError: The glob is not a string, or blank.
    """
    pattern = NamePattern.checked("has_scope", "glob", glob)
    return _by_pattern(
        f"has scope {glob!r}",
        lambda token: any(map(pattern.matches, token.scope)) if token.scope else None,
        lambda token, _: "has scope " + ", ".join(filter(pattern.matches, token.scope)),
    )


def _by_pattern(
    words: str,
    matches: Callable[[Token], Answer],
    reason: Callable[[Token, datetime], str] | None = None,
) -> Rule:
    return Rule(
        words,
        lambda token, _: matches(token),
        reason or (lambda *_: words),
        patterns=(Pattern(words, matches),),
    )


def can_create_tokens() -> Rule:
    """Return the rule for tokens that can create tokens, and so one that may do more than they.

    The result is unknown for scopes whose permissions are not published.
    """

    def answer(token: Token, _: datetime) -> Answer:
        if may_create(token.scope):
            return True
        return False if token.scope and KNOWN.issuperset(token.scope) else None

    return Rule("can create tokens", answer, lambda *_: "can create tokens")
