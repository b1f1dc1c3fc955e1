"""Guards: the tokens that a plan must not touch, and the number of tokens that it may select."""

from collections.abc import Iterator, Mapping

import attrs

from losant_tokens import AsyncClient, Owner
from losant_tokens.jobs._name_patterns import NamePattern, PatternSet
from losant_tokens.jobs._token_rules import Token
from losant_tokens.jobs._types import Action, Counts, counted


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

    def protection(
        self, client: AsyncClient, token: Token, action: Action = "delete"
    ) -> str | None:
        """Return why a token must not be touched; `None` if it may be.

        Args:
            client: The client that plans. Its own token is protected, unless it is rotated.
            token: The token.
            action: The action.
        """
        if client.uses_token(token.id) and action != "rotate":
            return "the token in use"
        if pattern := next(self._patterns.matching(token.id, token.name), None):
            return f"protected by {pattern.text!r}"
        if self.protect and "name" in getattr(token, "unreadable", ()):
            return "its name cannot be read, so it may be protected"
        return None

    def problems(self, counts: Mapping[Owner, Counts]) -> Iterator[str]:
        """Return why the plan selects too many tokens, as sentences.

        Args:
            counts: The counts of each owner.
        """
        selected = sum(owned.selected for owned in counts.values())
        if self.max_changes is not None and selected > self.max_changes:
            yield (
                f"{counted(selected, 'token')} {'was' if selected == 1 else 'were'} selected, "
                f"which is more than {self.max_changes:,}. "
                f"Select fewer, or pass a larger max_changes."
            )
        if self.allow_majority:
            return
        for owner, owned in counts.items():
            if owned.selected * 2 > owned.listed:
                verb = "was" if owned.selected == 1 else "were"
                yield (
                    f"{owned.selected:,} of the {counted(owned.listed, 'token')} of {owner} {verb} "
                    f"selected, which is more than half. Select fewer, or pass allow_majority=True."
                )
