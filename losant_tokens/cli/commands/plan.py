"""`plan`: select tokens, and write a plan without changing anything."""

import sys
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import attrs
from cyclopts import Parameter

from losant_tokens.cli._console import is_quiet, print_status, quiet_output, write_output
from losant_tokens.cli._job_options import (
    DEFAULT_OWNERS,
    DEFAULT_SAFETY,
    NO_RULES,
    Action,
    Out,
    Owners,
    Patience,
    RuleOptions,
    SafetyOptions,
)
from losant_tokens.cli._options import (
    DEFAULT_CONNECTION,
    ConnectionOptions,
    Json,
    Quiet,
)

if TYPE_CHECKING:
    from losant_tokens import jobs


def make_plan(  # noqa: PLR0913 -- one parameter per option
    *,
    rules: RuleOptions = NO_RULES,
    owners: Owners = DEFAULT_OWNERS,
    safety: SafetyOptions = DEFAULT_SAFETY,
    action: Action = "delete",
    out: Out = None,
    patience: Patience = None,
    json: Annotated[Json, Parameter(help="Write a summary of the plan as JSON.")] = False,
    quiet: Quiet = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
) -> int:
    """Plan a change of many tokens, without changing anything."""
    from losant_tokens.cli import _planning
    from losant_tokens.cli._connect import job_client_factory
    from losant_tokens.cli._state_files import new_plan_path

    planner = _planning.selection_planner(rules, owners, safety, action, patience)
    with quiet_output(quiet):
        path = out or new_plan_path("plan")
        plan = _planning.make_plan(
            planner, path, job_client_factory(connection), protects=bool(safety.protect)
        )
        _print_plan(plan, connection, json=json)
    return 0


def _print_plan(plan: "jobs.Plan", connection: ConnectionOptions, *, json: bool) -> None:
    from losant_tokens.cli._json import as_json
    from losant_tokens.cli._plan_view import show_plan

    words = ("losant-tokens", "apply", str(plan.path), *connection.arguments())
    print_status(f"Nothing was changed. To apply the plan: {' '.join(map(quote, words))}")
    if json:
        write_output(as_json(_summary(plan)))
    elif not is_quiet():
        show_plan(plan, sys.stdout)


def _summary(plan: "jobs.Plan") -> dict[str, object]:
    header = plan.header
    return {
        "plan": str(plan.path),
        "action": header.action,
        "baseUrl": header.base_url,
        "rule": header.rule,
        "owners": {str(owner): attrs.asdict(counts) for owner, counts in header.counts.items()},
        "tokenInUse": header.token_in_use,
        "moved": header.drifted,
        "incomplete": list(header.incomplete),
    }
