"""The decision about one token: in the plan or not, and selected or protected."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from losant_tokens import ApiToken, ApiTokens, AsyncClient, Owner, UserOauthToken, jobs
from losant_tokens._complete_listing.completeness import ListingCheck
from losant_tokens.jobs import Entry, Rule
from losant_tokens.jobs._name_patterns import protect_patterns
from losant_tokens.jobs._plan.clock import PlanClock
from losant_tokens.jobs._plan.guards import Guards
from losant_tokens.jobs._plan.selector import Listing, TokenSelector, has_status_after
from losant_tokens.jobs._plan.unmatched_patterns import UnmatchedPatterns

NOW = datetime(2026, 3, 1, tzinfo=UTC)
USER = Owner.user()
TOKEN = ApiToken(id="1" * 24, name="ci-1", status="active", expiration_date=NOW)


def selector_of(action: Any = "delete", protect: str = "prod-*") -> TokenSelector:
    """A selector at a given time, with a protect pattern."""
    client = AsyncClient("x")
    guards = Guards(protect=protect_patterns("plan", protect))
    clock = PlanClock(client, "warn", uses_time=True, given=NOW)
    clock.set()
    return TokenSelector(client, action, guards, clock, UnmatchedPatterns(guards.protect, ()))


def listing_of(rule: Rule) -> Listing:
    """A listing without any token so far."""
    return Listing(USER, rule, ListingCheck(ApiTokens(items=())))


def test_selected_token() -> None:
    """A selected token has a line with its state and the reason."""
    listing = listing_of(jobs.expired())

    entry = selector_of().select(TOKEN, listing)

    assert entry == Entry(
        owner=USER,
        id=TOKEN.id,
        name="ci-1",
        status="active",
        last_updated=None,
        creation_date=None,
        expiration_date=NOW,
        reason="expired on 2026-03-01",
    )
    assert (listing.selected, listing.protected) == (1, 0)


def test_scopes_and_creator() -> None:
    """A line has the scopes, the creator and the description of a token."""
    known: dict[str, Any] = {
        "scope": ("all.User",),
        "creator_id": "2" * 24,
        "creator_name": "grace",
    }
    token = attrs.evolve(TOKEN, description="for CI", **known)

    entry = selector_of().select(token, listing_of(jobs.expired()))

    assert entry is not None
    assert (entry.scope, entry.creator_id) == (("all.User",), "2" * 24)
    assert (entry.creator_name, entry.description) == ("grace", "for CI")


def test_oauth_token_without_creator() -> None:
    """A line has no creator for an OAuth token, because the API states none."""
    token = UserOauthToken(id="1" * 24, name="app", expiration_date=NOW, scope=("all.User",))

    entry = selector_of().select(token, listing_of(jobs.expired()))

    assert entry is not None
    assert (entry.scope, entry.creator_id, entry.creator_name) == (("all.User",), None, None)


def test_protected_token() -> None:
    """A protected token has a line with the guard, and is not counted as selected."""
    listing = listing_of(jobs.expired())

    entry = selector_of(protect="ci-*").select(TOKEN, listing)

    assert entry is not None
    assert entry.protected == "protected by 'ci-*'"
    assert (listing.selected, listing.protected) == (0, 1)


def test_token_that_the_rule_does_not_select() -> None:
    """A token that the rule does not select has no line, even if it is protected."""
    listing = listing_of(jobs.inactive())

    assert selector_of(protect="ci-*").select(TOKEN, listing) is None
    assert (listing.selected, listing.protected) == (0, 0)


def test_token_that_needs_no_change() -> None:
    """A token that already has the status that the action sets has no line."""
    token = attrs.evolve(TOKEN, status="inactive")

    assert selector_of("deactivate").select(token, listing_of(jobs.expired())) is None


def test_time_of_the_clock() -> None:
    """A rule about time is applied at the time of the clock."""
    token = attrs.evolve(TOKEN, expiration_date=NOW + timedelta(seconds=1))

    assert selector_of().select(token, listing_of(jobs.expired())) is None


@pytest.mark.parametrize(
    ("action", "status", "is_done"),
    [
        ("deactivate", "inactive", True),
        ("deactivate", "active", False),
        ("deactivate", None, False),
        ("activate", "active", True),
        ("activate", "inactive", False),
        ("delete", "inactive", False),
        ("delete", "active", False),
        ("delete", None, False),
    ],
)
def test_has_status_after(action: Any, status: str | None, is_done: bool) -> None:
    """Only a token that has the status that the action sets needs no change."""
    assert has_status_after(action, ApiToken(id="1" * 24, status=status)) is is_done
