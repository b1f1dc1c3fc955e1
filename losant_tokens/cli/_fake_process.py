"""A fake Losant in a separate process, for the demo and the sandbox."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from attrs import field, frozen

from losant_tokens.cli._errors import EXIT_USAGE, CommandError, UsageError
from losant_tokens.cli._terminal.console import environment_without_token

# `-P`: without it, a folder `losant_tokens` in the working directory would be imported and run.
_COMMAND = (sys.executable, "-P", "-m", "losant_tokens.testing", "--until-stdin-closes")
_USAGE_ERROR = "error: argument "


@frozen
class FakeOwner:
    """An owner of tokens in the fake: its name for `--owner`, its title and its token count."""

    owner: str
    name: str
    tokens: int


@frozen
class RunningFake:
    """A fake Losant that is running.

    Attributes:
        base_url: The base URL of its API.
        token: An API token with all permissions.
        owners: The owners that have tokens.
        log: The audit log of its organization; "" if it has none.
    """

    base_url: str
    token: str = field(repr=False)
    owners: tuple[FakeOwner, ...]
    log: str
    _process: "subprocess.Popen[str]" = field(repr=False)

    @property
    def is_running(self) -> bool:
        """Whether the process is still running."""
        return self._process.poll() is None

    def move_clock(self, offset: str) -> timedelta:
        """Move the clock of the fake, and return its difference from the real time.

        Args:
            offset: The difference, such as `+30d`.

        Raises:
            UsageError: The offset is malformed.
        """
        assert self._process.stdin is not None  # noqa: S101 -- a pipe
        self._process.stdin.write(f"{offset}\n")
        self._process.stdin.flush()
        result = _read_line(self._process)
        if "error" in result:
            raise UsageError(result["error"])
        return timedelta(seconds=result["clock_offset"])


@contextmanager
def running_fake(*options: str) -> Iterator[RunningFake]:
    """Run a fake Losant during the block, and stop it when the block ends.

    Args:
        options: The options of `python -m losant_tokens.testing`.

    Raises:
        CommandError: The fake does not start.
        UsageError: It refuses an option.
    """
    with subprocess.Popen(  # noqa: S603 -- our own module; each value is one argument
        [*_COMMAND, *options],
        stdin=subprocess.PIPE,  # closes when this process ends, even if it is killed
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment_without_token(),
        text=True,
        start_new_session=True,  # Ctrl-C reaches only this process, which then stops the fake
    ) as process:
        reader = threading.Thread(target=_discard_errors, args=(process,), daemon=True)
        try:
            started = _read_line(process)
            reader.start()
            owners = tuple(FakeOwner(**owner) for owner in started.get("owners", ()))
            organization = started.get("organization_id")
            log = f"org:{organization}" if organization else ""
            yield RunningFake(started["base_url"], started["token"], owners, log, process)
        finally:
            process.kill()  # It has nothing to save.
            process.wait()  # Popen itself waits only briefly after Ctrl-C.
            if reader.is_alive():
                reader.join()


def _discard_errors(process: "subprocess.Popen[str]") -> None:
    """Read all that the fake prints to stderr: it would wait if the pipe was full."""
    assert process.stderr is not None  # noqa: S101 -- a pipe
    for _ in process.stderr:
        pass


def _read_line(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Return the next line that the fake prints, which is JSON."""
    assert process.stdout is not None  # noqa: S101 -- both are pipes
    assert process.stderr is not None  # noqa: S101
    if line := process.stdout.readline():
        data: dict[str, Any] = json.loads(line)
        return data
    last = process.stderr.read().strip().rpartition("\n")[2]
    # Its options have the names of this command's options.
    if process.wait() == EXIT_USAGE and _USAGE_ERROR in last:
        problem = last.partition(_USAGE_ERROR)[2]
        raise UsageError(f"Invalid value for {problem}", "see losant-tokens sandbox --help")
    hint = "pass another --port or --host" if last.startswith("cannot listen") else ""
    raise CommandError(f"the fake did not start: {last}", hint)
