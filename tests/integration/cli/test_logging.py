"""`--verbose`, `--log-file` and `--timeout`."""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from losant_tokens.cli._app import command_app
from losant_tokens.testing import FakeLosant
from tests.support.command import Command

ONE = "1" * 24
REQUEST = r"[A-Z]+ /me/tokens(/[0-9a-f]{24})? -> [0-9]+ in [0-9.]+ ms, attempt 1"
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z"


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def fake() -> FakeLosant:
    """Return a fake with one inactive token and two active ones."""
    fake = FakeLosant()
    fake.add_token("ci", id=ONE, status="inactive")
    fake.add_token("prod-1")
    fake.add_token("prod-2")
    return fake


def logged(path: str = "log") -> list[tuple[str, str]]:
    """Return the kind and the text of each line of a log."""
    lines = Path(path).read_text().splitlines()
    found = [re.fullmatch(rf"{TIME} {os.getpid()} ([a-z]+) (.*)", line) for line in lines]
    return [match.groups() for match in found if match]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "methods"),
    [
        (("list",), ["GET"]),
        (("show", ONE), ["GET"]),
        (("create", "new", "--expires", "never"), ["POST"]),
        (("patch", ONE, "--name", "new"), ["PATCH"]),
        (("delete", ONE, "--yes"), ["DELETE"]),
    ],
)
def test_verbose(
    service: str, command: Command, arguments: tuple[str, ...], methods: list[str]
) -> None:
    """With --verbose, each request is one line on stderr, without its query."""
    code, _, err = command(*arguments, "--verbose")

    lines = [line for line in err.splitlines() if re.fullmatch(REQUEST, line)]
    assert (code, [line.split()[0] for line in lines]) == (0, methods)
    assert "?" not in err


def test_verbose_job(service: str, command: Command) -> None:
    """With --verbose, the requests of planning and of the job are printed."""
    err = command("cleanup", "--inactive", "--yes", "--verbose")[2]

    lines = [line for line in err.splitlines() if re.fullmatch(REQUEST, line)]
    assert f"DELETE /me/tokens/{ONE} -> 200 in" in lines[-1]
    assert f"GET /me/tokens/{ONE} -> 200 in" in lines[-2]
    assert len(lines) > 4
    assert "\nDeleting: 1 of 1; " in err


def test_verbose_retry(fake: FakeLosant, service: str, command: Command) -> None:
    """With --verbose, each attempt is a line of its own."""
    fake.fail(status=503, times=1)

    err = command("show", ONE, "--verbose")[2]

    path = f"GET /me/tokens/{ONE}"
    assert re.search(rf"^{path} -> 503 in .*, attempt 1$", err, re.MULTILINE)
    assert re.search(rf"^{path} -> 200 in .*, attempt 2$", err, re.MULTILINE)


def test_verbose_lines_are_not_kept(service: str, command: Command) -> None:
    """A command without --verbose prints no requests, even after a verbose one."""
    command("show", ONE, "--verbose")

    assert command("show", ONE)[2] == ""


@pytest.mark.parametrize("name", ["plan", "cleanup"])
def test_verbose_and_quiet(fake: FakeLosant, command: Command, name: str) -> None:
    """`--verbose` and `--quiet` together are a usage error."""
    yes = () if name == "plan" else ("--yes",)

    result = command(name, "--inactive", "--quiet", "--verbose", *yes)

    expected = "losant-tokens: error: --verbose cannot be combined with --quiet\n"
    assert result == (2, "", expected)


# --- The log file ----------------------------------------------------------------------------


def test_log_file(service: str, command: Command) -> None:
    """A log has one line for each event, with the time, the process and the kind."""
    code, _, err = command("delete", ONE, "--yes", "--allow-own-token", "--log-file", "log")

    assert (code, err) == (0, "Deleted 1 of 1.\n")
    (start, request, *rest) = logged()
    assert (start, request[0]) == (("info", "started: delete"), "request")
    assert re.fullmatch(REQUEST, request[1])
    assert rest == [("info", "Deleted 1 of 1."), ("info", "ended with exit code 0")]
    assert len(Path("log").read_text().splitlines()) == 4


def test_log_file_is_private_and_appended(service: str, command: Command) -> None:
    """A log is only for the user, whatever its mode was, and earlier lines are kept."""
    command("show", ONE, "--log-file", "log")
    before = Path("log").read_text()
    Path("log").chmod(0o644)

    command("show", ONE, "--log-file", "log")

    assert stat.S_IMODE(Path("log").stat().st_mode) == 0o600
    assert Path("log").read_text().startswith(before)
    assert len(logged()) == 6


def test_errors_are_logged(fake: FakeLosant, service: str, command: Command) -> None:
    """Errors are logged, and the exit code."""
    command("show", "2" * 24, "--log-file", "log")

    kinds = dict(logged())
    assert "404 NotFound" in kinds["error"]
    assert kinds["info"] == "ended with exit code 1"


def test_quiet_command_is_logged(service: str, command: Command) -> None:
    """The log of a quiet command has the messages that it does not print."""
    options = ("--yes", "--quiet", "--protect", "prod-1", "--log-file", "log")

    assert command("cleanup", "--inactive", *options) == (0, "", "")
    assert any(kind == "request" for kind, _ in logged())
    assert logged()[-1] == ("info", "ended with exit code 0")


def test_no_secret_is_logged(service: str, command: Command, fake: FakeLosant) -> None:
    """Neither the API token nor the secret of a new token is logged or printed to stderr."""
    code, out, err = command(
        "create", "new", "--expires", "never", "--verbose", "--log-file", "log"
    )

    secret = out.strip()
    text = Path("log").read_text()
    assert (code, len(secret) > 8) == (0, True)
    assert secret not in text + err
    assert fake.admin_token not in text + err


def test_token_in_an_argument(service: str, command: Command, fake: FakeLosant) -> None:
    """A token that somebody passed as an argument is not logged."""
    command("patch", ONE, "--name", fake.admin_token, "--log-file", "log")
    command("list", "--name", fake.admin_token, "--log-file", "log")
    command("list", "--owner", "user", "--log-file", "log")

    assert fake.admin_token not in Path("log").read_text()


def test_control_characters_are_escaped(
    service: str, command: Command, terminal: Callable[..., None]
) -> None:
    """A name with control characters cannot add a line to a log, or change a terminal."""
    command("patch", ONE, "--name", "a\n2026-01-01T00:00:00Z 1 info b\x1b[2J")
    terminal(columns=200, typed="n\n")

    command("delete", ONE, "--log-file", "log")

    shown = next(text for _, text in logged() if ONE in text and "expires" in text)
    assert "a\\n2026-01-01T00:00:00Z 1 info b\\x1b[2J" in shown
    assert "\x1b" not in Path("log").read_text()
    assert len(logged()) == len(Path("log").read_text().splitlines())


@pytest.mark.parametrize("content", ["notes\n", "{}\n", "2026-01-01\n"])
def test_file_that_is_not_a_log(
    fake: FakeLosant, service: str, command: Command, content: str
) -> None:
    """A file that is not a log is refused before a request, and kept as it is."""
    Path("notes").write_text(content)

    code, _, err = command("list", "--log-file", "notes")

    assert (code, fake.requests, Path("notes").read_text()) == (4, (), content)
    assert err == (
        "losant-tokens: error: notes is not a log of losant-tokens, so it was not changed\n"
        "hint: choose another --log-file\n"
    )


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Path("log").mkdir(), "log cannot be written: Is a directory"),
        (lambda: os.mkfifo("log"), "log cannot be written: it is not a regular file"),
        (lambda: Path("log").symlink_to("x"), "log cannot be written: "),
    ],
)
def test_log_file_cannot_be_opened(
    fake: FakeLosant,
    service: str,
    command: Command,
    make: Callable[[], None],
    problem: str,
) -> None:
    """A log that is not a regular file is refused before a request."""
    make()

    code, _, err = command("list", "--log-file", "log")

    assert (code, fake.requests, f"losant-tokens: error: {problem}" in err) == (1, (), True)


def test_log_file_of_another_user(
    service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that cannot be made private is refused."""

    def fail(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", fail)

    code, _, err = command("list", "--log-file", "log")

    message = "losant-tokens: error: log cannot be made private: Operation not permitted\n"
    assert (code, err) == (1, message)


def test_full_disk(service: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that cannot be written ends with one warning, and the command continues."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("losant_tokens.cli._logs.command_log.os.write", full)
        code, out, err = command("show", ONE, "--log-file", "log")

    message = "log cannot be written, so the log ends: No space left on device"
    assert (code, ONE in out) == (0, True)
    assert err == f"losant-tokens: WARNING: {message}\n"


def test_log_of_an_interrupted_command(
    service: str, command: Command, terminal: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log of a command that a signal ended says so."""
    import sys

    def interrupted() -> str:
        raise KeyboardInterrupt

    terminal()
    monkeypatch.setattr(sys.stdin, "readline", interrupted)

    with pytest.raises(KeyboardInterrupt):
        command("delete", ONE, "--log-file", "log")

    assert logged()[-2:] == [("info", "Nothing was deleted."), ("info", "ended by a signal")]


def test_command_to_resume_has_the_log(fake: FakeLosant, service: str, command: Command) -> None:
    """The command that resumes a job has its log file and its timeout."""
    fake.fail(status=401, method="DELETE", times=None)
    options = ("--yes", "--out", "p", "--timeout", "9.5", "--log-file", "log")

    err = command("cleanup", "--inactive", *options)[2]

    command_line = "losant-tokens apply p --resume --timeout 9.5 --log-file log"
    assert err.endswith(f"To resume: {command_line}\n")


# --- The timeout -----------------------------------------------------------------------------


def test_timeout(fake: FakeLosant, service: str, command: Command) -> None:
    """`--timeout` limits the wait for each response."""
    fake.fail("latency", seconds=30, times=1)

    code, _, err = command("show", ONE, "--timeout", "0.2", "--verbose")

    assert (code, f"GET /me/tokens/{ONE} -> timed out in 2" in err) == (0, True)


@pytest.mark.parametrize("value", ["0", "-1", "soon"])
def test_invalid_timeout(command: Command, value: str) -> None:
    """A timeout that is not positive is a usage error."""
    assert command("show", ONE, "--timeout", value)[0] == 2


# --- Outages while the tokens are listed -----------------------------------------------------


@pytest.mark.sweep(sample=1)
@pytest.mark.parametrize("options", [(), ("--verbose",), ("--log-file", "log")])
@pytest.mark.slow
def test_outage_during_planning(
    fake: FakeLosant, service: str, command: Command, options: tuple[str, ...]
) -> None:
    """An outage while the tokens are listed is printed once for each attempt, and logged once."""
    fake.fail(status=503, times=2)

    code, _, err = command("plan", "--inactive", "--out", "p.jsonl", *options)

    line = r"^.*: 503 .*; trying again for [0-9]+ s$"
    assert (code, len(re.findall(line, err, re.MULTILINE))) == (0, 2)
    if "log" in options:
        assert len(re.findall(line, Path("log").read_text(), re.MULTILINE)) == 2


@pytest.mark.slow
def test_outage_during_a_quiet_plan(fake: FakeLosant, service: str, command: Command) -> None:
    """A quiet command does not print an outage that ends."""
    fake.fail(status=503, times=2)
    options = ("--quiet", "--protect", "prod-1", "--out", "p.jsonl")

    assert command("plan", "--inactive", *options) == (0, "", "")


# --- Which command has which options ---------------------------------------------------------

SENDING = {"list", "show", "create", "patch", "delete", "plan"}
JOBS = {"apply", "cleanup", "quarantine", "sweep", "restore"}


@pytest.mark.parametrize("name", sorted(SENDING | JOBS))
def test_options_of_the_connection(name: str) -> None:
    """Every command that sends requests has the options of the connection and the log."""
    wanted = {"--scope-check", "--timeout", "--insecure-http", "--verbose", "--log-file"}
    if name in JOBS:
        wanted |= {"--journal", "--quiet", "--report", "--rate", "--patience"}
    if name in {"list", "plan"} | JOBS - {"apply"}:
        wanted |= {"--page-size"}

    arguments = command_app(name).assemble_argument_collection()

    assert wanted <= {one for argument in arguments for one in argument.names}


def test_system_without_file_modes(
    service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log is written on a system that has no file modes."""
    monkeypatch.delattr(os, "fchmod")

    assert command("show", ONE, "--log-file", "log")[0] == 0
    assert len(logged()) == 3
