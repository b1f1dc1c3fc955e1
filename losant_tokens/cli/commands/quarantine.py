"""`quarantine` and `quarantine list`: deactivate now, delete or restore later."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from losant_tokens.cli._options.common import (
    DEFAULT_CONNECTION,
    ConnectionOptions,
    Json,
    flag,
)
from losant_tokens.cli._options.jobs import (
    DEFAULT_EVIDENCE,
    DEFAULT_GRACE,
    DEFAULT_OWNERS,
    DEFAULT_RUN,
    DEFAULT_SAFETY,
    NO_RULES,
    EvidenceOptions,
    Grace,
    Out,
    Owners,
    QuarantineNames,
    RuleOptions,
    RunOptions,
    SafetyOptions,
)
from losant_tokens.cli._terminal.console import write_output
from losant_tokens.cli._tokens.json import as_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from losant_tokens import jobs


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
