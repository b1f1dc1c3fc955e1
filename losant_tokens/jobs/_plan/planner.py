"""Make plans: list all tokens, select some, and write them to a file.

Only this module waits for the network. `selector`, `header_builder`, `completeness` and
`page_cursor` make the decisions.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import attrs

from losant_tokens import AsyncClient, Owner
from losant_tokens._client import rate_limiter_of
from losant_tokens._complete_listing.completeness import ListingCheck
from losant_tokens._complete_listing.page_cursor import ListedPage
from losant_tokens._complete_listing.page_reader import open_pages, read_newest
from losant_tokens._complete_listing.relisting import list_until_complete
from losant_tokens._utils import validators
from losant_tokens._utils.warn_caller import warn_caller
from losant_tokens.jobs._errors import EvidenceError, JobError
from losant_tokens.jobs._evidence.last_seen import LastSeen, last_seen
from losant_tokens.jobs._plan.clock import PlanClock
from losant_tokens.jobs._plan.guard_refused import GuardRefused
from losant_tokens.jobs._plan.header_builder import PlanSummary
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._plan.selector import Listing, TokenSelector
from losant_tokens.jobs._plan.settings import (
    PAGE_SIZE,
    PATIENCE,
    PROTECT_SEEN,
    ClockCheck,
    LogSources,
    OnIncomplete,
    OnLog,
    OnUnmatched,
    PlanSettings,
    Selection,
    check_action,
    check_grace,
    check_owners,
    distinct_owners,
)
from losant_tokens.jobs._plan.throttled_pages import throttled
from losant_tokens.jobs._plan.unmatched_patterns import UnmatchedPatterns
from losant_tokens.jobs._plan.writer import PlanWriter
from losant_tokens.jobs._throttle.throttle import Throttle, open_throttle
from losant_tokens.jobs._token_rules import Rule, Token
from losant_tokens.jobs._types import (
    Action,
    Header,
    OwnTokenWarning,
    PlanWarning,
    PolicyReference,
    UnmatchedPatternWarning,
)

_FLUSH_INTERVAL = 250  # tokens, which take some milliseconds to select and encode


async def plan(  # noqa: PLR0913 -- the selection and its guards
    client: AsyncClient,
    owners: Owner | Iterable[Owner],
    *,
    select: Rule,
    action: Action = "delete",
    path: str | Path | None = None,
    protect: Iterable[str] = (),
    allow_majority: bool = False,
    max_changes: int | None = None,
    now: datetime | None = None,
    clock_check: ClockCheck = "warn",
    unmatched: OnUnmatched = "warn",
    incomplete: OnIncomplete = "warn",
    page_size: int = PAGE_SIZE,
    patience: float = PATIENCE,
    seen_in: LogSources = (),
    protect_seen: timedelta = PROTECT_SEEN,
    on_log: OnLog | None = None,
    grace: timedelta | None = None,
    policy: PolicyReference | None = None,
) -> Plan:
    """List the tokens of the owners, and plan an action for those that a rule selects.

    Nothing is changed. The plan is written to a file while the tokens are listed, so a million
    tokens take hardly more memory than a thousand. Read each `PlanWarning` before you apply the
    plan.

    Args:
        client: The client that lists the tokens. If the id of its own token is known, that token is
            only selected for the action `rotate`.
        owners: The owners of the tokens.
        select: The rule that selects tokens.
        action: The action: `delete`, `deactivate`, `activate` or `rotate`. Default: `delete`. A
            plan to rotate tokens is for `rotate`; `apply` refuses it.
        path: The file of the plan. Default: a temporary file, which is removed with the plan and
            its report, unless a job that applies it is unfinished.
        protect: Ids and name patterns of tokens that are never touched. A name that is equal to a
            pattern always matches, even if the pattern looks like a glob. Default: none.
        allow_majority: Whether more than half of an owner's tokens may be selected. Default: False.
        max_changes: The maximum number of selected tokens. Default: no limit.
        now: The time for rules about time, with a time zone. It is not compared with the server's.
            Default: the server's time, or this machine's if the server does not state its own.
        clock_check: What to do if this machine's clock is more than five minutes from the server's
            and a rule depends on the time. `warn`: select only tokens that the rule selects by both
            times, and warn. `enforce`: refuse the plan. `off`: use only the server's time.
            Default: `warn`.
        unmatched: What to do about a pattern that matches no token. `warn`: warn. `refuse`: refuse
            the plan if it is a `protect` pattern, or one that excludes. `ignore`: ignore it.
            Default: `warn`.
        incomplete: What to do if tokens may be missing from the list: `warn`, or `refuse` the plan.
            Default: `warn`.
        page_size: The number of tokens on a page. It is halved if a page is too large.
            Default: 1000.
        patience: How long to wait for the end of an outage, in seconds. Default: 300.
        seen_in: The audit logs, as for `last_seen`, such as `org:ID`. A token that changed
            something within `protect_seen` is never touched. `apply` reads them again from the time
            of the plan on. For the actions `delete` and `deactivate`, those of the owners that are
            instances are read as well. Default: no other one.
        protect_seen: How long ago a token may have changed something to be protected, before the
            server's time. A span of zero reads no log, and protects none. Default: 90 days.
        on_log: Called with a `LogProgress` while an audit log is read.
        grace: How long deactivated tokens wait before `sweep` may delete them. The plan and the
            report record it. Default: none, so `sweep` needs `after`.
        policy: The clean-up of a policy file that the plan is made by. The plan and the report
            record it. Default: none.

    Returns:
        The plan. Review it, and apply it with `apply`.

    Raises:
        ValidationError: An argument is invalid. Nothing was sent.
        GuardRefused: A guard forbids the plan. There is no file, but the error has the plan for a
            review.
        PlanRefused: The file already exists.
        EvidenceError: An audit log cannot be read as a whole, so it protects no token.
        JobError: The file cannot be written.
        LosantError: The tokens cannot be listed.
    """
    validators.check_argument(validators.instance_of(Rule), "plan", "select", select)
    check_action("plan", action)
    check_grace("plan", grace, action)
    distinct = distinct_owners("plan", owners)
    check_owners("plan", distinct, action)
    return await make_plan(
        client,
        Selection(
            rules=dict.fromkeys(distinct, select),
            description=select.description,
            uses_time=select.uses_time,
            patterns=select.patterns,
            action=action,
            grace=grace,
            policy=policy,
        ),
        PlanSettings(
            "plan",
            path=path,
            protect=protect,
            allow_majority=allow_majority,
            max_changes=max_changes,
            now=now,
            clock_check=clock_check,
            unmatched=unmatched,
            incomplete=incomplete,
            page_size=page_size,
            patience=patience,
            seen_in=seen_in,
            protect_seen=protect_seen,
            on_log=on_log,
        ),
    )


async def make_plan(client: AsyncClient, selection: Selection, settings: PlanSettings) -> Plan:
    """Make a plan. See `plan` for the errors.

    Args:
        client: The client that lists the tokens.
        selection: The tokens to select.
        settings: The settings.
    """
    clock = PlanClock(client, settings.clock_check, selection.uses_time, settings.now)
    unmatched = UnmatchedPatterns(settings.guards.protect, selection.patterns)
    # Read before the tokens are listed, so that the decision about a token is final at once.
    seen = await _read_evidence(client, selection, settings)
    selector = TokenSelector(
        client=client,
        action=selection.action,
        guards=settings.guards,
        clock=clock,
        unmatched=unmatched,
        seen=seen,
    )
    summary = PlanSummary(client, selection, settings, selector)
    path = None if settings.path is None else Path(settings.path)
    with await anyio.to_thread.run_sync(PlanWriter, path) as writer:
        async with open_throttle(rate_limiter_of(client), settings.patience) as throttle:
            planner = _Planner(
                client=client,
                throttle=throttle,
                writer=writer,
                page_size=settings.page_size,
                selector=selector,
                summary=summary,
            )
            for owner, rule in selection.rules.items():
                await planner.add_tokens_of(owner, rule)
        if refusals := tuple(summary.refusals()):
            raise GuardRefused(
                " ".join(refusals), plan=await _refused_plan(writer, summary.header(refusals))
            )
        header = summary.header()
        digest = await anyio.to_thread.run_sync(writer.save, header)
        # The plan is not made in the thread, because a thread keeps its last result for some time,
        # and with it the temporary folder of the plan.
        made = writer.saved_plan(header, digest)
    if about_own_token := summary.own_token_warning():
        warn_caller(about_own_token, OwnTokenWarning)
    for warning in summary.unmatched_warnings():
        warn_caller(warning, UnmatchedPatternWarning)
    for warning in summary.warnings():
        warn_caller(warning, PlanWarning)
    return made


async def _read_evidence(
    client: AsyncClient, selection: Selection, settings: PlanSettings
) -> LastSeen | None:
    """Read the audit logs, if there are any; return the tokens that are in use.

    Raises:
        EvidenceError: An audit log cannot be read as a whole.
    """
    if not (sources := settings.logs_for(selection)):
        return None
    try:
        return await last_seen(
            client,
            sources,
            since=settings.protect_seen,
            on_progress=settings.on_log,
            patience=settings.patience,
        )
    except EvidenceError as error:
        problem = f"{error} To make the plan without it, pass protect_seen=timedelta(0)."
        raise EvidenceError(problem) from error.__cause__


async def _refused_plan(writer: PlanWriter, header: Header) -> Plan | None:
    """Return a plan that a guard refused, for review; `None` if it cannot be saved."""
    try:
        digest = await anyio.to_thread.run_sync(writer.save_refused, header)
    except JobError:
        return None
    return writer.saved_plan(header, digest)


@attrs.define(eq=False)
class _Planner:
    """Lists the tokens of one owner after the other into a plan."""

    client: AsyncClient
    throttle: Throttle
    writer: PlanWriter
    page_size: int
    selector: TokenSelector
    summary: PlanSummary

    async def add_tokens_of(self, owner: Owner, rule: Rule) -> None:
        """List an owner's tokens, and list them again while some may be missing."""
        await anyio.to_thread.run_sync(self.writer.savepoint)
        listings: list[Listing] = []

        async def list_once() -> ListingCheck:
            listings.append(await self._list(owner, rule))
            return listings[0].check

        async def discard() -> None:
            listings.clear()
            self.writer.rollback()

        _, is_complete = await list_until_complete(list_once, discard)
        self.summary.add_listing(listings[0], is_complete=is_complete)

    async def _list(self, owner: Owner, rule: Rule) -> Listing:
        """List the tokens of an owner once, in the order of their ids."""
        read = throttled(self.throttle, self.client.tokens(owner))
        newest = await read_newest(read)
        self.selector.clock.set()
        self.summary.add_owner_ids(owner, newest)
        listing = Listing(owner, rule, ListingCheck(newest))
        async with open_pages(read, f"the tokens of {owner}", self.page_size) as pages:
            async for page in pages:
                await self._add_page(page, listing)
        return listing

    async def _add_page(self, listed: ListedPage, listing: Listing) -> None:
        """Write the selected tokens of a page.

        The tokens are written in a thread, and often, so that other tasks can run meanwhile.
        """
        self.summary.add_owner_ids(listing.owner, listed.page)
        listing.check.add_page(listed.page, listed.number)
        tokens: tuple[Token, ...] = listed.page.items[listed.skip :]
        for number, token in enumerate(tokens, 1):
            if listing.check.add(token) and (entry := self.selector.select(token, listing)):
                self.writer.add(entry)
            if number % _FLUSH_INTERVAL == 0:
                await anyio.to_thread.run_sync(self.writer.flush)
        await anyio.to_thread.run_sync(self.writer.flush)
