"""Guards: the tokens that a plan must not touch, and the number of tokens that it may select."""

import attrs

from losant_tokens import AsyncClient, Owner
from losant_tokens.jobs._errors import GuardRefused
from losant_tokens.jobs._name_patterns import NamePattern, PatternSet
from losant_tokens.jobs._rules import Token
from losant_tokens.jobs._types import Counts


@attrs.frozen(kw_only=True)
class Guards:
    """The guards of a plan.

    Args:
        protect: Ids and name patterns of tokens that are never touched.
        allow_majority: Whether more than half of an owner's tokens may be selected.
        max_changes: The maximum number of selected tokens; `None` for no limit.
    """

    protect: tuple[NamePattern, ...] = ()
    allow_majority: bool = False
    max_changes: int | None = None
    _patterns: PatternSet = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_patterns", PatternSet(self.protect))

    def protection(self, client: AsyncClient, token: Token) -> str | None:
        """Return why a token must not be touched; `None` if it may be.

        Args:
            client: The client that plans. Its own token is always protected.
            token: The token.
        """
        if client.uses_token(token.id):
            return "the token in use"
        if pattern := next(self._patterns.matching(token.id, token.name), None):
            return f"protected by {pattern.text!r}"
        if self.protect and "name" in getattr(token, "unreadable", ()):
            return "its name cannot be read, so it may be protected"
        return None

    def check(self, owner: Owner, counts: Counts, selected: int) -> None:
        """Refuse a plan that selects too many tokens.

        Args:
            owner: The owner whose tokens were listed last.
            counts: The counts of this owner.
            selected: The number of selected tokens of all owners.

        Raises:
            GuardRefused: The plan selects more tokens than it may.
        """
        if self.max_changes is not None and selected > self.max_changes:
            raise GuardRefused(
                f"More than {self.max_changes} tokens were selected. Select fewer, or pass a "
                f"larger max_changes."
            )
        if not self.allow_majority and counts.selected * 2 > counts.listed:
            raise GuardRefused(
                f"{counts.selected} of the {counts.listed} tokens of {owner} were selected, which "
                f"is more than half. Select fewer, or pass allow_majority=True."
            )
