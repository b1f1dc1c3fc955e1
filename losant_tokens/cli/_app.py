"""The cyclopts app: a table of the commands, which are imported only when they run.

cyclopts imports a command from a string, `module:attribute`. Here each string names this module and
the command, and `__getattr__` makes the app of that command when cyclopts asks for the attribute.
So the help of the program imports no command, and a command may have a function, subcommands, or
both.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from attrs import frozen
from cyclopts import App, Group

from losant_tokens import __version__
from losant_tokens.cli._help import texts
from losant_tokens.cli._help.layout import laid_out
from losant_tokens.cli._options.value_checks import check_values

_COMMANDS = "losant_tokens.cli.commands"
_CLIENT = "losant_tokens.cli._connections.clients"
_JOBS = "losant_tokens.cli._jobs.workflow"
_FLEETS = "losant_tokens.cli._fleet.connection"
_PLANS = "losant_tokens.cli._plans.view"
_POLICIES = "losant_tokens.cli._policies"
_RUNS = "losant_tokens.cli._jobs.run_view"


@frozen
class _Command:
    """A command.

    Attributes:
        path: Its module and function, in `losant_tokens.cli.commands`; None for a command that only
            has subcommands.
        summary: What it does, in one line.
        epilogue: What its help ends with: notes and examples.
        imports: The slow module that it imports when it runs, if there is one.
        task: The task that the help of the program lists it under. Subcommands have none.
    """

    path: str | None
    summary: str
    epilogue: str
    imports: str | None = None
    task: Group | None = None


_TASKS = (
    "View",
    "Change a token",
    "Clean up",
    "Quarantine",
    "Audit",
    "Fleet",
    "Accounts",
    "Try it",
    "Help and set-up",
)
_LOOK, _CHANGE, _CLEAN_UP, _QUARANTINE, _AUDIT, _FLEET, _ACCOUNTS, _TRY, _HELP = map(
    Group.create_ordered, _TASKS
)

# The order within a task is the order in the help: the usual order of use. The name of a subcommand
# follows the name of its command: "runs prune".
COMMANDS = {
    "list": _Command(
        "list:list_tokens", "List tokens as a table, CSV or JSON.", texts.LIST, _CLIENT, _LOOK
    ),
    "show": _Command(
        "show:show_token", "Show a token, without its secret.", texts.SHOW, _CLIENT, _LOOK
    ),
    "create": _Command(
        "create:create_token",
        "Create a token and write its secret to stdout.",
        texts.CREATE,
        _CLIENT,
        _CHANGE,
    ),
    "patch": _Command(
        "patch:patch_token",
        "Change the name, description or status of a token.",
        texts.PATCH,
        _CLIENT,
        _CHANGE,
    ),
    "delete": _Command(
        "delete:delete_tokens", "Delete tokens by id.", texts.DELETE, _CLIENT, _CHANGE
    ),
    "rotate": _Command(
        "rotate:rotate",
        "Replace tokens with new ones that do the same.",
        texts.ROTATE,
        _JOBS,
        _CHANGE,
    ),
    "rotate list": _Command(
        "rotate:list_rotations",
        "List rotations and the stages of their tokens.",
        texts.ROTATE_LIST,
        "losant_tokens.cli._rotations.workflow",
    ),
    "rotate resume": _Command(
        "rotate:resume_rotation",
        "Resume a rotation, or deactivate its old tokens when they are due.",
        texts.ROTATE_RESUME,
        _JOBS,
    ),
    "rotate cancel": _Command(
        "rotate:cancel_rotation",
        "Cancel a rotation, and keep the old tokens.",
        texts.ROTATE_CANCEL,
        _JOBS,
    ),
    "plan": _Command(
        "plan:make_plan",
        "Plan a change of many tokens, without changing anything.",
        texts.PLAN,
        _JOBS,
        _CLEAN_UP,
    ),
    "plan show": _Command(
        "plan:show_plan_file", "Show a plan for review.", texts.PLAN_SHOW, _PLANS
    ),
    "plan diff": _Command("plan:diff_plans", "Compare two plans.", texts.PLAN_DIFF, _PLANS),
    "apply": _Command(
        "apply:apply_plan", "Apply a plan after confirmation.", texts.APPLY, _JOBS, _CLEAN_UP
    ),
    "cleanup": _Command(
        "cleanup:clean_up",
        "Plan a change of many tokens, and apply it after confirmation.",
        texts.CLEANUP,
        _JOBS,
        _CLEAN_UP,
    ),
    "runs": _Command(None, "Show or remove the runs of jobs.", texts.RUNS, task=_CLEAN_UP),
    "runs list": _Command(
        "runs:list_runs",
        "List the runs of jobs, with their state.",
        texts.RUNS_LIST,
        _RUNS,
    ),
    "runs show": _Command(
        "runs:show_run",
        "Show a run, its failures, and how to resume it.",
        texts.RUNS_SHOW,
        _RUNS,
    ),
    "runs prune": _Command(
        "runs:prune_runs",
        "Remove plans and journals of complete jobs.",
        texts.RUNS_PRUNE,
        "losant_tokens.cli._state.files",
    ),
    "quarantine": _Command(
        "quarantine:quarantine",
        "Deactivate tokens, to delete or restore them later.",
        texts.QUARANTINE,
        _JOBS,
        _QUARANTINE,
    ),
    "quarantine list": _Command(
        "quarantine:list_quarantines",
        "List quarantines and the state of their tokens.",
        texts.QUARANTINE_LIST,
        "losant_tokens.cli._state.quarantine_ledger",
    ),
    "sweep": _Command(
        "sweep:sweep",
        "Delete the unchanged tokens of a quarantine.",
        texts.SWEEP,
        _JOBS,
        _QUARANTINE,
    ),
    "restore": _Command(
        "restore:restore",
        "Activate the unchanged tokens of a quarantine.",
        texts.RESTORE,
        _JOBS,
        _QUARANTINE,
    ),
    "audit": _Command(
        "audit:audit_tokens",
        "Show risky and forgotten tokens, and those not seen in use.",
        texts.AUDIT,
        "losant_tokens.audit",
        _AUDIT,
    ),
    "audit diff": _Command(
        "audit:diff_audits", "Compare two audits.", texts.AUDIT_DIFF, "losant_tokens.audit"
    ),
    "leaked": _Command(
        "leaked:respond_to_leak",
        "Respond to a leaked secret: check, identify and deactivate it.",
        texts.LEAKED,
        "losant_tokens.leaks",
        _AUDIT,
    ),
    "policy": _Command(None, "Check and test policy files.", texts.POLICY, task=_AUDIT),
    "policy check": _Command(
        "policy:check_policy",
        "Check a policy file, and list all of its mistakes.",
        texts.POLICY_CHECK,
        _POLICIES,
    ),
    "policy test": _Command(
        "policy:run_tests",
        "Run the tests of a policy file, and match the tokens of a snapshot.",
        texts.POLICY_TEST,
        _POLICIES,
    ),
    "policy warn": _Command(
        "policy:warn_of_changes",
        "Send one message about tokens that a ladder will deactivate.",
        texts.POLICY_WARN,
        _POLICIES,
    ),
    "policy schema": _Command(
        "policy:print_schema",
        "Print the JSON Schema of policy files, for editors.",
        texts.POLICY_SCHEMA,
        _POLICIES,
    ),
    "notify": _Command(
        "notify:notify",
        "Send one message about tokens that expire soon.",
        texts.NOTIFY,
        _CLIENT,
        _AUDIT,
    ),
    "fleet": _Command(
        None, "Run clean-ups of many accounts on several machines.", texts.FLEET, task=_FLEET
    ),
    "fleet demo": _Command(
        "fleet_demo:run_fleet_demo",
        "Watch a fleet of three fake accounts on this machine.",
        texts.FLEET_DEMO,
        _FLEETS,
    ),
    "fleet work": _Command(
        "fleet_work:work",
        "Work for the fleet until Ctrl-C: plan, apply, sweep and restore.",
        texts.FLEET_WORK,
        _FLEETS,
    ),
    "fleet plan": _Command(
        "fleet:plan_runs",
        "Start runs: a worker plans a clean-up for each account.",
        texts.FLEET_PLAN,
        _FLEETS,
    ),
    "fleet runs": _Command(
        "fleet:list_runs",
        "List the runs of the fleet, the newest first.",
        texts.FLEET_RUNS,
        _FLEETS,
    ),
    "fleet show": _Command(
        "fleet:show_run",
        "Show a run: its plan, who decided, and who did the work.",
        texts.FLEET_SHOW,
        _FLEETS,
    ),
    "fleet approve": _Command(
        "fleet:approve_runs",
        "Approve the plans of runs after confirmation.",
        texts.FLEET_APPROVE,
        _FLEETS,
    ),
    "fleet reject": _Command(
        "fleet:reject_runs",
        "Reject the plans of runs, so that nothing is changed.",
        texts.FLEET_REJECT,
        _FLEETS,
    ),
    "fleet cancel": _Command(
        "fleet:cancel_runs",
        "Cancel runs, and leave changed tokens as they are.",
        texts.FLEET_CANCEL,
        _FLEETS,
    ),
    "fleet restore": _Command(
        "fleet:restore_runs",
        "Reactivate the unchanged tokens that runs have deactivated.",
        texts.FLEET_RESTORE,
        _FLEETS,
    ),
    "fleet retry": _Command(
        "fleet:retry_runs",
        "Continue failed runs, and repeat failed tokens.",
        texts.FLEET_RETRY,
        _FLEETS,
    ),
    "fleet report": _Command(
        "fleet:report_outcomes",
        "Report the outcomes of the runs of a period, for each account.",
        texts.FLEET_REPORT,
        _FLEETS,
    ),
    "fleet prune": _Command(
        "fleet_prune:prune_runs",
        "Remove finished runs from the store after confirmation.",
        texts.FLEET_PRUNE,
        _RUNS,
    ),
    "fleet doctor": _Command(
        "fleet_doctor:find_problems",
        "Check the fleet: its store, workers, runs, accounts and clocks.",
        texts.FLEET_DOCTOR,
        _FLEETS,
    ),
    "fleet page": _Command(
        "fleet:serve_runs",
        "Show the runs in a browser, on this machine, until Ctrl-C.",
        texts.FLEET_PAGE,
        _FLEETS,
    ),
    "account": _Command(None, "List or check accounts.", texts.ACCOUNT, task=_ACCOUNTS),
    "account list": _Command(
        "account:list_accounts",
        "List the accounts of the configuration file.",
        texts.ACCOUNT_LIST,
    ),
    "account check": _Command(
        "account:check_accounts",
        "Check the token of each account with a harmless request.",
        texts.ACCOUNT_CHECK,
        _CLIENT,
    ),
    "whoami": _Command(
        "whoami:describe_tokens",
        "Show the account, scopes and expiry of the token in use.",
        texts.WHOAMI,
        _CLIENT,
        _ACCOUNTS,
    ),
    "demo": _Command(
        "demo:run_demo",
        "Watch a clean-up of a fake Losant on this machine.",
        texts.DEMO,
        _JOBS,
        _TRY,
    ),
    "sandbox": _Command(
        "sandbox:serve_sandbox",
        "Run a fake Losant on this machine until Ctrl-C.",
        texts.SANDBOX,
        task=_TRY,
    ),
    "completion": _Command(
        "completion:write_completion",
        "Write a completion script for a shell.",
        texts.COMPLETION,
        task=_HELP,
    ),
    "help": _Command("help:print_help", "Show the help of a command.", texts.HELP, task=_HELP),
    "version": _Command(
        "version:print_version",
        "Print the versions of this program and its parts.",
        texts.VERSION,
        task=_HELP,
    ),
}


def command_app(name: str) -> App:
    """Return the app of a command or a subcommand, and import its function."""
    found = app
    for word in name.split():
        found = found[word]
    return found


def slow_import(function: Callable[..., Any]) -> str | None:
    """Return the slow module that the function of a command imports when it runs."""
    path = f"{function.__module__.removeprefix(f'{_COMMANDS}.')}:{function.__name__}"
    return next((one.imports for one in COMMANDS.values() if one.path == path), None)


def __getattr__(name: str) -> App:
    """Return the app of a command, and import its function if it has one."""
    if name not in COMMANDS:
        raise AttributeError(name)
    command = COMMANDS[name]
    made = _new_app(
        name.rpartition(" ")[2], help=command.summary, help_epilogue=laid_out(command.epilogue)
    )
    if command.path is not None:
        module, _, attribute = command.path.partition(":")
        function = getattr(import_module(f"{_COMMANDS}.{module}"), attribute)
        made.default(function)
        if any(other.startswith(f"{name} ") for other in COMMANDS):
            # Without this, the line reads as if a subcommand were required.
            made.usage = " ".join(
                [f"Usage: losant-tokens {name} [COMMAND] [OPTIONS]", *_optional_arguments(function)]
            )
        elif optional := _optional_arguments(function):
            # cyclopts calls optional arguments "[ARGS]".
            options = ["[OPTIONS]"] if function.__kwdefaults__ else []
            made.usage = " ".join(["Usage: losant-tokens", name, *options, *optional])
    _add_commands(made, f"{name} ")
    return made


def _optional_arguments(function: Callable[..., Any]) -> list[str]:
    """Return the optional arguments of a command as its usage line shows them: `[ID]`."""
    count = len(function.__defaults__ or ())
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    hints = [function.__annotations__[name] for name in names[len(names) - count :]]
    return [f"[{hint.__metadata__[0].name[0]}]" for hint in hints]


def _new_app(name: str, **settings: Any) -> App:
    return App(name, version_flags=("--version", "-V"), **settings)


def _add_commands(parent: App, prefix: str) -> None:
    """Add the commands to an app whose names have a prefix and one more word."""
    for place, (name, command) in enumerate(COMMANDS.items()):
        word = name.removeprefix(prefix)
        if name.startswith(prefix) and " " not in word:
            parent.command(
                f"{__name__}:{name}",
                name=word,
                help=command.summary,
                group=command.task,
                sort_key=place,
            )


def _new_root() -> App:
    """Return the app of the program."""
    root = _new_app(
        "losant-tokens",
        help="Manage Losant API tokens, one by one or in bulk.",
        help_epilogue=laid_out(texts.ROOT),
        help_format="plaintext",
        group_parameters=Group("Options", sort_key=0),
        version=f"losant-tokens {__version__}",
        config=check_values,
    )
    options = Group.create_ordered("Options")
    for flag, help_ in (("--help", "Show this help."), ("--version", "Print the version.")):
        root[flag].group = options
        root[flag].help = help_
    _add_commands(root, "")
    return root


app = _new_root()
