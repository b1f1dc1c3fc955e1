"""The plans of a run, without the engine and the store: for an apply, a sweep and a restore.

They use an open client, an account and a clean-up, and return values. The guards of the policy file
hold for each of them, as the file is when the plan is made.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

import anyio
import attrs
from attrs import frozen

from losant_tokens import AsyncClient, Owner, jobs
from losant_tokens.accounts import Account, discover_owners
from losant_tokens.errors import LosantError
from losant_tokens.fleet._errors import FleetError
from losant_tokens.fleet._types import PlanSummary
from losant_tokens.jobs._name_patterns import NamePattern, PatternSet
from losant_tokens.jobs._plan.settings import PROTECT_SEEN
from losant_tokens.jobs._types import counted
from losant_tokens.policy import Cleanup, WarningRecord
from losant_tokens.policy import plan as plan_cleanup
from losant_tokens.policy._plan import selected_before

_PATIENCE: Final = 60.0
"""The seconds of an outage until a plan is given up. The run shows the reason, and is retried."""

_MARGIN: Final = timedelta(seconds=2)  # The server's clock shows whole seconds.


def partition_of(account: Account, client: AsyncClient) -> str:
    """Return the key of a credential. Runs with the same one never work at the same time.

    Several names of accounts can have tokens of one account, which then share its limit. So the key
    is the account that the token claims. If it claims none, the key is the token itself, by its
    claims, and only if it has none, the name.

    Args:
        account: The account.
        client: Its open client.
    """
    claim = client.account or client.token_fingerprint or f"name {account.name}"
    text = f"{account.base_url} {claim}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def check_account(account: Account, cleanup: Cleanup) -> None:
    """Refuse an account that a clean-up does not apply to, by the policy file as it is now.

    Raises:
        GuardRefused: The clean-up does not apply to the account.
    """
    if not cleanup.applies_to(account.name):
        raise jobs.GuardRefused(
            f"The clean-up {cleanup.name!r} does not apply to the account {account.name!r}, but to "
            f"{', '.join(map(repr, cleanup.accounts))}. Change its accounts in the policy file."
        )


def check_size(document: jobs.PlanDocument, cleanup: Cleanup) -> None:
    """Refuse a plan with more changes than the policy file allows now.

    Raises:
        GuardRefused: The plan is too large.
    """
    selected = document.header.total.selected
    if selected > cleanup.max_changes:
        raise jobs.GuardRefused(
            f"The plan changes {selected:,} tokens, but the clean-up {cleanup.name!r} now allows "
            f"at most {cleanup.max_changes:,}. Change 'max_changes' in the policy file, or start a "
            f"new run."
        )


def check_protected(
    document: jobs.PlanDocument, cleanup: Cleanup, finished: Collection[str]
) -> None:
    """Refuse a plan that changes tokens which the policy file protects now.

    Args:
        document: The plan.
        cleanup: The clean-up.
        finished: The ids of the tokens that the run has changed already, or left alone. A retry of
            the others must not fail because of them: that would keep a quarantine from its sweep.

    Raises:
        GuardRefused: The file has got a pattern since the plan was made.
    """
    protected = PatternSet(map(NamePattern, cleanup.protect))
    names = [
        entry.name
        for entry in document.entries
        if entry.protected is None
        and entry.id not in finished
        and any(protected.matching(entry.id, entry.name))
    ]
    if names:
        raise jobs.GuardRefused(
            f"The clean-up {cleanup.name!r} now protects {counted(len(names), 'token')} that "
            f"the plan changes, for example {names[0]!r}. Start a new run, or change 'protect' in "
            f"the policy file."
        )


def check_action(document: jobs.PlanDocument, cleanup: Cleanup) -> None:
    """Refuse a plan that deletes tokens if the policy file only deactivates them now.

    Raises:
        GuardRefused: The clean-up no longer deletes tokens at once.
    """
    if document.header.action == "delete" and cleanup.action != "delete":
        raise jobs.GuardRefused(
            f"The plan deletes tokens, but the clean-up {cleanup.name!r} now deactivates them. "
            f"Start a new run, or change 'action' in the policy file."
        )


async def check_sweep(
    client: AsyncClient,
    document: jobs.PlanDocument,
    quarantine: jobs.Quarantine,
    cleanup: Cleanup,
    finished: Collection[str],
) -> None:
    """Refuse the plan of a sweep, made earlier, that the policy file does not allow now.

    A sweep that failed may be continued weeks later. `plan_sweep` uses the same guards.

    Args:
        client: The client of the account.
        document: The plan of the sweep.
        quarantine: The tokens that the run has deactivated.
        cleanup: The clean-up.
        finished: The ids of the tokens that the sweep has deleted already, or left alone.

    Raises:
        GuardRefused: A guard of the file forbids the plan.
        LosantError: The server's time is unknown, and the API cannot be reached.
    """
    grace = _grace_of(quarantine, cleanup)
    check_size(document, cleanup)
    check_protected(document, cleanup, finished)
    await learn_time(client, document.header)
    due_at, now = attrs.evolve(quarantine, grace=grace).all_due_at, client.server_time()
    if due_at is not None and now is not None and due_at > now + _MARGIN:
        raise jobs.GuardRefused(
            f"The grace period of the clean-up {cleanup.name!r} is longer now, and ends at "
            f"{due_at:%Y-%m-%d %H:%M} UTC. Retry the run after that."
        )


async def make_plan(
    client: AsyncClient,
    account: Account,
    cleanup: Cleanup,
    warned: Mapping[str, WarningRecord] | None = None,
) -> jobs.PlanDocument:
    """Plan a clean-up of an account.

    Args:
        client: The client of the account.
        account: The account.
        cleanup: The clean-up.
        warned: The tokens that a clean-up with a step `warn` has warned about, by their ids.

    Raises:
        FleetError: The owners of the account cannot be listed.
        GuardRefused: A guard forbids the plan.
        LosantError: The tokens cannot be listed.
    """
    plan = await plan_cleanup(
        client,
        await owners_of(client, account),
        cleanup,
        step="deactivate" if cleanup.steps else None,
        warned=warned,
        seen_in=account.audit_logs,
        patience=_PATIENCE,
    )
    return await _document(plan)


async def owners_of(client: AsyncClient, account: Account) -> tuple[Owner, ...]:
    """Return the owners of the tokens of an account, with those that the API lists.

    Raises:
        FleetError: A list cannot be read, so some owners may be missing.
    """
    if not account.discover:
        return account.owners
    found = await discover_owners(client, account.discover)
    if found.problems:
        problems = "; ".join(f"{name}: {problem}" for name, problem in found.problems.items())
        raise FleetError(f"The owners of the account {account.name!r} cannot be listed: {problems}")
    return tuple(dict.fromkeys((*account.owners, *found.owners)))


async def learn_time(client: AsyncClient, header: jobs.Header) -> None:
    """Send a request if the server's time is unknown.

    A chunk records when it began by the server's clock. If its worker dies, the next one takes only
    later changes for those of the run.

    Raises:
        LosantError: The API cannot be reached.
    """
    if client.server_time() is not None:
        return
    owner = next(iter(header.counts))
    try:
        await client.tokens(owner).page(page=0, per_page=1)
    except LosantError:
        # Any response of the server has its time.
        if client.server_time() is None:
            raise


@frozen(kw_only=True)
class SweepPlan:
    """The plan of a sweep, or the time until it is due.

    Attributes:
        document: The plan; `None` if the sweep is not due yet.
        due_in: How long to wait before all tokens are due; `None` if they are.
    """

    document: jobs.PlanDocument | None
    due_in: timedelta | None = None


async def plan_sweep(
    client: AsyncClient, account: Account, cleanup: Cleanup, quarantine: jobs.Quarantine
) -> SweepPlan:
    """Plan to delete the tokens that a run has deactivated and nobody has changed since.

    A token that the policy file would no longer deactivate, or that it protects, is not deleted. If
    the file has a longer grace period now, that one counts. If it has none, nothing is deleted.
    More than half of an owner's tokens may be selected, because the first plan had that guard.

    Raises:
        GuardRefused: A guard forbids the plan, or the clean-up no longer deletes tokens.
        LosantError: The tokens cannot be listed.
    """
    quarantine = attrs.evolve(quarantine, grace=_grace_of(quarantine, cleanup))
    reviews: list[jobs.QuarantineReview] = []
    plan = await jobs.sweep(
        client,
        quarantine,
        select=selected_before(cleanup),
        protect=cleanup.protect,
        allow_majority=True,
        max_changes=cleanup.max_changes,
        clock_check="enforce",
        seen_in=account.audit_logs,
        protect_seen=_protect_seen(cleanup),
        on_review=reviews.extend,
        policy=cleanup.reference,
        patience=_PATIENCE,
    )
    if due_in := _due_in(reviews):
        await _remove(plan)
        return SweepPlan(document=None, due_in=due_in)
    return SweepPlan(document=await _document(plan))


def _grace_of(quarantine: jobs.Quarantine, cleanup: Cleanup) -> timedelta:
    """Return the grace period of a sweep: the longer one of the first plan and the policy file.

    Raises:
        GuardRefused: The clean-up no longer deletes tokens.
    """
    if cleanup.grace is None:
        raise jobs.GuardRefused(
            f"The clean-up {cleanup.name!r} no longer deletes tokens after a grace period. Restore "
            f"the run, or give the clean-up a grace period in the policy file and retry the run."
        )
    return max(quarantine.grace or cleanup.grace, cleanup.grace)


def _protect_seen(cleanup: Cleanup) -> timedelta:
    if cleanup.protect_seen is not None:
        return cleanup.protect_seen
    return timedelta(0) if cleanup.allow_seen else PROTECT_SEEN


def _due_in(reviews: Iterable[jobs.QuarantineReview]) -> timedelta | None:
    """Return how long to wait before all waiting tokens are due; `None` if they are."""
    for review in reviews:
        if review.waiting > review.due and review.all_due_at is not None:
            return max(review.all_due_at - review.reviewed_at, timedelta(0)) + _MARGIN
    return None


async def plan_restore(client: AsyncClient, quarantine: jobs.Quarantine) -> jobs.PlanDocument:
    """Plan to activate the tokens that a run has deactivated and nobody has changed since.

    Raises:
        GuardRefused: A guard forbids the plan.
        LosantError: The tokens cannot be listed.
    """
    return await _document(await jobs.restore(client, quarantine, patience=_PATIENCE))


def sweep_due_in(quarantine: jobs.Quarantine, server_time: datetime) -> timedelta | None:
    """Return how long to wait before a sweep; `None` if there is nothing to sweep.

    Args:
        quarantine: The tokens that the run has deactivated.
        server_time: The time by the clock of the API.
    """
    if quarantine.grace is None or quarantine.waiting == 0:
        return None
    due_at = quarantine.all_due_at
    wait = quarantine.grace if due_at is None else due_at - server_time
    return max(wait, timedelta(0)) + _MARGIN


def summary_of(document: jobs.PlanDocument) -> PlanSummary:
    """Return the numbers of a plan, and what a person should know before an approval."""
    header = document.header
    total = header.total
    return PlanSummary(
        digest=document.digest,
        action=header.action,
        rule=header.rule,
        selected=total.selected,
        listed=total.listed,
        protected=total.protected,
        owners=tuple(header.counts),
        grace=header.grace,
        warnings=tuple(_warnings(header)),
    )


def _warnings(header: jobs.Header) -> Iterable[str]:
    for reason in header.incomplete:
        yield f"Tokens may be missing from the plan: {reason}."
    for reason in header.cannot_apply:
        yield f"The API is certain to refuse the plan: {reason}."
    if header.seen is not None:
        yield from header.seen.gaps


async def _document(plan: jobs.Plan) -> jobs.PlanDocument:
    """Return a plan as values, and remove its temporary file."""
    try:
        return await anyio.to_thread.run_sync(jobs.PlanDocument.of, plan)
    finally:
        await _remove(plan)


async def _remove(plan: jobs.Plan) -> None:
    with anyio.CancelScope(shield=True):
        await anyio.to_thread.run_sync(plan.path.unlink)
