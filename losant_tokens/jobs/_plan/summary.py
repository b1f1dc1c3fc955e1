"""Summarize all listings of a plan: its header, its refusals and its warnings.

This module is pure: it sends no request.
"""

from datetime import timedelta

import attrs

from losant_tokens import AsyncClient, Owner
from losant_tokens.jobs._errors import GuardRefused, PlanRefused
from losant_tokens.jobs._plan.account_check import other_account, owner_ids_of
from losant_tokens.jobs._plan.page_cursor import Page
from losant_tokens.jobs._plan.selector import Listing, TokenSelector
from losant_tokens.jobs._plan.settings import PlanSettings, Selection
from losant_tokens.jobs._types import Counts, Header

_MAX_OWNER_IDS = 100
_KEPT_CHANGING = "the tokens kept changing while they were listed"


@attrs.define(eq=False)
class PlanSummary:
    """The summary of all listings of a plan.

    Attributes:
        client: The client.
        selection: The tokens to select.
        settings: The settings of the plan.
        selector: The selector, which knows the token in use and the unmatched patterns.
        counts: The counts of each owner.
    """

    client: AsyncClient
    selection: Selection
    settings: PlanSettings
    selector: TokenSelector
    counts: dict[Owner, Counts] = attrs.field(factory=dict)
    _owner_ids: dict[Owner, set[str]] = attrs.field(factory=dict)
    _drifted: bool = False
    _incomplete: list[str] = attrs.field(factory=list)
    _left_out: int = 0

    def add_owner_ids(self, owner: Owner, page: Page) -> None:
        """Add the ids that the API gives on a page for an owner.

        Raises:
            PlanRefused: The ids belong to another account than the plan.
        """
        ids = self._owner_ids.setdefault(owner, set())
        found = owner_ids_of(page) - ids
        if not found:
            return
        if len(ids) <= _MAX_OWNER_IDS:
            ids |= found
        expected = self.selection.owner_ids.get(owner)
        if expected and (problem := other_account(owner, expected, found)):
            raise PlanRefused(f"{self.selection.source} {problem}")

    def add_listing(self, listing: Listing, *, is_complete: bool) -> None:
        """Add the last listing of an owner's tokens.

        Args:
            listing: The listing.
            is_complete: Whether it is certain that no token is missing.

        Raises:
            GuardRefused: The plan selects more tokens than it may.
        """
        self._drifted |= not is_complete
        problems = listing.check.problems(is_stable=is_complete)
        self._incomplete += [f"{listing.owner}: {problem}" for problem in problems]
        self._left_out += listing.left_out
        self.counts[listing.owner] = listing.counts
        self.settings.guards.check(listing.owner, listing.counts, self._selected)

    def refuse(self) -> None:
        """Refuse a plan that the settings do not allow.

        Raises:
            GuardRefused: A pattern matches no token, or tokens may be missing.
        """
        failed = self.selector.unmatched.failed_guards()
        if self.settings.unmatched == "refuse" and failed and self._selected:
            raise GuardRefused(
                f"{' '.join(failed)} Correct it or leave it out, or pass unmatched='warn'."
            )
        if self.settings.incomplete == "refuse" and (problems := self._all_incomplete()):
            raise GuardRefused(
                f"Tokens may be missing from the plan: {'; '.join(problems)}. Make a new plan, "
                f"if possible while nobody changes the tokens."
            )

    def header(self) -> Header:
        """Return the header of the plan."""
        skew = self.client.clock_skew
        return Header(
            created_at=self.selector.clock.created_at,
            base_url=self.client.base_url,
            action=self.selection.action,
            rule=self.selection.description,
            counts=self.counts,
            protected=tuple(pattern.text for pattern in self.settings.guards.protect),
            token_in_use=self.selector.token_in_use,
            drifted=self._drifted,
            owner_ids={
                owner: tuple(sorted(ids))
                for owner, ids in self._owner_ids.items()
                if len(ids) <= _MAX_OWNER_IDS
            },
            account=self.client.account,
            clock_skew=None if skew is None else timedelta(seconds=round(skew.total_seconds(), 3)),
            incomplete=self._all_incomplete(),
            grace=self.selection.grace,
            quarantines=self.selection.quarantines,
        )

    def own_token_warning(self) -> str | None:
        """Return a warning if the token of the client may be among the selected tokens."""
        is_unknown = self.selection.action != "activate" and self.selector.token_in_use is None
        if not is_unknown or not self._selected:
            return None
        return (
            "Cannot determine which token this client uses, so it may be among the selected "
            "tokens. Protect it by its id or its name: protect='name'."
        )

    def warnings(self) -> list[str]:
        """Return the other warnings that the caller should read before applying the plan."""
        warnings = []
        if self._drifted:
            warnings.append(
                "The tokens kept changing while they were listed: some may have been left out. "
                "Plan again when this job is done."
            )
        if self._incomplete:
            warnings.append(
                f"The plan may be incomplete, because tokens may be missing: "
                f"{'; '.join(self._incomplete)}."
            )
        if self.settings.unmatched != "ignore":
            unmatched = self.selector.unmatched
            warnings += [
                f"{problem} Check its spelling."
                for problem in (*unmatched.failed_guards(), *unmatched.selecting())
            ]
        if about_clock := self.selector.clock.warning(self._left_out):
            warnings.append(about_clock)
        return warnings

    @property
    def _selected(self) -> int:
        return sum(counts.selected for counts in self.counts.values())

    def _all_incomplete(self) -> tuple[str, ...]:
        return (*([_KEPT_CHANGING] if self._drifted else []), *self._incomplete)
