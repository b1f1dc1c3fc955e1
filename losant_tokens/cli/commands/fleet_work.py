"""`fleet work`: a worker of a fleet."""

from typing import Annotated

from cyclopts import Parameter, validators

from losant_tokens.cli._options.common import AtLeastOne, Json, Quiet, flag
from losant_tokens.cli._options.fleet import (
    DEFAULT_STORE,
    FleetConfig,
    PolicyFile,
    StoreOptions,
)
from losant_tokens.cli._terminal.console import quiet_output

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
            help="Set the name, unique in the fleet.",
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
