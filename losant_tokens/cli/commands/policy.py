"""`policy check`, `policy test`, `policy warn` and `policy schema`: policy files."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attrs import evolve
from cyclopts import Parameter

from losant_tokens.cli._errors import EXIT_ERROR, CommandError, UsageError
from losant_tokens.cli._notices.receivers import NO_RECEIVER, ReceiverOptions, known_tokens
from losant_tokens.cli._options.common import DEFAULT_CONNECTION, ConnectionOptions, Json, Quiet
from losant_tokens.cli._options.jobs import DEFAULT_OWNERS, Owners
from losant_tokens.cli._options.jobs import PolicyFile as PolicyOption
from losant_tokens.cli._options.value_checks import existing_file
from losant_tokens.cli._terminal.console import (
    print_error,
    print_status,
    quiet_output,
    write_output,
)
from losant_tokens.cli._terminal.format import escaped
from losant_tokens.cli._tokens.json import as_json

if TYPE_CHECKING:
    from losant_tokens import AsyncClient

_STATE_HINT = "set XDG_STATE_HOME to a folder that you can write to"

PolicyFile = Annotated[
    Path | None,
    Parameter(
        name="FILE",
        validator=existing_file,
        show_default=lambda _: "policy.toml",
        help="Read the policy from FILE.",
    ),
]


def check_policy(
    file: PolicyFile = None,
    /,
    *,
    json: Annotated[Json, Parameter(help="Write the mistakes as JSON.")] = False,
    quiet: Quiet = False,
) -> int:
    """Check a policy file, and list all of its mistakes."""
    from losant_tokens import policy
    from losant_tokens.cli import _policies

    file = _policies.named_file(file)
    with quiet_output(quiet):
        try:
            loaded = _policies.read_policy(file)
        except policy.PolicyError as error:
            if json:
                write_output(as_json(_policies.mistakes_as_json(error)))
            else:
                write_output(_policies.mistake_lines(error))
            count = _policies.mistake_count(error)
            print_error(CommandError(f"{escaped(str(file))} has {count}"))
            return EXIT_ERROR
        if json:
            write_output(as_json([]))
        elif not quiet:
            _policies.show_policy(loaded)
        print_status(f"{escaped(str(file))} is valid: {_policies.policy_counts(loaded)}.")
        for note in _policies.fleet_notes(loaded):
            print_status(note)
    return 0


def run_tests(
    file: PolicyFile = None,
    /,
    *,
    snapshot: Annotated[
        Path | None,
        Parameter(
            metavar="FILE",
            validator=existing_file,
            help="Match the tokens of FILE, the output of list --json.",
        ),
    ] = None,
    json: Annotated[Json, Parameter(help="Write the results as JSON, with all tokens.")] = False,
    quiet: Quiet = False,
) -> int:
    """Run the tests of a policy file, and match the tokens of a snapshot."""
    from losant_tokens import policy
    from losant_tokens.cli import _policies

    file = _policies.named_file(file)
    now = datetime.now(UTC)
    with quiet_output(quiet):
        loaded = _policies.valid_policy(file)
        if snapshot is None and not loaded.tests:
            raise UsageError(
                f"{escaped(str(file))} has no tests",
                "add [[tests]] to the file, or pass tokens: --snapshot tokens.json",
            )
        results = policy.run_tests(loaded, now)
        matches = None
        if snapshot is not None:
            matches = policy.match_tokens(loaded, _policies.read_tokens(snapshot), now)
        failed = sum(not result.passed for result in results)
        if json:
            document = {
                "tests": _policies.tests_as_json(results),
                "matches": None if matches is None else _policies.matches_as_json(matches),
            }
            write_output(as_json(document))
        elif not quiet:
            _policies.show_results(results, matches)
        _policies.print_totals(results)
    return EXIT_ERROR if failed else 0


def warn_of_changes(
    name: Annotated[str, Parameter(name="CLEANUP", help="Send the warnings of CLEANUP.")],
    /,
    *,
    policy_file: PolicyOption = None,
    owners: Owners = DEFAULT_OWNERS,
    receiver: ReceiverOptions = NO_RECEIVER,
    quiet: Quiet = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Send one message about tokens that a ladder will deactivate."""
    from losant_tokens import policy
    from losant_tokens.cli import _policies
    from losant_tokens.cli._event_loop import run_with_client
    from losant_tokens.cli._state.files import WARNINGS, state_folder

    cleanup = _policies.find_cleanup(policy_file, name)
    if not cleanup.warns:
        raise UsageError(
            f'"{name}" has no step warn', 'the first step must be { action = "warn" } to warn'
        )
    chosen = receiver.receiver()
    is_dry_run = evolve(receiver, json=False) == NO_RECEIVER
    ledger = policy.WarningLedger(state_folder(_STATE_HINT) / WARNINGS)

    async def run(client: "AsyncClient") -> policy.WarningResult:
        sink = chosen.without_secrets(known_tokens(connection.config))
        return await policy.warn(client, owners, cleanup, sink, ledger, dry_run=is_dry_run)

    with quiet_output(quiet):
        result = run_with_client(run, connection)
        print_status(_policies.describe_warning(result, chosen.name, is_dry_run=is_dry_run))
    return 0


def print_schema() -> int:
    """Print the JSON Schema of policy files, for editors."""
    from losant_tokens import policy

    write_output(as_json(policy.schema()))
    return 0
