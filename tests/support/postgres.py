"""A PostgreSQL server for tests, from the programs that are installed."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

_SERVICE_USERS = ("postgres", "nobody")
"""Users that may run the server for root, because PostgreSQL refuses to run as root."""

_FOLDERS = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin")
"""The folders outside PATH that packages install the programs in."""

_SETTINGS = (
    *("fsync=off", "synchronous_commit=off", "full_page_writes=off"),
    *("listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=100"),
    *("shared_buffers=16MB", "autovacuum=off", "jit=off"),
)
# The server stops when the pipe to its standard input closes, so it never outlives the tests, even
# if these are killed.
_SCRIPT = """
exec 3<&0
"$@" 3<&- &
server=$!
{ read -r _ <&3; kill -INT "$server"; } &
wait "$server"
"""
_TIMEOUT = 60  # seconds


def postgres_programs() -> Path | None:
    """Return the folder with the newest `postgres` and `initdb`, or None if there is none."""
    found = shutil.which("postgres")
    folders = [Path(found).resolve().parent] if found else []
    for pattern in _FOLDERS:
        folders += sorted(Path("/").glob(pattern[1:]), key=_version, reverse=True)
    return next((one for one in folders if (one / "initdb").exists()), None)


def _version(folder: Path) -> int:
    return int("".join(filter(str.isdigit, folder.parent.name)) or 0)


class PostgresServer:
    """A PostgreSQL server on a port of its own, which can be stopped and started again.

    The user of its URLs has a password, so that a test can search for it in an output.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        """Initialize the data folder.

        Args:
            programs: The folder with the programs.
            folder: An empty folder, which all users can reach.
        """
        self.password = secrets.token_hex(16)
        self._programs = programs
        self._data = folder / "data"
        self._log = folder / "log"
        self._log.touch()
        self._user = _server_user()
        if self._user is not None:
            shutil.chown(folder, self._user)
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix="password-") as file:
            file.write(self.password)
            file.flush()
            if self._user is not None:
                shutil.chown(file.name, self._user)
            subprocess.run(
                [
                    *(programs / "initdb", f"--pgdata={self._data}", "--username=fleet"),
                    *("--no-sync", "--no-locale", "--encoding=UTF8"),
                    *("--auth=scram-sha-256", f"--pwfile={file.name}"),
                ],
                user=self._user,
                cwd=folder,
                check=True,
                capture_output=True,
            )
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database, with the password."""
        return f"postgresql://fleet:{quote(self.password)}@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        postgres = (self._programs / "postgres", f"--port={self._port}", "-D", self._data)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT, "sh", *postgres, *settings],
                user=self._user,
                cwd=self._data.parent,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C stops the tests first
            )
        give_up_at = time.monotonic() + _TIMEOUT
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=_TIMEOUT).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > give_up_at:
                    raise RuntimeError(self._log.read_text()) from None
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Stop the server: its clients lose their connections."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(_TIMEOUT)
            self._process = None

    @contextmanager
    def database(self) -> Iterator[str]:
        """Create a database for the block, and return its URL."""
        name = f"test_{secrets.token_hex(8)}"
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield self.url(name)
        finally:
            self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Run a PostgreSQL server during the block.

    The test is skipped if PostgreSQL is not installed, but in CI it fails.
    """
    programs = postgres_programs()
    if programs is None:
        report = pytest.fail if os.environ.get("CI") else pytest.skip
        report(
            "PostgreSQL is not installed: postgres is neither in PATH nor in /usr/lib/postgresql"
        )
    # The folder of the tests can be private to root, which the server does not run as.
    parent = "/tmp" if _server_user() else None
    with tempfile.TemporaryDirectory(prefix="losant-tokens-postgres-", dir=parent) as folder:
        server = PostgresServer(programs, Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _server_user() -> str | None:
    """Return the user to run the server as, or None for the user who runs the tests."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _SERVICE_USERS if name in names)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
