"""`fleet doctor`: the problems of a fleet."""

from typing import Annotated

from cyclopts import Parameter

from losant_tokens.cli._errors import EXIT_CHANGES
from losant_tokens.cli._options.common import Json, Quiet
from losant_tokens.cli._options.fleet import (
    DEFAULT_STORE,
    FleetConfig,
    PolicyFile,
    StoreOptions,
)
from losant_tokens.cli._terminal.console import print_status, quiet_output, write_output


def find_problems(
    *,
    policy: PolicyFile = None,
    config: FleetConfig = None,
    json: Annotated[Json, Parameter(help="Write JSON, with the workers.")] = False,
    quiet: Quiet = False,
    store: StoreOptions = DEFAULT_STORE,
) -> int:
    """Check the fleet: its store, workers, runs, accounts and clocks."""
    from losant_tokens import accounts
    from losant_tokens.cli._event_loop import run_until_stopped
    from losant_tokens.cli._fleet.connection import open_fleet, require_store
    from losant_tokens.cli._fleet.diagnosis_view import diagnosis_as_json, show_diagnosis
    from losant_tokens.cli._policies import DEFAULT_FILE, valid_policy
    from losant_tokens.cli._tokens.json import as_json

    app = open_fleet(store)
    require_store(app, store)
    with quiet_output(quiet):
        if policy is not None or DEFAULT_FILE.exists():
            app.policies = valid_policy(policy or DEFAULT_FILE)
            app.accounts = accounts.load(config)
        else:
            print_status("The accounts are not checked, because there is no policy file: --policy")
        found = run_until_stopped(app.diagnose)
        if json:
            write_output(as_json(diagnosis_as_json(found)))
        elif not quiet or any(one.severity.value != "info" for one in found.problems):
            show_diagnosis(found)
    return 0 if found.is_healthy else EXIT_CHANGES
