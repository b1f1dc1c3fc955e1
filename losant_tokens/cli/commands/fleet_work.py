"""`fleet work` and `fleet doctor`: a worker of a fleet, and the problems of a fleet."""

from typing import Annotated

from cyclopts import Parameter, validators

from losant_tokens.cli._errors import EXIT_CHANGES
from losant_tokens.cli._options.common import AtLeastOne, Json, Quiet, flag
from losant_tokens.cli._options.fleet import (
    DEFAULT_STORE,
    FleetConfig,
    PolicyFile,
    StoreOptions,
)
from losant_tokens.cli._terminal.console import print_status, quiet_output, write_output

_CONCURRENCY = 4


def work(  # noqa: PLR0913 -- one parameter per option
    *,
    policy: PolicyFile = None,
    config: FleetConfig = None,
    name: Annotated[
        str | None,
        Parameter(
            metavar="NAME",
            show_default=lambda _: "the machine and an id",
            help="Use NAME, which no other worker has.",
        ),
    ] = None,
    concurrency: Annotated[
        int,
        Parameter(metavar="N", validator=AtLeastOne, help="Work for up to N accounts at a time."),
    ] = _CONCURRENCY,
    fleet_concurrency: Annotated[
        int | None,
        Parameter(
            metavar="N",
            validator=AtLeastOne,
            help="Let all workers work for up to N accounts at a time.",
        ),
    ] = None,
    page: Annotated[
        int | None,
        Parameter(
            metavar="PORT",
            validator=validators.Number(gte=0, lte=65535),
            help="Serve the page with the runs on PORT.",
        ),
    ] = None,
    until_idle: Annotated[bool, flag("Stop when no run needs a worker now, for cron.")] = False,
    json: Annotated[Json, Parameter(help="Write JSON to stdout, a line for each event.")] = False,
    quiet: Quiet = False,
    store: StoreOptions = DEFAULT_STORE,
) -> int:
    """Work for the fleet until Ctrl-C: plan, apply, sweep and restore."""
    from losant_tokens import accounts
    from losant_tokens.cli._fleet.connection import open_fleet
    from losant_tokens.cli._fleet.worker import Worker
    from losant_tokens.cli._policies import DEFAULT_FILE, valid_policy

    app = open_fleet(store)
    app.policies = valid_policy(policy or DEFAULT_FILE, "name the policy file: --policy FILE")
    app.accounts = accounts.load(config)
    worker = Worker(
        app=app,
        name=name,
        concurrency=concurrency,
        fleet_concurrency=fleet_concurrency,
        port=page,
        until_idle=until_idle,
        is_json=json,
        is_quiet=quiet,
    )
    with quiet_output(quiet):
        worker.run()
    return 0  # A signal is the normal way to end it.


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
    from losant_tokens.cli._fleet import view as fleet_view
    from losant_tokens.cli._fleet.connection import open_fleet, require_store
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
            write_output(as_json(fleet_view.diagnosis_as_json(found)))
        elif not quiet or any(one.severity.value != "info" for one in found.problems):
            fleet_view.show_diagnosis(found)
    return 0 if found.is_healthy else EXIT_CHANGES
