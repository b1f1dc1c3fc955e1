"""`runs list`, `runs show` and `runs prune`: the plans and journals in the state folder."""

from typing import Annotated

from cyclopts import Parameter

from losant_tokens.cli._options.common import Json, Quiet
from losant_tokens.cli._options.jobs import DEFAULT_PRUNE_AGE, PruneAge
from losant_tokens.cli._terminal.console import quiet_output, write_output
from losant_tokens.cli._tokens.json import as_json


def list_runs(
    *,
    json: Annotated[Json, Parameter(help="Write JSON, with all counts and files.")] = False,
) -> int:
    """List the runs of jobs, with their state."""
    from losant_tokens.cli._jobs.run_view import run_as_json, show_runs
    from losant_tokens.cli._jobs.runs import all_runs

    runs = all_runs()
    if json:
        write_output(as_json([run_as_json(run) for run in runs]))
    else:
        show_runs(runs)
    return 0


def show_run(
    run: Annotated[
        str, Parameter(name="RUN", help="Show this run: an id, the file of a plan, or last.")
    ],
    /,
    *,
    json: Annotated[Json, Parameter(help="Write JSON, with all failed tokens.")] = False,
) -> int:
    """Show a run, its failures, and how to resume it."""
    from losant_tokens.cli._jobs import run_view
    from losant_tokens.cli._jobs.runs import find_run

    found = find_run(run)
    if json:
        write_output(as_json(run_view.run_as_json(found, failures=True)))
    else:
        run_view.show_run(found)
    return 0


def prune_runs(*, older_than: PruneAge = DEFAULT_PRUNE_AGE, quiet: Quiet = False) -> int:
    """Remove plans and journals of complete jobs."""
    from losant_tokens.cli._state.files import prune_state_folder

    with quiet_output(quiet):
        return prune_state_folder(older_than)
