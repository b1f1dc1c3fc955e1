"""Rules that select the tokens of a plan. They combine with `&`, `|` and `~`.

A rule has three results for a token: it matches, it does not match, or the result is unknown,
because the API left out a member that the rule needs, or sent one that cannot be read. An unknown
result selects nothing, and neither does its opposite: a token without a known creation date is
neither `older_than(...)` nor `~older_than(...)`. This is the three-valued logic of SQL, where
`NULL` is the unknown value. Rules are pure: the result depends only on the token and a time.
"""

import operator
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from attrs import field, frozen

from losant_tokens import ApiToken, UserOauthToken
from losant_tokens._api.published_scopes import Scope
from losant_tokens.errors import ValidationError
from losant_tokens.jobs._name_patterns import NamePattern
from losant_tokens.jobs._types import may_create_tokens

Token = ApiToken | UserOauthToken
Match = bool | None
"""Whether a rule matches a token; `None` if that is unknown."""


@frozen(eq=False)
class Pattern:
    """A part of a rule that matches by a pattern. A plan reports patterns without a match."""

    call: str
    """The call of the rule, for messages: `named('ci-*')`."""
    matches: Callable[[Token], Match]
    """Returns whether a token matches the pattern."""
    excludes: bool = False
    """Whether the rule leaves out the tokens that match, as in `~named("prod-*")`."""

    def inverted(self) -> "Pattern":
        """Return the same part of the opposite rule."""
        return Pattern(self.call, self.matches, not self.excludes)


@frozen(eq=False)
class Rule:
    """One property of a token, or several combined with `&`, `|` and `~`.

    A rule has no truth value: `expired() and named("ci-*")` would silently be `named("ci-*")`
    alone, because Python's `and`, `or`, `not` and `if` cannot be redefined. They raise `TypeError`.
    """

    description: str
    """The rule as a phrase, as a plan shows it: `expired and named 'ci-*'`."""
    _match: Callable[[Token, datetime], Match] = field(repr=False)
    _explain: Callable[[Token, datetime], str] = field(repr=False)
    _has_or: bool = field(default=False, repr=False)
    uses_time: bool = field(default=False, repr=False, kw_only=True)
    """Whether the result depends on the time."""
    patterns: tuple[Pattern, ...] = field(default=(), repr=False, kw_only=True)
    """The parts that match by a pattern."""

    def matches(self, token: Token, now: datetime) -> Match:
        """Return whether the token has the property; `None` if that is unknown.

        Args:
            token: The token.
            now: The time to compare the dates of the token with, with a time zone.
        """
        return self._match(token, now)

    def reason(self, token: Token, now: datetime) -> str | None:
        """Return why the rule selects the token, as a phrase; `None` if it does not.

        Args:
            token: The token.
            now: The time to compare the dates of the token with, with a time zone.
        """
        return self._explain(token, now) if self.matches(token, now) else None

    def __bool__(self) -> bool:
        """Raise an error, because a rule has no truth value.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            f"The rule {self.description!r} is neither true nor false. Combine rules with & for "
            f"and, | for or, ~ for not. Call rule.matches(token, now) to test one token."
        )

    def __and__(self, other: "Rule") -> "Rule":
        if not isinstance(other, Rule):
            return NotImplemented
        return Rule(
            f"{self._as_operand()} and {other._as_operand()}",
            lambda token, now: _both(self.matches(token, now), other.matches(token, now)),
            lambda token, now: f"{self.reason(token, now)}, {other.reason(token, now)}",
            uses_time=self.uses_time or other.uses_time,
            patterns=self.patterns + other.patterns,
        )

    def __or__(self, other: "Rule") -> "Rule":
        if not isinstance(other, Rule):
            return NotImplemented
        return Rule(
            f"{self.description} or {other.description}",
            lambda token, now: _either(self.matches(token, now), other.matches(token, now)),
            lambda token, now: ", ".join(
                filter(None, (self.reason(token, now), other.reason(token, now)))
            ),
            has_or=True,
            uses_time=self.uses_time or other.uses_time,
            patterns=self.patterns + other.patterns,
        )

    def __invert__(self) -> "Rule":
        needs_parentheses = self._has_or or " and " in self.description
        inner = f"({self.description})" if needs_parentheses else self.description
        description = f"not {inner}"
        return Rule(
            description,
            lambda token, now: _opposite(self.matches(token, now)),
            lambda *_: description,
            uses_time=self.uses_time,
            patterns=tuple(pattern.inverted() for pattern in self.patterns),
        )

    def __str__(self) -> str:
        return self.description

    def _as_operand(self) -> str:
        return f"({self.description})" if self._has_or else self.description


def _both(one: Match, other: Match) -> Match:
    """Return `one and other`: false if either is false, else unknown if either is unknown."""
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _either(one: Match, other: Match) -> Match:
    """Return `one or other`: true if either is true, else unknown if either is unknown."""
    return _opposite(_both(_opposite(one), _opposite(other)))


def _opposite(match: Match) -> Match:
    return None if match is None else not match


def all_of(rules: Iterable[Rule]) -> Rule:
    """Return the rule for tokens that match all of the rules.

    An empty list of rules is unknown for each token: neither it nor its opposite selects any.

    Raises:
        TypeError: An item is not a rule.
    """
    return _combined("all_of", rules, operator.and_)


def any_of(rules: Iterable[Rule]) -> Rule:
    """Return the rule for tokens that match at least one of the rules.

    An empty list of rules is unknown for each token: neither it nor its opposite selects any.

    Raises:
        TypeError: An item is not a rule.
    """
    return _combined("any_of", rules, operator.or_)


def _combined(name: str, rules: Iterable[Rule], combine: Callable[[Rule, Rule], Rule]) -> Rule:
    if isinstance(rules, Rule) or not isinstance(rules, Iterable):
        raise TypeError(f"{name} takes a list of rules, such as {name}([expired(), inactive()])")
    checked = tuple(rules)
    for rule in checked:
        if not isinstance(rule, Rule):
            raise TypeError(
                f"{name} takes rules, but one item is a {type(rule).__name__}. "
                f"Combine rules with &, | and ~; `and`, `or`, `not` and `==` do not combine them."
            )
    return _tree(checked, combine) if checked else _NO_RULE


def _tree(rules: tuple[Rule, ...], combine: Callable[[Rule, Rule], Rule]) -> Rule:
    """Combine rules by halves, because a chain of a thousand would exceed the recursion limit."""
    if len(rules) == 1:
        return rules[0]
    middle = len(rules) // 2
    return combine(_tree(rules[:middle], combine), _tree(rules[middle:], combine))


def no_tokens() -> Rule:
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
        lambda token, now: _check_expiration(token, lambda expires: expires <= now),
        lambda token, _: f"expired on {_day(token.expiration_date)}",
        uses_time=True,
    )


def expires_within(span: timedelta) -> Rule:
    """Return the rule for tokens that have not expired yet, but will within the span.

    Raises:
        ValidationError: The span is not a `timedelta`, or is negative.
    """
    limit = checked_span("expires_within", span)
    return Rule(
        f"expires within {format_days(limit)}",
        # A sum of a date and a span could leave the years 1 to 9999. A difference cannot.
        lambda token, now: _check_expiration(
            token, lambda expires: timedelta(0) < expires - now <= limit
        ),
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
    """Return the rule for tokens that were created longer ago than the span.

    Raises:
        ValidationError: The span is not a `timedelta`, or is negative.
    """
    limit = checked_span("older_than", span)
    return Rule(
        f"older than {format_days(limit)}",
        lambda token, now: _is_longer_ago(token.creation_date, now, limit),
        lambda token, _: f"created on {_day(token.creation_date)}",
        uses_time=True,
    )


def not_updated_for(span: timedelta) -> Rule:
    """Return the rule for tokens that were last changed longer ago than the span.

    The API does not report when a token was last used, so an old token may still be in use.

    Raises:
        ValidationError: The span is not a `timedelta`, or is negative.
    """
    limit = checked_span("not_updated_for", span)
    return Rule(
        f"not updated for {format_days(limit)}",
        lambda token, now: _is_longer_ago(token.last_updated, now, limit),
        lambda token, _: f"last updated on {_day(token.last_updated)}",
        uses_time=True,
    )


def _check_expiration(token: Token, check: Callable[[datetime], bool]) -> Match:
    """Return the result of a check of the expiration date; `None` if the date is unknown."""
    if token.expiration_date is None:
        return None if _is_unreadable(token, "expiration_date") else False
    return check(token.expiration_date)


def _is_longer_ago(time: datetime | None, now: datetime, span: timedelta) -> Match:
    return None if time is None else now - time > span


def checked_span(rule: str, span: object) -> timedelta:
    """Return a span that is not negative.

    Args:
        rule: The function that takes it, for the message.
        span: The span.

    Raises:
        ValidationError: It is not a `timedelta`, or is negative.
    """
    if not isinstance(span, timedelta) or span < timedelta(0):
        raise ValidationError(f"{rule} takes a timedelta that is not negative, not {span!r}")
    return span


def format_days(span: timedelta) -> str:
    """Return a span in days: `90 days`."""
    days = span / timedelta(days=1)
    return f"{days:g} day{'' if days == 1 else 's'}"


def _day(time: datetime | None) -> str:
    return time.date().isoformat() if time else "an unknown day"


# --- Properties of a token -------------------------------------------------------------------


def active() -> Rule:
    """Return the rule for tokens whose status is `active`. An active token may have expired."""
    return _by_status("active")


def inactive() -> Rule:
    """Return the rule for tokens whose status is `inactive`."""
    return _by_status("inactive")


def _by_status(status: str) -> Rule:
    return Rule(
        status,
        lambda token, _: None if token.status is None else token.status == status,
        lambda *_: status,
    )


def named(glob: str) -> Rule:
    """Return the rule for tokens with a name that matches.

    Args:
        glob: A name, or a glob: `*` is any string, `?` one character, `[ab]` one of them. A name
            that is equal to the glob always matches, and Unicode forms do not matter.

    Raises:
        ValidationError: The glob is not a string, or is blank.
    """
    pattern = NamePattern.checked("named", "glob", glob)
    return _by_pattern(
        f"named({glob!r})",
        f"named {glob!r}",
        lambda token: None if _is_unreadable(token, "name") else pattern.matches(token.name),
    )


def created_by(glob: str) -> Rule:
    """Return the rule for tokens whose creator has this id, or a name that matches.

    Args:
        glob: The id of a user or a token, a name, or a glob as for `named`.

    Raises:
        ValidationError: The glob is not a string, or is blank.
    """
    pattern = NamePattern.checked("created_by", "glob", glob)

    def match(token: Token) -> Match:
        creator = (getattr(token, "creator_id", None), getattr(token, "creator_name", None))
        known = [value for value in creator if value is not None]
        if any(map(pattern.matches, known)):
            return True
        unreadable = any(_is_unreadable(token, name) for name in ("creator_id", "creator_name"))
        return False if known and not unreadable else None

    return _by_pattern(f"created_by({glob!r})", f"created by {glob!r}", match)


def has_scope(glob: Scope) -> Rule:
    """Return the rule for tokens with a scope that matches.

    Args:
        glob: A scope, or a glob as for `named`: `all.*`.

    Raises:
        ValidationError: The glob is not a string, or is blank.
    """
    pattern = NamePattern.checked("has_scope", "glob", glob)
    return _by_pattern(
        f"has_scope({glob!r})",
        f"has scope {glob!r}",
        lambda token: any(map(pattern.matches, token.scope)) if token.scope else None,
        lambda token, _: "has scope " + ", ".join(filter(pattern.matches, token.scope)),
    )


def _by_pattern(
    call: str,
    description: str,
    matches: Callable[[Token], Match],
    explain: Callable[[Token, datetime], str] | None = None,
) -> Rule:
    return Rule(
        description,
        lambda token, _: matches(token),
        explain or (lambda *_: description),
        patterns=(Pattern(call, matches),),
    )


def can_create_tokens() -> Rule:
    """Return the rule for tokens that can create tokens, even with more scopes than their own.

    The result is unknown for scopes whose permissions are not published.
    """
    return Rule(
        "can create tokens",
        lambda token, _: may_create_tokens(token.scope),
        lambda *_: "can create tokens",
    )
