"""Accounts in the command: `--account`, `--config` and the token file."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest

from losant_tokens import Secret, accounts
from losant_tokens.cli._connections.account_tokens import token_memory, tokens_in_memory
from losant_tokens.cli._connections.chosen_accounts import (
    account_name,
    account_of,
    selected_connections,
)
from losant_tokens.cli._connections.clients import api_url, credentials, open_client
from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._logs.command_log import without_token
from losant_tokens.cli._options.common import AccountsOptions, ConnectionOptions
from losant_tokens.testing import FakeLosant
from tests.support.command import Command

ID = "575ecdf07ae143cd83dc4a9a"


@pytest.fixture
def other() -> FakeLosant:
    fake = FakeLosant()
    fake.add_token("staging-token")
    return fake


@pytest.fixture
def config(
    service: str, other: FakeLosant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Name the served fake `prod`, and another one `staging`; the environment has neither."""
    path = tmp_path / "config.toml"
    path.touch(0o600)
    with other.serve() as other_url:
        path.write_text(
            f'[accounts.prod]\nurl = "{service}"\ntoken = {{ env = "PROD" }}\n'
            f'[accounts.staging]\nurl = "{other_url}"\ntoken = {{ env = "STAGING" }}\n'
        )
        for name in ("LOSANT_API_TOKEN", "LOSANT_API_URL"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("STAGING", other.admin_token)
        monkeypatch.setenv("LOSANT_TOKENS_CONFIG", str(path))
        yield path


@pytest.fixture
def prod(fake: FakeLosant, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PROD", fake.admin_token)
    return fake.admin_token


def test_account(
    command: Command,
    config: Path,
    prod: str,
    fake: FakeLosant,
    other: FakeLosant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A command uses the token and the URL of the account, even if the environment has others."""
    monkeypatch.setenv("LOSANT_API_TOKEN", prod)
    monkeypatch.setenv("LOSANT_API_URL", "http://127.0.0.1:9")

    code, out, err = command("list", "--account", "staging", "--columns", "name")

    assert (code, "staging-token\n" in out, err) == (0, True, "")
    assert len(fake.requests) == 0 < len(other.requests)


def test_default_account(
    command: Command, config: Path, service: str, prod: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default account is used if the environment has no token, and only then."""
    config.write_text(f'default_account = "staging"\n{config.read_text()}')
    assert "staging-token" in command("list", "--columns", "name")[1]
    _, _, err = command("plan", "--named", "staging-*", "--json")
    assert "Using the default account staging at http://" in err

    monkeypatch.setenv("LOSANT_API_URL", service)
    monkeypatch.setenv("LOSANT_API_TOKEN", prod)
    assert "staging-token" not in command("list", "--columns", "name")[1]


def test_no_default_account(command: Command, config: Path) -> None:
    """Without a token, the accounts to choose from are named."""
    code, out, err = command("list")
    assert (code, out, err.splitlines()) == (
        1,
        "",
        [
            "losant-tokens: error: no API token: LOSANT_API_TOKEN is not set",
            "hint: pass --account ACCOUNT: prod, staging",
        ],
    )


def test_the_suggested_command_repeats_the_account(
    command: Command, config: Path, prod: str, fake: FakeLosant, tmp_path: Path
) -> None:
    """The command that a plan suggests has the account and the file, and the plan belongs to it."""
    fake.add_token("ci-1")
    plan = str(tmp_path / "plan.jsonl")
    options = ("--account", "prod", "--config", str(config))

    code, _, err = command("plan", "--named", "ci-*", "--out", plan, "--allow-majority", *options)
    assert (code, f"apply {plan} {' '.join(options)}\n" in err) == (0, True)
    code, _, err = command("apply", plan, "--yes", "--account", "staging")
    assert (code, "--account" in err) == (4, True)
    assert command("apply", plan, "--yes", *options)[0] == 0


def test_mistakes_in_the_file(command: Command, config: Path) -> None:
    """Each mistake is one line below the error, and no request is sent."""
    config.write_text('colour = 1\n[accounts.prod]\nurl = "x"\nowners = ["application:1"]\n')

    code, out, err = command("list", "--account", "prod")
    problem = "the ID of an owner must be 24 hexadecimal digits"
    assert (code, out, err.splitlines()) == (
        1,
        "",
        [
            f"losant-tokens: error: The configuration file {config} has 4 mistakes",
            "accounts.prod.token: is missing",
            "accounts.prod.url: The base URL must start with https://, but it is 'x'",
            f"accounts.prod.owners[0]: {problem}, but it is '1'",
            "colour: there is no such setting. The settings are accounts, default_account.",
        ],
    )


def test_a_token_that_cannot_be_read(command: Command, config: Path) -> None:
    """A missing token is reported with the account and its place."""
    problem = "No token for the account prod. The environment variable PROD is not set."
    expected = (1, "", f"losant-tokens: error: {problem}\n")
    assert command("list", "--account", "prod") == expected


def test_a_token_is_read_once(
    command: Command, config: Path, prod: str, service: str, tmp_path: Path, fake: FakeLosant
) -> None:
    """A clean-up opens several clients, but runs the command of the account once."""
    fake.add_token("ci-1")
    script = f'echo x >> {tmp_path}/runs; echo "$PROD"'
    config.write_text(
        f'[accounts.prod]\nurl = "{service}"\ntoken = {{ command = ["sh", "-c", {script!r}] }}\n'
    )
    code, _, err = command(
        *("cleanup", "--named", "ci-*", "--yes", "--allow-majority", "--account", "prod")
    )
    assert (code, (tmp_path / "runs").read_text(), err.count(prod)) == (0, "x\n", 0)


def test_the_log_has_no_token(config: Path) -> None:
    """The token of an account is replaced in lines of the log."""
    with token_memory():
        tokens_in_memory()[accounts.find("prod")] = Secret("hunter2hunter2")
        assert without_token("GET /hunter2hunter2") == "GET /[token of prod]"


def test_quarantines_of_an_account(command: Command, config: Path, prod: str) -> None:
    """The list of quarantines works with an account, and without any token."""
    assert command("quarantine", "list", "--account", "prod")[0] == 0
    assert command("quarantine", "list", "--offline")[0] == 0


def test_token_file(
    command: Command,
    config: Path,
    service: str,
    tmp_path: Path,
    prod: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The environment names a file with the token, or has the token itself, but not both."""
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text(prod)
    monkeypatch.setenv("LOSANT_API_URL", service)
    monkeypatch.setenv("LOSANT_API_TOKEN_FILE", str(file))

    assert command("list", "--quiet")[0] == 0
    monkeypatch.setenv("LOSANT_API_TOKEN", prod)
    code, _, err = command("list")
    assert (code, "are both set" in err) == (2, True)


# --- Several accounts ------------------------------------------------------------------------


def names(**options: object) -> list[str]:
    connections = selected_connections(AccountsOptions(**options))  # type: ignore[arg-type]
    return [account_name(one) for one in connections]


def test_selected_accounts(config: Path, prod: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts are selected by name, all together, or by the environment and the default."""
    assert names(account=("staging", "prod", "staging")) == ["staging", "prod"]
    assert names(all_accounts=True, config=config) == ["prod", "staging"]
    monkeypatch.setenv("LOSANT_API_TOKEN", prod)
    assert names() == ["environment"]
    (connection,) = selected_connections(AccountsOptions(timeout=3))
    assert (connection.timeout, account_of(connection)) == (3, None)
    monkeypatch.delenv("LOSANT_API_TOKEN")
    config.write_text(f'default_account = "staging"\n{config.read_text()}')
    (connection,) = selected_connections(AccountsOptions())
    assert account_of(connection) == accounts.find("staging")


def test_contradicting_selections(config: Path) -> None:
    """Named accounts and all accounts contradict each other, and all of none is an error."""
    with pytest.raises(UsageError, match="cannot be combined"):
        names(account=("prod",), all_accounts=True)
    with pytest.raises(accounts.ConfigError, match="Did you mean prod"):
        names(account=("prd",))
    config.write_text("")
    with pytest.raises(UsageError, match=r"config\.toml has no account"):
        names(all_accounts=True)


# --- account list, account check, whoami -----------------------------------------------------


def test_account_list(command: Command, config: Path, service: str) -> None:
    """The list has the settings of each account and no token, and sends no request."""
    config.write_text(
        'default_account = "prod"\n'
        f'{config.read_text()}owners = ["user", "instances"]\naudit_logs = ["org:{ID}"]\n'
    )
    code, out, err = command("account", "list")
    rows = [line.split() for line in out.splitlines()]
    assert (code, err, rows[0]) == (0, "", ["ACCOUNT", "URL", "OWNERS", "TOKEN"])
    assert rows[1] == ["prod", "(default)", service, "user", "env", "PROD"]
    assert rows[2][2:] == ["user,", "instances", "env", "STAGING"]

    found = json.loads(command("account", "list", "--json", "--config", str(config))[1])
    assert found[1] == {
        "name": "staging",
        "url": found[1]["url"],
        "owners": ["user", "instances"],
        "auditLogs": [f"org:{ID}"],
        "token": "env STAGING",
        "default": False,
    }


def test_account_list_of_an_empty_file(command: Command, config: Path) -> None:
    """A file without accounts is reported."""
    config.write_text("")
    assert command("account", "list") == (0, "", f"There are no accounts in {config}.\n")


def test_account_check(command: Command, config: Path) -> None:
    """Each account is checked. The exit code is 3 if some checks fail, and 1 if all do."""
    assert command("account", "check", "--account", "prod")[0] == 1
    code, out, err = command("account", "check")
    assert (code, err) == (3, "")
    rows = [line.split() for line in out.splitlines()]
    assert [row[:3] for row in rows[1:]] == [
        ["prod", "failed", "unknown"],
        ["staging", "ok", "unknown"],
    ]
    assert "PROD is not set" in out

    code, out, _ = command("account", "check", "--account", "staging", "--json")
    assert (code, [one["state"] for one in json.loads(out)]) == (0, ["ok"])


def test_quiet_account_check(command: Command, config: Path) -> None:
    """With --quiet, cron sends mail only about the accounts that fail."""
    assert command("account", "check", "--account", "staging", "--quiet") == (0, "", "")
    code, out, err = command("account", "check", "--quiet")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "WARNING: prod: No token for the account prod." in err


@pytest.mark.parametrize("name", ["account check", "whoami"])
def test_an_account_as_an_argument(command: Command, name: str) -> None:
    """A name of an account without its option gets the command with it."""
    code, _, err = command(*name.split(), "prod")
    assert (code, err.splitlines()[-1]) == (
        2,
        f"hint: to choose an account: losant-tokens {name} --account prod",
    )


@pytest.mark.parametrize(
    ("scopes", "lines"),
    [
        (
            ["all.User.read"],
            [
                "Scopes: all.User.read",
                "Creates tokens: no",
                "Check: ok: accepted: it lists the tokens of user",
            ],
        ),
        (
            ["device.get", "all.Device"],
            [
                (
                    "Check: not checked: its scopes allow no list of tokens; --scope-check off "
                    "asks the API anyway"
                )
            ],
        ),
    ],
)
def test_whoami(
    scopes: list[str],
    lines: list[str],
    command: Command,
    config: Path,
    fake: FakeLosant,
    service: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The token in use is described: its place, scopes, expiry, and whether the API accepts it."""
    expires_at = datetime.now(UTC) + timedelta(days=9, hours=1)
    token = fake.add_token("mine", scope=scopes, expiration_date=expires_at)
    monkeypatch.setenv("PROD", token.secret)

    code, out, err = command("whoami", "--account", "prod")

    shown = [" ".join(line.split()) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert shown[:3] == ["Account: prod", f"URL: {service}", "Token: env PROD"]
    assert set(lines) <= set(shown)
    assert "(in 9 days)" in out


def test_whoami_without_an_account(
    command: Command,
    config: Path,
    service: str,
    prod: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The token of the environment is described as well, with the variable that it comes from."""
    monkeypatch.setenv("LOSANT_API_URL", service)
    monkeypatch.setenv("LOSANT_API_TOKEN", prod)
    found = json.loads(command("whoami", "--json")[1])
    assert (found["account"], found["token"]) == ("environment", "env LOSANT_API_TOKEN")
    assert (found["scopes"], found["canCreateTokens"]) == (["all.User"], True)

    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text("opaque")
    monkeypatch.delenv("LOSANT_API_TOKEN")
    monkeypatch.setenv("LOSANT_API_TOKEN_FILE", str(file))
    code, out, _ = command("whoami")
    assert (code, "env LOSANT_API_TOKEN_FILE" in out, "401" in out) == (1, True, True)
    assert "unknown: the token does not name them" in out


def test_whoami_of_several_accounts(command: Command, config: Path, prod: str) -> None:
    """Several accounts are a list in JSON."""
    found = json.loads(command("whoami", "--all-accounts", "--json")[1])
    assert [one["account"] for one in found] == ["prod", "staging"]


def test_whoami_fits_a_terminal(
    command: Command, config: Path, terminal: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a narrow terminal, the values are broken between words; unknown scopes are named."""
    claims = {"scope": ["all.Galaxy", "device.rotate"], "userId": ID}
    monkeypatch.setenv("STAGING", jwt.encode(claims, "k" * 32, "HS256"))
    terminal(columns=60)
    monkeypatch.setenv("NO_COLOR", "1")

    _, out, _ = command("whoami", "--account", "staging")
    assert max(map(len, out.splitlines())) <= 60
    text = " ".join(out.split())
    assert f"User: userId {ID} Scopes: all.Galaxy device.rotate This version does not know" in text
    assert "2 scopes of them: all.Galaxy, device.rotate" in text


# --- Commands without a token ----------------------------------------------------------------


def test_no_token_is_required_offline(config: Path) -> None:
    """A command that sends nothing works without a token, and uses the public URL."""
    assert credentials(ConnectionOptions(), required=False) == {}
    assert api_url() == "https://api.losant.com"
    assert api_url(ConnectionOptions(account="prod")) == accounts.find("prod").base_url


async def test_a_client_for_a_token_in_memory(config: Path) -> None:
    """In an event loop, a token that was read before is not read again."""
    with token_memory():
        tokens_in_memory()[accounts.find("prod")] = Secret("hunter2")
        async with open_client(ConnectionOptions(account="prod")) as client:
            assert client.base_url == accounts.find("prod").base_url


@pytest.fixture
def discovering(config: Path, prod: str, service: str, fake: FakeLosant) -> str:
    """Let the owners of `prod` be discovered: one is an application, whose token expires soon."""
    config.write_text(
        f'[accounts.prod]\nurl = "{service}"\nowners = "discover"\ntoken = {{ env = "PROD" }}\n'
    )
    soon = datetime.now(UTC) + timedelta(days=2)
    fake.add_token("gateway", owner=f"application:{ID}", expiration_date=soon)
    return f"application:{ID}"


# --- list ------------------------------------------------------------------------------------


def rows(out: str) -> list[list[str]]:
    return [line.split("\t") for line in out.splitlines()]


def test_list_of_several_accounts(
    command: Command, config: Path, prod: str, fake: FakeLosant
) -> None:
    """The tokens of several accounts are one list, sorted and limited as one."""
    for name in ("alpha", "zeta"):
        fake.add_token(name)
    options = ("--all-accounts", "--sort", "name", "--limit", "2")

    code, out, err = command("list", *options, "--columns", "account,name")
    assert (code, out, err) == (0, "prod\talpha\nstaging\tstaging-token\n", "")
    assert [row[0] for row in rows(command("list", *options)[1])] == ["prod", "staging"]
    found = json.loads(command("list", *options, "--json", "name")[1])
    assert found == [{"name": "alpha"}, {"name": "staging-token"}]
    found = json.loads(command("list", "--account", "prod", "--account", "staging", "--json")[1])
    assert [one["account"] for one in found] == ["prod", "prod", "staging"]
    header = command("list", "--all-accounts", "--csv")[1].splitlines()[0]
    assert "account" in header.split(",")
    header = command("list", "--account", "prod", "--csv")[1].splitlines()[0]
    assert "account" not in header.split(",")


def test_list_uses_the_owners_of_the_account(
    command: Command, discovering: str, fake: FakeLosant
) -> None:
    """Without --owner, the owners of the account are listed, discovered ones included."""
    fake.add_token("mine")
    assert rows(command("list", "--account", "prod", "--columns", "owner,name")[1]) == [
        ["user", "mine"],
        [discovering, "gateway"],
    ]
    code, out, _ = command("list", "--account", "prod", "--owner", "user", "--columns", "name")
    assert (code, out) == (0, "mine\n")


def test_list_with_an_account_that_fails(command: Command, config: Path) -> None:
    """An account that fails is reported, and the others are listed; the exit code is 3."""
    code, out, err = command("list", "--all-accounts", "--columns", "name")
    assert (code, out) == (3, "staging-token\n")
    assert "error: prod: No token for the account prod" in err
    code, out, err = command("list", "--all-accounts", "--named", "nope")
    assert (code, "No tokens of user match" in err) == (3, True)

    text = config.read_text().replace("STAGING", "NONE")
    config.write_text(text)
    code, out, err = command("list", "--all-accounts")
    assert (code, out, err.count("error:")) == (1, "", 1)


# --- Discovery -------------------------------------------------------------------------------


def test_commands_discover_owners(command: Command, discovering: str, tmp_path: Path) -> None:
    """An audit and the notices include the tokens of an application that the API lists."""
    code, out, _ = command("audit", "--account", "prod", "--json")
    assert (code, discovering in out) == (0, True)
    code, out, err = command(
        "notify", "--account", "prod", "--expires-within", "30d", "--to-command", "cat", "--dry-run"
    )
    assert (code, "gateway" in out + err) == (0, True)


def test_owners_that_cannot_be_discovered(
    command: Command, discovering: str, fake: FakeLosant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that the token may not read is a warning and exit code 3: tokens may be missing."""
    monkeypatch.setenv("PROD", fake.access_token(["userApiTokens.get"]))
    code, _, err = command(
        "notify", "--account", "prod", "--expires-within", "30d", "--to-command", "cat", "--dry-run"
    )
    assert code == 3
    assert command("list", "--account", "prod")[0] == 3
    for name in ("applications", "instances"):
        assert f"prod: tokens may be missing, because the list of {name} is not complete" in err


def test_quarantine_suggests_commands_for_the_account(
    command: Command, config: Path, prod: str, fake: FakeLosant
) -> None:
    """The commands that a quarantine suggests repeat the account."""
    fake.add_token("ci-1")
    options = ("--named", "ci-*", "--yes", "--allow-majority", "--account", "prod")
    code, _, err = command("quarantine", *options)

    assert (code, "losant-tokens restore --account prod " in err) == (0, True)
    assert "losant-tokens sweep --account prod --due" in err


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (403, {"type": "Forbidden", "message": "no"}, (0, "accepted, but it cannot list")),
        (404, {"type": "NotFound", "message": "no"}, (0, "accepted, but it cannot list")),
        (403, "<html>", (1, "403")),
    ],
)
def test_a_refusal_of_the_api_proves_that_the_token_works(
    status: int,
    body: object,
    expected: tuple[int, str],
    command: Command,
    config: Path,
    prod: str,
    fake: FakeLosant,
) -> None:
    """The API checks the token first, so its 403 proves that it works; that of a proxy does not."""
    fake.fail(status=status, body=body)
    code, out, _ = command("account", "check", "--account", "prod")
    assert (code, expected[1] in out) == (expected[0], True)


def test_expiry_in_the_table(
    command: Command, config: Path, fake: FakeLosant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table of checks shows when a token expires."""
    expires_at = datetime.now(UTC) + timedelta(days=40, hours=1)
    token = fake.add_token("mine", scope=["all.User"], expiration_date=expires_at)
    monkeypatch.setenv("PROD", token.secret)
    assert "in 1 month" in command("account", "check", "--account", "prod")[1]


def test_discovered_owners_that_refuse_their_list(
    command: Command, discovering: str, fake: FakeLosant
) -> None:
    """A discovered application whose tokens the user may not list is exit code 3; --owner fails."""
    fake.add_token("mine")
    fake.fail(status=403, path="/applications/*", times=None)
    code, out, err = command("list", "--account", "prod", "--columns", "name")
    assert (code, out, f"the tokens of {discovering} are missing" in err) == (3, "mine\n", True)
    assert command("list", "--account", "prod", "--owner", discovering)[0] == 1

    options = ("--account", "prod", "--expires-within", "30d", "--to-command", "cat", "--dry-run")
    code, _, err = command("notify", *options)
    assert (code, f"the tokens of {discovering} are missing" in err) == (3, True)
    assert command("notify", *options, "--owner", discovering)[0] == 1


def test_missing_configuration_file(command: Command, tmp_path: Path) -> None:
    """The hint about a file that is missing says where an example of it is."""
    _, _, err = command("account", "list", "--config", str(tmp_path / "no.toml"))
    assert "no.toml cannot be read: No such file or directory.\n" in err
    assert err.endswith(
        "hint: for an example of this file, see losant-tokens account list --help\n"
    )
