"""The imports of the command."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import losant_tokens
from losant_tokens import cli, jobs
from losant_tokens.cli._app import COMMANDS, app, command_app, slow_import

MODULES = sorted(Path(cli.__file__).parent.rglob("*.py"))
PUBLIC = tuple(
    f"losant_tokens{module}"
    for module in (
        *("", ".accounts", ".audit", ".errors", ".fleet", ".jobs", ".leaks", ".notices", ".policy"),
        ".sinks",
    )
)


def imported_names(path: Path) -> Iterator[tuple[str, str]]:
    """Return the modules of the package that a file imports from, with the names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("losant_tokens"):
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((one.name, "") for one in node.names if one.name.startswith("losant_"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_only_public_names_are_imported(path: Path) -> None:
    """The command uses the package as any other program does: by its public names."""
    private = [
        (module, name)
        for module, name in imported_names(path)
        if not module.startswith("losant_tokens.cli")
        and (module not in PUBLIC or (name.startswith("_") and name != "__version__"))
    ]

    assert private == []


def test_public_names_are_listed() -> None:
    """Each name that the command imports from the package is in its `__all__`."""
    listed = {"losant_tokens": {*losant_tokens.__all__, "cli"}, "losant_tokens.jobs": jobs.__all__}
    names = {pair for path in MODULES for pair in imported_names(path) if pair[0] in listed}

    assert [(module, name) for module, name in names if name not in listed[module]] == []


@pytest.mark.parametrize("name", [name for name in COMMANDS if COMMANDS[name].path])
def test_slow_imports(name: str) -> None:
    """The slow module of a command is known before the command runs."""
    function = command_app(name).default_command

    assert function is not None
    assert slow_import(function) == COMMANDS[name].imports


def test_other_functions_have_no_slow_import() -> None:
    """`--help` and `--version` are functions of cyclopts, and need no slow module."""
    assert slow_import(app.help_print) is None
