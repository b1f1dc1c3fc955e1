"""`fleet plan`, `runs`, `show`, `approve` and others: the runs of a fleet, from any machine."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from losant_tokens.cli._errors import (
    EXIT_BLOCKED,
    EXIT_ERROR,
    EXIT_SOME_FAILED,
    CommandError,
    UsageError,
    explain,
)
from losant_tokens.cli._options.common import AtLeastOne, Json, Quiet, age, flag, repeatable
from losant_tokens.cli._options.fleet import (
    DEFAULT_DECISION,
    DEFAULT_STORE,
    Account,
    AllAccounts,
    By,
    CleanupFilter,
    CleanupName,
    DecisionOptions,
    FleetConfig,
    PolicyFile,
    RunName,
    RunNames,
    Since,
    States,
    StoreOptions,
    person,
)
from losant_tokens.cli._options.value_checks import html_name
from losant_tokens.cli._terminal.console import (
    confirm,
    print_after_signal,
    print_error,
    print_status,
    print_warning,
    quiet_output,
    require_terminal_or_yes,
    write_output,
)
from losant_tokens.cli._terminal.format import escaped
from losant_tokens.cli._tokens.json import as_json
from losant_tokens.errors import LosantError

if TYPE_CHECKING:
    from losant_tokens import fleet, jobs
    from losant_tokens import policy as policies

_DEFAULT_LIMIT = 50
_POLL_INTERVAL = 0.5  # seconds between two reads of a run
_REPORT_PERIOD = timedelta(days=30)


def plan_runs(  # noqa: PLR0913 -- the options of the command
    cleanup: CleanupName,
    /,
    *,
    account: Annotated[
        tuple[str, ...], repeatable("ACCOUNT", "Plan it for ACCOUNT; repeat for more.")
    ] = (),
    all_accounts: AllAccounts = False,
    policy: PolicyFile = None,
    config: FleetConfig = None,
    wait: Annotated[bool, flag("Wait until the plans are made, and show them.")] = False,
    by: By = None,
    json: Annotated[Json, Parameter(help="Write the runs as JSON.")] = False,
    quiet: Quiet = False,
    store: StoreOptions = DEFAULT_STORE,
) -> int:
    """Start runs: a worker plans a clean-up for each account."""
    from losant_tokens.cli._fleet import connection
    from losant_tokens.cli._fleet import view as fleet_view

    if bool(account) == all_accounts:
        problem = "cannot be combined with" if account else "or"
        raise UsageError(f"{'' if account else 'pass '}--account {problem} --all-accounts")
    names = tuple(dict.fromkeys(account)) or _accounts_of(cleanup, policy, config)
    if account:
        _check_names(cleanup, names, policy, config)
    who = person(by)

    async def work(client: "fleet.FleetClient") -> "list[fleet.Run]":
        runs = [await client.plan(name, cleanup, by=who) for name in names]
        if wait:
            runs = [await _planned(client, run.id) for run in runs]
        return runs

    with quiet_output(quiet):
        if wait:
            print_status("Waiting for a worker. Ctrl-C ends only the waiting.")
        runs = connection.run_with_fleet(work, store, creates=True)
        if json:
            write_output(as_json([fleet_view.run_as_json(run) for run in runs]))
        elif wait:
            fleet_view.show_runs(runs, store.arguments())
        else:
            write_output("".join(f"{run.id}\n" for run in runs))
            for run in runs:
                print_status(f"Started run {run.id} of {run.cleanup} for {run.account}.")
    failed = sum(
        run.state in {"failed", "refused"}
        # Nobody waits for the webhook that decides about a plan.
        or (run.state == "planning" and run.retry_at is not None)
        for run in runs
    )
    return _exit_code(failed, len(runs))


async def _planned(client: "fleet.FleetClient", name: str) -> "fleet.Run":
    """Return a run as soon as it is planned, or a worker has trouble with it."""
    import anyio

    while True:
        run = await client.run(name)
        if run.state != "planning" or run.retry_at is not None:
            return run
        await anyio.sleep(_POLL_INTERVAL)


def _accounts_of(cleanup: str, policy: Path | None, config: Path | None) -> tuple[str, ...]:
    """Return the accounts that a clean-up applies to.

    Raises:
        CommandError: A file has mistakes, or a pattern matches no account.
    """
    from losant_tokens import accounts
    from losant_tokens.cli._policies import find_cleanup

    found = find_cleanup(policy, cleanup, "--policy")
    _check_steps(found)
    return found.select_accounts(accounts.load(config))


def _check_steps(cleanup: "policies.Cleanup") -> None:
    """Refuse a clean-up that the workers would refuse.

    Raises:
        CommandError: It begins with a warning, but has no webhook for it.
    """
    if not cleanup.is_for_fleets:
        raise CommandError(
            f'the step warn of the clean-up "{escaped(cleanup.name)}" has no webhook, which a '
            f"fleet needs",
            "give the step webhook or webhook_env in the policy file, or remove it",
        )


def _check_names(
    cleanup: str, names: tuple[str, ...], policy: Path | None, config: Path | None
) -> None:
    """Check a clean-up and accounts against the files of this machine.

    The workers may have other files, so a name is refused only if its file was named.

    Raises:
        UsageError: A file that was named lacks a name.
        CommandError: A file that was named has mistakes.
    """
    from losant_tokens import accounts
    from losant_tokens.cli._policies import DEFAULT_FILE, find_cleanup

    if policy is not None:
        _check_steps(find_cleanup(policy, cleanup, "--policy"))
    elif DEFAULT_FILE.exists():
        try:
            _check_steps(find_cleanup(None, cleanup, "--policy"))
        except CommandError as error:
            print_warning(f"the run fails if the workers do not have this clean-up: {error}")
    for name in names:
        try:
            accounts.find(name, config)
        except accounts.ConfigError as error:
            if config is not None:
                raise
            if accounts.config_path().exists():
                fails = "the run fails after 24 hours if the workers do not have this account"
                print_warning(f"{fails}: {error}")


def _exit_code(failed: int, total: int, all_failed: int = EXIT_ERROR) -> int:
    if not failed:
        return 0
    return all_failed if failed == total else EXIT_SOME_FAILED


def list_runs(
    *,
    state: States = (),
    account: Account = None,
    cleanup: CleanupFilter = None,
    since: Since = None,
    failed_tokens: Annotated[bool, flag("Show only runs in which tokens failed.")] = False,
    limit: Annotated[
        int, Parameter(metavar="N", validator=AtLeastOne, help="Show up to N runs.")
    ] = _DEFAULT_LIMIT,
    json: Annotated[Json, Parameter(help="Write JSON, with all facts.")] = False,
    store: StoreOptions = DEFAULT_STORE,
) -> int:
    """List the runs of the fleet, the newest first."""
    from losant_tokens.cli._fleet import connection
    from losant_tokens.cli._fleet import view as fleet_view

    states = connection.known_states(state)
    start = None if since is None else datetime.now(UTC) - since

    async def work(client: "fleet.FleetClient") -> "list[fleet.Run]":
        found = client.runs(
            state=states or None,
            account=account,
            cleanup=cleanup,
            since=start,
            with_failed_tokens=failed_tokens,
            limit=limit + 1,
        )
        return [run async for run in found]

    notice = connection.notice_without_fleet(store)
    runs = [] if notice else connection.run_with_fleet(work, store)
    shown = runs[:limit]
    if json:
        write_output(as_json([fleet_view.run_as_json(run) for run in shown]))
    elif notice:
        print_status(notice)
    else:
        fleet_view.show_runs(
            shown,
            store.arguments(),
            has_more=len(runs) > limit,
            is_filtered=bool(state or account or cleanup or since or failed_tokens),
        )
    return 0


def show_run(
    run: RunName,
    /,
    *,
    tokens: Annotated[bool, flag("Show the outcome for each token.")] = False,
    html: Annotated[
        Path | None,
        Parameter(
            metavar="FILE",
            validator=html_name,
            help="Write the plan and its outcomes to FILE, as a page.",
        ),
    ] = None,
    exit_code: Annotated[
        bool, flag("Exit with code 3 if tokens failed, or 1 if the run failed.")
    ] = False,
    json: Annotated[Json, Parameter(help="Write JSON, with all facts.")] = False,
    store: StoreOptions = DEFAULT_STORE,
) -> int:
    """Show a run: its plan, who decided, and who did the work."""
    from losant_tokens.cli._fleet import connection
    from losant_tokens.cli._fleet import view as fleet_view

    if html is not None:
        if tokens or json:
            raise UsageError(f"--html cannot be combined with {'--tokens' if tokens else '--json'}")
        written = _write_page(run, html, store)
        return _outcome_code(written) if exit_code else 0

    async def work(
        client: "fleet.FleetClient",
    ) -> "tuple[fleet.Run, tuple[fleet.RunResult, ...]]":
        if not tokens:
            return await client.run(run), ()
        report = await client.report(run)
        return report.run, report.results

    found, results = connection.run_with_fleet(work, store)
    if json:
        values = fleet_view.run_as_json(found)
        if tokens:
            values["tokens"] = [fleet_view.result_as_json(one) for one in results]
        write_output(as_json(values))
    elif tokens:
        fleet_view.show_results(results)
    else:
        fleet_view.show_run(found, store.arguments())
    return _outcome_code(found) if exit_code else 0


def _outcome_code(run: "fleet.Run") -> int:
    """Return the exit code for the outcome of a run."""
    if run.state in {"failed", "refused"}:
        return EXIT_ERROR
    return EXIT_SOME_FAILED if run.failed_tokens else 0


def _write_page(name: str, path: Path, store: StoreOptions) -> "fleet.Run":
    """Write the plan of a run as a page, and return the run."""
    from losant_tokens.cli._fleet import connection
    from losant_tokens.cli._fleet.plan_page import save_run_page

    async def work(
        client: "fleet.FleetClient",
    ) -> "tuple[fleet.RunReport, jobs.PlanDocument]":
        report = await client.report(name)
        return report, await client.document(report.run.id)

    report, document = connection.run_with_fleet(work, store)
    saved = save_run_page(report.run, document, report.results, path, datetime.now(UTC))
    print_status(f"Wrote {saved}.")
    return report.run


# --- Decisions -------------------------------------------------------------------------------


def approve_runs(
    runs: RunNames,
    /,
    *,
    digest: Annotated[
        str | None,
        Parameter(metavar="DIGEST", help="Approve only the plan with this digest."),
    ] = None,
    options: DecisionOptions = DEFAULT_DECISION,
    store: StoreOptions = DEFAULT_STORE,
) -> int:
    """Approve the plans of runs after confirmation."""
    if digest is not None and len(runs) > 1:
        raise UsageError("--digest is for one run")
    return _decide("approve", runs, options, store, digest)


def reject_runs(
    runs: RunNames,
    /,
    *,
    options: DecisionOptions = DEFAULT_DECISION,
    store: StoreOptions = DEFAULT_STORE,
) -> int:
    """Reject the plans of runs, so that nothing is changed."""
    return _decide("reject", runs, options, store)


def cancel_runs(
    runs: RunNames,
    /,
    *,
    options: DecisionOptions = DEFAULT_DECISION,
    store: StoreOptions = DEFAULT_STORE,
) -> int:
    """Cancel runs, and leave changed tokens as they are."""
    return _decide("cancel", runs, options, store)


def restore_runs(
    runs: RunNames,
    /,
    *,
    options: DecisionOptions = DEFAULT_DECISION,
    store: StoreOptions = DEFAULT_STORE,
) -> int:
    """Reactivate the unchanged tokens that runs have deactivated."""
    return _decide("restore", runs, options, store)


def retry_runs(
    runs: RunNames,
    /,
    *,
    options: DecisionOptions = DEFAULT_DECISION,
    store: StoreOptions = DEFAULT_STORE,
) -> int:
    """Continue failed runs, and repeat failed tokens."""
    return _decide("retry", runs, options, store)


def _decide(
    kind: "fleet.DecisionKind",
    names: tuple[str, ...],
    options: DecisionOptions,
    store: StoreOptions,
    digest: str | None = None,
) -> int:
    """Show the runs, ask for confirmation, and make a decision about each.

    Args:
        kind: The decision.
        names: The runs.
        options: The options.
        store: The store.
        digest: The digest that a plan must have to be approved. Default: the one that is shown.
    """
    from losant_tokens.cli._fleet import connection
    from losant_tokens.cli._fleet import view as fleet_view

    who = person(options.by)
    require_terminal_or_yes(f"fleet {kind}", yes=options.yes)

    async def read(client: "fleet.FleetClient") -> "list[fleet.Run]":
        return [await client.run(name) for name in dict.fromkeys(names)]

    async def work(client: "fleet.FleetClient") -> "list[tuple[fleet.Run, fleet.Run]]":
        done = []
        for run in chosen:
            try:
                # An altered plan has another digest than the one that is shown, and is refused.
                reviewed = digest or run.plan.digest or None
                done.append((run, await _decided(client, kind, run.id, who, options, reviewed)))
            except LosantError as error:
                print_error(explain(error))
        return done

    with quiet_output(options.quiet):
        found = connection.run_with_fleet(read, store)
        chosen = []
        for run in found:
            print_status(fleet_view.describe_for_decision(run, kind, datetime.now(UTC)))
            if options.yes or confirm(fleet_view.question(run, kind.capitalize())):
                chosen.append(run)
        if not chosen:
            raise CommandError("declined: nothing was changed")
        done = connection.run_with_fleet(work, store)
        if options.json:
            write_output(as_json([fleet_view.run_as_json(run) for _, run in done]))
        else:
            now = datetime.now(UTC)
            for before, run in done:
                print_status(fleet_view.describe_decision(run, kind, before, now))
    return _exit_code(len(chosen) - len(done), len(chosen), EXIT_BLOCKED)


async def _decided(
    client: "fleet.FleetClient",
    kind: "fleet.DecisionKind",
    run: str,
    who: str,
    options: DecisionOptions,
    digest: str | None,
) -> "fleet.Run":
    """Make a decision about a run, and return the run after it."""
    if kind == "approve":
        return await client.approve(run, by=who, digest=digest, reason=options.reason)
    decide = {
        "reject": client.reject,
        "cancel": client.cancel,
        "restore": client.restore,
        "retry": client.retry,
    }[kind]
    return await decide(run, by=who, reason=options.reason)


# --- Report ----------------------------------------------------------------------------------


def report_outcomes(
    *,
    since: Annotated[
        timedelta,
        age("Count runs that were started within AGE.", show_default=lambda _: "30d"),
    ] = _REPORT_PERIOD,
    account: Account = None,
    cleanup: CleanupFilter = None,
    json: Annotated[Json, Parameter(help="Write JSON, with the totals.")] = False,
    csv: Annotated[bool, flag("Write CSV, with a row for each account.")] = False,
    exit_code: Annotated[bool, flag("Exit with code 3 if tokens or runs failed.")] = False,
    store: StoreOptions = DEFAULT_STORE,
) -> int:
    """Report the outcomes of the runs of a period, for each account."""
    from losant_tokens.cli._fleet import connection
    from losant_tokens.cli._fleet import report as fleet_report

    if json and csv:
        raise UsageError("--json cannot be combined with --csv")
    start = datetime.now(UTC) - since

    async def work(client: "fleet.FleetClient") -> "list[fleet_report.Totals]":
        runs = client.runs(account=account, cleanup=cleanup, since=start)
        return fleet_report.totals_by_account([run async for run in runs])

    notice = connection.notice_without_fleet(store)
    rows = [] if notice else connection.run_with_fleet(work, store)
    if json:
        write_output(as_json(fleet_report.report_as_json(rows, start)))
    elif csv:
        write_output(fleet_report.report_csv(rows))
    elif not rows:
        print_status(notice or f"There are no runs {fleet_report.describe_period(start)}.")
    else:
        write_output(fleet_report.report_table(rows))
    total = fleet_report.total_of(rows)
    has_failures = total.failed > 0 or total.unsuccessful > 0
    return EXIT_SOME_FAILED if exit_code and has_failures else 0


# --- The page --------------------------------------------------------------------------------


def serve_runs(
    *,
    port: Annotated[
        int,
        Parameter(
            metavar="N",
            validator=validators.Number(gte=0, lte=65535),
            show_default=lambda _: "a free port",
            help="Listen on port N.",
        ),
    ] = 0,
    store: StoreOptions = DEFAULT_STORE,
) -> int:
    """Show the runs in a browser, on this machine, until Ctrl-C."""
    import anyio

    from losant_tokens.cli._fleet import connection
    from losant_tokens.cli._fleet import page_server as fleet_page

    app = connection.open_fleet(store)

    async def work(client: "fleet.FleetClient") -> None:
        async with fleet_page.serving(fleet_page.RunsApp(client, app.store), port) as url:
            write_output(f"{url}\n")
            print_status("The page is read-only, and refreshed every few seconds. Ctrl-C stops it.")
            await anyio.sleep_forever()

    try:
        connection.run_with_fleet(work, store)
    except KeyboardInterrupt:
        print_after_signal("Stopped.")
    return 0  # Ctrl-C is the normal way to end it.
