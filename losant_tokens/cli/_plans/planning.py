"""Make a plan from the options of a job command, and show it."""

import sys
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from inspect import signature
from pathlib import Path
from shlex import join
from typing import Any, Literal

from losant_tokens import AsyncClient, Owner, jobs
from losant_tokens.cli._connections.clients import ClientFactory
from losant_tokens.cli._errors import BlockedError, UsageError
from losant_tokens.cli._event_loop import run_until_stopped
from losant_tokens.cli._library_messages import with_options
from losant_tokens.cli._logs.command_log import printed_waits
from losant_tokens.cli._options.jobs import RuleOptions, SafetyOptions
from losant_tokens.cli._plans.view import show_plan
from losant_tokens.cli._state.files import keep_refused_plan
from losant_tokens.cli._state.quarantine_ledger import Choice, printed_warnings
from losant_tokens.cli._terminal.console import is_quiet, print_status, transient_status

Planner = Callable[[AsyncClient, Path], Awaitable[jobs.Plan]]
Evidence = Callable[[tuple[Owner, ...]], Mapping[str, Any]]
OnReview = Callable[[tuple[jobs.QuarantineReview, ...]], None]


def selection_planner(
    rules: RuleOptions,
    owners: tuple[Owner, ...],
    safety: SafetyOptions,
    action: Literal["delete", "deactivate", "activate", "rotate"],
    patience: float | None = None,
    grace: timedelta | None = None,
    evidence: Evidence | None = None,
) -> Planner:
    """Return a function that plans an action for the tokens that match the rules.

    Args:
        rules: The rules.
        owners: The owners of the tokens.
        safety: The safety checks of the plan.
        action: The action.
        patience: How long to wait for the end of an outage, in seconds.
        grace: How long deactivated tokens wait before they may be deleted.
        evidence: Returns the arguments about audit logs for the owners.

    Raises:
        UsageError: There is no rule.
    """
    rule = rules.rule()
    if rule is None:
        raise UsageError(
            "no tokens are selected: pass a rule, such as --expired",
            "--except-named alone selects nothing: it only excludes tokens",
        )
    logs = {} if evidence is None else evidence(owners)
    settings = {**_settings(jobs.plan, safety, patience), **logs}
    return lambda client, path: jobs.plan(
        client, owners, select=rule, action=action, path=path, grace=grace, **settings
    )


def sweep_planner(
    choose: Choice,
    after: timedelta | None,
    safety: SafetyOptions,
    patience: float | None = None,
    on_review: OnReview | None = None,
    evidence: Evidence | None = None,
) -> Planner:
    """Return a function that plans to delete the tokens of quarantines.

    Args:
        choose: Chooses the quarantines.
        after: How long ago a token must have been deactivated. Default: its grace period.
        safety: The safety checks of the plan.
        patience: How long to wait for the end of an outage, in seconds.
        on_review: Receives the state of each quarantine.
        evidence: Returns the arguments about audit logs for the owners of the quarantines.
    """
    settings = _settings(jobs.sweep, safety, patience)

    async def make(client: AsyncClient, path: Path) -> jobs.Plan:
        quarantines = await choose(client)
        if not quarantines:
            return await jobs.plan(client, Owner.user(), select=jobs.no_tokens(), path=path)
        if after is None and any(one.grace is None for one in quarantines):
            raise UsageError(
                f"{quarantines[0].source} sets no grace period",
                "say how old a deactivation must be: --after 30d",
            )
        owners = dict.fromkeys(owner for one in quarantines for owner in one.owners)
        logs = {} if evidence is None else evidence(tuple(owners))
        return await jobs.sweep(
            client, quarantines, after=after, path=path, on_review=on_review, **settings, **logs
        )

    return make


def restore_planner(
    choose: Choice,
    named: tuple[str, ...],
    ids: tuple[str, ...],
    safety: SafetyOptions,
    patience: float | None = None,
    on_review: OnReview | None = None,
) -> Planner:
    """Return a function that plans to activate the tokens of a quarantine.

    Args:
        choose: Chooses the quarantine.
        named: Patterns of names. Default: all tokens.
        ids: Ids of tokens. Default: all tokens.
        safety: The safety checks of the plan.
        patience: How long to wait for the end of an outage, in seconds.
        on_review: Receives the state of the quarantine.
    """
    settings = _settings(jobs.restore, safety, patience)

    async def make(client: AsyncClient, path: Path) -> jobs.Plan:
        (quarantine,) = await choose(client)
        return await jobs.restore(
            client, quarantine, named=named, ids=ids, path=path, on_review=on_review, **settings
        )

    return make


def _settings(
    function: Callable[..., object], safety: SafetyOptions, patience: float | None
) -> dict[str, Any]:
    """Return the safety checks that a function supports: `restore`, for one, has no majority."""
    supported = signature(function).parameters
    settings = {name: value for name, value in safety.settings().items() if name in supported}
    return settings if patience is None else {**settings, "patience": patience}


def make_plan(
    planner: Planner,
    path: Path,
    make_client: ClientFactory,
    *,
    protects: bool = False,
    ignored: Sequence[type[jobs.PlanWarning]] = (),
) -> jobs.Plan:
    """Make a plan, and print its warnings.

    Args:
        planner: Makes the plan.
        path: The file of the plan.
        make_client: Makes the client.
        protects: Whether the user protects tokens. Then the token in use may be one of them, or
            the user knows the warning about it.
        ignored: Warnings that are not printed.
    """

    async def run() -> jobs.Plan:
        async with make_client(None) as client:
            return await planner(client, path)

    with printed_warnings(), printed_waits(), transient_status("Listing the tokens..."):
        for category in ignored:
            warnings.simplefilter("ignore", category)
        if protects:
            warnings.simplefilter("ignore", jobs.OwnTokenWarning)
        if is_quiet():
            # The user has seen it, or the pattern will match again. A pattern that must protect
            # tokens refuses the plan instead.
            warnings.simplefilter("ignore", jobs.UnmatchedPatternWarning)
        try:
            return run_until_stopped(run)
        except jobs.GuardRefused as error:
            refused = error
        except jobs.EvidenceError as error:
            raise BlockedError(
                with_options(str(error)),
                "check --seen-in, or pass --protect-seen off to plan without it",
            ) from error
    # Outside the block, because the view replaces the status line.
    if refused.plan is not None and not is_quiet():
        show_plan(refused.plan, sys.stderr)
        if copy := keep_refused_plan(refused.plan):
            review = join(("losant-tokens", "plan", "show", str(copy), "--full"))
            print_status(f"Nothing was changed. Review the refused plan: {review}")
    raise refused
