"""`restore`: activate the tokens of a quarantine."""

from typing import TYPE_CHECKING, Annotated

from losant_tokens.cli._options.common import DEFAULT_CONNECTION, ConnectionOptions, repeatable
from losant_tokens.cli._options.jobs import (
    DEFAULT_RUN,
    DEFAULT_SAFETY,
    Out,
    QuarantineName,
    RunOptions,
    SafetyOptions,
)
from losant_tokens.cli._terminal.console import require_terminal_or_yes

if TYPE_CHECKING:
    from losant_tokens import jobs


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
