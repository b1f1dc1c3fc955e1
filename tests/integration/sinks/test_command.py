"""`CommandSink`: the standard input of a command."""

import fcntl
import os
import re
import signal
import termios
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from losant_tokens import Secret
from losant_tokens.errors import ValidationError
from losant_tokens.sinks import CommandSink, Message, SinkError, TokenSecret
from losant_tokens.sinks._command import environment
from tests.support.traceback_secrets import frames_that_hold

pytestmark = pytest.mark.process

SECRET = "a-secret-of-some-length"
DELIVERY = TokenSecret(secret=SECRET, token_id="575ec7417ae143cd83dc4a95", name="ci $(id)")

Run = Callable[..., Any]


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine function in one of the two event loops."""
    return partial(anyio.run, backend=request.param)


def shell(script: str, **settings: Any) -> CommandSink:
    """Return a sink that runs a shell script."""
    return CommandSink(["sh", "-c", script], **settings)


def failure(sink: CommandSink, delivery: TokenSecret | Message = DELIVERY) -> SinkError:
    """Return the error of a delivery that fails, after a look for the secret in its traceback."""
    with pytest.raises(SinkError) as caught:
        anyio.run(sink.deliver, delivery)
    assert not frames_that_hold(caught.value, SECRET)
    return caught.value


def test_standard_input(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command reads the secret, and its environment describes the token without a secret."""
    monkeypatch.setenv("LOSANT_API_TOKEN", "the-token-in-use")
    monkeypatch.setenv("COPY", "Bearer the-token-in-use")
    monkeypatch.setenv("OTHER", "another-token")
    monkeypatch.chdir(tmp_path)
    sink = shell("cat > secret; env > environ", secrets=["another-token"])

    run(sink.deliver, DELIVERY)

    assert (tmp_path / "secret").read_text() == SECRET
    environ = (tmp_path / "environ").read_text()
    assert "LOSANT_TOKEN_NAME=ci $(id)\n" in environ
    assert not [word for word in (SECRET, "token-in-use", "another-token") if word in environ]


def test_killed_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this process is killed when the command starts, the command has the whole secret."""
    held: list[int] = []

    async def killed(_: Any, *, stdin: int, **__: Any) -> None:
        size = array("i", [0])
        fcntl.ioctl(stdin, termios.FIONREAD, size)
        held.extend(size)
        raise KeyboardInterrupt

    monkeypatch.setattr(anyio, "open_process", killed)
    with pytest.raises(KeyboardInterrupt):
        anyio.run(shell("cat").deliver, DELIVERY)

    assert held == [len(SECRET)]


def test_long_message(run: Run, tmp_path: Path) -> None:
    """A message that is longer than a pipe arrives completely."""
    message = Message(id="7", title="many", lines=["x" * 99] * 3000)
    sink = shell(f"sleep 0.05; wc -c > {tmp_path}/size; echo $LOSANT_MESSAGE_ID > {tmp_path}/id")

    run(sink.deliver, message)

    assert int((tmp_path / "size").read_text()) == len(message.text) + 1
    assert (tmp_path / "id").read_text() == "7\n"


def test_no_shell(tmp_path: Path) -> None:
    """A string is split into arguments, and no shell expands them."""
    sink = CommandSink(f"tee '{tmp_path}/$HOME;x'")

    anyio.run(sink.deliver, DELIVERY)

    assert sink.command == ("tee", f"{tmp_path}/$HOME;x")
    assert (tmp_path / "$HOME;x").read_text() == SECRET


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("cat >&2; exit 3", "'sh' failed with exit code 3. Its output ends with: ****"),
        ("cat | base64; kill -9 $$", "'sh' was killed by SIGKILL. Its output ends with: ****"),
        ("kill -35 $$", "'sh' was killed by signal 35. It printed nothing."),
        ("exit 0", "'sh' exited with 0, but did not read its whole standard input. It printed"),
        ("head -c 9", "'sh' exited with 0, but did not read its whole standard input."),
        ("cat; sleep 60 & wait", "'sh' did not end within 0.5 seconds and was killed."),
    ],
)
def test_failures(script: str, expected: str) -> None:
    """A command that fails, is too slow, or does not read everything is an error."""
    error = failure(shell(script, timeout=0.5 if "sleep" in script else 30))

    assert str(error).startswith(f"The command {expected}")
    assert error.ambiguous is True
    assert error.is_reported is ("exit code" in expected)
    assert SECRET[:9] not in str(error)


def test_unread_message() -> None:
    """A command that exits without reading a message longer than a pipe is an error."""
    message = Message(id="7", title="many", lines=["x" * 99] * 3000)

    assert "did not read its whole standard input" in str(failure(shell("exit 0"), message))


def test_endless_output(run: Run) -> None:
    """Output is read while the command runs, and only its end is kept."""
    run(shell("cat >/dev/null; head -c 500000 /dev/zero | tr '\\0' y").deliver, DELIVERY)

    error = failure(shell("cat >&2; head -c 500000 /dev/zero | tr '\\0' y; echo no; exit 1"))
    assert str(error).endswith("yyyno")
    assert len(str(error)) < 700


def test_background_process(run: Run, tmp_path: Path) -> None:
    """A process that the command leaves behind does not delay the delivery."""
    sink = shell(f"cat > {tmp_path}/secret; sleep 60 & echo $! > {tmp_path}/pid", timeout=30)
    try:
        run(sink.deliver, DELIVERY)
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)

    assert (tmp_path / "secret").read_text() == SECRET


def test_missing_program(run: Run) -> None:
    """A program that does not exist is an error, and the check finds it in advance."""
    sink = CommandSink("no-such-program --flag")
    with pytest.raises(SinkError, match="'no-such-program' cannot be started: No such file"):
        run(sink.deliver, DELIVERY)
    with pytest.raises(SinkError, match="There is no program 'no-such-program'") as caught:
        sink.check()

    assert caught.value.ambiguous is False
    CommandSink("sh").check()


def test_cancelled(run: Run, tmp_path: Path) -> None:
    """A cancelled delivery kills the command and all processes that it started."""
    ready, done = tmp_path / "ready", tmp_path / "done"
    script = f"(sleep 0.3; touch {done}) & cat > /dev/null; touch {ready}; wait"

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shell(script).deliver, DELIVERY)
            while not ready.exists():  # noqa: ASYNC110 -- another process creates it
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        await anyio.sleep(0.5)

    run(main)

    assert not done.exists()


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("cat 'x", "has a quotation mark that is not closed"),
        ("cat | sort", "runs without a shell, which | needs. Write sh -c 'COMMAND', or quote"),
        ("cat > x.txt", "runs without a shell, which > needs"),
        (r"cat \"x\" 2>&1", "runs without a shell, which 2>&1 needs"),
        ("", "must name a program"),
        ([], "must name a program"),
        (["cat", 1], "must be a string or a list of strings"),
        (None, "must be a string or a list of strings"),
        (["cat", "a\0b"], "must not contain a NUL character"),
    ],
)
def test_command_is_checked(command: Any, problem: str) -> None:
    """A command that cannot be run is refused in advance."""
    with pytest.raises(ValidationError, match=re.escape(f"CommandSink.command {problem}")):
        CommandSink(command)


@pytest.mark.parametrize(
    ("command", "last"),
    [
        ("tr '|' x", "x"),
        ("sh -c 'cat | sort'", "cat | sort"),
        (r'sh -c "echo \"$X\" > t"', 'echo "$X" > t'),
        (r"tr x \>", ">"),
        ('tee "\\" \'"', "\" '"),
    ],
)
def test_a_quoted_operator_of_a_shell_is_an_argument(command: str, last: str) -> None:
    """Only an operator of a shell without quotation marks is refused."""
    assert CommandSink(command).command[-1] == last


def test_secrets_are_not_shown() -> None:
    """The repr of a sink shows no secret."""
    assert SECRET not in repr(CommandSink("cat", secrets=[SECRET]))


def test_environment() -> None:
    """A command inherits no description of an earlier delivery, and no file with a token."""
    inherited = {
        "PATH": "/bin",
        "LOSANT_TOKEN_OWNER": "user",
        "LOSANT_MESSAGE_ID": "1",
        "LOSANT_API_TOKEN": "t",
        "LOSANT_API_TOKEN_FILE": "f",
        "A": "xtx",
    }

    assert environment(inherited, {"LOSANT_TOKEN_ID": "2"}, [Secret("")]) == {
        "PATH": "/bin",
        "LOSANT_TOKEN_ID": "2",
    }
