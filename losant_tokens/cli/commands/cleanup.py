"""`cleanup`: plan and apply in one step."""

from functools import partial

from losant_tokens.cli._options.common import DEFAULT_CONNECTION, ConnectionOptions
from losant_tokens.cli._options.jobs import (
    DEFAULT_EVIDENCE,
    DEFAULT_OWNERS,
    DEFAULT_RUN,
    DEFAULT_SAFETY,
    NO_RULES,
    Action,
    EvidenceOptions,
    Out,
    Owners,
    RuleOptions,
    RunOptions,
    SafetyOptions,
)


def clean_up(
    *,
    rules: RuleOptions = NO_RULES,
    owners: Owners = DEFAULT_OWNERS,
    safety: SafetyOptions = DEFAULT_SAFETY,
    evidence: EvidenceOptions = DEFAULT_EVIDENCE,
    action: Action = "delete",
    out: Out = None,
    options: RunOptions = DEFAULT_RUN,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Plan a change of many tokens, and apply it after confirmation."""
    from losant_tokens.cli._evidence import evidence_settings
    from losant_tokens.cli._jobs.workflow import plan_and_apply
    from losant_tokens.cli._plans.planning import selection_planner

    read_logs = partial(evidence_settings, evidence, connection, by_default=action != "activate")
    planner = selection_planner(rules, owners, safety, action, options.patience, None, read_logs)
    return plan_and_apply("cleanup", planner, out, options, safety, connection)
