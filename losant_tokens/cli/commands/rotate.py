"""`rotate` and its subcommands: replace tokens with successors, without downtime."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from losant_tokens.cli._errors import EXIT_ERROR, UsageError
from losant_tokens.cli._options.common import (
    DEFAULT_CONNECTION,
    ConnectionOptions,
    Json,
    Quiet,
    Yes,
    flag,
)
from losant_tokens.cli._options.jobs import (
    DEFAULT_GRACE,
    DEFAULT_OWNERS,
    DEFAULT_SAFETY,
    NO_RULES,
    Grace,
    Owners,
    RuleOptions,
    SafetyOptions,
)
from losant_tokens.cli._options.rotations import (
    DEFAULT_OVERLAP,
    DEFAULT_SINK,
    AllowUnverified,
    DryRun,
    Expires,
    OptionalRotation,
    Overlap,
    RotationName,
    RotationPlan,
    SinkOptions,
    TokenIds,
)
from losant_tokens.cli._terminal.console import quiet_output, require_terminal_or_yes, write_output
from losant_tokens.cli._tokens.json import as_json

if TYPE_CHECKING:
    from losant_tokens import jobs

_HELP = "see losant-tokens rotate resume --help"


def rotate(  # noqa: PLR0913 -- one parameter per option
    ids: TokenIds = (),
    /,
    *,
    expires: Expires = None,
    sink: SinkOptions = DEFAULT_SINK,
    overlap: Overlap = DEFAULT_OVERLAP,
    grace: Grace = DEFAULT_GRACE,
    allow_unverified: AllowUnverified = False,
    plan: RotationPlan = None,
    rules: RuleOptions = NO_RULES,
    owners: Owners = DEFAULT_OWNERS,
    safety: SafetyOptions = DEFAULT_SAFETY,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Annotated[Json, Parameter(help="Write the outcome as JSON, without secrets.")] = False,
    quiet: Quiet = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Replace tokens with new ones that do the same."""
    from losant_tokens import jobs
    from losant_tokens.cli._rotations import workflow
    from losant_tokens.cli._terminal.console import print_status

    until = workflow.read_expiry_of_successors(expires)
    if not dry_run:
        require_terminal_or_yes("rotate", yes=yes)
    with quiet_output(quiet):
        tokens = workflow.chosen_tokens(ids, plan, rules, owners, safety, connection)
        count = tokens.header.total.selected if isinstance(tokens, jobs.Plan) else len(tokens)
        if not count:
            print_status("Nothing to rotate: no token is selected.")
            return 0
        chosen = None
        if not dry_run:
            chosen = workflow.chosen_sink(sink, connection, count=count, json=json)
        checks = workflow.checked_candidates(tokens, until, overlap, connection)
        if chosen is None:
            print_status("Nothing was changed, because of --dry-run.")
            return 0
        decision = workflow.decide(checks, allow_unverified=allow_unverified, yes=yes)
        if not decision.is_confirmed:
            return EXIT_ERROR
        options = (*sink.arguments(), *connection.arguments())
        return workflow.Rotator(connection, json, options).start(
            tokens, chosen, until, overlap, grace, allow_unverified=decision.allow_unverified
        )


def list_rotations(
    *,
    json: Annotated[Json, Parameter(help="Write JSON, with all tokens.")] = False,
) -> int:
    """List rotations and the stages of their tokens."""
    from losant_tokens.cli._rotations import view as rotation_view
    from losant_tokens.cli._rotations.workflow import all_rotations

    rotations = all_rotations()
    if json:
        write_output(as_json([rotation_view.as_json_values(one) for one in rotations]))
    else:
        rotation_view.show_rotations(rotations)
    return 0


def resume_rotation(
    rotation: OptionalRotation = None,
    /,
    *,
    due: Annotated[bool, flag("Resume all rotations whose overlap has ended.")] = False,
    sink: SinkOptions = DEFAULT_SINK,
    json: Annotated[Json, Parameter(help="Write the outcome as JSON, without secrets.")] = False,
    quiet: Quiet = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Resume a rotation, or deactivate its old tokens when they are due."""
    from losant_tokens.cli._rotations import workflow
    from losant_tokens.cli._terminal.console import print_status

    if (rotation is None) is not due:
        raise UsageError("name a rotation or pass --due, but not both", _HELP)
    with quiet_output(quiet):
        rotator = workflow.Rotator(connection, json, (*sink.arguments(), *connection.arguments()))
        if rotation is None:
            found = workflow.due_rotations()
            if not found:
                print_status("No rotation is due.")
            # A nightly run has no sink, so it only deactivates old tokens.
            code = max((rotator.resume(one, None) for one in found), default=0)
            workflow.report_interrupted()
            return code
        one = workflow.find_rotation(rotation)
        count = sum(token.needs_sink for token in one.tokens)
        chosen = None
        if count:
            workflow.require_same_sink(one, sink)
            chosen = workflow.chosen_sink(sink, connection, count=count, json=json)
        return rotator.resume(one, chosen)


def cancel_rotation(
    rotation: RotationName,
    /,
    *,
    yes: Yes = False,
    json: Annotated[Json, Parameter(help="Write the outcome as JSON, without secrets.")] = False,
    quiet: Quiet = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Cancel a rotation, and keep the old tokens."""
    from losant_tokens.cli._rotations import workflow

    require_terminal_or_yes("rotate cancel", yes=yes)
    with quiet_output(quiet):
        found: jobs.Rotation = workflow.find_rotation(rotation)
        if not yes and not workflow.confirm_cancel(found):
            return EXIT_ERROR
        return workflow.Rotator(connection, json).cancel(found)
