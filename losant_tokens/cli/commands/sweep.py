"""`sweep`: delete the tokens of a quarantine."""

from functools import partial
from typing import Annotated

from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._options.common import DEFAULT_CONNECTION, ConnectionOptions, flag
from losant_tokens.cli._options.jobs import (
    DEFAULT_EVIDENCE,
    DEFAULT_RUN,
    DEFAULT_SAFETY,
    After,
    EvidenceOptions,
    Out,
    RunOptions,
    SafetyOptions,
    SweptQuarantine,
)
from losant_tokens.cli._terminal.console import require_terminal_or_yes

_HELP = "see losant-tokens sweep --help"


def sweep(
    quarantine: SweptQuarantine = None,
    /,
    *,
    due: Annotated[bool, flag("Sweep all quarantines whose grace period has ended.")] = False,
    after: After = None,
    safety: SafetyOptions = DEFAULT_SAFETY,
    evidence: EvidenceOptions = DEFAULT_EVIDENCE,
    out: Out = None,
    options: RunOptions = DEFAULT_RUN,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Delete the unchanged tokens of a quarantine."""
    from losant_tokens import jobs
    from losant_tokens.cli._evidence import evidence_settings
    from losant_tokens.cli._jobs.quarantine_view import nothing_to_sweep
    from losant_tokens.cli._jobs.workflow import plan_and_apply
    from losant_tokens.cli._plans.planning import sweep_planner
    from losant_tokens.cli._state.quarantine_ledger import chosen_quarantine, due_quarantines

    if quarantine is None and not due:
        raise UsageError("name a quarantine, or pass --due for all that are due", _HELP)
    if quarantine is not None and due:
        raise UsageError("name a quarantine or pass --due, but not both", _HELP)
    if due and after is not None:
        raise UsageError("--due uses the grace period of each quarantine: leave out --after", _HELP)
    require_terminal_or_yes("sweep", yes=options.yes)
    choose, file = (due_quarantines, None) if quarantine is None else chosen_quarantine(quarantine)
    reviews: list[jobs.QuarantineReview] = []
    return plan_and_apply(
        "sweep",
        sweep_planner(
            choose,
            after,
            safety,
            options.patience,
            reviews.extend,
            partial(evidence_settings, evidence, connection),
        ),
        out,
        options,
        safety,
        connection,
        quarantine=file,
        explain_nothing=lambda plan: nothing_to_sweep(plan, reviews),
        # A nightly sweep of everything would repeat them forever. `quarantine list` shows them.
        ignored=(jobs.LeftAloneWarning,) if due else (),
    )
