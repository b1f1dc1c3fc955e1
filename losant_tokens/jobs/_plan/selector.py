"""Decide for each token whether it is selected, and whether a guard protects it.

This module is pure: it sends no request.
"""

import attrs

from losant_tokens import AsyncClient, Owner
from losant_tokens._complete_listing.completeness import ListingCheck
from losant_tokens.jobs._evidence.last_seen import LastSeen, seen_reason
from losant_tokens.jobs._plan.clock import PlanClock
from losant_tokens.jobs._plan.guards import Guards
from losant_tokens.jobs._plan.unmatched_patterns import UnmatchedPatterns
from losant_tokens.jobs._token_rules import Rule, Token
from losant_tokens.jobs._types import Action, Counts, Entry


@attrs.define(eq=False)
class Listing:
    """One listing of the tokens of an owner, and the decisions about them.

    Attributes:
        owner: The owner.
        rule: The rule for the tokens of this owner.
        check: The check for completeness.
        selected: The number of tokens that the action applies to.
        protected: The number of tokens that the rule selects, but a guard protects.
        left_out: The number of tokens that the rule selects by only one of two clocks.
        seen: The number of protected tokens that an audit log shows in use.
    """

    owner: Owner
    rule: Rule
    check: ListingCheck
    selected: int = 0
    protected: int = 0
    left_out: int = 0
    seen: int = 0

    @property
    def counts(self) -> Counts:
        """The counts for the header of the plan."""
        return Counts(listed=self.check.listed, selected=self.selected, protected=self.protected)


@attrs.define(eq=False)
class TokenSelector:
    """Selects the tokens of a plan.

    Attributes:
        client: The client, which knows whether it uses a token.
        action: The action.
        guards: The guards.
        clock: The time for rules about time.
        unmatched: The patterns that have matched no token so far.
        seen: The tokens that audit logs show in use; `None` if no log was read.
        token_in_use: The id of the token that the client uses, once it was listed.
    """

    client: AsyncClient
    action: Action
    guards: Guards
    clock: PlanClock
    unmatched: UnmatchedPatterns
    seen: LastSeen | None = None
    token_in_use: str | None = None

    def select(self, token: Token, listing: Listing) -> Entry | None:
        """Return the line of the plan for a token; `None` if the token is not in the plan.

        Args:
            token: The token.
            listing: The listing, whose counts are updated.
        """
        self.unmatched.add_token(token)
        if self.client.uses_token(token.id):
            self.token_in_use = token.id
        reason = listing.rule.reason(token, self.clock.now)
        if self.clock.is_doubtful(listing.rule, token, is_selected=reason is not None):
            listing.left_out += 1
            return None
        if reason is None or has_status_after(self.action, token):
            return None
        if self.action == "rotate" and token.is_expired(self.clock.now):
            # Nothing can use it either.
            return None
        protected = self.guards.protection(self.client, token, self.action)
        if protected is None and (protected := seen_reason(self.seen, token.id)) is not None:
            listing.seen += 1
        if protected is None:
            listing.selected += 1
        else:
            listing.protected += 1
        return Entry(
            owner=listing.owner,
            id=token.id,
            name=token.name,
            status=token.status,
            last_updated=token.last_updated,
            creation_date=token.creation_date,
            expiration_date=token.expiration_date,
            reason=reason,
            protected=protected,
            scope=token.scope or None,
            creator_id=getattr(token, "creator_id", None),
            creator_name=getattr(token, "creator_name", None),
            description=token.description,
        )


def has_status_after(action: Action, token: Token) -> bool:
    """Return whether a token has the status that the action sets in the end."""
    # Nothing can use an inactive token, so a successor would have no users.
    status = {"deactivate": "inactive", "activate": "active", "rotate": "inactive"}.get(action)
    return status is not None and token.status == status
