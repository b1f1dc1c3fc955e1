"""A fleet for drills: fake accounts, a store, and workers that are killed, stopped and upgraded."""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

import losant_tokens
from losant_tokens.fleet import Fleet
from tests.support.fleet_accounts import FleetAccount, problems, write_config

_SCRIPT = Path(__file__).with_name("fleet_worker.py")
_POLICY = """
[[cleanups]]
name = "stale"
select = { named = ["ci-*"], not_updated_for = "180d" }
protect = ["prod-*"]
action = "deactivate"
grace = "1h"
max_changes = 10000
allow_unmatched = true

[[cleanups]]
name = "remove"
select = { named = ["ci-*"], not_updated_for = "180d" }
protect = ["prod-*"]
action = "delete"
max_changes = 10000
"""
STALE_CLEANUP = "stale"
"""A clean-up that deactivates tokens and deletes them after a grace period."""

REMOVE_CLEANUP = "remove"
"""A clean-up that deletes tokens."""


@define
class WorkerProcess:
    """A worker in a process of its own."""

    name: str
    _arguments: Sequence[str]
    _environment: dict[str, str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def start(self, *, is_ready: bool = True) -> "WorkerProcess":
        """Start the worker, or start it again.

        Args:
            is_ready: Whether to wait until it is ready.
        """
        assert self.process is None or self.process.poll() is not None, "it is running"
        known = self.output.count("ready: ")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._arguments,
                env=self._environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # with all of its child processes
            )
        if is_ready:
            wait_until(
                lambda: self.output.count("ready: ") > known or self.has_ended,
                what=f"{self.name} is ready",
                log=lambda: self.output,
            )
            assert self.output.count("ready: ") > known, self.output
        return self

    @property
    def output(self) -> str:
        """All that the worker has printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        assert self.process is not None
        return self.process.poll() is not None

    @property
    def is_stopped(self) -> bool:
        """Whether the process was stopped by SIGSTOP."""
        assert self.process is not None
        found = os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
        return found is not None

    def send(self, number: int) -> None:
        """Send a signal to the process."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """Kill the process, as a power cut would."""
        self.send(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """Stop the worker gracefully, and return its exit code."""
        self.send(signal.SIGTERM)
        return self.wait()

    def wait(self, timeout: float = 60) -> int:
        """Wait until the process has ended, and return its exit code."""
        assert self.process is not None
        return self.process.wait(timeout)


@frozen
class Drill:
    """A fleet with fake accounts."""

    accounts: tuple[FleetAccount, ...]
    store: str
    folder: Path
    grace: float = 2.0
    """The grace period in seconds."""
    workers: list[WorkerProcess] = field(factory=list)
    options: dict[str, Any] = field(factory=dict)
    """Further arguments of `Fleet.work`."""
    timing: dict[str, float] = field(factory=dict)
    """The time spans of leases in seconds, by the names of `Timing`. Default: the real ones."""
    interval: float = 1.0
    """The time between two looks for work, in seconds."""

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the workers."""
        variables = write_config(self.accounts, self.folder / "config.toml")
        # A killed process cannot save its coverage, so it is not measured.
        own = {name: os.environ[name] for name in os.environ if "COVERAGE" not in name}
        return {**own, **variables}

    def worker(
        self,
        name: str,
        *,
        kill_at: Sequence[str] = (),
        stop_at: str = "",
        python: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> WorkerProcess:
        """Return a worker that has not been started.

        Args:
            name: Its name in the fleet.
            kill_at: The points in the code where it kills itself; each is used once in a drill.
            stop_at: The point in the code where it stops itself with SIGSTOP, once.
            python: The Python of an environment with another version: see `environment_of`.
                Default: that of this process.
            environment: Its environment variables. Default: those with the tokens of all accounts.
        """
        (self.folder / "policy.toml").write_text(_POLICY)
        settings = {
            "store": self.store,
            "config": str(self.folder / "config.toml"),
            "policy": str(self.folder / "policy.toml"),
            "name": name,
            "grace": self.grace,
            "folder": str(self.folder),
            "kill_at": list(kill_at),
            "stop_at": stop_at,
            "timing": self.timing,
            "interval": self.interval,
            "options": self.options,
        }
        variables = dict(self.environment if environment is None else environment)
        # Each has the state folder of a machine of its own.
        variables["XDG_STATE_HOME"] = str(self.folder / f"state-{name}")
        worker = WorkerProcess(
            name,
            [
                str(python or sys.executable),
                "-P",
                "-W",
                "ignore",
                str(_SCRIPT),
                json.dumps(settings),
            ],
            variables,
            self.folder / f"{name}.log",
        )
        self.workers.append(worker)
        return worker

    def client(self) -> Any:
        """Return a client of the fleet."""
        return Fleet(self.store).client()

    def check(self, *expected: str, only: FleetAccount | None = None) -> None:
        """Compare the requests of all accounts with the changes that each stale token should have.

        Args:
            expected: The changes, in order.
            only: Compare only this account.

        Raises:
            AssertionError: A change is missing, was made twice, or is of another token.
        """
        accounts = self.accounts if only is None else (only,)
        found = [one for account in accounts for one in problems(account, expected)]
        assert not found, "\n".join([*found[:20], *self.logs()])

    @property
    def used_points(self) -> set[str]:
        """The points at which workers have killed or stopped themselves."""
        names = {path.name for path in self.folder.glob("used-*")}
        return {name.removeprefix("used-").replace("-", ":") for name in names}

    def logs(self) -> list[str]:
        """Return the last lines that each worker has printed."""
        return [f"--- {one.name} ---\n{one.output[-3000:]}" for one in self.workers]


@contextmanager
def drill(
    accounts: tuple[FleetAccount, ...], store: str, folder: Path, **settings: Any
) -> Iterator[Drill]:
    """Run a fleet during the block, and kill its workers at the end.

    Args:
        accounts: The accounts.
        store: The URL or the path of the store.
        folder: An empty folder.
        settings: The other attributes of `Drill`.
    """
    running = Drill(accounts, store, folder, **settings)
    try:
        yield running
    finally:
        for worker in running.workers:
            if worker.process is not None:
                worker.kill()


def environment_of(folder: Path, version: str) -> Path:
    """Create a virtual environment with another version of the package, and return its Python.

    It has a copy of the package and a Python of its own. A `.pth` file adds the folders with the
    dependencies of this process, so it needs no network, and half a second.

    Args:
        folder: The folder for the environment.
        version: The version, which is also the name of the environment.
    """
    root = folder / f"environment-{version}"
    venv.create(root, with_pip=False)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(root)}))
    target = packages / "losant_tokens"
    source = Path(losant_tokens.__file__).parent
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    (target / "_version.py").write_text(f'"""The version."""\n\n__version__ = "{version}"\n')
    shared = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "shared.pth").write_text("".join(f"{path}\n" for path in sorted(shared)))
    return Path(sysconfig.get_path("scripts", "venv", {"base": str(root)})) / "python"


def wait_until(
    condition: Callable[[], object],
    *,
    what: str,
    timeout: float = 60,
    log: Callable[[], str] = lambda: "",
) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: It does not hold within the timeout, in seconds.
    """
    give_up_at = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < give_up_at, f"not within {timeout} s: {what}\n{log()}"
        time.sleep(0.02)
