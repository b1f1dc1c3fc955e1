"""Make the plan of a clean-up of a policy file. Options only narrow what the file selects."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from losant_tokens import AsyncClient, Owner, jobs, policy
from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._evidence import evidence_settings
from losant_tokens.cli._options.common import ConnectionOptions
from losant_tokens.cli._options.jobs import (
    NO_RULES,
    EvidenceOptions,
    PolicyOptions,
    RuleOptions,
    SafetyOptions,
)
from losant_tokens.cli._plans.planning import Planner
from losant_tokens.cli._policies import find_cleanup
from losant_tokens.cli._state.files import WARNINGS, existing_state_folder
from losant_tokens.cli._state.quarantine_ledger import recorded_quarantines
from losant_tokens.cli._terminal.console import print_status
from losant_tokens.cli._terminal.format import format_count, format_datetime, format_number


def policy_planner(
    options: PolicyOptions,
    rules: RuleOptions,
    owners: tuple[Owner, ...],
    safety: SafetyOptions,
    action: str | None,
    patience: float | None,
    evidence: EvidenceOptions,
    connection: ConnectionOptions,
) -> Planner:
    """Return a function that plans the step of a clean-up that is due.

    Args:
        options: The clean-up.
        rules: The rules that tokens must match, too.
        owners: The owners of the tokens.
        safety: The safety checks of the plan.
        action: The action, which only a plan without a policy may have.
        patience: How long to wait for the end of an outage, in seconds.
        evidence: The audit logs that protect tokens.
        connection: The connection, whose account may name audit logs.

    Raises:
        UsageError: There is no such clean-up or step, or an option would weaken a guard.
        CommandError: The policy file has mistakes, or cannot be read.
    """
    if options.policy is None:
        raise UsageError(
            "--policy-file and --step need the name of a clean-up",
            "name it: --policy CLEANUP",
        )
    cleanup = find_cleanup(options.policy_file, options.policy)
    _check_step(cleanup, options.step, rules)
    _check_guards(cleanup, safety, evidence, action)
    select = None if rules == NO_RULES else rules.filter()
    sweeps = cleanup.steps and cleanup.grace is not None and select is None
    quarantines = recorded_quarantines() if sweeps and options.step != "deactivate" else ()
    warned = _warnings_of(cleanup)
    settings: dict[str, Any] = {} if patience is None else {"patience": patience}
    settings |= evidence_settings(evidence, connection, owners)
    if safety.page_size is not None:
        settings["page_size"] = safety.page_size

    async def make(client: AsyncClient, path: Path) -> jobs.Plan:
        made = await policy.plan(
            client,
            owners,
            cleanup,
            step=options.step,
            quarantines=await jobs.quarantines_of(client, quarantines),
            warned=warned,
            select=select,
            protect=safety.protect,
            max_changes=safety.max_changes,
            path=path,
            **settings,
        )
        if cleanup.warns and made.header.action == "deactivate" and not len(made):
            print_status(_waiting(cleanup, warned))
        return made

    return make


def _check_step(cleanup: policy.Cleanup, step: str | None, rules: RuleOptions) -> None:
    actions = [one.action for one in cleanup.ladder]
    if step is not None and step not in actions:
        raise UsageError(
            f'"{cleanup.name}" has no step {step}', f"its steps are {', '.join(actions)}"
        )
    if step == "delete" and cleanup.steps and rules != NO_RULES:
        raise UsageError(
            "--step delete deletes the tokens of quarantines: leave the selection options out"
        )


def _check_guards(
    cleanup: policy.Cleanup,
    safety: SafetyOptions,
    evidence: EvidenceOptions,
    action: str | None,
) -> None:
    """Check that no option weakens a guard of the policy file.

    Raises:
        UsageError: An option does.
    """
    hint = "change the policy file instead, so that the change is reviewed"
    weaker = {
        "--action": action is not None,
        "--allow-majority": safety.allow_majority,
        "--allow-unmatched": safety.allow_unmatched,
        "--clock-check": safety.clock_check != "enforce",
    }
    for option, is_given in weaker.items():
        if is_given:
            raise UsageError(f"{option} cannot be combined with --policy", hint)
    if evidence.protect_seen == timedelta(0) and not cleanup.allow_seen:
        raise UsageError(
            "--protect-seen off is more than the policy file allows",
            "add allow_seen = true to the clean-up, so that the change is reviewed",
        )
    if safety.max_changes is not None and safety.max_changes > cleanup.max_changes:
        limit = format_number(cleanup.max_changes, "token")
        raise UsageError(
            f"--max-changes {safety.max_changes} is more than the policy file allows: {limit}",
            hint,
        )


def _warnings_of(cleanup: policy.Cleanup) -> Mapping[str, policy.WarningRecord]:
    """Return the tokens of a clean-up that were warned about; none without a state folder.

    A clean-up that does not warn needs no ledger, so a damaged one does not stop it.
    """
    folder = existing_state_folder() if cleanup.warns else None
    return {} if folder is None else policy.WarningLedger(folder / WARNINGS).warned(cleanup)


def _waiting(cleanup: policy.Cleanup, warned: Mapping[str, policy.WarningRecord]) -> str:
    """Return why a ladder deactivates no token yet, as a sentence."""
    if not warned:
        return (
            f'"{cleanup.name}" deactivates only tokens that were warned about. To warn: '
            f"losant-tokens policy warn {cleanup.name}"
        )
    after = cleanup.ladder[1].after
    due = min(one.due(after) for one in warned.values())
    count = format_count(len(warned))
    sentence = f'{count} of "{cleanup.name}" {"was" if len(warned) == 1 else "were"} warned about.'
    if due > datetime.now(UTC):
        return f"{sentence} The first warning is old enough on {format_datetime(due, '')}."
    return (
        f"{sentence} None of them still matches and was not changed since. To warn again: "
        f"losant-tokens policy warn {cleanup.name}"
    )
