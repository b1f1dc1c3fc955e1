"""`policy check`, `policy test` and `policy schema`: policy files, without a request."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from losant_tokens.cli._console import print_error, print_status, quiet_output, write_output
from losant_tokens.cli._errors import EXIT_ERROR, CommandError, UsageError
from losant_tokens.cli._format import escaped
from losant_tokens.cli._json import as_json
from losant_tokens.cli._options import Json, Quiet
from losant_tokens.cli._value_checks import existing_file

PolicyFile = Annotated[
    Path, Parameter(name="FILE", validator=existing_file, help="Read the policy from FILE.")
]


def check_policy(
    file: PolicyFile,
    /,
    *,
    json: Annotated[Json, Parameter(help="Write the mistakes as JSON.")] = False,
    quiet: Quiet = False,
) -> int:
    """Check a policy file, and list all of its mistakes."""
    from losant_tokens import policy
    from losant_tokens.cli import _policies

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
    return 0


def run_tests(
    file: PolicyFile,
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


def print_schema() -> int:
    """Print the JSON Schema of policy files, for editors."""
    from losant_tokens import policy

    write_output(as_json(policy.schema()))
    return 0
