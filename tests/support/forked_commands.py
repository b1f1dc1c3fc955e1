"""Runs of the command in forks of a process that has imported it.

A command imports for most of its time. The examples of the help and of the documentation are a few
hundred commands, so a server imports everything once, and each command runs in a fork of it. Apart
from the imports, a fork is like a process of its own: it has a terminal or streams, an environment
and a current folder, and it ends when the command ends.

Scripts use forks through a program named `losant-tokens` in `search_path()`. It passes its streams,
signals and exit code on, and starts in a few milliseconds. All streams must be open.

    python -m tests.support.forked_commands SOCKET    # serves on a Unix socket
"""

import contextlib
import fcntl
import gc
import importlib
import os
import pkgutil
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

_PLAIN = re.compile(r"losant-tokens(?: +(?:[\w./:,=@%+-]+|'[^'\n]*'))*(?: +#[^\n]*)?")
_SOCKET, _PROGRAMS = "TESTS_FORK_SOCKET", "TESTS_FORK_PROGRAMS"
_ENCODING = ("utf-8", "surrogateescape")
_PROGRAM = """\
#!{python} -ISE
import os, signal, socket, sys

if not os.isatty(0) and os.isatty(2):
    # The command may ask at /dev/tty, which a fork for a script does not have.
    os.execv({python!r}, [{python!r}, "-m", "losant_tokens", *sys.argv[1:]])
connection = socket.socket(socket.AF_UNIX)
connection.connect({path!r})
socket.send_fds(connection, [b"s"], [0, 1, 2])
mask = os.umask(0)
variables = (name + b"=" + value for name, value in os.environb.items())
words = (b"losant-tokens", *map(os.fsencode, sys.argv[1:]))
request = (os.getcwdb(), b"%d" % mask, b"%d" % len(words), *words, *variables)
connection.sendall(b"\\0".join(request))
connection.shutdown(socket.SHUT_WR)
results = connection.makefile("rb", buffering=0)
pid = int(results.readline())
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, frame: os.kill(pid, number))
code = int(results.readline())
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""
_NOT_IMPORTED = {"losant_tokens.__main__", "losant_tokens.testing.pytest_plugin"}


def plain_command(script: str) -> list[str] | None:
    """Return the words of a script that is one command, without anything that a shell does.

    Other scripts, such as those with pipes, redirections and variables, return None.
    """
    script = script.replace("\\\n", " ").strip()
    return shlex.split(script, comments=True) if _PLAIN.fullmatch(script) else None


# --- The server ------------------------------------------------------------------------------


def serve(path: str) -> None:
    """Fork for each request, until all test processes that use the server have ended."""
    _import_everything()
    gc.freeze()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    if os.fork():
        os._exit(0)  # The server is ready, and runs in the background.
    _Server(listener).run()


class _Server:
    """The process that forks for each command."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._users: set[socket.socket] = set()
        self._commands: dict[int, socket.socket] = {}  # by the id of the process
        self._child_ended, wakeup = socket.socketpair()
        wakeup.setblocking(False)
        self._wakeup = wakeup
        signal.set_wakeup_fd(wakeup.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        """Run until no process uses the server. A fork returns when its command has ended."""
        while True:
            waiting = [self._listener, self._child_ended, *self._users]
            readable, _, _ = select.select(waiting, [], [])
            if self._child_ended in readable:
                self._child_ended.recv(4096)
                self._report_ends()
            for user in self._users.intersection(readable):
                # A user sends nothing, so it has ended.
                self._users.remove(user)
                user.close()
            if self._listener in readable:
                connection, _ = self._listener.accept()
                kind, streams, _, _ = socket.recv_fds(connection, 1, 3)
                if kind == b"u":
                    connection.sendall(b"1")
                    self._users.add(connection)
                elif self._start(connection, streams, owns_terminal=kind == b"t"):
                    return
            elif not self._users:
                return

    def _start(self, connection: socket.socket, streams: list[int], *, owns_terminal: bool) -> bool:
        """Run a command in a fork, and return whether this is the fork."""
        with connection.makefile("rb") as file:
            folder, mask, count, *rest = file.read().decode(*_ENCODING).split("\0")
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            # A test run in the background ignores SIGINT, but Ctrl-C must end a command.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            sockets = (self._listener, self._child_ended, self._wakeup, connection)
            for own in (*sockets, *self._users, *self._commands.values()):
                own.close()
            os.umask(int(mask))
            variables = dict(one.split("=", 1) for one in rest[int(count) :])
            _become(folder, rest[: int(count)], variables, streams, owns_terminal=owns_terminal)
            return True
        for descriptor in streams:
            os.close(descriptor)
        self._commands[pid] = connection
        connection.sendall(b"%d\n" % pid)
        return False

    def _report_ends(self) -> None:
        """Report the exit codes of the commands that have ended."""
        while self._commands:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            with self._commands.pop(pid) as connection, contextlib.suppress(OSError):
                connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _import_everything() -> None:
    import losant_tokens

    for module in pkgutil.walk_packages(losant_tokens.__path__, "losant_tokens."):
        if module.name not in _NOT_IMPORTED:
            importlib.import_module(module.name)


def _become(
    folder: str,
    words: list[str],
    environment: dict[str, str],
    streams: list[int],
    *,
    owns_terminal: bool,
) -> None:
    """Turn this fork into a process that runs a command, and run it."""
    os.setsid()
    for number in range(3):
        os.dup2(streams[number % len(streams)], number)
    for descriptor in streams:
        os.close(descriptor)
    if owns_terminal:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # type: ignore[misc] # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(  # type: ignore[misc] # noqa: SIM115
        1, "w", 1 if os.isatty(1) else -1, encoding="utf-8", closefd=False
    )
    sys.stderr = sys.__stderr__ = open(  # type: ignore[misc] # noqa: SIM115
        2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False
    )
    sys.argv = words
    from losant_tokens.cli import main

    try:
        main()
    except SystemExit as ended:
        sys.stdout.flush()
        sys.stderr.flush()
        # The interpreter would free everything that the server has imported, page by page.
        os._exit(int(ended.code or 0))


# --- The client ------------------------------------------------------------------------------


class Fork:
    """A command that runs in a fork, with the attributes of a process that the tests use."""

    def __init__(self, connection: socket.socket) -> None:
        self._results = connection.makefile("rb", buffering=0)
        connection.close()
        self.pid = int(self._results.readline())
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
            with self._results:
                self.returncode = int(self._results.readline())
        return self.returncode


def start_fork(
    words: list[str], folder: Path, environment: Mapping[str, str], terminal: int
) -> Fork:
    """Start a command in a terminal."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.environ[_SOCKET])
    socket.send_fds(connection, [b"t"], [terminal])
    variables = (f"{name}={value}" for name, value in environment.items())
    request = "\0".join((str(folder), str(0o022), str(len(words)), *words, *variables))
    connection.sendall(request.encode(*_ENCODING))
    connection.shutdown(socket.SHUT_WR)
    return Fork(connection)


@contextlib.contextmanager
def running_server(folder: Path) -> Iterator[None]:
    """Run the server, which all test processes of a run share.

    Args:
        folder: The folder for its socket and its program, the same for all these processes.
    """
    path = str(folder / "forks")
    programs = folder / "bin"
    with (folder / "forks.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            user = _use(path)
        except OSError:
            Path(path).unlink(missing_ok=True)
            programs.mkdir(exist_ok=True)
            program = programs / "losant-tokens"
            program.write_text(_PROGRAM.format(python=sys.executable, path=path))
            program.chmod(0o755)
            _start_server(path)
            user = _use(path)
    with user, pytest.MonkeyPatch.context() as patch:
        patch.setenv(_SOCKET, path)
        patch.setenv(_PROGRAMS, str(programs))
        yield


def search_path() -> str:
    """Return the variable PATH of scripts, in which `losant-tokens` runs in a fork."""
    folders = (os.environ[_PROGRAMS], str(Path(sys.executable).parent), os.environ["PATH"])
    return os.pathsep.join(folders)


def _use(path: str) -> socket.socket:
    """Return a connection to the server, which runs until the connection is closed."""
    user = socket.socket(socket.AF_UNIX)
    try:
        user.connect(path)
        user.sendall(b"u")
        if user.recv(1) != b"1":
            raise ConnectionError  # The server ends, because the last user has ended.
    except OSError:
        user.close()
        raise
    return user


def _start_server(path: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "tests.support.forked_commands", path],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        check=True,
    )


if __name__ == "__main__":
    serve(sys.argv[1])
