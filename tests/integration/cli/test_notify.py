"""`notify`: a message about tokens that expire soon, once for each receiver."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from losant_tokens.testing import FakeLosant
from tests.support.command import Command
from tests.support.wire import Peer, WireServer, response, serve

NOW = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)
DAY = timedelta(days=1)
APPLICATION = f"application:{'a' * 24}"
PATH = "/services/T0000/a-secret-path"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the state folder, which is empty."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "losant-tokens"


@pytest.fixture
def tokens(fake: FakeLosant, service: str, state: Path) -> FakeLosant:
    """Add tokens that expire in 5 and in 20 days, and one that has expired."""
    fake.clock_offset = NOW - datetime.now(UTC)
    fake.add_token("ci-5", id="5" * 24, expiration_date=NOW + 5.5 * DAY, creator_name="ada")
    fake.add_token("x\x1b[2J", id="b" * 24, expiration_date=NOW + 20.5 * DAY, creator_name="bob")
    fake.add_token("old", id="0" * 24, expiration_date=NOW - 2.5 * DAY)
    fake.add_token("app", owner=APPLICATION, id="a" * 24, expiration_date=NOW + DAY / 2)
    return fake


@pytest.fixture
def hook() -> Iterator[WireServer]:
    """Serve a webhook that accepts everything."""

    def accept(peer: Peer) -> None:
        while peer.request():
            peer.send(response(b"ok"))

    with serve(accept) as server:
        yield server


def test_message_on_stdout(command: Command, tokens: FakeLosant, state: Path) -> None:
    """The message is printed once, and what follows is new: a token, or a shorter threshold."""
    first = command("notify", "--except-named", "old")
    again = command("notify", "--except-named", "old")
    shorter = command("notify", "--expires-within", "30d", "--expires-within", "7d", "--quiet")

    assert first[0] == 0
    assert first[1].splitlines() == [
        "2 Losant API tokens expire within 30 days",
        "",
        f"user ({os.environ['LOSANT_API_URL']}):",
        f'- "ci-5" ({"5" * 24}) expires in 5 days, on 2030-01-07 15:04 UTC; created by ada',
        f'- "x\\x1b[2J" ({"b" * 24}) expires in 20 days, on 2030-01-22 15:04 UTC; created by bob',
        "",
        "An expiration date cannot be changed: replace a token before it expires.",
    ]
    assert first[2] == "2 tokens were reported to standard output.\n"
    assert again == (0, "", "Nothing new to report: 2 tokens were reported before.\n")
    assert shorter[1].startswith("1 Losant API token has expired, and 1 expires within 7 days\n")
    assert shorter[2] == ""
    assert [path.suffix for path in sorted((state / "notices").iterdir())] == [".json", ".lock"]


def test_nothing_to_report(command: Command, tokens: FakeLosant) -> None:
    """If no token expires soon, nothing is printed on standard output."""
    assert command("notify", "--named", "nothing-*") == (
        *(0, ""),
        "Nothing to report: no token expires soon.\n",
    )


def test_dry_run(command: Command, tokens: FakeLosant, state: Path) -> None:
    """A dry run prints the message, and neither sends nor records anything."""
    for _ in range(2):
        code, out, err = command("notify", "--dry-run", "--json", "--to-command", "false")

        assert (code, json.loads(out)["count"]) == (0, 3)
        assert err == "3 tokens would be reported to false.\n"
    assert not state.exists()
    command("notify")
    assert command("notify", "--dry-run")[:2] == (0, "")


@pytest.mark.process
def test_command(
    command: Command, tokens: FakeLosant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command gets the message, and no token in its environment; a failure is not recorded."""
    config = tmp_path / "config.toml"
    config.write_text('[accounts.other]\ntoken = {env = "OTHER_TOKEN"}\n')
    monkeypatch.setenv("OTHER_TOKEN", "the-token-of-another-account")
    script = f"sh -c 'cat > {tmp_path}/out; env > {tmp_path}/env; test -e {tmp_path}/works'"
    arguments = ("notify", "--json", "--config", str(config), "--to-command", script)

    failed = command(*arguments)
    (tmp_path / "works").touch()
    code, out, err = command(*arguments)

    assert failed == (
        *(1, ""),
        "losant-tokens: error: The command 'sh' failed with exit code 1. It printed nothing.\n",
    )
    assert (code, out, err) == (0, "", "3 tokens were reported to sh.\n")
    assert json.loads((tmp_path / "out").read_text())["count"] == 3
    environ = (tmp_path / "env").read_text()
    assert "LOSANT_MESSAGE_TITLE=1 Losant API token has expired, and 2 expire" in environ
    assert not [one for one in (tokens.admin_token, "another-account") if one in environ]


def test_webhooks(
    command: Command,
    tokens: FakeLosant,
    hook: WireServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each webhook is a receiver of its own, and no output or file has its URL."""
    monkeypatch.setenv("HOOK", hook.url + PATH)
    file = tmp_path / "url"
    file.write_text(f"{hook.url}{PATH}\n")
    file.chmod(0o600)
    log = tmp_path / "log"
    runs = [
        command("notify", "--webhook", "HOOK", "--log-file", str(log)),
        command("notify", "--slack-webhook", f"@{file}", "--verbose"),
        command("notify", "--webhook", "HOOK"),
    ]

    assert [code for code, _, _ in runs] == [0, 0, 0]
    assert [seen.path for seen in hook.seen] == [PATH, PATH]
    assert json.loads(hook.seen[0].content)["count"] == 3
    assert "blocks" in json.loads(hook.seen[1].content)
    assert runs[2][2] == "Nothing new to report: 3 tokens were reported before.\n"
    state = [path.read_text() for path in (tmp_path / "state").rglob("*.json")]
    assert not [text for text in (*map(str, runs), log.read_text(), *state) if PATH in text]


def test_webhook_token(
    command: Command, tokens: FakeLosant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A webhook can require a bearer token, which comes from a private file or a variable."""
    receiver = FakeLosant()
    monkeypatch.setenv("HOOK_TOKEN", receiver.admin_token)
    file = tmp_path / "token"
    file.touch(0o644)
    with receiver.serve() as url:
        # The fake responds with 403 without a token, and with 400 to anything but a token.
        monkeypatch.setenv("HOOK", f"{url}/me/tokens")
        with_token = command("notify", "--webhook", "HOOK", "--webhook-token", "HOOK_TOKEN")
        without_token = command("notify", "--webhook", "HOOK")
        readable = command("notify", "--webhook", "HOOK", "--webhook-token", f"@{file}")

    sent = [request.headers.get("authorization") for request in receiver.requests]
    assert (sent[0], sent[1]) == ("Bearer ****", None)
    assert "did not accept the message: it responded with 400" in with_token[2]
    assert "the message: it responded with 4" in without_token[2]
    assert receiver.admin_token not in with_token[2]
    assert "replace the token if others may have read it" in readable[2]


def test_ledger_option(command: Command, tokens: FakeLosant, tmp_path: Path, state: Path) -> None:
    """A ledger of one's own is used instead of the one in the state folder."""
    ledger = tmp_path / "ledger.json"
    command("notify", "--ledger", str(ledger))

    assert len(json.loads(ledger.read_bytes())["reported"]) == 3
    assert command("notify", "--ledger", str(ledger))[1] == ""
    assert not state.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["--webhook", f"https://a.example{PATH}"], 2, "Invalid value for --webhook: it is a URL"),
        (
            ["--webhook", "a b"],
            2,
            "give the name of an environment variable that holds it, or @FILE",
        ),
        (["--webhook", "@"], 2, "give the name of an environment variable that holds it, or @FILE"),
        (["--webhook", "NOT_SET"], 1, "error: --webhook: NOT_SET is not set, or is empty\n"),
        (
            ["--webhook", "a_secret"],
            1,
            "--webhook: the environment variable is not set, or is empty",
        ),
        (["--webhook-token", "A"], 2, "--webhook-token needs --webhook"),
        (["--webhook", "@missing"], 1, "--webhook: missing cannot be read: No such file"),
        (
            ["--webhook", "@open"],
            1,
            "--webhook: open can be used by other users: its mode is 0644. Run chmod 600 on it, ",
        ),
        (["--slack-webhook", "@empty"], 1, "error: --slack-webhook: empty is empty\n"),
        (["--webhook", "A", "--slack-webhook", "B"], 2, "--webhook cannot be combined with"),
        (["--webhook", "A", "--json"], 2, "--json cannot be combined with --webhook"),
        (["--to-command", "no-such-program"], 1, "There is no program 'no-such-program'"),
        (["--to-command", "a 'b"], 2, "--to-command has a quotation mark that is not closed"),
        (["--expires-within", "0d"], 2, "for --expires-within: it must be longer than 0"),
        (["--expires-within", "7"], 2, '"7" is not a duration'),
        (["--named", ""], 2, "--named must"),
        (["--seen-in", "x"], 2, '"x" is not an audit log: use org:ID or instance:ID'),
    ],
)
def test_mistakes(
    command: Command,
    service: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    expected: str,
) -> None:
    """A mistake is found before the first request, and the message shows no URL."""
    monkeypatch.chdir(tmp_path)
    for name, mode in (("open", 0o644), ("empty", 0o600)):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(mode)
    monkeypatch.setenv("LOSANT_API_URL", "http://127.0.0.1:1")
    actual, out, err = command("notify", *arguments)

    assert (actual, out) == (code, "")
    assert expected in err
    assert PATH not in err


@pytest.fixture
def config(tokens: FakeLosant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a configuration file with an account that works, and one that does not."""
    monkeypatch.setenv("GOOD", tokens.admin_token)
    monkeypatch.setenv("BAD", "no-token")
    url = os.environ["LOSANT_API_URL"]
    path = tmp_path / "config.toml"
    path.write_text(
        f'[accounts.good]\ntoken = {{env = "GOOD"}}\nurl = "{url}"\n'
        f'owners = ["user", "applications"]\naudit_logs = ["org:{tokens.organization_id}"]\n'
        f'[accounts.bad]\ntoken = {{env = "BAD"}}\nurl = "{url}"\n'
    )
    monkeypatch.setenv("LOSANT_TOKENS_CONFIG", str(path))
    return path


def test_accounts(command: Command, tokens: FakeLosant, config: Path) -> None:
    """One message covers all owners of all accounts; one that fails does not stop the others."""
    tokens.add_audit_log("5" * 24, creation_date=NOW - DAY)
    url = os.environ["LOSANT_API_URL"]
    code, out, err = command("notify", "--all-accounts")

    assert code == 3
    assert f"good, user ({url}):\n" in out
    assert f"good, {APPLICATION} ({url}):\n" in out
    assert "created by ada; last seen changing something on 2030-01-01 03:04 UTC\n" in out
    assert "error: bad: userApiTokens.get" in err
    assert "4 tokens were reported to standard output.\n" in err
    alone = command("notify", "--account", "bad")
    assert (alone[0], alone[1]) == (1, "")
    assert alone[2].startswith("losant-tokens: error: userApiTokens.get")


def test_dry_run_of_two_accounts(command: Command, tokens: FakeLosant, config: Path) -> None:
    """A dry run counts a token of two accounts once, as the message does."""
    config.write_text(config.read_text().replace('"BAD"', '"GOOD"'))
    _, out, _ = command("notify", "--all-accounts", "--dry-run", "--json")
    assert json.loads(out)["count"] == 4


def test_more_tokens_than_a_message_names(command: Command, tokens: FakeLosant) -> None:
    """A message names 500 tokens, and the next one the others."""
    for number in range(498):
        tokens.add_token(f"many-{number}", expiration_date=NOW + 2 * DAY)
    assert command("notify")[2] == (
        "500 tokens were reported to standard output.\n"
        "The message does not name 1 token. The next run will.\n"
    )
    assert command("notify", "--quiet")[1].startswith("1 Losant API token expires within 30 days\n")


def test_incomplete_account(command: Command, tokens: FakeLosant, config: Path) -> None:
    """A list of owners that cannot be read is exit code 3, because tokens may be missing."""
    tokens.fail(status=404, path="/applications", times=None)
    tokens.fail(status=404, path="/orgs/*", times=None)
    code, out, err = command("notify", "--account", "good", "--seen-in", f"org:{'d' * 24}")

    assert code == 3
    assert out.startswith("1 Losant API token has expired, and 2 expire within 30 days\n")
    assert "WARNING: good: tokens may be missing, because the list of applications" in err
    assert "WARNING: the message does not say which tokens are in use: " in err


def test_unknown_dates_and_time(
    command: Command, service: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A date that cannot be read, and a server without a time, are warnings."""
    soon = f"{datetime.now(UTC) + DAY:%Y-%m-%dT%H:%M:%SZ}"
    items = [
        {"id": digit * 24, "name": "ci", "status": "active", "expirationDate": date}
        for digit, date in (("1", "soon"), ("2", soon))
    ]
    page = {"items": items, "count": 2, "totalCount": 2, "page": 0, "perPage": 100}

    def respond(peer: Peer) -> None:
        while peer.request():
            peer.send(response(json.dumps(page).encode()))

    with serve(respond) as server:
        monkeypatch.setenv("LOSANT_API_URL", server.url)
        code, out, err = command("notify", "--scope-check", "off")

    assert (code, out.splitlines()[0]) == (0, "1 Losant API token expires within 30 days")
    assert f"WARNING: The expiration date of token {'1' * 24} cannot be read" in err
    assert "WARNING: The server does not state its time" in err


def test_narrow_terminal(
    command: Command, tokens: FakeLosant, terminal: Callable[..., None]
) -> None:
    """On a terminal, long lines are broken between words."""
    terminal(columns=60)
    out = command("notify")[1]

    assert max(map(len, out.splitlines())) <= 60
    assert '\n- "ci-5"' in out
    assert "\n  " in out
