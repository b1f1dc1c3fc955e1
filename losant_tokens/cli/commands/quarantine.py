"""The commands `quarantine`, `sweep` and `restore`: deactivate now, then delete or activate."""

from losant_tokens.cli._job_options import (
    DEFAULT_OWNERS,
    DEFAULT_RUN,
    DEFAULT_SAFETY,
    NO_RULES,
    After,
    Out,
    Owners,
    ReportFile,
    RuleOptions,
    RunOptions,
    SafetyOptions,
)
from losant_tokens.cli._options import DEFAULT_CONNECTION, ConnectionOptions


def quarantine(
    *,
    rules: RuleOptions = NO_RULES,
    owners: Owners = DEFAULT_OWNERS,
    safety: SafetyOptions = DEFAULT_SAFETY,
    out: Out = None,
    options: RunOptions = DEFAULT_RUN,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Deactivate tokens, to delete or restore them later."""
    from losant_tokens.cli._job_workflow import plan_and_apply
    from losant_tokens.cli._planning import selection_planner

    planner = selection_planner(rules, owners, safety, "deactivate", options.patience)
    return plan_and_apply("quarantine", planner, out, options, safety, connection)


def sweep(
    report: ReportFile,
    /,
    *,
    after: After,
    safety: SafetyOptions = DEFAULT_SAFETY,
    out: Out = None,
    options: RunOptions = DEFAULT_RUN,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Delete the unchanged tokens of a quarantine."""
    from losant_tokens.cli._job_workflow import plan_and_apply
    from losant_tokens.cli._planning import sweep_planner

    planner = sweep_planner(report, after, safety, options.patience)
    return plan_and_apply("sweep", planner, out, options, safety, connection, report)


def restore(
    report: ReportFile,
    /,
    *,
    safety: SafetyOptions = DEFAULT_SAFETY,
    out: Out = None,
    options: RunOptions = DEFAULT_RUN,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Activate the unchanged tokens of a quarantine."""
    from losant_tokens.cli._job_workflow import plan_and_apply
    from losant_tokens.cli._planning import restore_planner

    planner = restore_planner(report, safety, options.patience)
    return plan_and_apply("restore", planner, out, options, safety, connection, report)
