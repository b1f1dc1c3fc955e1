"""The help of the command: short, imperative, and in the user's terms."""

import io
import re
from functools import cache
from typing import Any

import pytest
from rich.console import Console

from losant_tokens.cli._app import COMMANDS, app, command_app
from losant_tokens.cli._help import texts
from tests.support.command import Command

VERBS = {
    *(
        "Activate",
        "Allow",
        "Always",
        "Append",
        "Apply",
        "Cancel",
        "Change",
        "Check",
        "Choose",
        "Compare",
        "Create",
    ),
    *(
        "Deactivate",
        "Delay",
        "Delete",
        "Display",
        "Do",
        "Exit",
        "Fail",
        "Filter",
        "Grant",
        "List",
        "Listen",
    ),
    *(
        "Manage",
        "Match",
        "Move",
        "Never",
        "Plan",
        "Print",
        "Reactivate",
        "Read",
        "Refuse",
        "Remove",
        "Request",
        "Replace",
        "Resume",
        "Rotate",
    ),
    *(
        "Respond",
        "Retry",
        "Run",
        "Restore",
        "Select",
        "Send",
        "Set",
        "Show",
        "Skip",
        "Sort",
        "Start",
        "Sweep",
        "Use",
        "Wait",
    ),
    *("Watch", "Write"),
    *("Approve", "Continue", "Count", "Let", "Record", "Reject", "Report"),
    *("Serve", "Stop", "Work"),
}
METAVARS = {
    "CLEANUP",
    *("ACCOUNT", "ACTION"),
    *("AGE", "AGE|off", "COLUMN", "COLUMNS", "DURATION", "FIELDS", "FILE", "GLOB", "HOST"),
    *("ID", "ID|GLOB"),
    *("COMMAND", "N", "NAME", "NAME|@FILE", "OWNER"),
    *("KIND:SHARE", "OFFSET", "TIME"),
    *("DIGEST", "PORT", "STATE", "STORE"),
    *("LOG", "RULE", "SCOPE", "SECONDS", "SEVERITY", "TEXT", "WHEN"),
}
CHOICES = re.compile(r"[a-z]+(\|[a-z]+)+")
BANNED = re.compile(
    r"\b(anew|whoever|at the (most|least)|all the same|to be had|stands|heed|mend|deeds?|tells?|"
    r"told|said|moment|a while|likewise|afterwards|know by|go by|in sight|whole number|at hand|"
    r"so (many|much)|answers?|goes to)\b",
    re.IGNORECASE,
)
ONE_LINE = 100  # columns
OFFLINE = {
    *("sandbox", "demo", "completion", "help", "version"),
    *("account", "account list", "plan show", "plan diff", "audit diff"),
    *("policy", "policy check", "policy test", "policy schema"),
    *("runs", "runs list", "runs show", "runs prune", "rotate list"),
    *(name for name in COMMANDS if name.partition(" ")[0] == "fleet"),
}
"""The commands that send no request to Losant."""


@pytest.fixture(params=sorted(COMMANDS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@cache
def arguments(name: str) -> tuple[Any, ...]:
    """Return the arguments of a command, as its help shows them."""
    command = command_app(name)
    if command.default_command is None:
        return ()
    return tuple(command.assemble_argument_collection().filter_by(show=True))


@cache
def help_at(width: int, name: str = "") -> tuple[str, ...]:
    """Return the lines of the help of a command on a terminal of a width."""
    file = io.StringIO()
    app.help_print(name.split(), console=Console(width=width, file=file))
    return tuple(file.getvalue().splitlines())


def test_summary_is_imperative(name: str) -> None:
    """The summary of a command is one sentence that begins with a verb."""
    summary = COMMANDS[name].summary

    assert summary.split()[0] in VERBS
    assert re.fullmatch(r"[^.]+\.", summary)


def test_summary_is_the_docstring(name: str) -> None:
    """The summary of a command is also the first line of its function's docstring."""
    if COMMANDS[name].path is None:
        pytest.skip("the command only has subcommands")
    function = command_app(name).default_command

    assert function is not None
    assert (function.__doc__ or "").splitlines()[0] == COMMANDS[name].summary


def test_options_are_imperative(name: str) -> None:
    """The help of each argument begins with a verb."""
    for argument in arguments(name):
        assert argument.parameter.help.split()[0] in VERBS, argument.name
        assert argument.parameter.help.endswith("."), argument.name


def test_metavars_state_the_format(name: str) -> None:
    """The metavar of an option is a format of the documentation, never a type of Python."""
    for argument in arguments(name):
        if argument.hint is not bool and argument.name.startswith("--"):
            metavar = argument.parameter.metavar
            assert metavar in METAVARS or CHOICES.fullmatch(metavar or ""), argument.name


@pytest.mark.sweep(sample=8)
def test_no_python_type_is_shown(name: str) -> None:
    """The help shows no name of a Python type, and no default that is one of its values."""
    text = "\n".join(help_at(ONE_LINE, name))

    types = r"\b(STR|INT|FLOAT|BOOL|PATH|TIMEDELTA|DATETIME|CHOICE|None|True|False|\(\))\b"
    assert re.findall(types, text) == []


def test_each_option_is_one_line(name: str) -> None:
    """At 100 columns, the help of each option fits into one line."""
    rows = [line for line in help_at(ONE_LINE, name) if line[:1] == "│"]

    subcommands = [one for one in COMMANDS if one.startswith(f"{name} ")]
    assert len(rows) == len(subcommands) + len(list(arguments(name)))
    assert max(map(len, rows), default=0) <= ONE_LINE


def test_each_command_is_one_line() -> None:
    """At 80 columns, the help of each command fits into one line."""
    rows = [line for line in help_at(80) if line[:1] == "│"]

    commands = [name for name in COMMANDS if " " not in name]
    assert len(rows) == len(commands) + 2  # --help and --version


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.sweep(sample=20)
def test_help_fits_the_terminal(name: str, width: int) -> None:
    """The help fits terminals of 60, 80 and 120 columns."""
    assert max(map(len, help_at(width, name))) <= width


def test_notes_and_examples_are_not_wrapped(name: str) -> None:
    """At 60 columns, no example and no line of a table is wrapped, so all can be copied."""
    epilogue = str(command_app(name).help_epilogue)
    notes, _, examples = epilogue.partition("Examples:\n")
    indented = [line for line in notes.splitlines() if line.startswith(" ")]

    shown = {line.rstrip() for line in help_at(60, name)}
    assert [
        line for line in (*indented, *examples.splitlines()) if line.rstrip() not in shown
    ] == []


def test_options_are_not_broken(name: str) -> None:
    """At 60 columns, the name and the format of each option are whole."""
    words = " ".join(help_at(60, name)).split()

    for argument in arguments(name):
        assert argument.name in words
        assert argument.parameter.metavar in {None, *words}


def test_the_help_of_the_program_fits_60_columns() -> None:
    """At 60 columns, the environment variables and the exit codes are not wrapped."""
    lines = [line.rstrip() for line in help_at(60)]

    assert max(map(len, lines)) <= 60
    assert [line for line in texts.ROOT.splitlines() if line not in lines] == []


def test_help_has_examples(name: str) -> None:
    """The help of each command has examples."""
    assert f"Examples:\n  losant-tokens {name}" in COMMANDS[name].epilogue


def test_metavars_are_explained(name: str) -> None:
    """The help explains the metavars of the values wherever they occur."""
    text = "\n".join(help_at(ONE_LINE, name))
    notes = {
        "OWNER": "OWNER is user, oauth, application:ID or instance:ID.",
        "AGE": " like 12h, 30d, 4w, 18mo or 2y: hours,",
        "DURATION": "months of 30 days, or years of 365 days.",
        "GLOB": "In a GLOB, * matches any characters",
        "COLUMN": "COLUMN is id, name, status, expires, created, updated, scopes, creator, owner,",
        "COLUMNS": "COLUMNS are separated by commas: id,name,expires.",
        "FIELDS": "FIELDS are members of the API's JSON, or owner: id,name,expirationDate.",
        "WHEN": "WHEN is a time from now",
        "LOG": "LOG is org:ID or instance:ID.",
        "KIND:SHARE": "KIND is a status such as 503, or timeout",
        "RULE": "RULE is the name of a rule, such as never-expires.",
        "SEVERITY": "SEVERITY is info, low, medium, high or critical.",
        "STORE": "STORE is postgresql://HOST/DATABASE, the path of an SQLite file, or @FILE",
        "STATE": "STATE is planning, waiting, approved,",
        "DIGEST": "DIGEST is the digest of the plan that you have reviewed,",
        "OFFSET": "OFFSET is +30d or -2h",
        "TIME": "TIME is a latency such as 50ms",
    }

    for metavar, note in notes.items():
        if re.search(rf"^│.* --[a-z-]+ (ID\|)?{metavar} ", text, re.MULTILINE):
            assert note.strip() in " ".join(text.split())


def test_no_banned_words(name: str) -> None:
    """The help of each command is in plain English."""
    helps = [argument.parameter.help for argument in arguments(name)]

    assert (
        BANNED.findall("\n".join([*helps, COMMANDS[name].summary, COMMANDS[name].epilogue])) == []
    )


def test_help_of_the_program(command: Command) -> None:
    """The help of the program explains the environment and the exit codes."""
    code, out, err = command("--help")

    assert (code, err) == (0, "")
    assert "\nEnvironment:\n  LOSANT_API_TOKEN" in out
    assert "  1    error or declined\n" in out
    assert "  4    blocked by a safety check\n" in out
    assert BANNED.findall(out) == []


def test_no_arguments_print_the_help(command: Command) -> None:
    """Without arguments, the program prints its help."""
    assert command() == command("--help")


def test_the_token_is_not_an_argument(command: Command) -> None:
    """No option accepts the token, and the help states where it comes from."""
    assert command("list", "--token", "x")[0] == 2
    for name in set(COMMANDS) - OFFLINE:
        assert "LOSANT_API_TOKEN, never from an argument" in COMMANDS[name].epilogue


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("plan", "plan [COMMAND] [OPTIONS]"),
        ("plan show", "plan show [OPTIONS] FILE"),
        ("runs", "runs COMMAND"),
        ("help", "help [COMMAND...]"),
        ("sweep", "sweep [OPTIONS] [QUARANTINE]"),
        ("quarantine list", "quarantine list [OPTIONS] [QUARANTINE...]"),
    ],
)
def test_usage_line(name: str, usage: str, command: Command) -> None:
    """The first line of the help shows whether a subcommand and an argument are required."""
    _, out, _ = command(*name.split(), "--help")

    assert out.splitlines()[:2] == [f"Usage: losant-tokens {usage}", ""]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.sweep(sample=8)
def test_help_has_no_python(name: str, command: Command) -> None:
    """The help names each argument, and shows no default as a Python value."""
    _, out, _ = command(*name.split(), "--help")

    assert not re.search(r"ARGS|default: (\(|\[|None|True|False)", out)
