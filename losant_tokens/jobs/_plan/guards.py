"""The limits of a plan: tokens that it must not touch, and how many it may select."""

import attrs

from losant_tokens import AsyncClient, Owner
from losant_tokens.jobs._errors import GuardRefused
from losant_tokens.jobs._name_patterns import NamePattern, PatternSet
from losant_tokens.jobs._rules import Pattern, Token
from losant_tokens.jobs._types import Counts


@attrs.frozen(kw_only=True)
class Guards:
    """The limits of a plan.

    Args:
        protect: Ids and name patterns of tokens that are never touched.
        allow_majority: Whether more than half of an owner's tokens may be selected.
        max_changes: The largest number of tokens that may be selected.
    """

    protect: tuple[NamePattern, ...] = ()
    allow_majority: bool = False
    max_changes: int | None = None
    _patterns: PatternSet = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_patterns", PatternSet(self.protect))

    def protection(self, client: AsyncClient, token: Token) -> str | None:
        """Return why a token must not be touched, or `None`."""
        if client.uses_token(token.id):
            return "the token in use"
        if pattern := next(self._patterns.matching(token.id, token.name), None):
            return f"protected by {pattern.text!r}"
        if self.protect and "name" in getattr(token, "unreadable", ()):
            return "its name cannot be read, so it may be protected"
        return None

    def check(self, owner: Owner, counts: Counts, selected: int) -> None:
        """Refuse a plan that has become too large.

        Raises:
            GuardRefused: It selects more tokens than it may.
        """
        if self.max_changes is not None and selected > self.max_changes:
            raise GuardRefused(
                f"More than {self.max_changes} tokens were selected, and no more may be changed. "
                f"Select fewer, or pass a larger max_changes."
            )
        if not self.allow_majority and counts.selected * 2 > counts.listed:
            raise GuardRefused(
                f"{counts.selected} of the {counts.listed} tokens of {owner} were selected, which "
                f"is more than half. Select fewer, or pass allow_majority=True."
            )


class Unmatched:
    """Finds the patterns that match no token: each of them is probably misspelled.

    Args:
        protect: The patterns of tokens to protect.
        patterns: The patterns of the rule.
    """

    def __init__(self, protect: tuple[NamePattern, ...], patterns: tuple[Pattern, ...]) -> None:
        self._protect = dict.fromkeys(protect)
        self._matcher = PatternSet(protect)
        self._patterns = list(patterns)

    def note(self, token: Token) -> None:
        """Note a token that was listed."""
        if self._protect:
            for pattern in self._matcher.matching(token.id, token.name):
                self._protect.pop(pattern, None)
        for part in self._patterns[:]:
            if part.matches(token):
                self._patterns.remove(part)

    def guards(self) -> list[str]:
        """Return in words the patterns that keep no token out of the plan, although they should."""
        protect = [
            f"The protect pattern {pattern.text!r} matches no token, so it protects nothing."
            for pattern in self._protect
        ]
        excluding = [
            f"The pattern of not {part.description} matches no token, so it keeps none out of the "
            f"plan."
            for part in self._patterns
            if part.excludes
        ]
        return [*protect, *excluding]

    def selecting(self) -> list[str]:
        """Return in words the patterns that could select tokens, but match none."""
        return [
            f"The pattern of {part.description} matches no token."
            for part in self._patterns
            if not part.excludes
        ]
