"""Runs of the command in forks of a process that has imported it.

A command imports for most of its time. The examples of the help and of the documentation are a few
hundred commands, so a server imports everything once, and each command runs in a fork of it. Apart
from the imports, a fork is like a process of its own: it has a terminal, an environment and a
current folder, and it ends when the command ends.

    python -m tests.support.forked_commands    # serves on the socket that is its standard input
"""

import atexit
import fcntl
import gc
import importlib
import json
import os
import pkgutil
import re
import select
import shlex
import socket
import subprocess
import sys
import termios
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO

_PLAIN = re.compile(r"losant-tokens(?: +(?:[\w./:,=@%+-]+|'[^'\n]*'))*(?: +#[^\n]*)?")
_NOT_IMPORTED = {"losant_tokens.__main__", "losant_tokens.testing.pytest_plugin"}


def plain_command(script: str) -> list[str] | None:
    """Return the words of a script that is one command, without anything that a shell does.

    Other scripts, such as those with pipes, redirections and variables, return None.
    """
    script = script.replace("\\\n", " ").strip()
    return shlex.split(script, comments=True) if _PLAIN.fullmatch(script) else None


# --- The server ------------------------------------------------------------------------------


def serve() -> None:
    """Fork for each request, until the client ends."""
    _import_everything()
    gc.freeze()
    connection = socket.socket(fileno=os.dup(0))
    requests = connection.makefile("rb")
    while True:
        mark, terminals, _, _ = socket.recv_fds(connection, 1, 1)
        if not mark:
            return
        (terminal,) = terminals
        request = json.loads(requests.readline())
        pid = os.fork()
        if pid == 0:
            _become(terminal, **request)
            return
        os.close(terminal)
        connection.sendall(b"%d\n" % pid)
        _, status = os.waitpid(pid, 0)
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _import_everything() -> None:
    import losant_tokens

    for module in pkgutil.walk_packages(losant_tokens.__path__, "losant_tokens."):
        if module.name not in _NOT_IMPORTED:
            importlib.import_module(module.name)


def _become(terminal: int, words: list[str], folder: str, environment: dict[str, str]) -> None:
    """Turn this fork into a process that runs a command in a terminal, and run it."""
    os.setsid()
    for number in range(3):
        os.dup2(terminal, number)
    os.close(terminal)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # type: ignore[misc] # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", 1, encoding="utf-8", closefd=False)  # type: ignore[misc] # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(  # type: ignore[misc] # noqa: SIM115
        2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False
    )
    sys.argv = words
    from losant_tokens.cli import main

    main()


# --- The client ------------------------------------------------------------------------------


class Fork:
    """A command that runs in a fork, with the attributes of a process that the tests use."""

    def __init__(self, results: IO[bytes]) -> None:
        self._results = results
        self.pid = int(results.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or None while the command runs."""
        if self.returncode is None and select.select([self._results], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the command, and return its exit code."""
        if self.returncode is None:
            if not select.select([self._results], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a fork", timeout or 0)
            self.returncode = int(self._results.readline())
        return self.returncode


class _Server:
    """The process that forks for each command."""

    def __init__(self) -> None:
        self._connection, theirs = socket.socketpair()
        unmeasured = {name: os.environ[name] for name in os.environ if "COVERAGE" not in name}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forked_commands"],
                cwd=Path(__file__).parents[2],
                env={**unmeasured, "LANG": "C.UTF-8"},
                stdin=theirs.fileno(),
            )
        self._results = self._connection.makefile("rb", buffering=0)

    def start(
        self, words: list[str], folder: Path, environment: Mapping[str, str], fd: int
    ) -> Fork:
        request = {"words": words, "folder": str(folder), "environment": dict(environment)}
        socket.send_fds(self._connection, [b"\n"], [fd])
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        return Fork(self._results)  # type: ignore[arg-type]

    def close(self) -> None:
        self._results.close()
        self._connection.close()
        self._process.wait()


@cache
def _server() -> _Server:
    server = _Server()
    atexit.register(server.close)
    return server


def start_fork(
    words: list[str], folder: Path, environment: Mapping[str, str], terminal: int
) -> Fork:
    """Start a command in a terminal. The one before must have ended."""
    return _server().start(words, folder, environment, terminal)


if __name__ == "__main__":
    serve()
