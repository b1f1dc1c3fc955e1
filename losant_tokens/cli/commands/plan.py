"""`plan`: select tokens, and write a plan without changing anything; show and compare plans."""

import sys
from functools import partial
from shlex import quote
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from losant_tokens.cli._errors import EXIT_CHANGES, UsageError
from losant_tokens.cli._options.common import (
    DEFAULT_CONNECTION,
    ConnectionOptions,
    Json,
    Quiet,
    flag,
)
from losant_tokens.cli._options.jobs import (
    DEFAULT_EVIDENCE,
    DEFAULT_OWNERS,
    DEFAULT_SAFETY,
    NO_POLICY,
    NO_RULES,
    EvidenceOptions,
    HtmlFile,
    NewPlanFile,
    OldPlanFile,
    Out,
    Owners,
    Patience,
    PlanFile,
    PlannedAction,
    PolicyOptions,
    RuleOptions,
    SafetyOptions,
)
from losant_tokens.cli._terminal.console import is_quiet, print_status, quiet_output, write_output

if TYPE_CHECKING:
    from losant_tokens import jobs


def make_plan(  # noqa: PLR0913 -- one parameter per option
    *,
    rules: RuleOptions = NO_RULES,
    owners: Owners = DEFAULT_OWNERS,
    safety: SafetyOptions = DEFAULT_SAFETY,
    evidence: EvidenceOptions = DEFAULT_EVIDENCE,
    policy: PolicyOptions = NO_POLICY,
    action: PlannedAction = None,
    out: Out = None,
    exit_code: Annotated[bool, flag("Exit with code 5 if the plan selects any token.")] = False,
    patience: Patience = None,
    json: Annotated[Json, Parameter(help="Write a summary of the plan as JSON.")] = False,
    quiet: Quiet = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Plan a change of many tokens, without changing anything."""
    from losant_tokens.cli._connections.clients import job_client_factory
    from losant_tokens.cli._plans import planning
    from losant_tokens.cli._state.files import new_plan_path

    if policy == NO_POLICY:
        from losant_tokens.cli._evidence import evidence_settings

        # A rotation is for tokens in use.
        by_default = action not in {"activate", "rotate"}
        read_logs = partial(evidence_settings, evidence, connection, by_default=by_default)
        planner = planning.selection_planner(
            rules, owners, safety, action or "delete", patience, None, read_logs
        )
    else:
        from losant_tokens.cli._plans.policy_planning import policy_planner

        planner = policy_planner(
            policy, rules, owners, safety, action, patience, evidence, connection
        )
    with quiet_output(quiet):
        path = out or new_plan_path("plan")
        plan = planning.make_plan(
            planner, path, job_client_factory(connection), protects=bool(safety.protect)
        )
        _print_plan(plan, connection, json=json)
    return EXIT_CHANGES if exit_code and plan.header.total.selected else 0


def _print_plan(plan: "jobs.Plan", connection: ConnectionOptions, *, json: bool) -> None:
    from losant_tokens.cli._plans.footer import current_time
    from losant_tokens.cli._plans.groups import review
    from losant_tokens.cli._plans.json import plan_members
    from losant_tokens.cli._plans.view import show_plan
    from losant_tokens.cli._tokens.json import as_json

    if json:
        write_output(as_json(plan_members(plan, review(plan), current_time(plan))))
    elif not is_quiet():
        show_plan(plan, sys.stdout)
    if not plan.header.total.selected:
        print_status("Nothing was changed, and there is nothing to apply.")
        return
    path = str(plan.path)
    print_status(f"Nothing was changed. Review it: {_command('plan', 'show', path, '--full')}")
    apply: tuple[str, ...] = ("apply", path)
    if plan.header.action == "rotate":
        apply = ("rotate", "--plan", path, "--expires", "90d")
    print_status(f"To apply the plan: {_command(*apply, *connection.arguments())}")


def show_plan_file(
    file: PlanFile,
    /,
    *,
    full: Annotated[bool, flag("Show each token, not only groups.")] = False,
    json: Annotated[Json, Parameter(help="Write the plan and its tokens as JSON.")] = False,
    html: HtmlFile = None,
) -> int:
    """Show a plan for review."""
    from losant_tokens import jobs
    from losant_tokens.cli._plans.json import plan_document
    from losant_tokens.cli._plans.token_line import Page
    from losant_tokens.cli._plans.view import plan_lines, plan_summary
    from losant_tokens.cli._state.files import existing_journal
    from losant_tokens.cli._terminal.pager import write_parts

    if sum((full, json, html is not None)) > 1:
        raise UsageError(
            "--full, --json and --html cannot be combined",
            "--json and --html always have each token",
        )
    plan = jobs.Plan.read(file)
    journal = existing_journal(plan)
    if html is not None:
        print_status(f"Open it in a browser: {jobs.save_plan_page(plan, html)}")
        return 0
    if json:
        write_parts(plan_document(plan, journal))
        return 0
    page = Page.of(sys.stdout)
    if full:
        write_parts(plan_lines(plan, page, journal))
        return 0
    write_parts([plan_summary(plan, page, journal)])
    if len(plan):
        print_status(f"Show each token: {_command('plan', 'show', str(file), '--full')}")
    return 0


def diff_plans(
    old: OldPlanFile,
    new: NewPlanFile,
    /,
    *,
    exit_code: Annotated[bool, flag("Exit with code 5 if the plans differ.")] = False,
    json: Annotated[Json, Parameter(help="Write the differences as JSON.")] = False,
) -> int:
    """Compare two plans."""
    from losant_tokens import jobs
    from losant_tokens.cli._plans.diff import PlanDiff, diff_document, diff_lines
    from losant_tokens.cli._plans.token_line import Page
    from losant_tokens.cli._terminal.pager import write_parts

    diff = PlanDiff.of(jobs.Plan.read(old), jobs.Plan.read(new))
    lines = diff_document(diff) if json else diff_lines(diff, Page.of(sys.stdout))
    write_parts(lines)
    return EXIT_CHANGES if exit_code and diff.changes else 0


def _command(*words: str) -> str:
    return " ".join(map(quote, ("losant-tokens", *words)))
