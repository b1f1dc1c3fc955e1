"""Make a plan from the options of a job command, and show it."""

import warnings
from collections.abc import Awaitable, Callable
from datetime import timedelta
from inspect import signature
from pathlib import Path
from typing import Any

from losant_tokens import AsyncClient, Owner, jobs
from losant_tokens.cli._connect import ClientFactory, report_retries, run_until_stopped
from losant_tokens.cli._console import is_quiet, print_warning, transient_status
from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._job_options import Action, RuleOptions, SafetyOptions
from losant_tokens.cli._library_messages import with_options

Planner = Callable[[AsyncClient, Path], Awaitable[jobs.Plan]]


def selection_planner(
    rules: RuleOptions,
    owners: tuple[Owner, ...],
    safety: SafetyOptions,
    action: Action,
    patience: float | None = None,
) -> Planner:
    """Return a function that plans an action for the tokens that match the rules.

    Raises:
        UsageError: There is no rule.
    """
    rule = rules.rule()
    if rule is None:
        raise UsageError(
            "no tokens are selected: pass a rule, such as --expired",
            "--except-named alone selects nothing: it only excludes tokens",
        )
    settings = _settings(jobs.plan, safety, patience)
    return lambda client, path: jobs.plan(
        client, owners, select=rule, action=action, path=path, **settings
    )


def sweep_planner(
    report: Path, after: timedelta, safety: SafetyOptions, patience: float | None = None
) -> Planner:
    """Return a function that plans to delete the tokens that a quarantine has deactivated."""
    settings = _settings(jobs.sweep, safety, patience)
    return lambda client, path: jobs.sweep(client, report, after=after, path=path, **settings)


def restore_planner(report: Path, safety: SafetyOptions, patience: float | None = None) -> Planner:
    """Return a function that plans to activate the tokens that a quarantine has deactivated."""
    settings = _settings(jobs.restore, safety, patience)
    return lambda client, path: jobs.restore(client, report, path=path, **settings)


def _settings(
    function: Callable[..., object], safety: SafetyOptions, patience: float | None
) -> dict[str, Any]:
    """Return the safety checks that a function supports: `restore`, for one, has no majority."""
    supported = signature(function).parameters
    settings = {name: value for name, value in safety.settings().items() if name in supported}
    return settings if patience is None else {**settings, "patience": patience}


def make_plan(
    planner: Planner, path: Path, make_client: ClientFactory, *, protects: bool = False
) -> jobs.Plan:
    """Make a plan, and print its warnings.

    Args:
        planner: Makes the plan.
        path: The file of the plan.
        make_client: Makes the client.
        protects: Whether the user protects tokens. A quiet command then assumes that the token in
            use is one of them.
    """
    report_retries()

    async def run() -> jobs.Plan:
        async with make_client(None) as client:
            return await planner(client, path)

    with warnings.catch_warnings(), transient_status("Listing the tokens..."):
        warnings.showwarning = _print_warning  # type: ignore[assignment]  # accepts fewer names
        warnings.simplefilter("always", jobs.PlanWarning)
        if protects and is_quiet():
            warnings.simplefilter("ignore", jobs.OwnTokenWarning)
        return run_until_stopped(run)


def _print_warning(message: Warning | str, *_: object) -> None:
    print_warning(with_options(str(message)))
