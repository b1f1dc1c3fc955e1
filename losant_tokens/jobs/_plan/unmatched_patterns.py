"""Find the patterns that match no token, because each of them is probably misspelled."""

from losant_tokens.jobs._name_patterns import NamePattern, PatternSet
from losant_tokens.jobs._token_rules import Pattern, Token


class UnmatchedPatterns:
    """The patterns of a plan that have matched no token so far.

    Args:
        protect: The patterns of tokens to protect.
        patterns: The patterns of the rule.
    """

    def __init__(self, protect: tuple[NamePattern, ...], patterns: tuple[Pattern, ...]) -> None:
        self._protect = dict.fromkeys(protect)
        self._protect_set = PatternSet(protect)
        self._patterns = list(patterns)

    def add_token(self, token: Token) -> None:
        """Remove the patterns that match a token."""
        if self._protect:
            for pattern in self._protect_set.matching(token.id, token.name):
                self._protect.pop(pattern, None)
        for part in self._patterns[:]:
            if part.matches(token):
                self._patterns.remove(part)

    def failed_guards(self) -> list[str]:
        """Return a sentence for each pattern that should keep tokens out of the plan."""
        protect = [
            f"The protect pattern {pattern.text!r} matches no token, so it protects nothing."
            for pattern in self._protect
        ]
        excluding = [
            f"~{part.call} matches no token, so it excludes nothing."
            for part in self._patterns
            if part.excludes
        ]
        return [*protect, *excluding]

    def selecting(self) -> list[str]:
        """Return a sentence for each pattern that should select tokens."""
        return [f"{part.call} matches no token." for part in self._patterns if not part.excludes]
