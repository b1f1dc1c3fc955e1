"""A fake Losant in a separate process, for the demo and the sandbox."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import field, frozen

from losant_tokens.cli._errors import CommandError

_COMMAND = (sys.executable, "-m", "losant_tokens.testing", "--until-stdin-closes")


@frozen
class RunningFake:
    """A fake Losant that is running.

    Attributes:
        base_url: The base URL of its API.
        token: An API token with all permissions.
    """

    base_url: str
    token: str = field(repr=False)
    _process: "subprocess.Popen[str]" = field(repr=False)

    @property
    def is_running(self) -> bool:
        """Whether the process is still running."""
        return self._process.poll() is None


@contextmanager
def running_fake(tokens: int, port: int = 0, host: str = "127.0.0.1") -> Iterator[RunningFake]:
    """Run a fake Losant during the block, and stop it when the block ends.

    Args:
        tokens: The number of tokens that it starts with.
        port: The port; 0 chooses a free port.
        host: The address to listen on.

    Raises:
        CommandError: The fake does not start.
    """
    with subprocess.Popen(  # noqa: S603 -- our own module; each value is one argument
        [*_COMMAND, "--tokens", str(tokens), "--port", str(port), f"--host={host}"],
        stdin=subprocess.PIPE,  # closes when this process ends, even if it is killed
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C reaches only this process, which then stops the fake
    ) as process:
        try:
            yield _started(process)
        finally:
            process.kill()  # It has nothing to save.
            process.wait()  # Popen itself waits only briefly after Ctrl-C.


def _started(process: "subprocess.Popen[str]") -> RunningFake:
    assert process.stdout is not None  # noqa: S101 -- both are pipes
    assert process.stderr is not None  # noqa: S101
    line = process.stdout.readline()
    if not line:
        last = process.stderr.read().strip().rpartition("\n")[2]
        raise CommandError(f"the fake did not start: {last}")
    data = json.loads(line)
    return RunningFake(data["base_url"], data["token"], process)
