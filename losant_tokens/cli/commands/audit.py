"""`audit`: find risky and forgotten tokens, and those not seen in use; compare two audits."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from losant_tokens import Owner
from losant_tokens.cli._errors import (
    EXIT_CHANGES,
    EXIT_SOME_FAILED,
    CommandError,
    UsageError,
    explain,
)
from losant_tokens.cli._options.common import (
    DEFAULT_ACCOUNTS,
    AccountsOptions,
    AtLeastOne,
    ConnectionOptions,
    Json,
    PageSize,
    Quiet,
    audit_logs,
    flag,
    repeatable,
)
from losant_tokens.cli._options.jobs import HtmlFile, Owners, Patience
from losant_tokens.cli._options.value_checks import existing_file
from losant_tokens.cli._terminal.console import print_status, print_warning, quiet_output

if TYPE_CHECKING:
    from losant_tokens import audit, policy

_PAGE_SIZE = 1000
_PATIENCE = 300.0  # seconds
Severity = Literal["info", "low", "medium", "high", "critical"]
FailOn = Annotated[
    Severity | None,
    Parameter(
        metavar="SEVERITY",
        show_choices=False,
        help="Exit with code 5 if a finding has SEVERITY or more.",
    ),
]
OldAudit = Annotated[
    Path, Parameter(name="OLD", validator=existing_file, help="Read the earlier audit from OLD.")
]
NewAudit = Annotated[
    Path, Parameter(name="NEW", validator=existing_file, help="Read the later audit from NEW.")
]


def audit_tokens(  # noqa: PLR0913 -- one parameter per option
    *,
    owner: Annotated[Owners, Parameter(show_default=lambda _: "the account's")] = (),
    seen_in: Annotated[
        tuple[str, ...],
        audit_logs("Read the audit log LOG; repeat for more.", "the account's"),
    ] = (),
    only: Annotated[
        tuple[str, ...], repeatable("RULE", "Check RULE and no other; repeat for more.")
    ] = (),
    ignore: Annotated[
        tuple[str, ...], repeatable("RULE", "Do not check RULE; repeat for more.")
    ] = (),
    policy: Annotated[
        Path | None,
        Parameter(
            name="--policy",
            metavar="FILE",
            validator=existing_file,
            help="Check the rules of the policy in FILE, too.",
        ),
    ] = None,
    fail_on: FailOn = None,
    limit: Annotated[
        int,
        Parameter(metavar="N", validator=AtLeastOne, help="Show the N worst tokens."),
    ] = 20,
    json: Annotated[Json, Parameter(help="Write all tokens and findings as JSON.")] = False,
    csv: Annotated[bool, flag("Write all findings as CSV.")] = False,
    html: HtmlFile = None,
    sarif: Annotated[
        Path | None, Parameter(metavar="FILE", help="Write a SARIF log to FILE.")
    ] = None,
    prometheus: Annotated[
        Path | None, Parameter(metavar="FILE", help="Write metrics for Prometheus to FILE.")
    ] = None,
    patience: Patience = None,
    page_size: PageSize = None,
    quiet: Quiet = False,
    connection: AccountsOptions = DEFAULT_ACCOUNTS,
) -> int:
    """Show risky and forgotten tokens, and those not seen in use."""
    from losant_tokens.cli._connections.chosen_accounts import selected_connections
    from losant_tokens.cli._policies import valid_policy

    if json and csv:
        raise UsageError("--json cannot be combined with --csv")
    files = {"html": html, "sarif": sarif, "prometheus": prometheus}
    _check_files(files)
    rules = None if policy is None else valid_policy(policy)
    _check_rules(only, ignore, rules)
    with quiet_output(quiet):
        targets = [_target(one, owner, seen_in) for one in selected_connections(connection)]
        with _run(
            targets, rules, only=only, ignore=ignore, page_size=page_size, patience=patience
        ) as result:
            _print_problems(result)
            saved = {
                kind: result.save(path, kind)  # type: ignore[arg-type]  # the keys are formats
                for kind, path in files.items()
                if path is not None
            }
            if json or csv:
                _write_parts(result, "json" if json else "csv")
            elif not quiet:
                _write_table(result, limit, has_page=html is not None)
            if html is not None:
                print_status(f"Open it in a browser: {saved['html']}")
            return _exit_code(result, fail_on)


def _check_files(files: dict[str, Path | None]) -> None:
    """Check the files before an audit that may take minutes."""
    from losant_tokens.audit import check_path

    given = {kind: path for kind, path in files.items() if path is not None}
    if len({path.absolute() for path in given.values()}) < len(given):
        raise UsageError("--html, --sarif and --prometheus need different files")
    for kind, path in given.items():
        if not os.access(path.absolute().parent, os.W_OK):
            raise CommandError(f"{path} cannot be written: its folder is missing or read-only")
        check_path(path, kind)


def _check_rules(only: Sequence[str], ignore: Sequence[str], rules: "policy.Policy | None") -> None:
    from losant_tokens.audit import RULES
    from losant_tokens.cli._usage_errors import nearest_name

    known = [rule.id for rule in RULES]
    known += [] if rules is None else [f"policy/{rule.name}" for rule in rules.rules]
    for option, names in (("--only", only), ("--ignore", ignore)):
        for name in names:
            if name not in known:
                nearest = nearest_name(name, known)
                suggestion = "" if nearest is None else f". Did you mean {nearest}?"
                raise UsageError(
                    f'Invalid value for {option}: "{name}" is not a rule{suggestion}',
                    f"the rules are {', '.join(known)}",
                )


def _run(
    targets: "Sequence[audit.Target]",
    rules: "policy.Policy | None",
    *,
    only: Sequence[str],
    ignore: Sequence[str],
    page_size: int | None,
    patience: float | None,
) -> "audit.Audit":
    """Audit the accounts, and show the progress.

    Args:
        targets: The accounts.
        rules: The policy, if there is one.
        only: The only rules to check; none for all.
        ignore: The rules not to check.
        page_size: The number of tokens on a page; None for the default.
        patience: How long to wait for a server that does not respond, in seconds; None for the
            default.
    """
    from losant_tokens import audit
    from losant_tokens.cli._audits.progress import audit_progress
    from losant_tokens.cli._event_loop import run_until_stopped
    from losant_tokens.cli._state.quarantine_ledger import recorded_quarantines

    quarantines = recorded_quarantines()
    with audit_progress() as listener:

        async def work() -> audit.Audit:
            return await audit.run(
                targets,
                policy=rules,
                only=only,
                ignore=ignore,
                quarantines=quarantines,
                on_progress=listener,
                page_size=_PAGE_SIZE if page_size is None else page_size,
                patience=_PATIENCE if patience is None else patience,
            )

        return run_until_stopped(work)


def _target(
    connection: ConnectionOptions, owners: tuple[Owner, ...], logs: tuple[str, ...]
) -> "audit.Target":
    """Return an account to audit.

    Args:
        connection: The connection to it.
        owners: The owners whose tokens to audit; none for those of the account.
        logs: The audit logs to read; none for those of the account.
    """
    from losant_tokens import audit
    from losant_tokens.cli._connections.chosen_accounts import account_name, account_of
    from losant_tokens.cli._connections.clients import open_client

    account = account_of(connection)
    if account is None:
        return audit.Target(
            name=account_name(connection),
            client=open_client(connection),
            owners=owners or (Owner.user(),),
            audit_logs=logs,
        )
    return audit.Target(
        name=account.name,
        client=open_client(connection),
        owners=owners or account.owners,
        discover=() if owners else account.discover,
        audit_logs=logs or account.audit_logs,
    )


def _print_problems(result: "audit.Audit") -> None:
    """Print what was not audited.

    Raises:
        CommandError: Nothing was audited.
    """
    from losant_tokens.cli._library_messages import with_options

    is_one = len(result.accounts) == 1
    problems = [
        with_options(problem if is_one else f"{account.name}: {problem}")
        for account in result.accounts
        for problem in account.problems
    ]
    if not any(account.is_audited for account in result.accounts):
        for problem in problems[:-1]:
            print_warning(f"not audited: {problem}")
        raise CommandError(f"nothing was audited: {problems[-1] if problems else 'no owner'}")
    for problem in problems:
        print_warning(f"not audited completely: {problem}")
    for gap in dict.fromkeys(gap for account in result.accounts for gap in account.audit_log_gaps):
        print_status(gap)


def _write_parts(result: "audit.Audit", kind: Literal["json", "csv"]) -> None:
    from losant_tokens.cli._terminal.pager import write_parts

    write_parts(result.parts(kind))


def _write_table(result: "audit.Audit", limit: int, *, has_page: bool) -> None:
    """Show the worst tokens, and how to see the others unless an HTML page has them."""
    from losant_tokens.cli._audits.view import audit_text
    from losant_tokens.cli._plans.token_line import Page
    from losant_tokens.cli._terminal.pager import write_paged

    write_paged(audit_text(result, limit, Page.of(sys.stdout)))
    if not has_page and sum(result.tokens_by_severity.values()) > limit:
        print_status("To see all tokens with findings, pass --html FILE or --csv.")


def _exit_code(result: "audit.Audit", fail_on: Severity | None) -> int:
    """Return 5 for a finding that is severe enough, else 3 if something was not audited."""
    if _reaches(result.worst, fail_on):
        return EXIT_CHANGES
    return 0 if result.is_complete else EXIT_SOME_FAILED


def _reaches(worst: "policy.Severity | None", fail_on: Severity | None) -> bool:
    from losant_tokens.policy import Severity as Level

    return worst is not None and fail_on is not None and worst >= Level(fail_on)


def diff_audits(
    old: OldAudit,
    new: NewAudit,
    /,
    *,
    exit_code: Annotated[bool, flag("Exit with code 5 if the audits differ.")] = False,
    fail_on: Annotated[
        FailOn, Parameter(help="Exit with code 5 if a new finding has SEVERITY or more.")
    ] = None,
    json: Annotated[Json, Parameter(help="Write the differences as JSON.")] = False,
    quiet: Quiet = False,
) -> int:
    """Compare two audits."""
    from losant_tokens import audit
    from losant_tokens.cli._audits.view import diff_lines
    from losant_tokens.cli._plans.token_line import Page
    from losant_tokens.cli._terminal.pager import write_parts

    try:
        diff = audit.compare(audit.read(old), audit.read(new))
    except audit.AuditFileError as error:
        raise explain(error) from None
    for account, owner in diff.not_compared:
        print_warning(
            f"the tokens of {owner} in the account {account} are not compared, because only one of "
            f"the audits has all of them"
        )
    if json:
        write_parts(diff.json_parts())
    elif not quiet:
        write_parts(diff_lines(diff, Page.of(sys.stdout)))
    differs = exit_code and bool(diff.changes)
    return EXIT_CHANGES if differs or _reaches(diff.worst_new, fail_on) else 0
