"""`plan`: make the plan of a clean-up, with the guards of its policy file.

A ladder warns, deactivates and deletes. Nothing is marked on a token: a mark would change the date
of its last update, and anybody who may change tokens could set or remove it. Instead, the warnings
and the quarantines of this machine are the record, and each step has proof of the one before:

- `warn` is delivered by `warn`, and recorded in a `WarningLedger`.
- `deactivate` selects only tokens that were warned long enough ago, that nobody has changed since,
  and that still match.
- `delete` sweeps the quarantines of the same clean-up: tokens that nobody has changed since, and
  that the file as it is now would have deactivated, too. Another file may have a clean-up with the
  same name, and this one may have become narrower.

A missing record proves nothing, so the step selects nothing. Arguments can only narrow the
selection and strengthen the guards, because the file is what people have reviewed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import anyio
import attrs

from losant_tokens import ApiToken, AsyncClient, Owner, UserOauthToken, jobs
from losant_tokens._utils import validators
from losant_tokens.errors import ValidationError
from losant_tokens.jobs._plan.settings import PAGE_SIZE, PATIENCE, PROTECT_SEEN
from losant_tokens.policy._types import Action, Cleanup
from losant_tokens.policy._warning_ledger import WarningRecord

Token = ApiToken | UserOauthToken
_KEYS = {
    "pass allow_majority=True": "allow_majority",
    "pass a larger max_changes": "max_changes",
    "pass unmatched='warn'": "allow_unmatched",
}
"""The keys of a clean-up in place of the arguments of `jobs.plan`."""

Incomplete = Literal["warn", "refuse"]


async def plan(  # noqa: PLR0913 -- the arguments of `jobs.plan` that a policy leaves open
    client: AsyncClient,
    owners: Owner | Iterable[Owner],
    cleanup: Cleanup,
    *,
    step: Action | None = None,
    quarantines: Iterable[jobs.Quarantine] = (),
    warned: Mapping[str, WarningRecord] | None = None,
    select: jobs.Rule | None = None,
    protect: Iterable[str] = (),
    max_changes: int | None = None,
    path: str | Path | None = None,
    now: datetime | None = None,
    seen_in: Sequence[str] = (),
    protect_seen: timedelta = PROTECT_SEEN,
    on_log: Callable[[jobs.LogProgress], object] | None = None,
    incomplete: Incomplete = "warn",
    page_size: int = PAGE_SIZE,
    patience: float = PATIENCE,
) -> jobs.Plan:
    """Plan the step of a clean-up that is due. Nothing is changed.

    The arguments can select fewer tokens than the policy file, and never more.

    Args:
        client: The client that lists the tokens.
        owners: The owners of the tokens.
        cleanup: The clean-up, such as `policy.load(path).cleanup("expired")`.
        step: The step of a ladder: `deactivate` or `delete`. Default: `delete` if tokens of the
            quarantines can be deleted, otherwise `deactivate`.
        quarantines: The quarantines that a ladder may delete, such as those of a `jobs.Ledger`.
            Others than those of this clean-up and these owners are left out. Default: none.
        warned: The tokens that were warned about, by their ids, as `WarningLedger.warned` returns
            them. Default: none was.
        select: A rule that tokens must match, too. Default: none.
        protect: More ids and name patterns of tokens that are never touched. Default: none.
        max_changes: A lower maximum number of selected tokens. Default: that of the clean-up.
        path: The file of the plan. Default: a temporary file, as for `jobs.plan`.
        now: The time for rules and grace periods, with a time zone. Default: the server's time.
        seen_in: The audit logs, such as `org:ID`. A token that changed something within
            `protect_seen` is never touched. Those of the owners that are instances are read as
            well. Default: no other one.
        protect_seen: How long ago a token may have changed something to be protected. The longer
            span counts: this one or that of the file, which is 90 days if the file does not set it,
            and zero with `allow_seen`. Default: 90 days.
        on_log: Called with the progress of reading the audit logs.
        incomplete: What to do if tokens may be missing from the list. Default: `warn`.
        page_size: The number of tokens on a page. Default: 1000.
        patience: How long to wait for the end of an outage, in seconds. Default: 300.

    Raises:
        ValidationError: An argument is invalid, or would weaken a guard. Nothing was sent.
        GuardRefused: A guard forbids the plan.
        PlanRefused: The file already exists.
        LosantError: The tokens cannot be listed.
    """
    validators.check_argument(validators.instance_of(Cleanup), "plan", "cleanup", cleanup)
    all_owners = (owners,) if isinstance(owners, Owner) else tuple(owners)
    has_log = bool(seen_in) or all(owner.kind == "instance" for owner in all_owners)
    _check_arguments(cleanup, step, max_changes, has_log=has_log)
    guards: dict[str, Any] = {
        "path": path,
        "protect": (*cleanup.protect, *protect),
        "max_changes": cleanup.max_changes if max_changes is None else max_changes,
        "allow_majority": cleanup.allow_majority,
        "unmatched": "warn" if cleanup.allow_unmatched else "refuse",
        "now": now,
        "incomplete": incomplete,
        "policy": cleanup.reference,
        "clock_check": "enforce",
        "seen_in": seen_in,
        "protect_seen": _longer(protect_seen, cleanup),
        "on_log": on_log,
        "page_size": page_size,
        "patience": patience,
    }
    try:
        return await _plan(
            client,
            all_owners,
            cleanup,
            guards,
            step=step,
            quarantines=quarantines,
            warned=warned,
            select=select,
        )
    except jobs.GuardRefused as error:
        refused = _refused(error, has_own_maximum=max_changes is not None)
    raise refused


def _check_arguments(
    cleanup: Cleanup, step: Action | None, max_changes: int | None, *, has_log: bool
) -> None:
    """Check that arguments do not weaken the policy file.

    Raises:
        ValidationError: The clean-up has no such step, has a lower maximum, or needs an audit log.
    """
    actions = [one.action for one in cleanup.ladder]
    if step is not None and step not in actions:
        raise ValidationError(
            f"plan.step must be a step of {cleanup.name!r}, which are {', '.join(actions)}, but it "
            f"is {step!r}"
        )
    if max_changes is not None and max_changes > cleanup.max_changes:
        raise ValidationError(
            f"plan.max_changes must be at most {cleanup.max_changes:,}, the limit of "
            f"{cleanup.name!r} in the policy file, but it is {max_changes:,}"
        )
    if cleanup.protect_seen is not None and not has_log:
        raise ValidationError(
            f"{cleanup.name!r} protects tokens that were seen changing something, so its plan "
            f"needs an audit log: pass seen_in"
        )


def _refused(error: jobs.GuardRefused, *, has_own_maximum: bool) -> jobs.GuardRefused:
    """Return the error of a guard with the keys of the policy file in place of arguments.

    Args:
        error: The error, whose message advises to change an argument of `jobs.plan`.
        has_own_maximum: Whether the maximum number of tokens is not that of the policy file.
    """
    message = str(error)
    for advice, key in _KEYS.items():
        if key != "max_changes" or not has_own_maximum:
            message = message.replace(advice, f"change '{key}' in the policy file")
    return jobs.GuardRefused(message, plan=error.plan)


def _longer(span: timedelta, cleanup: Cleanup) -> timedelta:
    """Return a span of `protect_seen`, or that of the policy file if it is longer."""
    validators.check_argument(validators.instance_of(timedelta), "plan", "protect_seen", span)
    minimum = timedelta(0) if cleanup.allow_seen else PROTECT_SEEN
    return max(span, minimum if cleanup.protect_seen is None else cleanup.protect_seen)


async def _plan(
    client: AsyncClient,
    all_owners: Sequence[Owner],
    cleanup: Cleanup,
    guards: Mapping[str, Any],
    *,
    step: Action | None,
    quarantines: Iterable[jobs.Quarantine],
    warned: Mapping[str, WarningRecord] | None,
    select: jobs.Rule | None,
) -> jobs.Plan:
    """Plan the step of a clean-up that is due."""
    path: str | Path | None = guards["path"]
    if cleanup.steps and step != "deactivate":
        if select is not None and step == "delete":
            raise ValidationError(
                "plan.select must be None for the step 'delete', which deletes the tokens of "
                "quarantines"
            )
        due = [] if select is not None else _quarantines(cleanup, quarantines, all_owners)
        if step == "delete":
            return await _sweep(client, all_owners, cleanup, due, guards)
        if any(_is_due(one, guards["now"] or client.server_time()) for one in due):
            made = await _sweep(client, all_owners, cleanup, due, guards)
            if made.header.total.selected:
                return made
            # Somebody else has changed the tokens that are left, so they never become due.
            if path is not None:
                await anyio.to_thread.run_sync(made.path.unlink)
    return await jobs.plan(
        client,
        all_owners,
        select=_selected(cleanup, warned or {}, select),
        action=cleanup.action or "deactivate",
        grace=cleanup.grace,
        **guards,
    )


async def _sweep(
    client: AsyncClient,
    owners: Sequence[Owner],
    cleanup: Cleanup,
    quarantines: Sequence[jobs.Quarantine],
    guards: Mapping[str, Any],
) -> jobs.Plan:
    """Plan to delete the tokens of quarantines; without any, make an empty plan."""
    if quarantines:
        return await jobs.sweep(client, quarantines, select=selected_before(cleanup), **guards)
    return await jobs.plan(client, owners, select=jobs.no_tokens(), action="delete", **guards)


def selected_before(cleanup: Cleanup) -> jobs.Rule:
    """Return the rule for inactive tokens that a clean-up would have selected while active.

    The rule compares the token as it was before its deactivation, which was its last change. The
    time of the change before it is unknown, so the token counts as unchanged since its creation.
    """
    rule = cleanup.rule()

    def match(token: Token, _: datetime) -> bool | None:
        deactivated = token.last_updated
        before = attrs.evolve(token, status="active", last_updated=token.creation_date)
        return None if deactivated is None else rule.matches(before, deactivated)

    return jobs.Rule(rule.description, match, lambda *_: rule.description)


def _quarantines(
    cleanup: Cleanup, quarantines: Iterable[jobs.Quarantine], owners: Sequence[Owner]
) -> list[jobs.Quarantine]:
    """Return the quarantines of a clean-up that have tokens left, with the longer grace period."""
    grace = cleanup.grace
    if grace is None:  # The ladder does not delete.
        return []
    return [
        attrs.evolve(one, grace=max(grace, one.grace or grace))
        for one in quarantines
        if one.policy is not None
        and one.policy.cleanup == cleanup.name
        and not one.is_settled
        and set(one.owners) <= set(owners)
    ]


def _is_due(quarantine: jobs.Quarantine, now: datetime | None) -> bool:
    """Return whether the grace period of a token has ended, or may have."""
    due = quarantine.due_at
    return due is None or now is None or due <= now


def _selected(
    cleanup: Cleanup, warned: Mapping[str, WarningRecord], narrower: jobs.Rule | None
) -> jobs.Rule:
    rules = [cleanup.rule()]
    if narrower is not None:
        rules.append(narrower)
    if cleanup.warns:
        after = next(step.after for step in cleanup.steps if step.action == "deactivate")
        rules.append(warned_for(after, warned))
    return jobs.all_of(rules)


def warned_for(span: timedelta, warned: Mapping[str, WarningRecord]) -> jobs.Rule:
    """Return the rule for tokens that were warned about longer ago than a span.

    Args:
        span: The span. A message may have promised more time.
        warned: The records of the warnings by the ids of the tokens.
    """
    days = f"{span / timedelta(days=1):g}"

    def match(token: Token, now: datetime) -> bool:
        record = warned.get(token.id)
        return record is not None and record.is_about(token) and now >= record.due(span)

    return jobs.Rule(
        f"warned {days} day{'' if days == '1' else 's'} ago",
        match,
        lambda token, _: f"warned on {warned[token.id].at.date().isoformat()}",
        uses_time=True,
    )
