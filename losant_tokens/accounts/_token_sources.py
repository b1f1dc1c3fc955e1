"""The places that a token can come from: a variable, a file, a command or a keyring."""

import contextlib
import os
import subprocess
from importlib import import_module
from typing import Any

import anyio
import anyio.abc
from anyio import to_thread
from attrs import field, frozen

from losant_tokens._utils import validators
from losant_tokens._utils.private_files import reason
from losant_tokens._utils.safe_text import end_of, redacted
from losant_tokens._utils.secret import Secret
from losant_tokens.accounts._secret_detection import without_secrets
from losant_tokens.accounts._token_file import MAX_TOKEN_SIZE, read_token_file, token_in
from losant_tokens.errors import TokenUnavailable

_COMMAND_TIMEOUT = 60.0  # seconds; a password manager may wait for a fingerprint
_SHORTEST_TOKEN = 8  # characters; shorter words in the output of a command are not tokens
_TOKEN_VARIABLES = ("LOSANT_API_TOKEN", "LOSANT_API_TOKEN_FILE")


@frozen
class EnvironmentToken:
    """A token in an environment variable."""

    name: str
    """The name of the variable."""

    def __str__(self) -> str:
        return f"env {self.name}"

    async def read(self) -> Secret:
        """Return the token.

        Raises:
            TokenUnavailable: The variable is not set, or is empty.
        """
        if not os.environ.get(self.name):
            raise TokenUnavailable(f"The environment variable {self.name} is not set.")
        return Secret(os.environ[self.name])


@frozen
class FileToken:
    """A token in a private file, which `read_token_file` reads."""

    path: str
    """The file."""

    def __str__(self) -> str:
        return f"file {self.path}"

    async def read(self) -> Secret:
        """Return the token.

        Raises:
            TokenUnavailable: The file cannot be used.
        """
        return await to_thread.run_sync(read_token_file, self.path)


@frozen
class CommandToken:
    """A token that a command writes to its standard output, such as `op read`.

    The command runs without a shell and without standard input. Its environment is that of this
    process without `LOSANT_API_TOKEN` and `LOSANT_API_TOKEN_FILE`. It is killed after 60 seconds.
    """

    arguments: tuple[str, ...] = field(converter=validators.as_tuple)
    """The program and its arguments."""

    def __str__(self) -> str:
        return f"command {self.arguments[0]}"

    async def read(self) -> Secret:
        """Return the token.

        Raises:
            TokenUnavailable: The command cannot be started, fails, takes too long, or writes no
                token.
        """
        output, errors = _Buffer(), _Buffer()
        with anyio.move_on_after(_COMMAND_TIMEOUT) as scope:
            problem = await self._run(output, errors)
        if scope.cancelled_caught:
            problem = f"did not end within {_COMMAND_TIMEOUT:g} seconds, so it was killed"
        token, invalid = (None, problem) if problem else token_in(output.data)
        if token is not None:
            return token
        problem = problem or f"ended, but its output {invalid}"
        raise TokenUnavailable(
            f"The command {self.arguments[0]} {problem}.{_message(errors, output)}"
        )

    async def _run(self, output: "_Buffer", errors: "_Buffer") -> str:
        """Run the command, and return its problem as a phrase, or an empty string."""
        try:
            # A cancellation while the process starts would leave it running.
            with anyio.CancelScope(shield=True):
                process = await anyio.open_process(
                    self.arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env={k: v for k, v in os.environ.items() if k not in _TOKEN_VARIABLES},
                )
        except OSError as error:
            return f"cannot be started: {reason(error)}"
        async with process:
            try:
                async with anyio.create_task_group() as group:
                    for stream, buffer in ((process.stdout, output), (process.stderr, errors)):
                        group.start_soon(buffer.fill, stream, group.cancel_scope)
                if output.is_full or errors.is_full:
                    return f"was killed, because it wrote more than {MAX_TOKEN_SIZE:,} bytes"
                code = await process.wait()
            finally:
                # anyio kills it only after a cancellation of its own, and otherwise waits for it.
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
        if code < 0:
            return f"was ended by signal {-code}"
        return f"failed with exit code {code}" if code else ""


@frozen
class KeyringToken:
    """A token in the keyring of the system, which needs the extra `[keyring]`."""

    service: str
    """The service of the entry."""
    username: str
    """The user name of the entry."""

    def __str__(self) -> str:
        return f"keyring {self.service}, {self.username}"

    async def read(self) -> Secret:
        """Return the token.

        Raises:
            TokenUnavailable: The extra is not installed, the keyring is locked or missing, or it
                has no such entry.
        """
        try:
            keyring = import_module("keyring")
        except ImportError:
            keyring = None
        if keyring is None:
            raise TokenUnavailable(
                "The token is in the keyring, and the package keyring is not installed. Run "
                "pip install 'losant-tokens[keyring]'."
            )
        # The keyring may ask for a password, so it must not block the event loop.
        token, problem = await to_thread.run_sync(self._read, keyring)
        if token is None:
            raise TokenUnavailable(
                f"The keyring entry with the service {self.service!r} and the user name "
                f"{self.username!r} {problem}."
            )
        return token

    def _read(self, keyring: Any) -> tuple[Secret | None, str]:
        try:
            found = keyring.get_password(self.service, self.username)
        except Exception as error:  # noqa: BLE001 -- each backend raises its own errors
            return None, f"cannot be read: {type(error).__name__}"
        if found is None:
            return None, "does not exist"
        return token_in(found.encode("utf-8", "surrogatepass"))


TokenSource = EnvironmentToken | FileToken | CommandToken | KeyringToken
"""The places that a token can come from. `str()` describes one without a secret."""


class _Buffer:
    """The output of a command, up to the largest size of a token. Its repr does not show it."""

    def __init__(self) -> None:
        self.data = bytearray()

    @property
    def is_full(self) -> bool:
        """Whether the command wrote more than a token can have."""
        return len(self.data) > MAX_TOKEN_SIZE

    async def fill(
        self, stream: anyio.abc.ByteReceiveStream | None, scope: anyio.CancelScope
    ) -> None:
        """Read a stream to its end, and cancel a scope if there is too much."""
        assert stream is not None  # noqa: S101 -- the process was started with pipes
        while not self.is_full:
            try:
                # No variable holds the bytes, so that no traceback shows them.
                self.data += await stream.receive()
            except anyio.EndOfStream:
                return
        scope.cancel()


def _message(errors: _Buffer, output: _Buffer) -> str:
    """Return the end of a command's error output as a sentence, without secrets."""
    written = bytes(output.data).decode("utf-8", "replace").split()
    secrets = [Secret(word) for word in written if len(word) >= _SHORTEST_TOKEN]
    text = bytes(errors.data).decode("utf-8", "replace")
    end = end_of(without_secrets(redacted(text, secrets)))
    return f" It wrote: {end}" if end else ""
