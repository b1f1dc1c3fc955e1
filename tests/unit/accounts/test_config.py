"""The configuration file of accounts."""

import os
from pathlib import Path

import pytest

from losant_tokens import Owner, accounts
from losant_tokens.accounts import (
    Account,
    CommandToken,
    ConfigError,
    EnvironmentToken,
    FileToken,
    KeyringToken,
)
from losant_tokens.errors import ValidationError

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl"
ID = "575ec8687ae143cd83dc4a97"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.touch(0o600)
    monkeypatch.setenv("LOSANT_TOKENS_CONFIG", str(path))
    return path


def problems(file: Path, text: str) -> list[str]:
    """Return the mistakes that are reported for a file."""
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        accounts.load()
    assert caught.value.path == file
    return list(caught.value.mistakes) or [
        str(caught.value).removeprefix(f"The configuration {file}")
    ]


def test_all_settings(file: Path) -> None:
    """Each setting of an account is read, and the default account with them."""
    file.write_text(f"""
        default_account = "prod"
        [accounts.prod]
        url = "https://losant.example.com/api/"
        owners = ["oauth", "applications:{ID}", "instance:{ID}", "instances"]
        audit_logs = ["org:{ID}", "instance:{ID}"]
        token = {{ command = ["op", "read", "op://work/losant/token"] }}
        [accounts.env]
        token = {{ env = "LOSANT_TEST" }}
        [accounts.file]
        owners = "discover"
        token = {{ file = "~/token" }}
        [accounts.ring]
        token = {{ keyring = {{ service = "losant", username = "me" }} }}
    """)

    config = accounts.load()

    assert (list(config), len(config), config.default_account, config.path) == (
        ["prod", "env", "file", "ring"],
        4,
        "prod",
        file,
    )
    assert config["prod"] == Account(
        name="prod",
        base_url="https://losant.example.com/api",
        owners=(Owner.user_oauth(), Owner.instance(ID)),
        discover=(f"applications:{ID}", "instances"),
        audit_logs=(f"org:{ID}", f"instance:{ID}"),
        token=CommandToken(("op", "read", "op://work/losant/token")),
    )
    assert config["env"] == Account(name="env", token=EnvironmentToken("LOSANT_TEST"))
    assert config["env"].base_url == "https://api.losant.com"
    assert config["file"] == Account(
        name="file", token=FileToken("~/token"), discover=("applications", "instances")
    )
    assert config["ring"].token == KeyringToken("losant", "me")
    assert [str(account.token) for account in config.values()] == [
        "command op",
        "env LOSANT_TEST",
        "file ~/token",
        "keyring losant, me",
    ]


def test_all_mistakes_are_reported_at_once(file: Path) -> None:
    """Each of many mistakes in a file is reported with its place."""
    found = problems(
        file,
        f"""
        default_account = 1
        colour = "red"
        [accounts.prod]
        url = "ftp://x.example"
        owners = ["user", "aplication:1", "applications:1"]
        audit_logs = "org:1"
        tokn = 1
        [accounts.two]
        token = {{ env = "A", file = "b" }}
        audit_logs = ["org:{ID}", "device:{ID}"]
        [accounts.empty]
        token = {{ command = [] }}
        [accounts."../up"]
        token = {{ keyring = {{ service = "x" }} }}
        [accounts.word]
        token = {{ command = "op read" }}
        [accounts.number]
        token = 5
        url = 4
        [accounts.extra]
        token = {{ command = ["op", 5, ""], envv = "D" }}
        [accounts.name]
        token = {{ env = "NOT A NAME" }}
        [accounts.relative]
        token = {{ file = "token" }}
        """,
    )

    assert [(one.partition(": ")[0], one.partition(": ")[2][:36]) for one in found] == [
        ('accounts."../up"', "the name of an account has up to 63 "),
        ("accounts.prod.token", "is missing"),
        ("accounts.prod.url", "The base URL must start with https:/"),
        ("accounts.prod.owners[1]", "The owner must be user, oauth, appli"),
        ("accounts.prod.owners[2]", "The owners to discover must be appli"),
        ("accounts.prod.audit_logs", "must be a list, but it is a string"),
        ("accounts.prod.tokn", "there is no such setting. Did you me"),
        ("accounts.two.token", "must have one source, but it has 2: "),
        ("accounts.two.audit_logs[1]", "An audit log must be org:ID or insta"),
        ("accounts.empty.token", "must have a command with at least on"),
        ('accounts."../up".token.keyring.username', "is missing"),
        ("accounts.word.token.command", "must be a list, but it is a string"),
        ("accounts.number.token", "must say where the token comes from,"),
        ("accounts.number.url", "The base URL is not a URL such as ht"),
        ("accounts.extra.token.command[1]", "must be a string that is not empty"),
        ("accounts.extra.token.command[2]", "must be a string that is not empty"),
        ("accounts.extra.token.envv", "there is no such setting. Did you me"),
        ("accounts.name.token.env", "must be the name of an environment v"),
        ("accounts.relative.token.file", "must be an absolute path, or begin w"),
        ("default_account", "The name of an account must be up to"),
        ("colour", "there is no such setting. The settin"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'[accounts.a]\ntoken = "{JWT}"', "accounts.a.token: looks like a secret"),
        (f'[accounts.a]\ntoken = {{ env = "{JWT}" }}', "accounts.a.token.env: looks like a"),
        (
            f'[accounts.a]\ntoken = {{ command = ["curl", "-H", "X: {JWT}"] }}',
            "accounts.a.token.command[2]: looks like a secret",
        ),
        (
            '[accounts.a]\nurl = "https://me:hunter2hunter2@x.example"\ntoken = { env = "A" }',
            "accounts.a.url: looks like a secret",
        ),
        (f'[accounts.a]\nsecret = "{JWT}"\ntoken = {{ env = "A" }}', "accounts.a.secret: looks"),
        (f'[accounts.a]\n"{JWT}" = 1\ntoken = {{ env = "A" }}', "accounts.a: a name in it looks"),
        (f'["{JWT}"]', "the file: a name in it looks like a secret"),
        (f'[accounts."{JWT}"]\ntoken = 5', "accounts: a name in it looks like a secret"),
    ],
)
def test_a_secret_is_refused_and_not_shown(text: str, expected: str, file: Path) -> None:
    """A file that contains a secret is refused, and no message repeats it."""
    found = problems(file, text)

    assert found[0].startswith(expected)
    assert not any(part in "".join(found) for part in (*JWT.split("."), "hunter2"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("accounts = 5", "accounts: must be a table, but it is an integer"),
        ("[accounts]\nprod = []", "accounts.prod: must be a table, but it is a list"),
        (
            'default_account = "prd"\n[accounts.prod]\ntoken = { env = "A" }',
            "default_account: there is no account 'prd'. Did you mean prod?",
        ),
        ("a = 1979-05-27", "a: there is no such setting. The settings are accounts, default_"),
    ],
)
def test_one_mistake(text: str, expected: str, file: Path) -> None:
    """A mistake outside of the accounts is reported with its place, too."""
    (found,) = problems(file, text)
    assert found.startswith(expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"[accounts\nx", "is not valid TOML (at line 1, column 10)."),
        (b"\xff", "is not UTF-8."),
        (b"a = " + b"[" * 5000, "is not valid TOML: it is nested too deeply."),
        (b".".join([b"a"] * 5000) + b" = 1", "is nested too deeply."),
        (b"#" * (1 << 20) + b"#", "has more than 1,048,576 bytes."),
    ],
)
def test_a_file_that_is_not_a_configuration(data: bytes, expected: str, file: Path) -> None:
    """A file that cannot be parsed is refused with the place of the mistake."""
    file.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        accounts.load()
    assert str(caught.value) == f"The configuration file {file} {expected}"


def test_byte_order_mark(file: Path) -> None:
    """Editors on Windows start a file with a byte order mark, which is ignored."""
    file.write_text('[accounts.prod]\ntoken = {env = "A"}\n', encoding="utf-8-sig")
    assert list(accounts.load()) == ["prod"]


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_can_change_is_refused(mode: int, file: Path) -> None:
    """A file that another user can change is refused, because it can run commands."""
    file.chmod(mode)
    with pytest.raises(ConfigError, match="can be changed by other users"):
        accounts.load()


def test_the_file_of_another_user_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that belongs to another user than this one and root is refused."""
    if not file.stat().st_uid:
        os.chown(file, 12345, -1)
    else:  # pragma: no cover -- the tests may run as root or not
        monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    with pytest.raises(ConfigError, match="belongs to another user"):
        accounts.load()


def test_a_missing_file(tmp_path: Path) -> None:
    """A file that does not exist, and a folder, are reported with their path."""
    with pytest.raises(ConfigError, match=r"/no cannot be read: No such file"):
        accounts.load(tmp_path / "no")
    with pytest.raises(ConfigError, match="cannot be read: it is a folder"):
        accounts.load(tmp_path)


def test_unknown_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path in a home folder that is unknown is an error, as is a path that cannot exist."""
    for path in ("~no-such-user/config.toml", "a\0b"):
        with pytest.raises(ConfigError, match="cannot be read: it"):
            accounts.load(path)
    monkeypatch.delenv("LOSANT_TOKENS_CONFIG", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(ConfigError, match="its home folder is unknown"):
        accounts.config_path()


def test_find(file: Path) -> None:
    """An account is found by its name; a wrong name is reported with a suggestion."""
    file.write_text('[accounts.prod]\ntoken = { env = "A" }')

    assert accounts.find("prod").name == "prod"
    with pytest.raises(ConfigError, match=r"no account 'prdo'.* Did you mean prod\? It has prod\."):
        accounts.find("prdo")
    with pytest.raises(ValidationError, match="must be up to 63 letters"):
        accounts.find("../prod")
    file.write_text("")
    with pytest.raises(ConfigError, match=r"It has no account\."):
        accounts.find("x")


def test_config_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable of the file wins over the folder of the XDG specification, then the default."""
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("LOSANT_TOKENS_CONFIG", "~/own.toml")
    assert accounts.config_path() == Path("/home/me/own.toml")
    monkeypatch.delenv("LOSANT_TOKENS_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/xdg")
    assert accounts.config_path() == Path("/xdg/losant-tokens/config.toml")
    for relative in ("xdg", ""):
        monkeypatch.setenv("XDG_CONFIG_HOME", relative)
        assert accounts.config_path() == Path("/home/me/.config/losant-tokens/config.toml")
