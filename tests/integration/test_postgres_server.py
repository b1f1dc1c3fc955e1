"""The PostgreSQL server that tests run."""

from pathlib import Path

import psycopg
import pytest

from tests.support import postgres as support
from tests.support.postgres import PostgresServer, postgres_programs, running_postgres


@pytest.mark.slow
def test_each_database_is_new_and_is_dropped(postgres: PostgresServer) -> None:
    """A database is empty when a test gets it, and gone when the test ends, even while in use."""
    with postgres.database() as url:
        left_open = psycopg.connect(url)
        assert left_open.execute("SELECT count(*) FROM pg_stat_user_tables").fetchone() == (0,)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)
    left_open.close()


@pytest.mark.slow
def test_a_server_that_starts_again_has_its_data_and_its_url() -> None:
    """A test can stop the server and start it again, as if the store had been down."""
    with running_postgres() as server, server.database() as url:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 17 AS number")
        server.stop()
        with pytest.raises(psycopg.OperationalError, match="refused"):
            psycopg.connect(url)
        server.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT number FROM kept").fetchone() == (17,)


@pytest.mark.slow
def test_the_server_asks_for_the_password(postgres: PostgresServer) -> None:
    """Other users of the machine cannot connect to the server of the tests."""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url().replace(postgres.password, "wrong"))


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_without_postgresql(
    ci: str, outcome: type[Exception], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without PostgreSQL its tests are skipped with the reason, and in CI they fail."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(support, "_FOLDERS", (f"{tmp_path}/*/bin",))
    with pytest.raises(outcome, match="PostgreSQL is not installed"), running_postgres():
        pass


def test_the_newest_version_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of several versions of PostgreSQL, the tests use the newest one that is complete."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(support, "_FOLDERS", (f"{tmp_path}/*/bin",))
    for version in ("9", "15", "17"):
        (tmp_path / version / "bin").mkdir(parents=True)
    for version in ("9", "15"):
        (tmp_path / version / "bin" / "initdb").touch()
    assert postgres_programs() == tmp_path / "15" / "bin"
