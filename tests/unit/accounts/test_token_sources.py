"""The places of a token that need no process."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from losant_tokens import Secret
from losant_tokens.accounts import (
    Account,
    EnvironmentToken,
    FileToken,
    KeyringToken,
    TokenUnavailable,
    read_token_file,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text("hunter2\n")
    return path


async def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token comes from its variable; the error for a missing one names account and variable."""
    account = Account(name="prod", token=EnvironmentToken("LOSANT_TEST"))
    monkeypatch.setenv("LOSANT_TEST", "hunter2")
    assert await account.read_token() == Secret("hunter2")

    monkeypatch.setenv("LOSANT_TEST", "")
    with pytest.raises(TokenUnavailable) as caught:
        await account.read_token()
    assert str(caught.value) == (
        "No token for the account prod. The environment variable LOSANT_TEST is not set."
    )


async def test_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private file is read without its last line break, also through a symbolic link."""
    link = file.with_name("link")
    link.symlink_to(file)
    monkeypatch.setenv("HOME", str(file.parent))

    assert await FileToken(str(file)).read() == Secret("hunter2")
    assert await FileToken("~/link").read() == Secret("hunter2")


def test_line_break_of_windows(file: Path) -> None:
    """A line break of two characters is removed as well."""
    file.write_text("hunter2\r\n")
    assert read_token_file(file) == Secret("hunter2")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\n", "is empty"),
        (b"a\nb\n", "has several lines, and a token has one"),
        (b"hunter2 x", "has a character that no token has"),
        (b"\xff", "has a character that no token has"),
        (b"x" * 65537, "has more than 65,536 bytes"),
    ],
)
def test_file_without_a_token(data: bytes, problem: str, file: Path) -> None:
    """A file with anything else than one token is refused, and its content is not shown."""
    file.write_bytes(data)
    with pytest.raises(TokenUnavailable) as caught:
        read_token_file(file)
    assert str(caught.value).startswith(f"The token file {file} {problem}")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o601, 0o660])
def test_file_that_others_can_use(mode: int, file: Path) -> None:
    """A file that other users can read, write or run is refused, also behind a private link."""
    link = file.with_name("link")
    link.symlink_to(file)
    file.chmod(mode)
    for path in (file, link):
        with pytest.raises(TokenUnavailable, match=f"its mode is {mode:04o}. Run chmod 600"):
            read_token_file(path)


def test_unusable_files(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file, a folder, a named pipe and the file of another user are refused."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, problem in (
        (tmp_path / "no", "No such file"),
        (tmp_path, "it is a folder"),
        (pipe, "it is a named pipe"),
        ("~no-such-user/token", "its home folder is unknown"),
    ):
        with pytest.raises(TokenUnavailable, match=problem):
            read_token_file(path)

    foreign = os.stat_result((0o100600, 1, 1, 1, 12345, 12345, 5, 0, 0, 0))
    monkeypatch.setattr("losant_tokens.accounts._token_file.os.fstat", lambda _: foreign)
    with pytest.raises(TokenUnavailable, match="belongs to another user"):
        read_token_file(file)


def test_file_that_fails(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error while a file is read is reported with its reason."""

    def fail(_: int) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("losant_tokens.accounts._token_file.os.dup", fail)
    with pytest.raises(TokenUnavailable, match="cannot be read: Input/output error"):
        read_token_file(file)


class Locked(Exception):  # noqa: N818
    """The error of a backend."""


def keyring(value: object) -> SimpleNamespace:
    def get_password(service: str, username: str) -> object:
        assert (service, username) == ("losant", "me")
        if isinstance(value, Exception):
            raise value
        return value

    return SimpleNamespace(get_password=get_password)


async def test_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token comes from the entry of the keyring."""
    monkeypatch.setitem(sys.modules, "keyring", keyring("hunter2"))
    assert await KeyringToken("losant", "me").read() == Secret("hunter2")


@pytest.mark.parametrize(
    ("module", "problem"),
    [
        (None, r"Run pip install 'losant-tokens\[keyring\]'"),
        (keyring(None), "'losant' and the user name 'me' does not exist"),
        (keyring(Locked("hunter2")), "cannot be read: Locked"),
        (keyring("hunter2\nx"), "has several lines"),
    ],
)
async def test_keyring_without_a_token(
    module: SimpleNamespace | None, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing package, a missing entry and an error are reported without a secret."""
    monkeypatch.setitem(sys.modules, "keyring", module)
    with pytest.raises(TokenUnavailable, match=problem) as caught:
        await KeyringToken("losant", "me").read()
    assert "hunter2" not in str(caught.value)
