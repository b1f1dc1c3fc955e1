"""The newest runs of a store, read without SQLAlchemy and without the engine.

Importing both takes longer than a person waits for a TAB. The reader is one query on a read-only
connection, which gives up soon, and creates neither a store nor a table.
"""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from losant_tokens.fleet import _run_codec as records
from losant_tokens.fleet import _transitions as transitions
from losant_tokens.fleet._errors import FleetError, StoreError
from losant_tokens.fleet._store.database import SCHEMA, StoreUrl
from losant_tokens.fleet._types import DecisionKind, Run

_BUSY_TIMEOUT: Final = 0.5  # seconds
_CONNECT_TIMEOUT: Final = 2  # seconds, the shortest time that PostgreSQL's library allows
_STATEMENT_TIMEOUT: Final = 2000  # milliseconds
_SEARCHED: Final = 10  # runs that are read for one with a decision, because most are over


def recent_runs(
    store: str | os.PathLike[str] | None = None,
    *,
    decision: DecisionKind | None = None,
    limit: int = 100,
) -> tuple[Run, ...]:
    """Return the newest runs of a store quickly, for example to complete a run in a shell.

    It opens no client, gives up after two seconds, and creates nothing. Runs that cannot be read
    are left out. It blocks.

    Args:
        store: The store, as for `Fleet`.
        decision: Only runs about which this decision is possible. Default: all.
        limit: The maximum number of runs. Default: 100.

    Raises:
        StoreError: There is no such store, or it cannot be reached in time.
        FleetError: The extra `[fleet]` is not installed.
        ValidationError: The store is invalid.
    """
    place = StoreUrl.of(store)
    states = () if decision is None else transitions.DECIDABLE[decision]
    now = datetime.now(UTC)
    runs: list[Run] = []
    for text in _records(place, states, limit if decision is None else limit * _SEARCHED):
        try:
            run = transitions.as_of(records.from_json(text).run, now)
        except FleetError:
            continue
        if decision is None or transitions.allows(run, decision):
            runs.append(run)
        if len(runs) == limit:
            break
    return tuple(runs)


def _records(place: StoreUrl, states: Sequence[str], limit: int) -> list[str]:
    """Return the newest records.

    Raises:
        StoreError: They cannot be read.
    """
    try:
        if place.path is not None:
            return _of_file(place.path, states, limit)
        return _of_server(place, states, limit)
    except Exception as error:  # noqa: BLE001 -- each driver has errors of its own
        problem = type(error).__name__
    # It is not chained, because the frames of the other error hold the password of the store.
    raise StoreError(f"The store {place.name} cannot be read ({problem}).")


def _of_file(path: Path, states: Sequence[str], limit: int) -> list[str]:
    url = f"file:{quote(str(path))}?mode=ro"
    statement = _statement("fleet_runs", ", ".join("?" * len(states)), "?")
    with closing(sqlite3.connect(url, uri=True, timeout=_BUSY_TIMEOUT)) as connection:
        return [row[0] for row in connection.execute(statement, (*states, limit))]


def _of_server(place: StoreUrl, states: Sequence[str], limit: int) -> list[str]:
    import psycopg  # noqa: PLC0415 -- only a server needs it

    url = place.url.reveal().replace("postgresql+psycopg", "postgresql", 1)
    statement: Any = _statement(f"{SCHEMA}.fleet_runs", ", ".join(["%s"] * len(states)), "%s")
    with psycopg.connect(
        url,
        connect_timeout=_CONNECT_TIMEOUT,
        options=f"-c statement_timeout={_STATEMENT_TIMEOUT}",
    ) as connection:
        return [row[0] for row in connection.execute(statement, (*states, limit))]


def _statement(table: str, states: str, limit: str) -> str:
    """Return the query. Its parts are names and placeholders, and no values."""
    where = f" where state in ({states})" if states else ""
    return f"select record from {table}{where} order by requested_at desc, id desc limit {limit}"  # noqa: S608
