"""Check a job before it starts: the account, the age of the plan, and what earlier runs did.

If audit logs protect tokens of the plan, their new entries are read as well.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import attrs

from losant_tokens import AsyncClient
from losant_tokens._client import account_changes_of
from losant_tokens._retries.retry_policy import may_retry_in_job
from losant_tokens.errors import LosantError
from losant_tokens.jobs._errors import JournalError, PlanRefused
from losant_tokens.jobs._evidence.last_seen import LastSeen, last_seen
from losant_tokens.jobs._execution.journal import Journal
from losant_tokens.jobs._execution.progress import Listener, report_account_check
from losant_tokens.jobs._plan.account_check import AccountCheck, confirm_account
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._plan.planned_tokens import PlannedTokens
from losant_tokens.jobs._throttle.throttle import describe
from losant_tokens.jobs._token_progress import States
from losant_tokens.jobs._types import Header, counted

_HOUR = timedelta(hours=1)
_LATE_ENTRIES = timedelta(minutes=10)  # A log may show a request some time after it was sent.


@attrs.define
class Preflight:
    """The result of the checks before a job starts.

    Attributes:
        gave_up: Why the job gives up; `None` if it does not.
        seen: The tokens that audit logs show in use since the plan was made; `None` if the plan
            was made without audit logs.
        account_changes: How often the account of the client had changed before the checks; `None`
            if there were none.
    """

    gave_up: str | None = None
    seen: LastSeen | None = None
    account_changes: int | None = None


async def check_job(
    client: AsyncClient,
    planned: PlannedTokens,
    *,
    check: AccountCheck,
    patience: float,
    listener: Listener,
    stop_events: Iterable[anyio.Event | None],
    seen: LastSeen | None = None,
) -> Preflight:
    """Compare the account of the plan with the client's, and read new entries of audit logs.

    Args:
        client: The client.
        planned: The tokens of the job.
        check: What to do if the accounts differ.
        patience: How long to wait for the end of an outage, in seconds.
        listener: The listener, which is notified during the check.
        stop_events: The events that end the check. No token is changed then.
        seen: The tokens that audit logs show in use since the plan was made, if they were read.

    Raises:
        PlanRefused: The accounts differ, or cannot be compared.
        EvidenceError: An audit log that protects tokens of the plan cannot be read.
        LosantError: The API refused the token.
    """

    async def cancel_after(event: anyio.Event) -> None:
        await event.wait()
        group.cancel_scope.cancel()

    # The client may get a token of another account while the tokens are read, or later.
    result = Preflight(account_changes=account_changes_of(client))
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(report_account_check, listener, planned.header.total.selected)
        for event in stop_events:
            if event is not None:
                group.start_soon(cancel_after, event)
        try:
            await confirm_account(client, planned, check=check, patience=patience)
            if seen is None:
                seen = await seen_since_plan(client, planned.header, patience=patience)
            result.seen = seen
        except Exception as error:  # noqa: BLE001 -- raised below, not in an exception group
            failure = error
        group.cancel_scope.cancel()
    if failure is None:
        return result
    if isinstance(failure, LosantError) and may_retry_in_job(failure):
        return Preflight(gave_up=f"the API does not respond; last seen: {describe(failure)}")
    raise failure


async def seen_since_plan(
    client: AsyncClient, header: Header, *, patience: float = 300.0
) -> LastSeen | None:
    """Return the tokens that audit logs show in use since a plan was made.

    A plan is valid for hours or days, in which a token that it selects can be used.

    Args:
        client: The client.
        header: The header of the plan.
        patience: How long to wait for the end of an outage, in seconds. Default: 300.

    Returns:
        The tokens; `None` if the plan was made without audit logs.

    Raises:
        EvidenceError: An audit log cannot be read as a whole.
        LosantError: A request failed.
    """
    seen = header.seen
    if seen is None or not header.total.selected:
        return None
    since = seen.until - _LATE_ENTRIES
    return await last_seen(client, seen.sources, since=since, patience=patience)


def check_age(client: AsyncClient, plan: Plan, max_age: timedelta, *, resume: bool) -> None:
    """Refuse a plan that is too old, by the server's clock if it is known.

    A plan that selects no token changes nothing at any age.

    Args:
        client: The client, which may know the server's time.
        plan: The plan.
        max_age: The maximum age of the plan.
        resume: Whether a job is resumed, for the message.

    Raises:
        PlanRefused: The plan is too old, or from the future.
    """
    if not plan.header.total.selected:
        return
    now = client.server_time() or datetime.now(UTC)
    if resume and (age := now - plan.header.created_at) > max_age:
        raise PlanRefused(
            f"{plan.path} was made {counted(age / _HOUR, 'hour')} ago, and max_age is "
            f"{counted(max_age / _HOUR, 'hour')}. To continue this job, pass a larger max_age: "
            f"with verify=True, a token that has changed since is left alone. Or make a new plan "
            f"for the remaining tokens."
        )
    plan.check(client.base_url, max_age, now)


def read_states(plan: Plan, journal: Path) -> States:
    """Return the states of the tokens after earlier runs.

    Args:
        plan: The plan.
        journal: The file of the journal. If it cannot be read, all tokens are untouched.
    """
    with suppress(JournalError):
        if journal.is_file():
            with Journal.open(plan, journal, resume=True) as opened:
                return opened.states
    return States.of(len(plan))
