"""Usage errors: each one names the option and the value, in the words of the help."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App, CycloptsError

from losant_tokens.cli._app import COMMANDS, app, command_app
from losant_tokens.cli._usage_errors import nearest_name, quoted, usage_error
from tests.support.command import Command

BAD_VALUES = ["", "x", "-1", "1.5", "0x10", "1e400", "nan", "[1]", '{"a": 1}', "\x1b[2J", "9" * 50]
PYTHON = re.compile(
    r"\b(int|float|str|bool|Path|list|tuple|dict|None|NoneType|True|False|Literal|Optional|"
    r"datetime|timedelta|Traceback|unable to convert|Unused Tokens|Parameter)\b|Errno"
)


def runnable() -> list[str]:
    """Return the commands that have a function."""
    return [name for name, command in COMMANDS.items() if command.path is not None]


@cache
def arguments_of(name: str) -> tuple[Any, ...]:
    """Return the arguments of a command, which take long to assemble."""
    return tuple(command_app(name).assemble_argument_collection().filter_by(show=True))


def options(name: str) -> Iterator[Any]:
    """Return the options of a command."""
    for argument in arguments_of(name):
        if argument.name.startswith("--"):
            yield argument


def each_option() -> dict[str, str]:
    """Return each option, with one command that has it."""
    return {option.name: name for name in runnable() for option in options(name)}


def positionals(name: str) -> list[str]:
    """Return a value for each argument that a command takes."""
    return [
        (one.get_choices(force=True) or [__file__])[0]
        for one in arguments_of(name)
        if not one.name.startswith("--") and (one.required or not one.name.endswith("..."))
    ]


def required(name: str) -> list[str]:
    """Return a value for each option that a command requires."""
    return [word for one in options(name) if one.required for word in (one.name, "30d")]


def check(outcome: tuple[int, str, str], help_of: str) -> str:
    """Check that an outcome is a usage error, and return its message."""
    code, out, err = outcome
    line, hint = err.splitlines()
    assert (code, out) == (2, "")
    assert line.startswith("losant-tokens: error: ")
    assert hint == f"hint: see losant-tokens {help_of}--help"
    assert PYTHON.findall(line) == []
    return line.removeprefix("losant-tokens: error: ")


@pytest.mark.parametrize("name", COMMANDS)
def test_unexpected_argument(command: Command, name: str) -> None:
    """Each command reports an argument that it does not take."""
    if COMMANDS[name].path is None:
        assert check(command(*name.split(), "zzz"), f"{name} ") == f"Unknown command: '{name} zzz'"
        return
    if any(one.name.endswith("...") for one in arguments_of(name)):
        pytest.skip("the command takes any number of arguments")
    if name == "leaked":
        pytest.skip("the argument may be a secret, so it is not repeated")
    outcome = command(*name.split(), *positionals(name), *required(name), "zzz", "\x1b")

    assert check(outcome, f"{name} ") == "Unexpected arguments: 'zzz', '\\x1b'"


@pytest.mark.parametrize("name", COMMANDS)
def test_unknown_option(command: Command, name: str) -> None:
    """Each command reports an option that it does not have."""
    if COMMANDS[name].path is None:
        code, out, err = command(*name.split(), "--zzz")
        assert (code, out) == (2, "")
        assert err.startswith("losant-tokens: error: Unknown option: --zzz\nhint: options follow ")
        return
    outcome = command(*name.split(), *positionals(name), *required(name), "--zzz")

    assert check(outcome, f"{name} ") == "Unknown option: --zzz"


@pytest.mark.sweep(sample=4)
@pytest.mark.parametrize("name", runnable())
def test_misspelt_options(command: Command, name: str) -> None:
    """Each command suggests the option that is most like a misspelt one."""
    for option in options(name):
        if option.required:
            continue
        typo = f"{option.name}z"
        message = check(
            command(*name.split(), *positionals(name), *required(name), typo), f"{name} "
        )
        assert message == f"Unknown option: {typo}. Did you mean {option.name}?"


@pytest.mark.sweep(sample=8)
@pytest.mark.parametrize(("option", "name"), sorted(each_option().items()))
def test_bad_values(option: str, name: str) -> None:
    """Each option either accepts a bad value or reports it without a word of Python."""
    others = required(name)
    rest = [] if option in others else others
    for value in BAD_VALUES:
        words = [*name.split(), *positionals(name), *rest, f"{option}={value}"]
        try:
            app.parse_args(words, print_error=False, exit_on_error=False)
        except CycloptsError as error:
            message = str(usage_error(error))
            assert re.match(rf"Invalid value for {option}: |{option} needs a value", message)
            assert PYTHON.findall(message) == []


@pytest.mark.sweep(sample=6)
@pytest.mark.parametrize("name", runnable())
def test_numbers_are_strict(command: Command, name: str) -> None:
    """An option for an integer refuses a fraction, and one for a number refuses `nan`."""
    for option in options(name):
        value = {"N": "nan", "SECONDS": "nan"}.get(option.parameter.metavar or "")
        if value is None:
            continue
        rest = [] if option.required else required(name)
        outcome = command(*name.split(), *positionals(name), *rest, option.name, value)
        message = check(outcome, f"{name} ")
        assert re.fullmatch(
            rf'Invalid value for {option.name}: "nan" is not (an integer|a number)', message
        )


@pytest.mark.sweep(sample=4)
@pytest.mark.parametrize("name", runnable())
def test_missing_values(command: Command, name: str) -> None:
    """Each option that takes a value reports that it is missing."""
    for option in options(name):
        # `--json` of `list` has an optional value.
        if option.hint is not bool and not option.parameter.consume_multiple:
            outcome = command(*name.split(), *positionals(name), option.name)
            assert check(outcome, f"{name} ") == f"{option.name} needs a value"


@pytest.mark.parametrize(
    ("arguments", "message", "help_of"),
    [
        (["zzz"], "Unknown command: 'zzz'", ""),
        (["plam"], "Unknown command: 'plam'. Did you mean plan?", ""),
        (["prune"], "Unknown command: 'prune'. Did you mean runs prune?", ""),
        (["rm"], "Unknown command: 'rm'. Did you mean delete?", ""),
        (["runs", "prun"], "Unknown command: 'runs prun'. Did you mean runs prune?", "runs "),
        (["--"], "Unknown command: '--'", ""),
        (["help", "zzz"], "Unknown command: 'zzz'", ""),
        (
            ["help", "runs", "prun"],
            "Unknown command: 'runs prun'. Did you mean runs prune?",
            "runs ",
        ),
        (["list", "--limit", "0"], '--limit: "0" is too small: the minimum is 1', "list "),
        (["list", "--limit", "1.5"], '--limit: "1.5" is not an integer', "list "),
        (["list", "--limit", "9" * 19], f'"{"9" * 19}" has more than 18 digits', "list "),
        (
            ["cleanup", "--rate", "0"],
            '--rate: "0" is too small: it must be more than 0',
            "cleanup ",
        ),
        (["sandbox", "--port", "70000"], '"70000" is too large: the maximum is 65535', "sandbox "),
        (["patch", "a", "--status", "\x1b"], '"\\x1b" is not one of active, inactive', "patch "),
        (["patch", "a", "--status", "activ"], "active, inactive. Did you mean active?", "patch "),
        (["list", "--owner", "me"], '"me" is not an owner: use user, oauth, applic', "list "),
        (["list", "--limit", "1", "--limit", "2"], "--limit is given more than once", "list "),
        (["show", "a", "--json=x"], "Invalid value for --json: it takes no value", "show "),
        (["plan", "--out="], "a file name cannot be empty", "plan "),
        (["show"], "Missing argument: ID", "show "),
        (["delete"], "Missing argument: ID...", "delete "),
        (["sweep"], "name a quarantine, or pass --due for all that are due", "sweep "),
        (["sweep", "last", "--due"], "name a quarantine or pass --due, but not both", "sweep "),
        (["sweep", "--due", "--after", "1d"], "--due uses the grace period of each", "sweep "),
        (["create", "ci", "--expires", "soon"], '"soon" is not an expiration date', "create "),
        (["completion", "tcsh"], 'value for SHELL: "tcsh" is not one of bash', "completion "),
    ],
)
def test_messages(command: Command, arguments: list[str], message: str, help_of: str) -> None:
    """A usage error exits with 2 and one line, with a hint to the help."""
    assert message in check(command(*arguments), help_of)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Missing option: --after"),
        (["--aftr", "3"], "Missing option: --after. Did you mean --after instead of --aftr?"),
    ],
)
def test_missing_option(words: list[str], message: str) -> None:
    """A required option that is missing is named, and a misspelt one is suggested."""
    app = App("losant-tokens")

    @app.default
    def function(*, after: int) -> None: ...

    with pytest.raises(CycloptsError) as caught:
        app.parse_args(words, print_error=False, exit_on_error=False)

    assert str(usage_error(caught.value)) == message


def test_option_before_the_command(command: Command) -> None:
    """An option before the command is reported with the place where it belongs."""
    code, _, err = command("--owner", "user", "list")

    assert code == 2
    assert err.splitlines() == [
        "losant-tokens: error: Unknown option: --owner",
        "hint: options follow the command; see losant-tokens --help",
    ]


@pytest.mark.parametrize("arguments", [["apply"], ["restore"], ["sweep", "--after", "30d"]])
def test_files_that_cannot_be_read(
    command: Command, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is missing, a folder or unreadable is a usage error that names it."""
    monkeypatch.setattr("os.access", lambda *_: False)
    file = tmp_path / "plan"
    file.touch()
    for path, problem in (
        (tmp_path / "none", "does not exist"),
        (tmp_path, "is a folder"),
        (file, "cannot be read: permission denied"),
        (file / "below", "cannot be read: Not a directory"),
    ):
        message = check(command(*arguments, str(path)), f"{arguments[0]} ")
        assert message.removeprefix("Invalid value for QUARANTINE: ") == f"{path} {problem}"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        *(("--nam", "--name"), ("--NAME", "--name"), ("--zzz", None)),
        *(("--all", "--all-accounts"), ("--al", None), ("--old", None)),
    ],
)
def test_nearest_name(typed: str, expected: str | None) -> None:
    """The nearest name ignores dashes and case. The only name that begins as typed is near."""
    names = ["--name", "--status", "--all-accounts", "--old-majority", "--old-unmatched"]
    assert nearest_name(typed, names) == expected


@pytest.mark.parametrize(("value", "expected"), [("a", "'a'"), ("it's", '"it\'s"')])
def test_quoted(value: str, expected: str) -> None:
    """A value is quoted with a mark that it does not contain."""
    assert quoted(value) == expected


def test_other_errors_keep_their_message() -> None:
    """An error that this version does not know keeps the message of the parser."""
    assert str(usage_error(CycloptsError("what happened"))) == "what happened"


def test_subcommand_of_a_command_with_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected argument that is like a subcommand gets a suggestion."""
    monkeypatch.setitem(COMMANDS, "list all", COMMANDS["show"])
    app = App("losant-tokens")
    app.command(lambda: None, name="list")
    with pytest.raises(CycloptsError) as caught:
        app.parse_args(["list", "al"], print_error=False, exit_on_error=False)

    assert str(usage_error(caught.value)) == "Unexpected argument: 'al'. Did you mean list all?"
