"""Plans as JSON: the header, the state of the job and the totals, and each token."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import attrs

from losant_tokens import jobs
from losant_tokens.cli._plans.footer import MAX_AGE, current_time, job_state
from losant_tokens.cli._plans.groups import KEEP, Review, review
from losant_tokens.cli._tokens.json import as_wire


def plan_document(plan: jobs.Plan, journal: Path | None) -> Iterator[str]:
    """Return a plan and its tokens as a JSON document, in parts.

    Args:
        plan: The plan.
        journal: The file of the journal, if there is one.
    """
    members = plan_members(plan, review(plan), current_time(plan), journal)
    tokens = (entry_members(entry, plan.header.action) for entry in plan.entries())
    return jobs.json_document(members, "tokens", tokens)


def plan_members(
    plan: jobs.Plan, reviewed: Review, now: datetime, journal: Path | None = None
) -> dict[str, object]:
    """Return everything about a plan except its tokens, as JSON values.

    Args:
        plan: The plan.
        reviewed: Its tokens in groups.
        now: The current time, by the clock that the plan was made by.
        journal: The file of the journal; None for a plan that was just made.
    """
    header, total = plan.header, plan.header.total
    skew = header.clock_skew
    return {
        "plan": str(plan.path),
        "digest": plan.digest,
        "created": as_wire(header.created_at),
        "validUntil": as_wire(header.created_at + MAX_AGE),
        "state": _state(plan, now, journal),
        "action": header.action,
        "baseUrl": header.base_url,
        "rule": header.rule,
        "policy": None if header.policy is None else attrs.asdict(header.policy),
        "owners": {str(owner): attrs.asdict(counts) for owner, counts in header.counts.items()},
        "protected": list(header.protected),
        "seen": _seen_members(header.seen),
        "tokenInUse": header.token_in_use,
        "tokenExpires": as_wire(header.token_expires_at),
        "account": header.account,
        "clockSkew": None if skew is None else skew.total_seconds(),
        "moved": header.drifted,
        "incomplete": list(header.incomplete),
        "cannotApply": list(header.cannot_apply),
        "refused": list(header.refused),
        "totals": {
            "listed": total.listed,
            "selected": total.selected,
            "kept": total.listed - total.selected,
            "protected": total.protected,
            "canCreateTokens": reviewed.creating,
            "mayCreateTokens": reviewed.unknown,
            "creators": reviewed.creators,
        },
    }


def _seen_members(seen: jobs.Evidence | None) -> dict[str, object] | None:
    if seen is None:
        return None
    return {
        "days": seen.span / timedelta(days=1),
        "sources": list(seen.sources),
        "until": as_wire(seen.until),
        "protected": seen.protected,
        "gaps": list(seen.gaps),
    }


def _state(plan: jobs.Plan, now: datetime, journal: Path | None) -> str:
    if plan.header.refused:
        return "refused"
    state = None if journal is None else job_state(plan, journal)
    if state is not None and state.is_running:
        return "running"
    if state is not None and state.is_started:
        return "complete" if state.is_complete else "started"
    return "valid" if now - plan.header.created_at <= MAX_AGE else "expired"


def entry_members(entry: jobs.Entry, action: str) -> dict[str, object]:
    """Return a token of a plan as JSON values. The names are those of the API, where it has one."""
    return {
        "action": action if entry.protected is None else KEEP,
        "owner": str(entry.owner),
        "id": entry.id,
        "name": entry.name,
        "status": entry.status,
        "reason": entry.reason,
        "protected": entry.protected,
        "creationDate": as_wire(entry.creation_date),
        "expirationDate": as_wire(entry.expiration_date),
        "lastUpdated": as_wire(entry.last_updated),
        "scope": as_wire(entry.scope),
        "canCreateTokens": entry.can_create_tokens,
        "creatorId": entry.creator_id,
        "creatorName": entry.creator_name,
        "description": entry.description,
    }
