"""`quarantine`, `quarantine list`, `sweep` and `restore`: deactivate now, delete later."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._options.common import (
    DEFAULT_CONNECTION,
    ConnectionOptions,
    Json,
    flag,
    repeatable,
)
from losant_tokens.cli._options.jobs import (
    DEFAULT_EVIDENCE,
    DEFAULT_GRACE,
    DEFAULT_OWNERS,
    DEFAULT_RUN,
    DEFAULT_SAFETY,
    NO_RULES,
    After,
    EvidenceOptions,
    Grace,
    Out,
    Owners,
    QuarantineName,
    QuarantineNames,
    RuleOptions,
    RunOptions,
    SafetyOptions,
    SweptQuarantine,
)
from losant_tokens.cli._terminal.console import require_terminal_or_yes, write_output
from losant_tokens.cli._tokens.json import as_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from losant_tokens import jobs

_HELP = "see losant-tokens sweep --help"


def quarantine(
    *,
    rules: RuleOptions = NO_RULES,
    owners: Owners = DEFAULT_OWNERS,
    grace: Grace = DEFAULT_GRACE,
    safety: SafetyOptions = DEFAULT_SAFETY,
    evidence: EvidenceOptions = DEFAULT_EVIDENCE,
    out: Out = None,
    options: RunOptions = DEFAULT_RUN,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Deactivate tokens, to delete or restore them later."""
    from losant_tokens.cli._evidence import evidence_settings
    from losant_tokens.cli._jobs.workflow import plan_and_apply
    from losant_tokens.cli._plans.planning import selection_planner

    read_logs = partial(evidence_settings, evidence, connection)
    planner = selection_planner(
        rules, owners, safety, "deactivate", options.patience, grace, read_logs
    )
    return plan_and_apply("quarantine", planner, out, options, safety, connection)


def list_quarantines(
    names: QuarantineNames = (),
    /,
    *,
    offline: Annotated[
        bool, flag("Read only files, and do not ask the API which tokens still wait.")
    ] = False,
    json: Annotated[Json, Parameter(help="Write JSON, with all numbers.")] = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """List quarantines and the state of their tokens."""
    from losant_tokens.cli._jobs.quarantine_view import as_json_values, show_quarantines
    from losant_tokens.cli._state import quarantine_ledger

    read = quarantine_ledger.offline_states if offline else quarantine_ledger.online_states
    states: Sequence[jobs.Quarantine | jobs.QuarantineReview] = read(names, connection)
    if json:
        write_output(as_json([as_json_values(state) for state in states]))
    else:
        show_quarantines(states, connection.account_arguments())
    return 0


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
        # A nightly sweep of everything would repeat them for ever. `quarantine list` shows them.
        ignored=(jobs.LeftAloneWarning,) if due else (),
    )


def restore(
    quarantine: QuarantineName,
    /,
    *,
    named: Annotated[
        tuple[str, ...],
        repeatable("GLOB", "Restore only tokens whose name matches GLOB; repeat for more."),
    ] = (),
    ids: Annotated[
        tuple[str, ...],
        repeatable("ID", "Restore only the token with this id; repeat for more.", name="--id"),
    ] = (),
    safety: SafetyOptions = DEFAULT_SAFETY,
    out: Out = None,
    options: RunOptions = DEFAULT_RUN,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Activate the unchanged tokens of a quarantine."""
    from losant_tokens.cli._jobs.quarantine_view import nothing_to_restore
    from losant_tokens.cli._jobs.workflow import plan_and_apply
    from losant_tokens.cli._options.parse import read_token_ids
    from losant_tokens.cli._plans.planning import restore_planner
    from losant_tokens.cli._state.quarantine_ledger import chosen_quarantine

    require_terminal_or_yes("restore", yes=options.yes)
    chosen_ids = tuple(read_token_ids(ids))
    choose, file = chosen_quarantine(quarantine)
    reviews: list[jobs.QuarantineReview] = []
    return plan_and_apply(
        "restore",
        restore_planner(choose, named, chosen_ids, safety, options.patience, reviews.extend),
        out,
        options,
        safety,
        connection,
        quarantine=file,
        explain_nothing=lambda plan: nothing_to_restore(plan, reviews),
    )
