"""`leaked`: whether a leaked secret works, which token it is, and what it created."""

import getpass
import io
import json
import os
import pty
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from losant_tokens.cli._errors import CommandError
from losant_tokens.cli._terminal import console
from losant_tokens.testing import FakeLosant
from tests.support.command import Command
from tests.support.traceback_secrets import frames_that_hold

Terminal = Callable[..., None]
Pipe = Callable[[str], None]


@pytest.fixture
def fake() -> FakeLosant:
    """A fake whose tokens have no id in their claims, as real tokens may."""
    fake = FakeLosant(id_claim=False)
    for number in range(9):
        fake.add_token(f"keep-{number}", scope=["device.get"])
    return fake


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the files of jobs in the folder of the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    """Return a function that makes a string the standard input."""

    def make(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    return make


@pytest.fixture
def paste(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> Callable[..., None]:
    """Return a function that makes a terminal, on which somebody pastes and then types."""

    def make(pasted: str, typed: str = "", columns: int = 120) -> None:
        terminal(typed=typed, columns=columns)
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setattr(getpass, "getpass", lambda _: pasted)

    return make


def active(fake: FakeLosant) -> set[str]:
    return {token.name for token in fake.tokens() if token.status == "active"}


def values(out: str) -> dict[str, str]:
    """Return the labels of a report, with the first line of each."""
    pairs = (line.partition(":") for line in out.splitlines() if line[:1].strip())
    return {label: value.strip() for label, _, value in pairs}


def test_secret_that_works(
    fake: FakeLosant, service: str, command: Command, paste: Callable[..., None]
) -> None:
    """On a terminal, the token and those that it created are deactivated after confirmation."""
    leaked = fake.add_token("ci", scope=["all.User"])
    fake.add_token("child", creator_id=leaked.id, creator_type="apiToken")
    paste(f"Authorization: Bearer {leaked.secret}", "y\ny\n")

    code, out, err = command("leaked")

    shown = values(out)
    assert (0, "yes: the API accepts it", "yes") == (
        code,
        shown["Works"],
        shown["Creates tokens"],
    )
    assert f"{leaked.id}  ci  (user, active), found by its dates" == shown["Token"]
    assert "1 token, with those that these created" == shown["Created"]
    assert f"Deactivate 'ci', id {leaked.id} now? [y/N]" in err
    assert "Deactivated 'ci'. The secret no longer works.\n" in err
    assert active(fake) == {f"keep-{number}" for number in range(9)}
    assert leaked.secret not in out + err


def test_no(fake: FakeLosant, service: str, command: Command, paste: Callable[..., None]) -> None:
    """Without a yes, nothing is changed, and the exit code says that the secret works."""
    leaked = fake.add_token("ci", scope=["all.User"])
    fake.add_token("child", creator_id=leaked.id, creator_type="apiToken")
    paste(leaked.secret, "n\ny\n")

    code, _, err = command("leaked")

    assert 5 == code
    assert f"Nothing was changed. To deactivate 'ci', id {leaked.id}, pass --yes.\n" in err
    assert {"ci", "child"} < active(fake)


def test_without_a_terminal(fake: FakeLosant, service: str, command: Command, pipe: Pipe) -> None:
    """In a pipe, --yes deactivates the token, and --with-created those that it created."""
    leaked = fake.add_token("ci", scope=["all.User"])
    child = fake.add_token("child", creator_id=leaked.id, creator_type="apiToken")
    pipe(leaked.secret)
    assert 5 == command("leaked")[0]
    assert {"ci", "child"} < active(fake)

    pipe(leaked.secret)
    code, _, err = command("leaked", "--yes")
    assert 0 == code
    assert (
        f"It created 1 token that is active. To quarantine them: losant-tokens quarantine --active "
        f"--created-by {leaked.id} --owner user --protect-seen off\n"
    ) in err
    assert {"child"} == active(fake) & {"ci", "child"}

    fake.add_token("other", creator_id=child.id, creator_type="apiToken", scope=["me.*"])
    pipe(child.secret)
    code, _, _ = command("leaked", "--yes", "--with-created")
    assert (0, set()) == (code, active(fake) & {"child", "other"})


def test_created_tokens_in_use(
    fake: FakeLosant, service: str, command: Command, pipe: Pipe
) -> None:
    """The created tokens are deactivated although the log of their instance shows them in use."""
    owner = "instance:59f0b3a27e1c4d0006aa41d8"
    leaked = fake.add_token("ci", scope=["all.User"])
    child = fake.add_token("child", owner=owner, creator_id=leaked.id, creator_type="apiToken")
    fake.add_token("other", owner=owner)
    fake.add_token("another", owner=owner)
    fake.add_audit_log(child.id, source=owner)
    pipe(leaked.secret)
    code, _, err = command(
        *("leaked", "--yes", "--with-created", "--owner", "user", "--owner", owner)
    )
    assert code == 0, err
    inactive = [token.name for token in fake.tokens(owner) if token.status == "inactive"]
    assert inactive == ["child"]


def test_created_tokens_that_a_safety_check_protects(
    fake: FakeLosant, service: str, command: Command, pipe: Pipe
) -> None:
    """A quarantine of the created tokens passes the usual safety checks."""
    leaked = fake.add_token("ci", scope=["all.User"])
    for number in range(20):
        fake.add_token(f"child-{number}", creator_id=leaked.id, creator_type="apiToken")
    pipe(leaked.secret)

    code, _, err = command("leaked", "--yes", "--with-created")

    assert 4 == code
    assert "more than half" in err
    assert "child-0" in active(fake)


def test_json(fake: FakeLosant, service: str, command: Command, pipe: Pipe, tmp_path: Path) -> None:
    """For other programs, the report of each secret is JSON, without the secret."""
    leaked, dead = fake.add_token("ci"), fake.add_token("old", status="inactive")
    pipe(f"{leaked.secret}\n{dead.secret}\n")

    log = tmp_path / "requests.log"
    code, out, err = command("leaked", "--json", "--yes", "--verbose", "--log-file", str(log))

    first, second = json.loads(out)
    assert (0, "dead", True, leaked.id) == (
        code,
        first["state"],
        first["deactivated"],
        first["token"]["id"],
    )
    assert (False, False, "times") == (
        second["deactivated"],
        second["canCreateTokens"],
        second["foundBy"],
    )
    written = "".join([out, err, *(file.read_text() for file in tmp_path.rglob("*.*"))])
    assert "GET /me/tokens" in written
    assert leaked.secret not in written
    assert dead.secret not in written


def test_several_candidates(fake: FakeLosant, service: str, command: Command, pipe: Pipe) -> None:
    """No token is deactivated if the secret may belong to several."""
    pipe(fake.tokens()[0].secret)
    before = active(fake)

    code, out, err = command("leaked", "--yes")

    assert (5, before) == (code, active(fake))
    assert "cannot determine: one of these 9 tokens" == values(out)["Token"]
    assert "Nothing was changed, because one of several tokens is the right one." in err


def test_unknown_token(fake: FakeLosant, service: str, command: Command, pipe: Pipe) -> None:
    """If no list has the token, the command says what would help."""
    pipe(fake.access_token(["data.export"]))

    code, out, err = command("leaked", "--yes")

    assert 5 == code
    assert "cannot determine: no list has a token with these claims" == values(out)["Token"]
    assert "Add the owners that may have it, with --owner" in err


def test_secret_of_another_host(
    fake: FakeLosant, service: str, command: Command, pipe: Pipe
) -> None:
    """A secret of another host is not sent, so it is unknown whether it works."""
    pipe(FakeLosant(issuer="evil.example.com").admin_token)

    code, out, _ = command("leaked", "--yes")

    shown = values(out)
    assert (1, "evil.example.com") == (code, shown["Issuer"])
    assert "unknown: it was issued by evil.example.com, and it is not sent" in shown["Works"]
    assert "not confirmed: a forged secret can claim anything" == shown["Claims"]


def test_wrong_token(fake: FakeLosant, service: str, command: Command, pipe: Pipe) -> None:
    """If the secret works after the deactivation, the command says how to undo it."""
    application = "application:575ec8687ae143cd83dc4a97"
    twin = fake.add_token("twin", owner=application, scope=["data.export"])
    pipe(fake.access_token(["data.export"]))

    code, _, err = command("leaked", "--yes", "--owner", application)

    assert 5 == code
    assert "'twin' was deactivated, but the secret may still work: the API accepts it" in err
    assert (
        f"To undo: losant-tokens patch {twin.id} --status active --owner {application}\n"
    ) in err


def test_own_token(
    fake: FakeLosant,
    service: str,
    command: Command,
    pipe: Pipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The token of the command itself can be deactivated, with a warning."""
    own = fake.add_token("own", scope=["all.User"])
    fake.add_token("child", creator_id=own.id, creator_type="apiToken")
    monkeypatch.setenv("LOSANT_API_TOKEN", own.secret)
    pipe(own.secret)

    code, _, err = command("leaked", "--yes")

    assert (0, False) == (code, "own" in active(fake))
    assert "the secret is the token that this command uses" in err
    assert "The token of this command does not list 1 token that it created" in err


def test_without_an_own_token(
    fake: FakeLosant,
    service: str,
    command: Command,
    pipe: Pipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a token of its own, the command uses the secret, which may not be allowed to act."""
    monkeypatch.delenv("LOSANT_API_TOKEN")
    leaked = fake.add_token("ci", scope=["all.User.read"])
    pipe(leaked.secret)

    code, _, err = command("leaked", "--yes")

    assert (5, True) == (code, "ci" in active(fake))
    assert "403 Forbidden" in err


def test_arguments_are_refused(command: Command, fake: FakeLosant) -> None:
    """A secret as an argument is refused, and not repeated."""
    for arguments in (["x" * 30], [fake.admin_token], ["--owner", fake.admin_token]):
        code, out, err = command("leaked", *arguments)
        assert 2 == code
        assert arguments[-1] not in out + err
    assert 2 == command("leaked", "--with-created")[0]
    assert 2 == command("leaked", "--seen-in", "org:1")[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no secret is here", "standard input contains no secret"),
        ("", "standard input contains no secret"),
        ("x" * (1024 * 1024 + 1), "standard input has more than 1,048,576 characters"),
    ],
)
def test_no_secret(text: str, problem: str, command: Command, pipe: Pipe, service: str) -> None:
    """An input without a secret, or one that is too long, is an error."""
    pipe(text)
    code, out, err = command("leaked")
    assert (1, "") == (code, out)
    assert problem in err


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        (EOFError(), "standard input contains no secret"),
        (getpass.GetPassWarning("echo"), "the terminal would show the secret"),
        ("x" * 4095, "the terminal cuts off a line at 4,095 characters"),
    ],
)
def test_terminal_that_cannot_hide_the_secret(
    outcome: object,
    problem: str,
    command: Command,
    terminal: Terminal,
    service: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A secret is not read if the terminal would show it, or would pass a part of it."""

    def ask(_: str) -> object:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    terminal(columns=200)
    monkeypatch.setattr(getpass, "getpass", ask)
    code, _, err = command("leaked")
    assert 1 == code
    assert problem in err


def test_closed_stdin(
    command: Command, service: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Standard input that cannot be read is an error; bytes that are not text are ignored."""
    (tmp_path / "log").write_bytes(b"\xff\xfe no secret")
    with (tmp_path / "log").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert "contains no secret" in command("leaked")[2]
    stream = (tmp_path / "log").open()
    stream.close()
    monkeypatch.setattr(stream, "isatty", lambda: False)
    monkeypatch.setattr(sys, "stdin", stream)
    assert "standard input cannot be read" in command("leaked")[2]


def test_question_after_a_pipe(
    fake: FakeLosant,
    service: str,
    command: Command,
    pipe: Pipe,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """If the secret comes from a pipe, the terminal of the process asks the question, if any."""
    leaked = fake.add_token("ci")
    keyboard, screen = pty.openpty()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    monkeypatch.setattr(console, "_TERMINAL", tmp_path / "missing")
    pipe(leaked.secret)
    assert 5 == command("leaked")[0]

    monkeypatch.setattr(console, "_TERMINAL", Path(os.ttyname(screen)))
    pipe(leaked.secret)
    os.write(keyboard, b"y\n")
    assert (0, False) == (command("leaked")[0], "ci" in active(fake))
    os.close(keyboard)
    os.close(screen)


def test_audit_logs(fake: FakeLosant, service: str, command: Command, pipe: Pipe) -> None:
    """The last changes by the token and by those that it created are shown, the newest first."""
    leaked = fake.add_token("ci", scope=["all.User"])
    child = fake.add_token("child", creator_id=leaked.id, creator_type="apiToken")
    fake.add_audit_log("f" * 24, request_resource="flow")
    for number, actor in enumerate([leaked.id, child.id, leaked.id]):
        fake.add_audit_log(actor, request_action="patch" if number else "delete")
    log = f"org:{fake.organization_id}"
    pipe(leaked.secret)

    out = command("leaked", "--seen-in", log, "--last", "2")[1]
    assert "device.patch" in values(out)["Last changes"]
    assert 2 == out.count("device.patch")
    assert "device.delete" not in out
    assert "flow" not in out

    pipe(leaked.secret)
    rows = json.loads(command("leaked", "--seen-in", log, "--json")[1])[0]["actions"]
    assert [leaked.id, child.id, leaked.id] == [row["actorId"] for row in rows]

    pipe(leaked.secret)
    out = command("leaked", "--seen-in", f"instance:{'b' * 24}")[1]
    assert "none in the audit logs, which record no reading" == values(out)["Last changes"]

    fake.fail(status=404, path="/orgs/*", times=None)
    pipe(leaked.secret)
    assert "WARNING: an audit log cannot be read: " in command("leaked", "--seen-in", log)[2]


APPLICATION, OTHER = (f"application:575ec8687ae143cd83dc4a{digits}" for digits in ("97", "98"))


def test_owners_are_found(
    fake: FakeLosant, service: str, command: Command, paste: Callable[..., None]
) -> None:
    """Without --owner, tokens of applications are found, and those that they created since."""
    for owner, name in ((APPLICATION, "Plant"), (OTHER, "Lab")):
        fake.add_owner(owner, name)
    leaked = fake.add_token("ci", owner=APPLICATION, scope=["all.Application"])
    for number in range(3):
        fake.add_token(f"keep-{number}", owner=OTHER, scope=["device.get"])
    fake.add_token("child", owner=OTHER, creator_id=leaked.id, creator_type="apiToken")
    paste(leaked.secret, "y\ny\n")

    code, out, _ = command("leaked")

    shown = values(out)
    assert (0, "1 token, with those that these created") == (code, shown["Created"])
    assert f"ci  ({APPLICATION}, active), found by its dates" in shown["Token"]
    assert ["inactive", *["active"] * 3, "inactive"] == [
        token.status for owner in (APPLICATION, OTHER) for token in fake.tokens(owner)
    ]


def test_owners_that_cannot_be_found(
    fake: FakeLosant, service: str, command: Command, pipe: Pipe
) -> None:
    """A list of owners, or one of their lists, that cannot be read is named."""
    fake.add_owner(APPLICATION, "Plant")
    leaked = fake.add_token("ci", scope=["all.User"])
    fake.fail(status=403, path="/instances", times=None)
    fake.fail(status=403, path="/applications/*", times=None)
    pipe(leaked.secret)

    _, out, err = command("leaked", "--yes")

    assert "no token that is listed" == values(out)["Created"]
    assert "WARNING: instances cannot be listed: " in err
    assert f"WARNING: {APPLICATION} cannot be listed: " in err

    pipe(leaked.secret)
    _, out, err = command("leaked", "--owner", "user", "--owner", APPLICATION)
    assert values(out)["Not listed"].startswith(f"{APPLICATION}: ")
    assert "WARNING" not in err


def test_account(
    fake: FakeLosant,
    service: str,
    command: Command,
    pipe: Pipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An account names the API, the owners and the audit logs."""
    monkeypatch.delenv("LOSANT_API_URL")
    monkeypatch.delenv("LOSANT_API_TOKEN")
    monkeypatch.setenv("ADMIN", fake.admin_token)
    config = tmp_path / "config.toml"
    config.touch(0o600)
    config.write_text(
        f'[accounts.prod]\nurl = "{service}"\ntoken = {{ env = "ADMIN" }}\n'
        f'owners = ["{APPLICATION}"]\naudit_logs = ["org:{fake.organization_id}"]\n'
    )
    leaked = fake.add_token("ci", owner=APPLICATION, scope=["data.export"])
    fake.add_audit_log(leaked.id)
    pipe(leaked.secret)

    code, out, _ = command("leaked", "--yes", "--account", "prod", "--config", str(config))

    assert (0, "inactive") == (code, fake.tokens(APPLICATION)[0].status)
    assert "device.patch" in values(out)["Last changes"]


def test_secret_in_no_traceback(pipe: Pipe) -> None:
    """No local variable of a failed read shows the secret."""
    pipe("my-secret" * 200_000)

    with pytest.raises(CommandError) as caught:
        console.read_secret_text("")

    assert frames_that_hold(caught.value, "my-secret") == []


def test_forged_secret(fake: FakeLosant, service: str, command: Command, pipe: Pipe) -> None:
    """Without a question, a secret that does not work changes no token that its claims lead to."""
    old = fake.add_token("old", status="inactive", scope=["all.User"])
    fake.add_token("child", creator_id=old.id, creator_type="apiToken")
    claims, _, signature = old.secret.rpartition(".")
    pipe(f"{claims}.{signature[::-1]}")

    code, out, err = command("leaked", "--yes", "--with-created")

    assert (0, "1 token, with those that these created") == (code, values(out)["Created"])
    assert "child" in active(fake)
    assert "To quarantine them: losant-tokens quarantine --active" in err


@pytest.mark.slow
def test_all_accounts(
    fake: FakeLosant,
    service: str,
    command: Command,
    pipe: Pipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The accounts are searched until one has the token; one without a token is left out."""
    monkeypatch.setenv("ADMIN", fake.admin_token)
    config = tmp_path / "config.toml"
    config.touch(0o600)
    other = FakeLosant()
    leaked = fake.add_token("ci", scope=["data.export"])
    with other.serve() as other_url:
        monkeypatch.setenv("OTHER", other.admin_token)
        config.write_text(
            f'[accounts.broken]\nurl = "{service}"\ntoken = {{ env = "MISSING" }}\n'
            f'[accounts.void]\nurl = "{service}"\ntoken = {{ env = "MISSING" }}\n'
            f'[accounts.other]\nurl = "{other_url}"\ntoken = {{ env = "OTHER" }}\n'
            f'[accounts.other2]\nurl = "{other_url}"\ntoken = {{ env = "MISSING" }}\n'
            f'[accounts.prod]\nurl = "{service}"\ntoken = {{ env = "ADMIN" }}\n'
        )
        pipe(leaked.secret)
        options = ("--config", str(config))
        code, out, err = command("leaked", "--yes", "--all-accounts", *options)
        pipe(leaked.secret)
        dead = command("leaked", "--json", "--account", "other", *options)
        pipe(leaked.secret)
        broken = command("leaked", "--account", "broken", *options)
        pipe(leaked.secret)
        both = command("leaked", "--account", "broken", "--account", "void", *options)
        pipe(leaked.secret)
        doubtful = command("leaked", "--account", "broken", "--account", "other", *options)
        pipe(leaked.secret)
        code_of_json, listed, _ = command(
            *("leaked", "--json", "--account", "broken", "--account", "other"), *options
        )
        pipe(FakeLosant(issuer="api.losant.com").admin_token)
        certain = command("leaked", "--account", "other", "--account", "other2", *options)

    assert (0, "prod", False) == (code, values(out)["Account"], "ci" in active(fake))
    assert "WARNING: the account broken cannot be used: " in err
    assert (0, "other") == (dead[0], json.loads(dead[1])[0]["account"])
    assert (1, 1) == (broken[0], both[0])
    assert "error: no account can be used\n" in both[2]
    # One API refuses the secret, and nobody asked the other.
    assert (1, True) == (doubtful[0], values(doubtful[1])["Works"].startswith("unknown: "))
    assert values(doubtful[1])["Not checked"].startswith("broken: ")
    (listed_leak,) = json.loads(listed)
    assert (1, "unknown") == (code_of_json, listed_leak["state"])
    assert ["broken"] == list(listed_leak["notChecked"])
    # An account that shares its API with another one needs no token of its own.
    assert (0, False) == (certain[0], "Not checked" in certain[1])


def test_secret_without_claims(service: str, command: Command, pipe: Pipe) -> None:
    """A secret that is no JWT names no expiration date, so the date is unknown."""
    pipe("not-a-jwt-but-a-long-word")
    shown = values(command("leaked")[1])
    assert shown["Expires"] == "unknown: the secret does not name a date, so perhaps never"
