"""Summarize all listings of a plan: its header, its refusals and its warnings.

This module is pure: it sends no request.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

import attrs

from losant_tokens import AsyncClient, Owner
from losant_tokens._client import account_changes_of
from losant_tokens._complete_listing.page_cursor import Page
from losant_tokens.jobs._errors import PlanRefused
from losant_tokens.jobs._plan.account_check import USER_KINDS, other_account, owner_ids_of
from losant_tokens.jobs._plan.plan import MAX_PLAN_AGE
from losant_tokens.jobs._plan.selector import Listing, TokenSelector
from losant_tokens.jobs._plan.settings import PlanSettings, Selection
from losant_tokens.jobs._types import Action, Counts, Evidence, Header

Method = Literal["get", "patch", "delete", "post", "page"]

# Each token is read before it is changed.
_METHODS: Mapping[Action, tuple[Method, ...]] = MappingProxyType(
    {
        "delete": ("delete", "get"),
        "deactivate": ("patch", "get"),
        "activate": ("patch", "get"),
        "rotate": ("post", "patch", "get", "page", "delete"),
    }
)
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
    _account_changes: int = attrs.field(init=False)
    _owner_ids: dict[Owner, set[str]] = attrs.field(factory=dict)
    _drifted: bool = False
    _incomplete: list[str] = attrs.field(factory=list)
    _left_out: int = 0
    _seen: int = 0

    def __attrs_post_init__(self) -> None:
        self._account_changes = account_changes_of(self.client)

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
        """
        self._drifted |= not is_complete
        problems = listing.check.problems(is_stable=is_complete)
        self._incomplete += [f"{listing.owner}: {problem}" for problem in problems]
        self._left_out += listing.left_out
        self._seen += listing.seen
        self.counts[listing.owner] = listing.counts

    def refusals(self) -> Iterator[str]:
        """Return why the settings do not allow the plan, as sentences."""
        if self._may_mix_accounts():
            yield (
                "The client got another token while the tokens were listed, and neither its claims "
                "nor the API show that it is of the same account. Make the plan again."
            )
        yield from self.settings.guards.problems(self.counts)
        failed = self.selector.unmatched.failed_guards()
        if self.settings.unmatched == "refuse" and failed and self._selected:
            yield f"{' '.join(failed)} Correct it or leave it out, or pass unmatched='warn'."
        if self.settings.incomplete == "refuse" and (problems := self._all_incomplete()):
            yield (
                f"Tokens may be missing from the plan: {'; '.join(problems)}. Make a new plan, "
                f"if possible while nobody changes the tokens."
            )

    def _may_mix_accounts(self) -> bool:
        """Return whether tokens of two users may have been listed as those of one."""
        listed = [owner for owner in self.counts if owner.kind in USER_KINDS]
        if not listed or account_changes_of(self.client) == self._account_changes:
            return False
        ids = [self._owner_ids.get(owner, set()) for owner in listed]
        return not all(ids) or len(set().union(*ids)) > 1

    def header(self, refused: tuple[str, ...] = ()) -> Header:
        """Return the header of the plan.

        Args:
            refused: Why the settings do not allow the plan.
        """
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
            cannot_apply=self._cannot_apply(),
            token_expires_at=self.client.token_expires_at,
            refused=refused,
            policy=self.selection.policy,
            seen=self._evidence(),
        )

    def _evidence(self) -> Evidence | None:
        """Return the evidence of use that protected tokens, if there was any."""
        seen = self.selector.seen
        if seen is None:
            return None
        assert seen.until is not None  # noqa: S101 -- the span was counted back from it
        return Evidence(
            span=self.settings.protect_seen,
            sources=tuple(map(str, seen.sources)),
            until=seen.until,
            protected=self._seen,
            gaps=seen.gaps,
        )

    def own_token_warning(self) -> str | None:
        """Return a warning if the token of the client may be among the selected tokens."""
        # Neither action locks a client out: a rotation continues with the successor.
        is_harmless = self.selection.action in {"activate", "rotate"}
        if is_harmless or not self.selection.warns_of_own_token:
            return None
        if self.selector.token_in_use is not None or not self._selected:
            return None
        return (
            "Cannot determine which token this client uses, so it may be among the selected "
            "tokens. Protect it by its id or its name: protect='name'."
        )

    def unmatched_warnings(self) -> list[str]:
        """Return a warning for each pattern that matches no token."""
        if self.settings.unmatched == "ignore":
            return []
        unmatched = self.selector.unmatched
        problems = (*unmatched.failed_guards(), *unmatched.selecting())
        return [f"{problem} Check its spelling." for problem in problems]

    def warnings(self) -> list[str]:
        """Return the other warnings that the caller should read before applying the plan."""
        warnings = []
        if self._selected:
            warnings += self._warnings_about_token()
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
        if self.selector.seen is not None:
            warnings += self.selector.seen.gaps
        if about_clock := self.selector.clock.warning(self._left_out):
            warnings.append(about_clock)
        return warnings

    def _warnings_about_token(self) -> list[str]:
        warnings = []
        if problems := self._cannot_apply():
            warnings.append(
                f"The token that this client uses cannot apply the plan: {'; '.join(problems)}. "
                f"Apply the plan with another token of the same account."
            )
        expires, made = self.client.token_expires_at, self.selector.clock.created_at
        if expires is not None and expires < made + MAX_PLAN_AGE:
            warnings.append(
                f"The token that this client uses expires at "
                f"{expires.isoformat(sep=' ', timespec='minutes')}. Apply the plan before, or with "
                f"another token of the same account."
            )
        return warnings

    def _cannot_apply(self) -> tuple[str, ...]:
        """Return why the API is certain to refuse the plan to the client's token."""
        methods = _METHODS[self.selection.action]
        owned = [self.client.tokens(owner) for owner in self.selection.rules]
        refusals = (tokens.refusal(method) for tokens in owned for method in methods)
        problems = (str(error).removesuffix(".") for error in refusals if error is not None)
        return tuple(dict.fromkeys(problems))

    @property
    def _selected(self) -> int:
        return sum(counts.selected for counts in self.counts.values())

    def _all_incomplete(self) -> tuple[str, ...]:
        return (*([_KEPT_CHANGING] if self._drifted else []), *self._incomplete)
