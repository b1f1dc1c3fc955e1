"""`fleet prune`: remove finished runs from the store of a fleet."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from losant_tokens.cli._errors import CommandError
from losant_tokens.cli._options.common import Json, Quiet, Yes, age, flag
from losant_tokens.cli._options.fleet import DEFAULT_STORE, Account, CleanupFilter, StoreOptions
from losant_tokens.cli._options.jobs import DEFAULT_PRUNE_AGE
from losant_tokens.cli._terminal.console import (
    confirm,
    print_status,
    quiet_output,
    require_terminal_or_yes,
    write_output,
)
from losant_tokens.cli._tokens.json import as_json

if TYPE_CHECKING:
    from losant_tokens import fleet


def prune_runs(
    *,
    older_than: Annotated[
        timedelta,
        age(
            "Remove only runs that ended more than AGE ago.",
            show_default=lambda span: f"{span.days}d",
        ),
    ] = DEFAULT_PRUNE_AGE,
    account: Annotated[Account, Parameter(help="Remove only runs of ACCOUNT.")] = None,
    cleanup: Annotated[CleanupFilter, Parameter(help="Remove only runs of CLEANUP.")] = None,
    dry_run: Annotated[bool, flag("Show which runs would be removed, and change nothing.")] = False,
    yes: Yes = False,
    json: Annotated[Json, Parameter(help="Write the removed runs as JSON.")] = False,
    quiet: Quiet = False,
    store: StoreOptions = DEFAULT_STORE,
) -> int:
    """Remove finished runs from the store after confirmation."""
    from losant_tokens.cli._fleet import connection
    from losant_tokens.cli._fleet import view as fleet_view

    if not dry_run:
        require_terminal_or_yes("fleet prune", yes=yes)
    ended_before = datetime.now(UTC) - older_than

    async def prune(client: "fleet.FleetClient", *, removes: bool) -> "fleet.PruneResult":
        # A run that ended while somebody read the question is not part of it.
        age = datetime.now(UTC) - ended_before
        return await client.prune(
            older_than=age, account=account, cleanup=cleanup, dry_run=not removes
        )

    with quiet_output(quiet):
        result = connection.run_with_fleet(lambda client: prune(client, removes=False), store)
        if result.runs and not dry_run:
            if not yes and not confirm(fleet_view.prune_question(result)):
                raise CommandError("declined: nothing was removed")
            result = connection.run_with_fleet(lambda client: prune(client, removes=True), store)
        if json:
            write_output(as_json(fleet_view.pruned_as_json(result)))
        elif dry_run and result.runs:
            write_output(fleet_view.runs_table(result.runs, datetime.now(UTC)))
        elif not quiet:
            write_output("".join(f"{run.id}\n" for run in result.runs))
        print_status(fleet_view.describe_pruned(result, is_dry_run=dry_run))
    return 0
