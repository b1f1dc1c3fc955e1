"""The conditions for tokens that users can choose, as one table.

The options of the command and the tables `select` of a policy file are both read with it, so they
have the same names and meanings. A new condition is one line here. The command needs an option for
it, because an option also has a help text; a test compares the two.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal

from attrs import field, frozen

from losant_tokens.jobs import _token_rules as rules
from losant_tokens.jobs._token_rules import Rule

Kind = Literal["flag", "duration", "globs"]


@frozen(kw_only=True)
class Predicate:
    """A condition for tokens that an option or a line of a policy file sets."""

    name: str
    """The name: `older_than`."""
    kind: Kind
    """The kind of its value. `flag`: it is set or not. `duration`: a duration. `globs`: patterns; a
    token must match one of them.
    """
    summary: str
    """The condition in one line, for references."""
    excludes: bool = False
    """Whether the tokens that match are left out, whatever the other conditions are."""
    _make: Callable[..., Rule] = field(repr=False)

    def rule(self, value: Any) -> Rule:
        """Return the condition as a rule.

        Args:
            value: `True` for a flag, a `timedelta` for a duration, patterns for globs.

        Raises:
            ValidationError: The value is invalid.
        """
        if self.kind == "flag":
            return self._make()
        if self.kind == "duration":
            return self._make(value)
        return rules.any_of(self.rules(value))

    def rules(self, globs: Iterable[str]) -> list[Rule]:
        """Return a rule for each pattern.

        Raises:
            ValidationError: A pattern is invalid.
        """
        return [self._make(glob) for glob in globs]


def _flag(make: Callable[[], Rule], summary: str) -> Predicate:
    return Predicate(name=make.__name__, kind="flag", summary=summary, make=make)


def _duration(make: Callable[..., Rule], summary: str) -> Predicate:
    return Predicate(name=make.__name__, kind="duration", summary=summary, make=make)


def _globs(make: Callable[[str], Rule], summary: str) -> Predicate:
    return Predicate(name=make.__name__, kind="globs", summary=summary, make=make)


PREDICATES: Mapping[str, Predicate] = MappingProxyType(
    {
        predicate.name: predicate
        for predicate in (
            _flag(rules.expired, "The expiration date has passed."),
            _flag(rules.never_expires, "The token has no expiration date."),
            _flag(rules.active, "The status is active. The token may have expired."),
            _flag(rules.inactive, "The status is inactive."),
            _flag(rules.can_create_tokens, "The token can create tokens."),
            _duration(rules.expires_within, "The token expires within this time."),
            _duration(rules.older_than, "The token was created longer ago."),
            _duration(rules.not_updated_for, "The token was last updated longer ago."),
            _globs(rules.named, "The name matches one of these patterns."),
            _globs(rules.created_by, "The creator's id or name matches one of these patterns."),
            _globs(rules.has_scope, "A scope matches one of these patterns."),
            Predicate(
                name="except_named",
                kind="globs",
                summary="The name matches none of these patterns.",
                excludes=True,
                make=rules.named,
            ),
        )
    }
)
"""The conditions by their names."""
