"""The table of workers in the store of a fleet.

Times in the table are those of the database, for people. No decision compares them with the clock
of a machine. The number of heartbeats decides who is alive: see `lease`.
"""

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from losant_tokens.fleet._errors import StoreError
from losant_tokens.fleet._workers.lease import Heartbeat
from losant_tokens.fleet._workers.worker_record import Boot, Worker

SCHEMA_VERSION = 1
"""The version of the tables. A store with a newer one belongs to a newer release."""

_SCHEMA = "losant_fleet"  # in PostgreSQL. An SQLite file has no schemas.
_TURN_LOCK = 0x6C6F73616E74  # of PostgreSQL: one process at a time decides who is alive
_CREATE_LOCK = _TURN_LOCK + 1
_CONNECT_TIMEOUT = 3  # seconds
_STATEMENT_TIMEOUT = 5  # seconds
_UNIX_EPOCH = 2440587.5  # as a Julian day
_DAY = 86400.0  # seconds

_metadata = sa.MetaData()
_VERSION = sa.Table("fleet_version", _metadata, sa.Column("version", sa.Integer, primary_key=True))
_WORKERS = sa.Table(
    "fleet_workers",
    _metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("boot", sa.Text, nullable=False),
    sa.Column("beats", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("process", sa.BigInteger, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("heartbeat_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.Column("orphans", sa.Text, nullable=False),
)
_TICKS = sa.Table(
    "fleet_ticks",
    _metadata,
    sa.Column("schedule", sa.Text, primary_key=True),
    sa.Column("last_at", sa.Double, nullable=False),
)


_P = ParamSpec("_P")
_R = TypeVar("_R")


def _translated(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Raise a `StoreError` for errors of the database, without their frames, which hold the URL.

    A context manager could not do that: an error that it raises is chained to the first one.
    """

    @functools.wraps(function)
    def translated(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except SQLAlchemyError as error:
            problem = _problem(error)
        raise StoreError(f"The store cannot be reached: {problem}")

    return translated


class Turn:
    """The right to decide who is alive. One process at a time has it."""

    def __init__(self, connection: sa.Connection | None) -> None:
        self._connection = connection

    @_translated
    def check(self) -> None:
        """Check that this process still has the turn.

        Raises:
            StoreError: The database ended the connection, and with it the turn.
        """
        if self._connection is not None:
            self._connection.execute(sa.select(1))


class WorkerTable:
    """The table of workers. Its calls wait for the database, so make them in a thread.

    Args:
        url: The URL of a PostgreSQL database or an SQLite file.
        turn_timeout: How long the process that has the turn may do nothing, in seconds. Then the
            database ends its turn, because a stopped process must not block the others.

    Attributes:
        name: The host, the port and the database of the store.
        path: The SQLite file; `None` for PostgreSQL.

    Raises:
        StoreError: The URL is invalid.
    """

    def __init__(self, url: str, *, turn_timeout: float = 10.0) -> None:
        parsed = _parsed(url)
        self._is_postgres = parsed.get_backend_name() == "postgresql"
        self.path = None if self._is_postgres else Path(parsed.database or "")
        self.name = f"{parsed.host}:{parsed.port}/{parsed.database}"
        self._turn_timeout = turn_timeout
        options: dict[str, Any] = {}
        if self._is_postgres:
            parsed = parsed.set(drivername="postgresql+psycopg")
            # A connection that hangs must not keep a heartbeat from its next attempt.
            options = {
                "connect_timeout": _CONNECT_TIMEOUT,
                "tcp_user_timeout": _STATEMENT_TIMEOUT * 1000,
                "keepalives_idle": _STATEMENT_TIMEOUT,
                "application_name": "losant-tokens fleet",
            }
        else:
            options = {"timeout": _STATEMENT_TIMEOUT}
        self._engine = sa.create_engine(
            parsed,
            connect_args=options,
            isolation_level="AUTOCOMMIT",
            pool_size=4,
            hide_parameters=True,
            execution_options={
                "preserve_rowcount": True,  # of insertions, too
                "schema_translate_map": {None: _SCHEMA if self._is_postgres else None},
            },
        )
        prepare = _limit_statements if self._is_postgres else _save_flushes
        sa.event.listen(self._engine, "connect", prepare)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def create(self) -> None:
        """Create the tables if they do not exist, and check their version.

        Raises:
            StoreError: The database cannot be reached, or belongs to a newer release.
        """
        found = self._create_and_read_version()
        if found is None or found > SCHEMA_VERSION:
            raise StoreError(
                f"The store has version {found}, but this release reads version {SCHEMA_VERSION}. "
                f"Upgrade losant-tokens on this machine."
            )

    @_translated
    def _create_and_read_version(self) -> int | None:
        if self._version() is None:
            with self._engine.connect() as plain:
                level = "READ COMMITTED" if self._is_postgres else "SERIALIZABLE"
                connection = plain.execution_options(isolation_level=level)
                with connection.begin():
                    self._create(connection)
        return self._version()

    def _create(self, connection: sa.Connection) -> None:
        if self._is_postgres:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATE_LOCK)))
            connection.execute(sa.schema.CreateSchema(_SCHEMA, if_not_exists=True))
        else:
            # Without a transaction, two processes would create the same table.
            connection.execute(sa.text("BEGIN IMMEDIATE"))
        _metadata.create_all(connection)
        if connection.execute(sa.select(_VERSION.c.version)).first() is None:
            connection.execute(sa.insert(_VERSION).values(version=SCHEMA_VERSION))

    def _version(self) -> int | None:
        schema = _SCHEMA if self._is_postgres else None
        with self._engine.connect() as connection:
            if not sa.inspect(connection).has_table(_VERSION.name, schema=schema):
                return None
            return connection.execute(sa.select(sa.func.max(_VERSION.c.version))).scalar()

    @contextmanager
    def turn(self) -> Iterator[Turn | None]:
        """Take the turn for the block, or yield None if another process has it.

        The lock belongs to a transaction that does nothing else. So a fence is committed before the
        work is reassigned, and a turn that ends early cannot undo it. On SQLite, there is only one
        worker, which always has the turn.

        Raises:
            StoreError: The database cannot be reached.
        """
        if not self._is_postgres:
            yield Turn(None)
            return
        lock = self._take_turn()
        try:
            yield None if lock is None else Turn(lock)
        finally:
            if lock is not None:
                # If the database has ended the connection, it has ended the turn as well.
                with suppress(SQLAlchemyError):
                    lock.close()

    @_translated
    def _take_turn(self) -> sa.Connection | None:
        """Return the connection whose transaction has the turn; None if another process has it."""
        lock = self._engine.connect().execution_options(isolation_level="READ COMMITTED")
        timeout = f"{int(self._turn_timeout * 1000)}"
        try:
            lock.execute(sa.text(f"SET LOCAL idle_in_transaction_session_timeout = {timeout}"))
            if lock.execute(sa.select(sa.func.pg_try_advisory_xact_lock(_TURN_LOCK))).scalar():
                return lock
        except BaseException:
            lock.close()
            raise
        lock.close()
        return None

    # --- Workers -----------------------------------------------------------------------------

    @_translated
    def workers(self) -> tuple[datetime, tuple[Worker, ...]]:
        """Return the time of the database, and the workers by their ids.

        Raises:
            StoreError: The database cannot be reached.
        """
        # One statement: a join with one row, so that the time arrives without workers, too.
        now = sa.select(self._now.label("now")).subquery()
        query = sa.select(now.c.now, _WORKERS).select_from(now.outerjoin(_WORKERS, sa.true()))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(_WORKERS.c.id)).mappings().all()
        return _time(rows[0]["now"]), tuple(_worker(row) for row in rows if row["id"] is not None)

    @_translated
    def is_live(self, boot: str) -> bool:
        """Return whether the worker with a boot is live.

        Args:
            boot: The random string of the boot.

        Raises:
            StoreError: The database cannot be reached.
        """
        query = sa.select(_WORKERS.c.id).where(_WORKERS.c.boot == boot, _WORKERS.c.state == "live")
        with self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def register(self, boot: Boot, replaces: Worker | None) -> bool:
        """Register a worker, during a turn. The registration is its first heartbeat.

        Args:
            boot: The worker.
            replaces: The row with its id, as it was read; `None` if there was none.

        Returns:
            Whether it is registered. If not, the row has changed since it was read.

        Raises:
            StoreError: The database cannot be reached.
        """
        values = {
            "boot": boot.nonce,
            "beats": 0,
            "state": "live",
            "place": boot.place,
            "host": boot.host,
            "process": boot.process,
            "version": boot.version,
            "started_at": self._now,
            "heartbeat_at": self._now,
            "ended_at": None,
            "orphans": "[]",
        }
        statement: sa.Insert | sa.Update
        if replaces is None:
            statement = sa.insert(_WORKERS).values(id=boot.id, **values)
        else:
            statement = sa.update(_WORKERS).where(*_same(replaces.id, replaces.heartbeat))
            statement = statement.values(**values)
        return self._changes_one(statement)

    def beat(self, boot: Boot) -> bool:
        """Record a heartbeat, and return whether the worker still has its place in the fleet.

        Raises:
            StoreError: The database cannot be reached.
        """
        statement = sa.update(_WORKERS).where(*_live(boot))
        return self._changes_one(
            statement.values(beats=_WORKERS.c.beats + 1, heartbeat_at=self._now)
        )

    def fence(self, worker: str, heartbeat: Heartbeat) -> bool:
        """Fence a worker during a turn, unless it has sent another heartbeat.

        Args:
            worker: The id of the worker.
            heartbeat: The last heartbeat that was seen.

        Returns:
            Whether it is fenced.

        Raises:
            StoreError: The database cannot be reached.
        """
        where = (*_same(worker, heartbeat), _WORKERS.c.state == "live")
        statement = sa.update(_WORKERS).where(*where)
        return self._changes_one(statement.values(state="fenced", ended_at=self._now))

    def release(self, boot: Boot) -> bool:
        """Record that a worker stopped, and return whether it was still live.

        Raises:
            StoreError: The database cannot be reached.
        """
        statement = sa.update(_WORKERS).where(*_live(boot))
        return self._changes_one(statement.values(state="released", ended_at=self._now))

    def record_orphans(self, boot: Boot, orphans: tuple[str, ...]) -> None:
        """Record the work that a fenced worker still held when it found out.

        Raises:
            StoreError: The database cannot be reached.
        """
        where = (_WORKERS.c.id == boot.id, _WORKERS.c.boot == boot.nonce)
        self._changes_one(sa.update(_WORKERS).where(*where).values(orphans=json.dumps(orphans)))

    def forget(self, ended_before: datetime) -> None:
        """Remove workers that ended before a time.

        Raises:
            StoreError: The database cannot be reached.
        """
        self._changes_one(
            sa.delete(_WORKERS).where(
                _WORKERS.c.state != "live", _WORKERS.c.ended_at < ended_before.timestamp()
            )
        )

    # --- Schedules ---------------------------------------------------------------------------

    @_translated
    def last_tick(self, schedule: str, since: datetime) -> datetime:
        """Return the last tick of a schedule that was started.

        Args:
            schedule: The name of the schedule.
            since: The time to record for a schedule that is new. Earlier ticks are not missed.

        Raises:
            StoreError: The database cannot be reached.
        """
        query = sa.select(_TICKS.c.last_at).where(_TICKS.c.schedule == schedule)
        with self._engine.connect() as connection:
            found = connection.execute(query).scalar()
            if found is None:
                connection.execute(self._insert_tick(schedule, since))
                found = connection.execute(query).scalar_one()
        return _time(found)

    @_translated
    def last_ticks(self) -> dict[str, datetime]:
        """Return the last ticks of the schedules that workers have seen, by their names.

        Raises:
            StoreError: The database cannot be reached.
        """
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(_TICKS.c.schedule, _TICKS.c.last_at)).all()
        return {schedule: _time(last_at) for schedule, last_at in found}

    def _insert_tick(self, schedule: str, at: datetime) -> sa.Executable:
        from sqlalchemy.dialects import postgresql, sqlite  # noqa: PLC0415

        insert = postgresql.insert if self._is_postgres else sqlite.insert
        values = insert(_TICKS).values(schedule=schedule, last_at=at.timestamp())
        return values.on_conflict_do_nothing()

    def record_tick(self, schedule: str, tick: datetime) -> None:
        """Record that a tick was started. A later tick stays recorded.

        Raises:
            StoreError: The database cannot be reached.
        """
        where = (_TICKS.c.schedule == schedule, _TICKS.c.last_at < tick.timestamp())
        self._changes_one(sa.update(_TICKS).where(*where).values(last_at=tick.timestamp()))

    # --- Helpers -----------------------------------------------------------------------------

    @property
    def _now(self) -> sa.ColumnElement[float]:
        """The time of the database, in seconds since 1970."""
        if self._is_postgres:
            epoch = sa.extract("epoch", sa.func.clock_timestamp())
            return sa.cast(epoch, sa.Double)
        return (sa.func.julianday("now", type_=sa.Double) - _UNIX_EPOCH) * _DAY

    @_translated
    def _changes_one(self, statement: sa.Insert | sa.Update | sa.Delete) -> bool:
        with self._engine.connect() as connection:
            return connection.execute(statement).rowcount == 1


def _parsed(url: str) -> sa.URL:
    """Return a URL, or raise an error that does not show it: it may contain a password."""
    try:
        parsed = sa.make_url(url)
        name = parsed.get_backend_name()
    except (SQLAlchemyError, ValueError):
        name = ""
    else:
        if name in {"postgresql", "sqlite"}:
            return parsed
    raise StoreError(
        "The URL of the store must be like postgresql://USER:PASSWORD@HOST/DATABASE or "
        "sqlite:///FILE. Special characters of the password must be percent-encoded."
    )


def _limit_statements(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = {_STATEMENT_TIMEOUT * 1000}")
    connection.commit()


def _save_flushes(connection: Any, _record: object) -> None:
    """Write a heartbeat without waiting for the disk. After a power failure, none counts anyway."""
    connection.execute("PRAGMA synchronous=NORMAL")


def _problem(error: SQLAlchemyError) -> str:
    """Return the first line of an error. It names the host and the user, and no password."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _same(worker: str, heartbeat: Heartbeat) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _WORKERS.c.id == worker,
        _WORKERS.c.boot == heartbeat.boot,
        _WORKERS.c.beats == heartbeat.beats,
    )


def _live(boot: Boot) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _WORKERS.c.id == boot.id,
        _WORKERS.c.boot == boot.nonce,
        _WORKERS.c.state == "live",
    )


def _worker(row: sa.RowMapping) -> Worker:
    ended_at = row["ended_at"]
    return Worker(
        id=row["id"],
        state=row["state"],
        host=row["host"],
        process=row["process"],
        version=row["version"],
        started_at=_time(row["started_at"]),
        heartbeat_at=_time(row["heartbeat_at"]),
        ended_at=None if ended_at is None else _time(ended_at),
        orphans=tuple(json.loads(row["orphans"])),
        heartbeat=Heartbeat(boot=row["boot"], beats=row["beats"]),
        place=row["place"],
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
