"""The first start of a fleet: its tables are created once."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy.orm  # noqa: F401 -- two threads must not import it at the same time

from losant_tokens.fleet import StoreError
from losant_tokens.fleet._engine import EngineClient
from losant_tokens.fleet._store import database
from losant_tokens.fleet._store.database import Database, StoreUrl

pytestmark = pytest.mark.slow


def test_worker_that_starts_while_another_creates_the_tables(postgres_url: str) -> None:
    """A worker that finds a part of the tables waits for the rest, and can use all of them."""
    first, second = (Database(StoreUrl.of(postgres_url)) for _ in range(2))
    first.open()
    second.open()

    def pending(database: Database) -> dict[str, list[str]]:
        client = EngineClient(database)
        try:
            client.open()
            return client.pending()
        finally:
            client.close()

    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(pending, first)
        while not second.has_table("dbos_migrations", "dbos"):
            time.sleep(0.005)
        found = pending(second)
        assert (found, other.result()) == ({}, {})
    first.close()
    second.close()


def test_process_that_creates_the_tables_for_too_long(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that waits for another one gives up with an error, and leaves no lock behind."""
    monkeypatch.setattr(database, "_ALONE_TIMEOUT", 0)
    first, second = (Database(StoreUrl.of(postgres_url)) for _ in range(2))
    first.open()
    second.open()
    with (
        first.alone(),
        pytest.raises(StoreError, match="Another process has been creating"),
        second.alone(),
    ):
        pytest.fail("It was not refused")
    with second.alone():
        pass
    first.close()
    second.close()
