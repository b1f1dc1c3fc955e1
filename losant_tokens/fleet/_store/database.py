"""The database of a fleet: an SQLite file or PostgreSQL, opened with the settings that it needs.

The engine and the tables of this package share it, so that one transaction can change a run and
enqueue its work. Errors of the database become a `StoreError`, which names the store without its
password. They are not chained, because the frames of the original error hold the password.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, Self

from attrs import frozen

from losant_tokens._utils.private_files import check_private, expanded, reason
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import ValidationError
from losant_tokens.fleet._errors import FleetError, StoreError

if TYPE_CHECKING:
    import sqlalchemy as sa

VARIABLE: Final = "LOSANT_TOKENS_FLEET"
"""The environment variable that names the store by default."""

SCHEMA: Final = "losant_fleet"
"""The schema of the tables of this package in PostgreSQL. SQLite has no schemas."""

_PRIVATE: Final = 0o600
_TABLES: Final = frozenset({"fleet_runs", "fleet_version", "dbos_migrations"})
"""Tables by which a store is recognized. Each may be the first that is created."""

_POSTGRESQL: Final = ("postgresql", "postgres", "postgresql+psycopg")
_BUSY_TIMEOUT: Final = 30_000  # milliseconds, as the engine has for its own connections
_ALONE: Final = 5170102  # the number of a lock in PostgreSQL
_ALONE_TIMEOUT: Final = 60  # seconds
_ALONE_INTERVAL: Final = 0.1  # seconds between two attempts to get it
_WAL_TIMEOUT: Final = 30  # seconds
_WAL_INTERVAL: Final = 0.05  # seconds
_CONNECT_TIMEOUT: Final = 10  # seconds
_IDLE_TIMEOUT: Final = 20_000  # milliseconds between two statements of a transaction
_MISSING: Final = (
    "A fleet needs the extra [fleet], which is not installed. Install it: "
    "pip install 'losant-tokens[fleet]'"
)


@frozen
class StoreUrl:
    """The place of a store.

    Attributes:
        url: The URL for SQLAlchemy, which may hold a password.
        path: The SQLite file; `None` for PostgreSQL.
        name: The store without its password, for messages.
    """

    url: Secret
    path: Path | None
    name: str

    @property
    def folder(self) -> Path:
        """The folder for the files of a worker: that of the SQLite file, or the state folder."""
        return (self.path or _default_path()).parent

    @classmethod
    def of(cls, store: str | os.PathLike[str] | None) -> Self:
        """Return the place that an argument names.

        Args:
            store: The URL of a PostgreSQL database, or the path of an SQLite file. Default: the
                variable `LOSANT_TOKENS_FLEET`, or the file `fleet.sqlite` in the state folder.

        Raises:
            ValidationError: It is neither.
            FleetError: The extra `[fleet]` is not installed, or there is no home folder.
        """
        text = os.environ.get(VARIABLE, "") if store is None else os.fspath(store)
        if "://" not in text:
            return cls._of_file(_default_path() if not text else _expanded(text))
        if text.startswith("sqlite:///"):
            return cls._of_file(_expanded(text.removeprefix("sqlite:///")))
        return cls._of_database(text)

    @classmethod
    def _of_file(cls, path: Path) -> Self:
        path = path.absolute()
        return cls(Secret(f"sqlite:///{path}"), path, str(path))

    @classmethod
    def _of_database(cls, text: str) -> Self:
        scheme, _, rest = text.partition("://")
        if scheme in _POSTGRESQL and not rest.strip("/"):
            raise ValidationError(
                "Fleet.store must be a URL such as postgresql://user@host/database, but it names "
                "no database"
            )
        if scheme not in _POSTGRESQL:
            raise ValidationError(
                f"Fleet.store must be a URL such as postgresql://user@host/database, or the path "
                f"of an SQLite file, but it is a URL that begins with {scheme}://"
            )
        try:
            from sqlalchemy import URL, make_url  # noqa: PLC0415 -- only the fleet needs it
        except ImportError:
            raise FleetError(_MISSING) from None
        url: URL | None = None
        with suppress(Exception):  # The message may repeat the password.
            url = _without_query_password(make_url(f"postgresql+psycopg://{rest}"))
        if url is None or not url.database:
            raise ValidationError(
                "Fleet.store must be a URL such as postgresql://user@host/database, but it cannot "
                "be read. Characters such as @ and / in a password must be percent-encoded"
            )
        user = f"{url.username}@" if url.username else ""
        port = f":{url.port}" if url.port else ""
        name = f"postgresql://{user}{url.host or ''}{port}/{url.database}"
        return cls(Secret(url.render_as_string(hide_password=False)), None, name)


def _without_query_password(url: "sa.URL") -> "sa.URL":
    """Return a URL whose password is in its usual place, because SQLAlchemy shows its options."""
    password = url.query.get("password")
    if not isinstance(password, str):
        return url
    return url.set(password=password).difference_update_query(["password"])


class Database:
    """Connections to the database of a store. All of its methods block.

    Args:
        place: The place of the store.
    """

    def __init__(self, place: StoreUrl) -> None:
        self.place = place
        self.is_sqlite = place.path is not None
        self._engine: sa.Engine | None = None

    @property
    def engine(self) -> "sa.Engine":
        """The open engine of SQLAlchemy."""
        assert self._engine is not None  # noqa: S101 -- `open` was called
        return self._engine

    def open(self) -> None:
        """Open the database, and create the file of an SQLite store if it is missing.

        Raises:
            StoreError: The store cannot be reached.
            FleetError: The extra `[fleet]` is not installed.
        """
        try:
            import sqlalchemy  # noqa: F401, PLC0415 -- only the fleet needs it
        except ImportError:
            raise FleetError(_MISSING) from None
        if self.place.path is not None:
            _prepare(self.place.path)
        self._engine = _sqlite(self.place) if self.is_sqlite else _postgresql(self.place)

    def close(self) -> None:
        """Close all connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @contextmanager
    def begin(self) -> "Iterator[sa.Connection]":
        """Return a connection in a transaction, which is committed at the end of the block.

        Raises:
            StoreError: The store cannot be reached, or refuses a statement.
        """
        with self.translated_errors(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Raise a `StoreError` for each error of the database."""
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 -- only the fleet needs it

        problem: str | None = None
        try:
            yield
        except SQLAlchemyError as error:
            problem = self._problem(error)
        if problem is not None:
            raise_unchained(StoreError(problem))

    def time(self) -> datetime:
        """Return the time by the clock of the database, which all clients share.

        Raises:
            StoreError: The store cannot be reached.
        """
        if self.is_sqlite:
            return datetime.now(UTC)
        import sqlalchemy as sa  # noqa: PLC0415 -- only the fleet needs it

        with self.begin() as connection:
            found: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        return found.astimezone(UTC)

    def has_table(self, name: str, schema: str) -> bool:
        """Return whether a table exists.

        Args:
            name: The name of the table.
            schema: The schema in PostgreSQL.

        Raises:
            StoreError: The store cannot be reached.
        """
        import sqlalchemy as sa  # noqa: PLC0415 -- only the fleet needs it

        with self.translated_errors():
            return sa.inspect(self.engine).has_table(name, None if self.is_sqlite else schema)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from creating tables during the block. It waits for them.

        A process that waits must not be in a statement: an index that is created concurrently
        waits for the end of all statements, so each would wait for the other.

        Raises:
            StoreError: The store cannot be reached, or another process takes too long.
        """
        if self.is_sqlite:
            yield
            return
        import sqlalchemy as sa  # noqa: PLC0415 -- only the fleet needs it

        engine = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        with self.translated_errors(), engine.connect() as connection:
            take = sa.text(f"select pg_try_advisory_lock({_ALONE})")
            give_up_at = time.monotonic() + _ALONE_TIMEOUT
            while not connection.execute(take).scalar():
                if time.monotonic() > give_up_at:
                    raise StoreError(
                        f"Another process has been creating or upgrading the tables of the store "
                        f"{self.place.name} for {_ALONE_TIMEOUT} s. Wait until it is done."
                    )
                time.sleep(_ALONE_INTERVAL)
            try:
                yield
            finally:
                connection.execute(sa.text(f"select pg_advisory_unlock({_ALONE})"))

    def create_tables(self, metadata: "sa.MetaData") -> None:
        """Create the tables that are missing.

        Args:
            metadata: The tables, without a schema. PostgreSQL has them in `losant_fleet`.

        Raises:
            StoreError: They cannot be created.
        """
        import sqlalchemy as sa  # noqa: PLC0415 -- only the fleet needs it

        with self.begin() as connection:
            if self.is_sqlite:
                # Without a transaction, two processes would create the same table.
                connection.execute(sa.text("begin immediate"))
            else:
                # Two processes may create the same table at the same time, which PostgreSQL refuses
                # even with IF NOT EXISTS.
                connection.execute(sa.text("select pg_advisory_xact_lock(5170101)"))
                connection.execute(sa.text(f"create schema if not exists {SCHEMA}"))
            metadata.create_all(connection)

    def _problem(self, error: Exception) -> str:
        """Return the error without the statement, its values and the password."""
        original = getattr(error, "orig", None) or error
        lines = str(original).strip().splitlines() or [type(original).__name__]
        text = lines[0].removesuffix(".")
        from sqlalchemy import make_url  # noqa: PLC0415 -- only the fleet needs it

        if password := make_url(self.place.url.reveal()).password:
            text = text.replace(password, "****")
        advice = (
            "Check that no other program locks the file, and that the disk is not full."
            if self.is_sqlite
            else "Check that the database runs, and that its URL, user and password are right."
        )
        return f"The store {self.place.name} cannot be used: {text}. {advice}"


def _prepare(path: Path) -> None:
    """Create an SQLite file, or check that an existing one is a store, and make it private.

    A file that is something else is not changed, not even its mode. An existing file is opened by
    SQLite only: to close another descriptor would drop the locks that SQLite has on it in this
    process (https://www.sqlite.org/howtocorrupt.html, 2.2).

    Raises:
        StoreError: The file cannot be used.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _PRIVATE))
        check_private(path)
        if problem := _file_problem(path):
            raise StoreError(f"The store {path} cannot be used: {problem}. Choose another file.")
        path.chmod(_PRIVATE)
        # SQLite gives its other files the mode of the store, but a killed process may have left
        # them, from a time at which the store had another mode.
        for ending in ("-wal", "-shm"):
            other = path.with_name(f"{path.name}{ending}")
            with suppress(FileNotFoundError):
                check_private(other)
                other.chmod(_PRIVATE)
    except OSError as error:
        found = reason(error)
    else:
        return
    raise StoreError(f"The store {path} cannot be used: {found}. Choose another file.")


def _file_problem(path: Path) -> str:
    """Return why a file is not the store of a fleet; an empty string if it is, or is empty."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            names = {name for (name,) in connection.execute("select name from sqlite_master")}
        except sqlite3.DatabaseError as error:
            return str(error)
    return "" if not names or names & _TABLES else "it is the database of another program"


def raise_unchained(error: Exception) -> NoReturn:
    """Raise an error that replaces another one, whose frames hold the password of the store."""
    try:
        raise error
    finally:
        error.__context__ = None


def _sqlite(place: StoreUrl) -> "sa.Engine":
    import sqlalchemy as sa  # noqa: PLC0415 -- only the fleet needs it

    engine = sa.create_engine(
        place.url.reveal(), pool_size=20, max_overflow=20, hide_parameters=True
    )

    @sa.event.listens_for(engine, "connect")
    def configure(connection: "sa.engine.interfaces.DBAPIConnection", _: object) -> None:
        # A writer takes its lock at the beginning, so two of them never wait for each other.
        connection.isolation_level = "IMMEDIATE"
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT}")
        cursor.execute("PRAGMA foreign_keys=ON")
        _use_wal(cursor)
        # FULL keeps each commit after a power failure.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    return engine


def _use_wal(cursor: "sa.engine.interfaces.DBAPICursor") -> None:
    """Let clients read while the worker writes.

    Only the first connection to a new file changes it. If another one writes at that time, SQLite
    refuses the change at once, and not after its own timeout.
    """
    give_up_at = time.monotonic() + _WAL_TIMEOUT
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(_WAL_INTERVAL)
        else:
            return


def _postgresql(place: StoreUrl) -> "sa.Engine":
    import sqlalchemy as sa  # noqa: PLC0415 -- only the fleet needs it

    engine = sa.create_engine(
        place.url.reveal(),
        pool_size=20,
        max_overflow=10,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"connect_timeout": _CONNECT_TIMEOUT, "application_name": "losant-tokens"},
    )

    @sa.event.listens_for(engine, "connect")
    def configure(connection: "sa.engine.interfaces.DBAPIConnection", _: object) -> None:
        # A process that is stopped, or cut off, in the middle of a transaction holds its locks.
        # Without a limit, the worker that takes over would wait for them forever.
        cursor = connection.cursor()
        cursor.execute(f"SET idle_in_transaction_session_timeout = {_IDLE_TIMEOUT}")
        connection.commit()
        cursor.close()

    return engine.execution_options(schema_translate_map={None: SCHEMA})


def _expanded(text: str) -> Path:
    try:
        return expanded(text)
    except OSError as error:
        problem = reason(error)
    raise ValidationError(f"Fleet.store must be a path that can be used, but {problem}")


def _default_path() -> Path:
    """Return the file `fleet.sqlite` in the state folder."""
    if state := os.environ.get("XDG_STATE_HOME"):
        return Path(state) / "losant-tokens" / "fleet.sqlite"
    return _expanded("~/.local/state/losant-tokens/fleet.sqlite")
