"""The hooks and fixtures of all tests."""

import contextlib
import gc
import importlib
import os
import ssl
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import hypothesis
import pytest
import trustme

from tests.support.footprint import footprint
from tests.support.signals import delivered_stop_signals

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer

pytest_plugins = ["pytester"]

# Without compiled modules, each worker compiles all tests, and each process that a test starts
# compiles the whole package, which takes three times as long as the command itself.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

TESTS = Path(__file__).parent
E2E = TESTS / "e2e"
INTEGRATION = TESTS / "integration"
MAX_CASES = 4  # of one integration test, without --run-slow
FOLDERS = (
    *("HOME", "USERPROFILE", "TMPDIR"),
    *("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"),
)
"""The variables that name the folders for a user's files."""
COVERAGE = "COVERAGE_PROCESS_CONFIG"
"""The variable with which coverage measures a process that a test starts."""

BEFORE = pytest.StashKey[frozenset[Path]]()
LEFT = pytest.StashKey[list[Path]]()

# On a busy machine an example may take long, so it has no deadline.
hypothesis.settings.register_profile("fast", deadline=None, max_examples=25)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=100)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--run-slow", action="store_true", help="Run tests marked slow, with more examples each."
    )


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        "slow: takes seconds; runs with --run-slow",
        "sweep(sample): has many cases of one promise; without --run-slow, `sample` of them run",
        "process: starts processes",
    ):
        config.addinivalue_line("markers", line)
    profile = "thorough" if config.getoption("--run-slow") else "fast"
    hypothesis.settings.load_profile(profile)


def pytest_report_header(config: pytest.Config) -> str | None:
    if config.getoption("--run-slow"):
        return None
    return "a sample of the tests runs: give --run-slow to run all"


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[BEFORE] = footprint()


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Collect without garbage collection, because nothing that collection makes is garbage."""
    gc.disable()
    _import_tests(session.config)
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def _import_tests(config: pytest.Config) -> None:
    """Import all test modules in a different order in each worker, before they are collected.

    All workers collect the same tests. In the same order, each would compile each module of a
    clean checkout. So each begins at another place, and finds modules that others have compiled.
    """
    workerinput: dict[str, Any] = getattr(config, "workerinput", {})
    if not workerinput or config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    folders = (TESTS / name for name in ("unit", "integration", "e2e"))
    modules = sorted(path for folder in folders for path in folder.rglob("test_*.py"))
    number = int(workerinput["workerid"].removeprefix("gw"))
    start = len(modules) * number // workerinput["workercount"]
    for path in (*modules[start:], *modules[:start]):
        relative = path.relative_to(TESTS.parent).with_suffix("")
        with contextlib.suppress(Exception):  # pytest reports it when it collects the module
            importlib.import_module(".".join(relative.parts))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a complete run that leaves files outside its temporary folder."""
    is_worker = hasattr(session.config, "workerinput")
    if session.config.getoption("--run-slow") and not is_worker:
        before = session.config.stash[BEFORE]
        left = sorted(footprint() - before)
        if left:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            session.config.stash[LEFT] = left


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    left = config.stash.get(LEFT, [])
    if left:
        terminalreporter.section("tests left files behind", red=True)
        for path in left:
            terminalreporter.write_line(str(path))


def pytest_xdist_auto_num_workers() -> int:
    """Use more workers than cores, because the tests wait for half of their time."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if E2E in item.path.parents:
            item.add_marker(pytest.mark.process)
    if config.getoption("--run-slow"):
        return
    left_out = {item for item in items if item.get_closest_marker("slow")}
    sweeps: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item not in left_out:
            sweeps.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for cases in sweeps.values():
        left_out.update(set(cases) - set(evenly(cases, sample_size(cases))))
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=list(left_out))


def sample_size(cases: list[pytest.Item]) -> int:
    """Return how many cases of one test run without --run-slow."""
    marker = cases[0].get_closest_marker("sweep")
    if marker is not None:
        return int(marker.kwargs["sample"])
    is_integration = INTEGRATION in cases[0].path.parents
    return MAX_CASES if is_integration else len(cases)


def evenly(cases: list[pytest.Item], sample: int) -> list[pytest.Item]:
    """Return some of the cases, spread over all of them, the first and the last included."""
    if len(cases) <= sample:
        return cases
    if sample == 1:
        return cases[:1]
    return [cases[round(number * (len(cases) - 1) / (sample - 1))] for number in range(sample)]


@pytest.fixture(autouse=True, scope="session")
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep all files that tests and their child processes write in a temporary folder."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in FOLDERS:
            (folder / name.lower()).mkdir()
            patch.setenv(name, str(folder / name.lower()))
        patch.setattr(tempfile, "tempdir", str(folder / "tmpdir"))
        yield


@pytest.fixture(autouse=True)
def stop_signals() -> Iterator[None]:
    """Deliver stop signals to each test, even if the test run ignores them."""
    with delivered_stop_signals():
        yield


@pytest.fixture(scope="session")
def thorough(pytestconfig: pytest.Config) -> bool:
    """Whether to take the time for all cases, as --run-slow asks."""
    return bool(pytestconfig.getoption("--run-slow"))


@pytest.fixture(autouse=True, scope="session")
def no_fsync(thorough: bool) -> Iterator[None]:
    """Leave out fsync unless --run-slow is given: only a power cut shows a difference."""
    with pytest.MonkeyPatch.context() as patch:
        if not thorough:
            patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def coverage_settings() -> Iterator[str | None]:
    """Leave the processes that tests start out of the coverage, which slows them down.

    Tests in this process cover most of their code. `measured_processes` is for the others.
    """
    settings = os.environ.get(COVERAGE)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(COVERAGE, raising=False)
        yield settings


@pytest.fixture
def measured_processes(coverage_settings: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the coverage of the processes that the test starts, if coverage is measured."""
    if coverage_settings is not None:
        monkeypatch.setenv(COVERAGE, coverage_settings)


@attrs.frozen
class Tls:
    """Return the TLS contexts of a server and a client on this machine."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the test, in which temporary files and folders are created."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="session")
def postgres() -> Iterator["PostgresServer"]:
    """Run a PostgreSQL server for the tests of this process.

    Tests that stop it need a server of their own: see `running_postgres`.
    """
    from tests.support.postgres import running_postgres

    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: "PostgresServer") -> Iterator[str]:
    """Return the URL of a new PostgreSQL database."""
    with postgres.database() as url:
        yield url


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], ids=lambda name: name
)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a new store of a fleet: the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'fleet.sqlite'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def tls() -> Tls:
    """A server's context for 127.0.0.1, and that of a client which trusts its authority."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return Tls(server, client)
