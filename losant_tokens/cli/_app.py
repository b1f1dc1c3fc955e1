"""The cyclopts app: a table of the commands, which are imported only when they run."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from attrs import frozen
from cyclopts import App, Group

from losant_tokens import __version__
from losant_tokens.cli import _help_texts as texts

_COMMANDS = "losant_tokens.cli.commands"
_CLIENT = "losant_tokens.cli._connect"
_JOBS = "losant_tokens.cli._job_workflow"


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


_LOOK, _CHANGE, _CLEAN_UP, _QUARANTINE, _TRY, _SET_UP = (
    Group.create_ordered(title)
    for title in ("Look", "Change a token", "Clean up", "Quarantine", "Try it", "Set up")
)

# The name of a subcommand follows the name of its command: "runs prune".
COMMANDS = {
    "list": _Command(
        "list:list_tokens", "List tokens as a table or as JSON.", texts.LIST, _CLIENT, _LOOK
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
    "plan": _Command(
        "plan:make_plan",
        "Plan a change of many tokens, without changing anything.",
        texts.PLAN,
        _JOBS,
        _CLEAN_UP,
    ),
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
    "runs": _Command(
        None, "Manage the plans and journals in the state folder.", texts.RUNS, task=_CLEAN_UP
    ),
    "runs prune": _Command(
        "runs:prune_runs",
        "Remove plans and journals of complete jobs.",
        texts.RUNS_PRUNE,
        "losant_tokens.jobs",
    ),
    "quarantine": _Command(
        "quarantine:quarantine",
        "Deactivate tokens, to delete or restore them later.",
        texts.QUARANTINE,
        _JOBS,
        _QUARANTINE,
    ),
    "sweep": _Command(
        "quarantine:sweep",
        "Delete the unchanged tokens of a quarantine.",
        texts.SWEEP,
        _JOBS,
        _QUARANTINE,
    ),
    "restore": _Command(
        "quarantine:restore",
        "Activate the unchanged tokens of a quarantine.",
        texts.RESTORE,
        _JOBS,
        _QUARANTINE,
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
        task=_SET_UP,
    ),
}

app = App(
    "losant-tokens",
    help="Manage Losant API tokens, one by one or in bulk.",
    help_epilogue=texts.ROOT,
    help_format="plaintext",
    group_parameters=Group("Options", sort_key=0),
    version=f"losant-tokens {__version__}",
)


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


def _subcommands(name: str) -> list[str]:
    return [one for one in COMMANDS if one.startswith(f"{name} ")]


def _add(parent: App, name: str) -> None:
    """Add a command, whose function is imported when it is used."""
    command = COMMANDS[name]
    word = name.rpartition(" ")[2]
    if _subcommands(name):
        # The attribute is made when it is read: see `__getattr__`.
        parent.command(f"{__name__}:{name}", name=word, help=command.summary, group=command.task)
        return
    parent.command(
        f"{_COMMANDS}.{command.path}",
        name=word,
        help=command.summary,
        help_epilogue=command.epilogue,
        group=command.task,
    )


def __getattr__(name: str) -> App:
    """Return the app of a command with subcommands, and import its function if it has one."""
    if name not in COMMANDS or not _subcommands(name):
        raise AttributeError(name)
    command = COMMANDS[name]
    made = App(name, help=command.summary, help_epilogue=command.epilogue)
    if command.path is not None:
        module, _, function = command.path.partition(":")
        made.default(getattr(import_module(f"{_COMMANDS}.{module}"), function))
    for subcommand in _subcommands(name):
        _add(made, subcommand)
    return made


for _name in COMMANDS:
    if " " not in _name:
        _add(app, _name)
