"""`CommandSink`: a command that reads a secret or a message from its standard input.

The problem: a secret must reach the command without a trace in the list of processes, in the
environment or in a file, and a command that did not read it must not count as a delivery. A pipe
accepts a short string before anyone reads it, so a write that succeeds proves nothing.

The approach: both pipes are our own. This process keeps its reading end of the command's standard
input open, so that a write never fails, and asks the system how many bytes are left in the pipe
when the command has ended. Output is read without waiting for its end, because a process that the
command left in the background may keep it open.

The secret is in the pipe before the command starts. If this process were killed between the start
and the write, the command would read an empty string, and would replace the secret in the store
with it.

Rejected: the pipes of anyio, because the frames of their exceptions hold the secret, and because
asyncio before Python 3.12 waits for the end of the output.
"""

import array
import contextlib
import fcntl
import io
import os
import re
import shlex
import shutil
import signal
import termios
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self

import anyio
from anyio.abc import Process
from attrs import define, field, frozen

from losant_tokens._utils import validators
from losant_tokens._utils.safe_text import end_of, redacted
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import ValidationError
from losant_tokens.sinks._errors import SinkError
from losant_tokens.sinks._types import (
    VARIABLES,
    Format,
    Message,
    TokenSecret,
    check_format,
)

_OWN_VARIABLES = ("LOSANT_API_TOKEN", "LOSANT_API_TOKEN_FILE")
_MAX_OUTPUT = 4096  # bytes of the end of an output that are kept
# A pipe, a list or a redirection. A quoted one is an argument.
_SHELL_OPERATOR = re.compile(r"\|\|?|&&?|;|[0-9&]?(>>?|<)(&[0-9])?")
_READ_SIZE = 64 * 1024  # bytes, the size of a pipe


def _arguments(command: str | Sequence[str]) -> tuple[str, ...]:
    """Return the arguments of a command, which may be one string."""
    if not isinstance(command, str):
        if not isinstance(command, Sequence):
            return command  # the validator refuses it
        return tuple(command)
    try:
        arguments = tuple(shlex.split(command))
    except ValueError:
        problem = "has a quotation mark that is not closed, or ends with a backslash"
    else:
        operators = [word for word in _words(command) if _SHELL_OPERATOR.fullmatch(word)]
        if not operators:
            return arguments
        problem = (
            f"runs without a shell, which {operators[0]} needs. Write sh -c 'COMMAND', or quote "
            f"{operators[0]} if it is an argument"
        )
    raise ValidationError(f"CommandSink.command {problem}")


def _words(command: str) -> Iterator[str]:
    """Yield the words of a valid command with their quotation marks and backslashes."""
    # Without `posix`, shlex knows no backslashes, and would take an escaped mark for the end of a
    # quotation.
    source = io.StringIO(command)
    lexer = shlex.shlex(source, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    start = 0
    while lexer.get_token() is not None:
        yield command[start : source.tell()].strip()
        start = source.tell()


def _secrets(secrets: Iterable[Secret | str]) -> tuple[Secret, ...]:
    return tuple(Secret.of(secret) for secret in secrets)


def _check_arguments(instance: object, attribute: validators.Field, value: object) -> None:
    problem = None
    if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
        problem = "must be a string or a list of strings"
    elif not value or not value[0]:
        problem = "must name a program"
    elif any("\0" in item for item in value):
        problem = "must not contain a NUL character"
    if problem:
        raise validators.validation_error(instance, attribute, problem)


@frozen(init=False)
class CommandSink:
    """A command that reads the secret or the message from its standard input.

    No shell runs it. Its environment describes the token (`LOSANT_TOKEN_ID`, `LOSANT_TOKEN_NAME`
    and so on) or the message (`LOSANT_MESSAGE_ID`, `LOSANT_MESSAGE_TITLE`), and holds neither
    `LOSANT_API_TOKEN` nor any variable that contains one of the `secrets`. The delivery fails if
    the command does not read its whole input, has an exit code other than 0, or takes too long. If
    it takes too long, or the delivery is cancelled, it is killed with all processes that it
    started.

    Raises:
        ValidationError: An argument is not valid.
    """

    command: tuple[str, ...] = field(converter=_arguments, validator=_check_arguments)
    """The program and its arguments; a string is split as a POSIX shell would."""
    timeout: float = field(default=60.0, kw_only=True, validator=validators.positive_number)
    """The maximum duration in seconds. Default: 60."""
    format: Format = field(default="text", kw_only=True, validator=check_format)
    """`text` for the secret or the text alone, `json` for one line of JSON with all facts. Default:
    `text`.
    """
    secrets: tuple[Secret, ...] = field(default=(), kw_only=True, repr=False)
    """Other secrets, such as the token in use. They are kept out of the environment of the command
    and out of error messages.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        *,
        timeout: float = 60.0,
        format: Format = "text",  # noqa: A002 -- the name of the attribute
        secrets: Iterable[Secret | str] = (),
    ) -> None:
        # Secrets are wrapped before anything can raise, so that no traceback shows them.
        secrets = _secrets(secrets)
        self.__attrs_init__(command, timeout=timeout, format=format, secrets=secrets)

    def check(self) -> None:
        """Check that the program exists, without starting it.

        Raises:
            SinkError: There is no such program.
        """
        if shutil.which(self.command[0]) is None:
            raise SinkError(
                f"There is no program {self.command[0]!r}. Check its name and the PATH.",
                ambiguous=False,
            )

    async def deliver(self, delivery: TokenSecret | Message) -> None:
        """Run the command, and return when it has read everything and exited with 0.

        Raises:
            SinkError: The command cannot be started, failed, did not read everything, or took too
                long.
        """
        secrets = (*delivery.secrets, *self.secrets)
        with _Pipe.open() as stdin, _Pipe.open() as output:
            # Only the ends of this process. A command expects that its own ends block.
            os.set_blocking(stdin.writer, False)
            os.set_blocking(output.reader, False)
            stdin.fill(delivery.content(self.format))
            process = await self._start(delivery, stdin, output)
            problem = await self._run(process, delivery.content(self.format), stdin, output)
            if problem is None:
                return
            end = end_of(redacted(output.text(), secrets))
        raise SinkError(
            f"The command {self.command[0]!r} {problem}. "
            + (f"Its output ends with: {end}" if end else "It printed nothing."),
            is_reported=(process.returncode or 0) > 0,
        )

    async def _start(
        self, delivery: TokenSecret | Message, stdin: "_Pipe", output: "_Pipe"
    ) -> Process:
        """Start the command.

        Raises:
            SinkError: It cannot be started.
        """
        secrets = (*delivery.secrets, *self.secrets)
        try:
            process = await anyio.open_process(
                self.command,
                stdin=stdin.reader,
                stdout=output.writer,
                stderr=output.writer,
                env=environment(os.environ, delivery.environ, secrets),
                # A group of its own, so that it is killed with all processes that it started.
                start_new_session=True,
            )
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else type(error).__name__
        else:
            output.close_writer()
            return process
        raise SinkError(
            f"The command {self.command[0]!r} cannot be started: {why}. Check its name and the "
            "PATH.",
            ambiguous=False,
        )

    async def _run(
        self, process: Process, content: Secret, stdin: "_Pipe", output: "_Pipe"
    ) -> str | None:
        """Wait for the command, and return why the delivery failed, or `None`."""
        try:
            with anyio.move_on_after(self.timeout) as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(stdin.send, content)
                    tasks.start_soon(output.receive)
                    await process.wait()
                    tasks.cancel_scope.cancel()
        finally:
            if process.returncode is None:
                await _kill(process)
        if scope.cancelled_caught:
            return f"did not end within {self.timeout:g} seconds and was killed"
        if process.returncode:
            return _failure(process.returncode)
        if stdin.is_consumed:
            return None
        return "exited with 0, but did not read its whole standard input"


def environment(
    inherited: Mapping[str, str], added: Mapping[str, str], secrets: Iterable[Secret]
) -> dict[str, str]:
    """Return the environment of a command: without the API token and other secrets.

    Args:
        inherited: The environment of this process.
        added: The variables that describe the delivery.
        secrets: Variables that contain one of these are left out.
    """
    hidden = [Secret(inherited.get("LOSANT_API_TOKEN", "")), *secrets]
    kept = {
        name: value
        for name, value in inherited.items()
        if name not in _OWN_VARIABLES
        and not name.startswith(VARIABLES)
        and not any(secret.reveal() and secret.reveal() in value for secret in hidden)
    }
    return kept | dict(added)


async def _kill(process: Process) -> None:
    """Kill a command and the processes that it started, and wait for its end."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with anyio.CancelScope(shield=True):
        await process.wait()


def _failure(code: int) -> str:
    """Describe an exit code other than 0."""
    if code > 0:
        return f"failed with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


@define(eq=False)
class _Pipe:
    """A pipe between this process and a command."""

    reader: int
    writer: int
    _is_writer_open: bool = True
    _sent: int = 0
    _is_sent: bool = False
    # The output of a command may repeat the secret, so no traceback shows it.
    _received: bytes = field(default=b"", repr=False)

    @classmethod
    def open(cls) -> Self:
        """Create a pipe, to be closed at the end of a `with` block."""
        return cls(*os.pipe())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.reader)
        self.close_writer()

    def close_writer(self) -> None:
        """Close the end for writing, unless it is closed."""
        if self._is_writer_open:
            self._is_writer_open = False
            os.close(self.writer)

    # --- The standard input of the command ---------------------------------------------------

    def fill(self, content: Secret) -> None:
        """Write as much as the pipe holds, and close the end for writing if that is everything."""
        with contextlib.suppress(BlockingIOError):
            while self._sent < _size(content):
                self._sent += _write(self.writer, content, self._sent)
            self._is_sent = True
            self.close_writer()

    async def send(self, content: Secret) -> None:
        """Write the rest, then close the end for writing."""
        self.fill(content)
        while not self._is_sent:
            await anyio.wait_writable(self.writer)
            self.fill(content)

    @property
    def is_consumed(self) -> bool:
        """Whether everything was written, and read by the command."""
        unread = array.array("i", [0])
        fcntl.ioctl(self.reader, termios.FIONREAD, unread)
        return self._is_sent and unread[0] == 0

    # --- The output of the command -----------------------------------------------------------

    async def receive(self) -> None:
        """Read the output until it ends."""
        while not self._read():
            await anyio.wait_readable(self.reader)

    def text(self) -> str:
        """Return the end of the output."""
        self._read()
        return self._received.decode("utf-8", "replace")

    def _read(self) -> bool:
        """Read what the pipe holds, and return whether the output has ended."""
        with contextlib.suppress(BlockingIOError):
            part = os.read(self.reader, _READ_SIZE)
            self._received = (self._received + part)[-_MAX_OUTPUT:]
            return not part
        return False


def _size(content: Secret) -> int:
    return len(content.reveal().encode())


def _write(writer: int, content: Secret, start: int) -> int:
    """Write as much as the pipe takes, and return the number of bytes."""
    # No variable holds the bytes, because a traceback would show it.
    return os.write(writer, content.reveal().encode()[start:])
