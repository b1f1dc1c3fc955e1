"""The place of a store, and its database."""

import builtins
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from losant_tokens import fleet
from losant_tokens.errors import ValidationError
from losant_tokens.fleet import Fleet, FleetError, StoreError
from losant_tokens.fleet._store import database as module
from losant_tokens.fleet._store.database import Database, StoreUrl
from losant_tokens.fleet._store.run_table import metadata

URL = "postgresql://ada:hunter2@db:5433/fleet?sslmode=require"


def test_database_without_its_password() -> None:
    """A store is shown without the password and the options of its URL."""
    place = StoreUrl.of(URL)

    assert (place.name, place.path) == ("postgresql://ada@db:5433/fleet", None)
    assert "hunter2" not in repr(place)
    assert repr(Fleet(URL)) == "<Fleet postgresql://ada@db:5433/fleet>"
    hidden = Database(StoreUrl.of("postgresql://ada@db/fleet?password=hunter2&sslmode=require"))
    hidden.open()
    assert "hunter2" not in repr(hidden.engine)
    assert hidden.engine.url.password == "hunter2"
    assert dict(hidden.engine.url.query) == {"sslmode": "require"}
    assert Fleet("postgres:///fleet").store == "postgresql:///fleet"


def test_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store can be the path or the URL of a file; by default it is in the state folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    by_default = Fleet().path
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = StoreUrl.of("postgresql:///fleet").folder

    assert by_default == tmp_path / ".local/state/losant-tokens/fleet.sqlite"
    assert Fleet().path == tmp_path / "state/losant-tokens/fleet.sqlite"
    assert folder == tmp_path / "state/losant-tokens"
    assert Fleet("~/a.sqlite").path == tmp_path / "a.sqlite"
    assert Fleet(f"sqlite:///{tmp_path}/a.sqlite").path == tmp_path / "a.sqlite"
    assert StoreUrl.of(tmp_path / "b" / "a.sqlite").folder == tmp_path / "b"
    monkeypatch.setenv("LOSANT_TOKENS_FLEET", "postgresql://db/fleet")
    assert Fleet().store == "postgresql://db/fleet"


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ("mysql://ada:hunter2@db/fleet", "a URL that begins with mysql://"),
        ("postgresql://", "it names no database"),
        ("postgresql://ada:hunter2@db", "must be a URL such as .*, but it cannot be read"),
        ("postgresql://ada:hunter2@db:x/fleet", "must be percent-encoded"),
        ("a\0b", "a path that can be used, but it has a NUL character"),
    ],
)
def test_invalid_store(store: str, message: str) -> None:
    """An invalid store is refused, and its password is not repeated."""
    with pytest.raises(ValidationError, match=message) as caught:
        Fleet(store)
    assert "hunter2" not in str(caught.value)


def test_unusable_file(tmp_path: Path) -> None:
    """A store that is a folder, or in a file, is refused with the path."""
    (tmp_path / "file").touch()
    for path, problem in ((tmp_path, "it is a folder"), (tmp_path / "file" / "a", "")):
        with pytest.raises(StoreError, match=f"The store {path} cannot be used: {problem}"):
            Database(StoreUrl.of(path)).open()


def test_file_of_another_program(tmp_path: Path) -> None:
    """A file that is not a store is refused and not changed, not even its mode."""
    text, other, link = tmp_path / "text", tmp_path / "other.sqlite", tmp_path / "link"
    text.write_text("no database, but a text of some length")
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("create table cookies (name)")
    link.symlink_to(other)
    for path, problem in (
        (text, "file is not a database"),
        (other, "it is the database of another program"),
        (link, "it is a symbolic link"),
    ):
        path.chmod(0o644)
        before = path.read_bytes()
        with pytest.raises(StoreError, match=f"{path} cannot be used: {problem}"):
            Database(StoreUrl.of(path)).open()
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (before, 0o644)


def test_file_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of another user is refused."""
    (tmp_path / "a").touch()
    monkeypatch.setattr("losant_tokens._utils.private_files.is_own", lambda _: False)
    with pytest.raises(StoreError, match="it belongs to another user"):
        Database(StoreUrl.of(tmp_path / "a")).open()


def test_empty_file(tmp_path: Path) -> None:
    """An empty file becomes a private store, and so does an existing store of any mode."""
    path = tmp_path / "a"
    for _ in range(2):
        path.touch()
        path.chmod(0o644)
        database = Database(StoreUrl.of(path))
        database.open()
        database.create_tables(metadata)
        database.close()
        assert path.stat().st_mode & 0o777 == 0o600


def test_other_files_of_a_store(tmp_path: Path) -> None:
    """The files that a killed process left beside a store become private as well."""
    path, wal = tmp_path / "a", tmp_path / "a-wal"
    for one in (path, wal):
        one.touch()
        one.chmod(0o644)
    with closing(sqlite3.connect(path)) as holder:
        holder.execute("pragma journal_mode=wal")
        holder.execute("create table fleet_runs (id)")
        holder.commit()
        wal.chmod(0o644)
        Database(StoreUrl.of(path)).open()
        assert wal.stat().st_mode & 0o777 == 0o600


def test_disk_that_is_full(tmp_path: Path) -> None:
    """A full disk is an error of the store, the transaction changes nothing, and reading works."""
    database = Database(StoreUrl.of(tmp_path / "fleet.sqlite"))
    database.open()
    add = sa.text("insert into fleet_runs values (:text)")
    with database.begin() as connection:
        connection.execute(sa.text("create table fleet_runs (id text)"))

    def fill() -> None:
        with database.begin() as connection:
            connection.execute(sa.text("pragma max_page_count = 1"))  # No page can be added.
            connection.execute(add, {"text": "small"})
            connection.execute(add, {"text": "x" * 100_000})

    with pytest.raises(StoreError, match=r"disk is full\. Check that .* the disk is not full\.$"):
        fill()
    with database.begin() as connection:
        assert connection.execute(sa.text("select count(*) from fleet_runs")).scalar() == 0
    database.close()


@pytest.mark.parametrize("ends", [True, False])
def test_first_opening_while_another_process_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    """A new file that is being written is opened after that, or refused after a time."""
    path = tmp_path / "fleet.sqlite"
    database = Database(StoreUrl.of(str(path)))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("create table fleet_version (version)")
        other.execute("begin immediate")
        if ends:
            monkeypatch.setattr("time.sleep", lambda _: other.execute("commit"))
        else:
            monkeypatch.setattr(module, "_WAL_TIMEOUT", -1)
        database.open()
        try:
            if ends:
                database.create_tables(metadata)
            else:
                with pytest.raises(StoreError, match="database is locked"):
                    database.create_tables(metadata)
        finally:
            database.close()


def test_password_in_an_error() -> None:
    """A password in the message of the driver is hidden."""
    database = Database(StoreUrl.of("postgresql://ada:hunter2@db/fleet"))
    with (
        pytest.raises(StoreError, match=r"no \*\*\*\* here\. Check") as caught,
        database.translated_errors(),
    ):
        raise sa.exc.OperationalError("select", {}, Exception("no hunter2 here.\nmore"))
    assert "more" not in str(caught.value)
    with pytest.raises(StoreError, match="cannot be used: Exception"), database.translated_errors():
        raise sa.exc.OperationalError("select", {}, Exception())


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error says how to install it."""
    real_import = builtins.__import__

    def import_(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "sqlalchemy":
            raise ImportError
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", import_)
    for use in (lambda: Fleet(URL), Database(StoreUrl.of(tmp_path / "a")).open):
        with pytest.raises(FleetError, match=r"pip install 'losant-tokens\[fleet\]'"):
            use()


def test_close_before_open(tmp_path: Path) -> None:
    """A database that was never opened can be closed."""
    Database(StoreUrl.of(tmp_path / "a")).close()
    assert fleet.StoreError.__mro__[1] is FleetError
