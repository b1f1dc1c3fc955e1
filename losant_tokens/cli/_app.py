"""The cyclopts app: a table of the commands, which are imported only when they run."""

from collections.abc import Callable
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
        path: Its module and function, in `losant_tokens.cli.commands`.
        summary: What it does, in one line.
        epilogue: What its help ends with: notes and examples.
        imports: The slow module that it imports when it runs, if there is one.
    """

    path: str
    summary: str
    epilogue: str
    imports: str | None = None


COMMANDS = {
    "list": _Command("list:list_tokens", "List tokens as a table or as JSON.", texts.LIST, _CLIENT),
    "show": _Command("show:show_token", "Show a token, without its secret.", texts.SHOW, _CLIENT),
    "create": _Command(
        "create:create_token",
        "Create a token and write its secret to stdout.",
        texts.CREATE,
        _CLIENT,
    ),
    "patch": _Command(
        "patch:patch_token",
        "Change the name, description or status of a token.",
        texts.PATCH,
        _CLIENT,
    ),
    "delete": _Command("delete:delete_tokens", "Delete tokens by id.", texts.DELETE, _CLIENT),
    "plan": _Command(
        "plan:make_plan",
        "Plan a change of many tokens, without changing anything.",
        texts.PLAN,
        _JOBS,
    ),
    "apply": _Command("apply:apply_plan", "Apply a plan after confirmation.", texts.APPLY, _JOBS),
    "cleanup": _Command(
        "cleanup:clean_up",
        "Plan a change of many tokens, and apply it after confirmation.",
        texts.CLEANUP,
        _JOBS,
    ),
    "quarantine": _Command(
        "quarantine:quarantine",
        "Deactivate tokens, to delete or restore them later.",
        texts.QUARANTINE,
        _JOBS,
    ),
    "sweep": _Command(
        "quarantine:sweep",
        "Delete the unchanged tokens of a quarantine.",
        texts.SWEEP,
        _JOBS,
    ),
    "restore": _Command(
        "quarantine:restore",
        "Activate the unchanged tokens of a quarantine.",
        texts.RESTORE,
        _JOBS,
    ),
    "prune": _Command(
        "prune:prune_files",
        "Remove plans and journals of complete jobs.",
        texts.PRUNE,
        "losant_tokens.jobs",
    ),
    "completion": _Command(
        "completion:write_completion", "Write a completion script for a shell.", texts.COMPLETION
    ),
    "demo": _Command(
        "demo:run_demo", "Watch a clean-up of a fake Losant on this machine.", texts.DEMO, _JOBS
    ),
    "sandbox": _Command(
        "sandbox:serve_sandbox", "Run a fake Losant on this machine until Ctrl-C.", texts.SANDBOX
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
for _name, _command in COMMANDS.items():
    app.command(
        f"{_COMMANDS}.{_command.path}",
        name=_name,
        help=_command.summary,
        help_epilogue=_command.epilogue,
    )


def slow_import(function: Callable[..., Any]) -> str | None:
    """Return the slow module that the function of a command imports when it runs."""
    path = f"{function.__module__.removeprefix(f'{_COMMANDS}.')}:{function.__name__}"
    return next((one.imports for one in COMMANDS.values() if one.path == path), None)
