"""`leaked`: whether a leaked secret works, which token it is, and what it created."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from losant_tokens.cli._errors import (
    EXIT_CHANGES,
    EXIT_ERROR,
    CommandError,
    UsageError,
)
from losant_tokens.cli._library_messages import with_options
from losant_tokens.cli._options.common import (
    DEFAULT_ACCOUNTS,
    AccountsOptions,
    AtLeastOne,
    ConnectionOptions,
    audit_logs,
    flag,
)
from losant_tokens.cli._options.jobs import Owners
from losant_tokens.cli._terminal.console import (
    print_warning,
    questions_at_terminal,
    read_secret_text,
    write_output,
)
from losant_tokens.errors import LosantError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from losant_tokens import Secret
    from losant_tokens.cli._leaks.response import LeakResponse
    from losant_tokens.cli._leaks.view import Leak
    from losant_tokens.leaks import Claims

_DEFAULT_LAST = 10
_BEST = (2, True)


def respond_to_leak(
    *,
    owner: Annotated[Owners, Parameter(show_default=lambda _: "all that can be listed")] = (),
    yes: Annotated[bool, flag("Deactivate the token without confirmation.")] = False,
    with_created: Annotated[
        bool, flag("Deactivate the tokens that it created as well; needs --yes.")
    ] = False,
    seen_in: Annotated[
        tuple[str, ...],
        audit_logs("Show its last changes in LOG; repeat for more.", "the account's"),
    ] = (),
    last: Annotated[
        int,
        Parameter(metavar="N", validator=AtLeastOne, help="Show up to N changes."),
    ] = _DEFAULT_LAST,
    json: Annotated[bool, flag("Write JSON, without the secret.")] = False,
    connection: AccountsOptions = DEFAULT_ACCOUNTS,
) -> int:
    """Respond to a leaked secret: check, identify and deactivate it."""
    from losant_tokens.cli._leaks.response import LeakResponse
    from losant_tokens.cli._leaks.view import as_json_values
    from losant_tokens.cli._tokens.json import as_json
    from losant_tokens.leaks import find_secrets

    if with_created and (json or not yes):
        raise UsageError(
            "--with-created needs --yes, and cannot be combined with --json",
            "on a terminal, leave it out: the command asks",
        )
    secrets = find_secrets(read_secret_text("Secret (not shown): "))
    if not secrets:
        raise CommandError(
            "standard input contains no secret",
            "pass the token, or the line with it: losant-tokens leaked < FILE",
        )
    responses = [LeakResponse(owner, seen_in, last, one) for one in _connections(connection)]
    leaks: list[Leak] = []
    codes: set[int] = set()
    with questions_at_terminal():
        for number, secret in enumerate(secrets, 1):
            response, leak = _investigate(responses, secret)
            if len(secrets) > 1:
                leak.title = f"{number} of {len(secrets)}"
            if not json:
                response.show(leak)
            response.deactivate(leak, secret, yes=yes)
            response.find_created(leak, secret)
            if not json:
                response.show_created(leak)
                codes.add(response.quarantine_created(leak, yes=yes, with_created=with_created))
            leaks.append(leak)
    if json:
        write_output(as_json([as_json_values(leak) for leak in leaks]))
    states = {leak.state for leak in leaks}
    codes.add(EXIT_CHANGES if "works" in states else EXIT_ERROR if "unknown" in states else 0)
    return max(codes)


def _connections(options: AccountsOptions) -> tuple[ConnectionOptions, ...]:
    """Return the connections to the selected accounts. The command works without a token, too."""
    from losant_tokens.cli._connections.chosen_accounts import selected_connections

    if options.account or options.all_accounts:
        return selected_connections(options)
    return (options.connection(None),)


def _investigate(
    responses: "Sequence[LeakResponse]", secret: "Secret"
) -> "tuple[LeakResponse, Leak]":
    """Ask the API of each account about a secret, until one of them has its token.

    Raises:
        CommandError: No account can be used.
        LosantError: The only account cannot be used.
    """
    from losant_tokens.leaks import read_claims

    found: list[tuple[LeakResponse, Leak]] = []
    problems: dict[LeakResponse, str] = {}
    for response in responses:
        try:
            leak = response.investigate(secret)
        except (LosantError, CommandError) as error:
            if len(responses) == 1:
                raise
            problem = with_options(str(error))
            print_warning(f"the account {response.account} cannot be used: {problem}")
            problems[response] = problem
            continue
        found.append((response, leak))
        if _rank(leak) == _BEST:
            break
        if leak.found.check.state == "unknown":
            problems[response] = with_options(leak.found.check.reason)
    if not found:
        raise CommandError("no account can be used")
    best, leak = max(found, key=lambda pair: _rank(pair[1]))
    leak.not_checked = _not_checked(found, problems, read_claims(secret))
    return best, leak


def _not_checked(
    found: "Sequence[tuple[LeakResponse, Leak]]",
    problems: "Mapping[LeakResponse, str]",
    claims: "Claims",
) -> dict[str, str]:
    """Return the accounts whose API may accept a secret, although it did not say so.

    There is none if an API accepts the secret: no other API does. An API that refuses the secret
    answers for all accounts that use it, and one that did not issue it cannot accept it.
    """
    if any(leak.found.check.state == "works" for _, leak in found):
        return {}
    refusing = {response.url for response, leak in found if leak.found.check.state == "dead"}
    return {
        str(response.account): reason
        for response, reason in problems.items()
        if response.url not in refusing and response.may_accept(claims)
    }


def _rank(leak: "Leak") -> tuple[int, bool]:
    """Return how much is known: first whether the secret works, then which token it is."""
    state = ("unknown", "dead", "works").index(leak.found.check.state)
    return state, leak.found.match.token is not None
