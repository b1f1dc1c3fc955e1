"""Accounts: tokens from commands, and the client for an account."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from losant_tokens import AsyncClient, Secret, accounts
from losant_tokens.accounts import (
    Account,
    CommandToken,
    EnvironmentToken,
    FileToken,
    TokenUnavailable,
)
from losant_tokens.errors import ClientStateError, LosantError, ValidationError
from losant_tokens.testing import FakeLosant
from tests.integration.test_secrets_in_tracebacks import BEARER, held

pytestmark = pytest.mark.process


def shell(script: str) -> CommandToken:
    return CommandToken(["sh", "-c", script])


async def test_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command gets no input, no API token of the environment, and the other variables."""
    monkeypatch.setenv("LOSANT_API_TOKEN", "other")
    monkeypatch.setenv("OP_SESSION", "hunter2")
    token = await shell('cat; echo "$OP_SESSION$LOSANT_API_TOKEN"').read()
    assert token == Secret("hunter2")


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("exit 3", "The command sh failed with exit code 3."),
        (
            "echo hunter2hunter2; echo not signed in: hunter2hunter2 >&2; exit 1",
            "The command sh failed with exit code 1. It wrote: not signed in: ****",
        ),
        (
            "echo hunter2hunter2; echo hunter2hunter2 | base64 >&2; exit 1",
            "The command sh failed with exit code 1. It wrote: ****",
        ),
        ("true", "The command sh ended, but its output is empty."),
        ("echo a; echo b", "The command sh ended, but its output has several lines, and a token"),
        ("yes", "The command sh was killed, because it wrote more than 65,536 bytes."),
        (
            "yes >&2",
            "The command sh was killed, because it wrote more than 65,536 bytes. It wrote: ...",
        ),
        ("kill -15 $$", "The command sh was ended by signal 15."),
    ],
)
async def test_command_without_a_token(script: str, problem: str) -> None:
    """A command that fails or writes anything else is an error, which shows no secret."""
    with pytest.raises(TokenUnavailable) as caught:
        await shell(script).read()
    assert str(caught.value).startswith(problem)
    assert "hunter2" not in str(caught.value)


async def test_command_that_does_not_exist() -> None:
    """A program that is not installed is reported with its name."""
    with pytest.raises(TokenUnavailable, match="The command no-such-program cannot be started: No"):
        await CommandToken(("no-such-program",)).read()


async def test_command_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that takes too long is killed."""
    monkeypatch.setattr("losant_tokens.accounts._token_sources._COMMAND_TIMEOUT", 0.01)
    with pytest.raises(TokenUnavailable, match=r"did not end within 0\.01 seconds, so it was"):
        await CommandToken(("sleep", "60")).read()


async def test_cancellation_kills_the_command(tmp_path: Path) -> None:
    """A task that is cancelled does not wait for the command, and the command does not go on."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    task = asyncio.create_task(shell(f"echo $$ > {pipe}; exec sleep 60").read())
    with anyio.fail_after(10):
        pid = await anyio.Path(pipe).read_text()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


async def test_client_for_an_account(
    fake: FakeLosant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client for an account uses the token and the URL of the account, whatever is set."""
    other = FakeLosant()
    with fake.serve() as base_url, other.serve() as other_url:
        config = tmp_path / "config.toml"
        config.touch(0o600)
        config.write_text(f'[accounts.prod]\nurl = "{base_url}"\ntoken = {{ env = "LOSANT_TEST" }}')
        monkeypatch.setenv("LOSANT_TEST", fake.admin_token)
        monkeypatch.setenv("LOSANT_API_TOKEN", other.admin_token)
        monkeypatch.setenv("LOSANT_API_URL", other_url)

        async with AsyncClient.for_account("prod", config=config, timeout=5) as client:
            await client.user_api_tokens.get()
        account = Account(name="prod", base_url=base_url, token=EnvironmentToken("LOSANT_TEST"))
        async with AsyncClient.for_account(account) as client:
            assert client.base_url == base_url

        assert (len(fake.requests), len(other.requests)) == (1, 0)


async def test_a_rotated_token_of_an_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If the API refuses the token of an account, it is read again, with the given scopes."""
    fake = FakeLosant()
    fake = FakeLosant()
    account = Account(
        name="prod", base_url="https://fake.example", token=EnvironmentToken("LOSANT_TEST")
    )
    monkeypatch.setenv("LOSANT_TEST", "rotated")
    opening = AsyncClient.for_account(account, transport=fake.transport(), scopes=["all.User"])
    async with opening as client:
        assert client.uses_secret(Secret("rotated"))
        monkeypatch.setenv("LOSANT_TEST", fake.admin_token)
        await client.user_api_tokens.get()
        assert client.scopes == frozenset({"all.User"})
        assert client.uses_secret(Secret(fake.admin_token))


async def test_an_account_without_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token of an account without a URL is for the public API, not for LOSANT_API_URL."""
    monkeypatch.setenv("LOSANT_TEST", "x")
    monkeypatch.setenv("LOSANT_API_URL", "https://elsewhere.example.com")
    account = Account(name="prod", token=EnvironmentToken("LOSANT_TEST"))

    async with AsyncClient.for_account(account) as client:
        assert client.base_url == "https://api.losant.com"


async def test_open_without_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of an account can be opened without a block, once."""
    monkeypatch.setenv("LOSANT_TEST", "x")
    unopened = AsyncClient.for_account(Account(name="prod", token=EnvironmentToken("LOSANT_TEST")))

    client = await unopened.open()
    assert client.is_open
    with pytest.raises(ClientStateError, match="was opened before"):
        await unopened.open()
    await client.aclose()


async def test_reading_a_token_does_not_block() -> None:
    """Other tasks run while a command writes the token: here one that lets the command end."""
    async with anyio.NamedTemporaryFile(suffix=".fifo") as file:
        path = f"{file.name}.pipe"
        os.mkfifo(path)
        account = Account(name="prod", token=CommandToken(("cat", path)))

        async with anyio.create_task_group() as group:
            group.start_soon(anyio.Path(path).write_text, "hunter2\n")
            with anyio.fail_after(10):
                assert await account.read_token() == Secret("hunter2")


def test_token_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client reads the file that the environment names, and refuses two tokens."""
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text("hunter2\n")
    monkeypatch.delenv("LOSANT_API_TOKEN", raising=False)
    monkeypatch.setenv("LOSANT_API_TOKEN_FILE", str(file))

    assert "unknown scopes" in repr(AsyncClient())
    monkeypatch.setenv("LOSANT_API_TOKEN", "x")
    with pytest.raises(ValidationError, match="are both set"):
        AsyncClient()
    AsyncClient("y")  # An argument wins over the environment.
    monkeypatch.delenv("LOSANT_API_TOKEN")
    file.chmod(0o644)
    with pytest.raises(TokenUnavailable, match="its mode is 0644"):
        AsyncClient()


# --- Tracebacks ------------------------------------------------------------------------------


def _file(path: Path, text: str) -> str:
    path.touch(0o600)
    path.write_text(text)
    return str(path)


async def _failing_client(path: Path) -> None:
    account = Account(name="prod", token=EnvironmentToken("LOSANT_TEST"))
    async with AsyncClient.for_account(account, timeout=-1):
        pass


# A shell removes the quotes, so the secret is in the output and not in the arguments.
WRITTEN = BEARER.replace("-", "''-")
FAILURES: dict[str, Callable[[Path], Awaitable[object]]] = {
    "a command that fails": lambda _: shell(f"echo {WRITTEN}; exit 1").read(),
    "a command that writes too much": lambda _: shell(f"yes {WRITTEN}").read(),
    "a command that repeats it": lambda _: shell(
        f"echo {WRITTEN}; echo {WRITTEN} >&2; false"
    ).read(),
    "a file with more": lambda path: FileToken(_file(path, f"{BEARER}\n{BEARER}\n")).read(),
    "a client with a wrong setting": _failing_client,
    "a configuration file": lambda path: to_thread.run_sync(
        accounts.load, _file(path, f'[accounts.a]\ntoken = "{BEARER}"\nx = {{ y = "{BEARER}" }}')
    ),
    "a file that is not TOML": lambda path: to_thread.run_sync(
        accounts.load, _file(path, f'token = "{BEARER}')
    ),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_no_traceback_holds_a_secret(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However a token cannot be used, the error and its traceback do not hold it."""
    monkeypatch.setenv("LOSANT_TEST", BEARER)
    with pytest.raises(LosantError) as caught:
        await FAILURES[name](tmp_path / "file")

    assert held(caught.value) == []
    assert BEARER not in str(caught.value)
