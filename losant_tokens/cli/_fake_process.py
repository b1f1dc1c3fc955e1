"""A fake Losant in a process of its own, for the demo and the sandbox."""

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
    """A fake that runs.

    Attributes:
        base_url: Where it is served.
        token: What lets one do everything there.
    """

    base_url: str
    token: str = field(repr=False)
    _process: "subprocess.Popen[str]" = field(repr=False)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended by itself."""
        return self._process.poll() is None


@contextmanager
def running_fake(tokens: int, port: int = 0, host: str = "127.0.0.1") -> Iterator[RunningFake]:
    """Run a fake while the block runs, and stop it however the block ends.

    Args:
        tokens: How many tokens it starts with.
        port: The port; 0 is any port that is free.
        host: The address to listen on.

    Raises:
        CommandError: It does not start.
    """
    with subprocess.Popen(  # noqa: S603 -- our own module; each value is one argument
        [*_COMMAND, "--tokens", str(tokens), "--port", str(port), f"--host={host}"],
        stdin=subprocess.PIPE,  # closes with this process, whatever ends it
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for this process, which then stops the other
    ) as process:
        try:
            yield _started(process)
        finally:
            process.kill()  # it has nothing to save
            process.wait()  # Popen itself gives up waiting soon after a Ctrl-C


def _started(process: "subprocess.Popen[str]") -> RunningFake:
    assert process.stdout is not None  # noqa: S101 -- both are pipes
    assert process.stderr is not None  # noqa: S101
    line = process.stdout.readline()
    if not line:
        last = process.stderr.read().strip().rpartition("\n")[2]
        raise CommandError(f"the fake did not start: {last}")
    data = json.loads(line)
    return RunningFake(data["base_url"], data["token"], process)
