"""The tables of runs: their records, plans and results, and changes that enqueue a task.

A change of a run is written only if nobody has changed the run since it was read: the revision of
its row decides. The task that follows is enqueued in the same transaction. A plan and the results
of a chunk are stored once each, whatever the number of attempts, and never pass through the engine.
"""

import contextlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from attrs import frozen

from losant_tokens import jobs
from losant_tokens.fleet import _run_codec as records
from losant_tokens.fleet._errors import FleetError, RunNotFound
from losant_tokens.fleet._run_codec import Record
from losant_tokens.fleet._store.database import SCHEMA, Database
from losant_tokens.fleet._transitions import UNFINISHED, Next
from losant_tokens.fleet._types import Phase, RunState
from losant_tokens.policy import WarningRecord

_ATTEMPTS: Final = 20  # at a change that others make at the same time
_MAX_SHOWN: Final = 5  # ids in a message
_PAGE: Final = 200
_FAILED: Final = '"outcome":"failed"'  # in the result of a chunk, and perhaps in a name
_FAILED_MEMBER: Final = '"failed":'  # in the outcomes of a run
_ENDED_BY: Final = "endedBy"  # the process that ended the chunk cleanly, in its result

logger = logging.getLogger("losant_tokens.fleet")

metadata = sa.MetaData()
RUNS: Final = "fleet_runs"
"""The name of the table of runs."""

_RUNS = sa.Table(
    RUNS,
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("occasion", sa.Text, unique=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("cleanup", sa.Text, nullable=False),
    sa.Column("requested_at", sa.Float(53), nullable=False),
    sa.Column("approve_by", sa.Float(53)),
    sa.Column("sweep_due_at", sa.Float(53)),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("record", sa.Text, nullable=False),
    sa.Index("fleet_runs_by_time", "requested_at", "id"),
    sa.Index("fleet_runs_by_state", "state", "requested_at"),
    sa.Index("fleet_runs_by_account", "account", "requested_at"),
)
_PLANS = sa.Table(
    "fleet_plans",
    metadata,
    sa.Column("run", sa.Text, primary_key=True),
    sa.Column("phase", sa.Text, primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
)
_CHUNKS = sa.Table(
    "fleet_chunks",
    metadata,
    sa.Column("run", sa.Text, primary_key=True),
    sa.Column("phase", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("begun_at", sa.Text),
    sa.Column("is_complete", sa.Boolean, nullable=False),
    sa.Column("result", sa.Text),
)
_WARNINGS = sa.Table(
    "fleet_warnings",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("cleanup", sa.Text, primary_key=True),
    sa.Column("token", sa.Text, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("promised", sa.Text, nullable=False),
    sa.Column("last_updated", sa.Text),
)


@frozen(kw_only=True)
class Task:
    """A task for a worker: the next phase of a run.

    Attributes:
        run: The id of the run.
        phase: The phase.
        attempt: The number of the task of the run.
        partition: The key of the credential. Tasks with the same one run one after the other.
        delay: How long to wait before.
    """

    run: str
    phase: Phase
    attempt: int
    partition: str
    delay: timedelta

    @property
    def id(self) -> str:
        """The id of the task."""
        return records.task_id(self.run, self.phase, self.attempt)


Enqueue = Callable[[sa.Connection, Task], None]
"""Enqueue a task in a transaction. Enqueuing the same task twice is harmless."""


@frozen(kw_only=True)
class Stored:
    """A record, with the revision of its row."""

    record: Record
    revision: int


@frozen(kw_only=True)
class Query:
    """The runs to return.

    Attributes:
        states: Only runs with one of these states; empty for all.
        account: Only runs for this account.
        cleanup: Only runs of this clean-up.
        since: Only runs that were started at this time or later.
        until: Only runs that were started at this time or earlier.
        due_before: Only runs without a time for their sweep, or with an earlier one.
        with_failed_tokens: Whether to leave out runs that certainly have no failed token.
    """

    states: tuple[RunState, ...] = ()
    account: str | None = None
    cleanup: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    due_before: datetime | None = None
    with_failed_tokens: bool = False


@frozen(kw_only=True)
class Superseded:
    """A run that is not the latest one of its account and clean-up.

    Attributes:
        record: The record.
        revision: The revision of its row.
        size: The size of its record, plans and results, in bytes.
        has_begun: Whether a worker has begun to apply its plan.
    """

    record: Record
    revision: int
    size: int
    has_begun: bool


@frozen(kw_only=True)
class ChunkState:
    """The state of a chunk that a worker begins.

    Attributes:
        in_doubt: Whether an earlier attempt may have changed tokens without an outcome. If it is a
            time, that attempt did not start before, by the server's clock.
        until: The time after which that attempt has certainly changed nothing, by the server's
            clock; `None` if it is unknown.
        result: The outcomes that are known; `None` if there are none.
        is_complete: Whether each token has an outcome.
    """

    in_doubt: bool | datetime
    result: dict[str, Any] | None
    is_complete: bool = False
    until: datetime | None = None


class Store:
    """The runs of a fleet. All of its methods block.

    Args:
        database: The open database.
        enqueue: Enqueues a task.
    """

    def __init__(self, database: Database, enqueue: Enqueue) -> None:
        self._database = database
        self._enqueue = enqueue
        self._unreadable: set[str] = set()

    def create_tables(self) -> None:
        """Create the tables that are missing.

        Raises:
            StoreError: They cannot be created.
        """
        # Stores of earlier releases have no table of warnings.
        if not self._database.has_table(_WARNINGS.name, SCHEMA):
            self._database.create_tables(metadata)

    # --- Runs ----------------------------------------------------------------------------------

    def each(self, query: Query, *, now: datetime) -> Iterator[Record]:
        """Return runs, the newest first, one page after the other.

        Args:
            query: The runs to return.
            now: The time, which decides which plans have expired.

        Raises:
            StoreError: The store cannot be reached.
        """
        position: tuple[float, str] | None = None
        while True:
            found, position = self.page(query, position, now=now)
            yield from found
            if position is None:
                return

    def add(self, following: Next, occasion: str | None) -> Record:
        """Add a run, or return the one of the same occasion.

        Args:
            following: The run and its first phase.
            occasion: A name that only one run has; `None` for a run without one.

        Raises:
            StoreError: The store cannot be reached.
        """
        run = following.record.run
        values = {**_columns(following.record), "id": run.id, "revision": 0, "occasion": occasion}
        with contextlib.suppress(_ConflictError), self._database.begin() as connection:
            if occasion is not None and (found := self._of_occasion(connection, occasion)):
                return found
            try:
                connection.execute(sa.insert(_RUNS).values(values))
            except sa.exc.IntegrityError:
                raise _ConflictError from None
            self._enqueue_next(connection, following)
            return following.record
        with self._database.begin() as connection:  # Another process was faster.
            found = self._of_occasion(connection, occasion or "")
        assert found is not None  # noqa: S101 -- its insertion made ours fail
        return found

    def _of_occasion(self, connection: sa.Connection, occasion: str) -> Record | None:
        query = sa.select(_RUNS.c.record).where(_RUNS.c.occasion == occasion)
        text = connection.execute(query).scalar_one_or_none()
        return None if text is None else records.from_json(text)

    def unfinished(self, account: str, cleanup: str, *, now: datetime) -> str | None:
        """Return the id of a run that would change the tokens that a new one would select.

        A record that cannot be read counts, too.

        Args:
            account: The account.
            cleanup: The clean-up.
            now: The time, which decides which plans have expired.

        Returns:
            The id of the latest such run; `None` if there is none.

        Raises:
            StoreError: The store cannot be reached.
        """
        query = Query(states=UNFINISHED, account=account, cleanup=cleanup)
        statement = (
            sa.select(_RUNS.c.id)
            .where(*_conditions(query, now))
            .order_by(_RUNS.c.requested_at.desc(), _RUNS.c.id.desc())
            .limit(1)
        )
        with self._database.begin() as connection:
            return connection.execute(statement).scalar_one_or_none()

    def find(self, prefix: str) -> Stored:
        """Return the run with an id, or the only one whose id begins with it.

        Raises:
            RunNotFound: There is no such run, or there are several.
            StoreError: The store cannot be reached.
        """
        if not prefix.isprintable() or not prefix.isascii() or not prefix:
            raise RunNotFound(f"There is no run {prefix!r}. List the runs to see their ids.")
        columns = (_RUNS.c.id, _RUNS.c.record, _RUNS.c.revision)
        exact = sa.select(*columns).where(_RUNS.c.id == prefix)
        similar = (
            sa.select(*columns)
            .where(_RUNS.c.id.startswith(prefix, autoescape=True))
            .order_by(_RUNS.c.id)
            .limit(_MAX_SHOWN + 1)
        )
        with self._database.begin() as connection:
            found = connection.execute(exact).all() or connection.execute(similar).all()
        if not found:
            raise RunNotFound(f"There is no run {prefix!r}. List the runs to see their ids.")
        if len(found) > 1:
            ids = ", ".join(row.id for row in found[:_MAX_SHOWN])
            raise RunNotFound(
                f"{prefix!r} matches several ids: {ids}"
                f"{', ...' if len(found) > _MAX_SHOWN else ''}. Type more characters."
            )
        return Stored(record=records.from_json(found[0].record), revision=found[0].revision)

    def page(
        self, query: Query, after: tuple[float, str] | None, *, now: datetime, size: int = _PAGE
    ) -> tuple[list[Record], tuple[float, str] | None]:
        """Return the next runs, the newest first, and the position after them.

        A run that cannot be read is left out, so that it does not hide the others.

        Args:
            query: The runs to return.
            after: The position after the page before; `None` for the first page.
            now: The time, which decides which plans have expired.
            size: The maximum number of runs. Default: 200.

        Raises:
            StoreError: The store cannot be reached.
        """
        statement = (
            sa.select(_RUNS.c.id, _RUNS.c.requested_at, _RUNS.c.record)
            .where(*_conditions(query, now))
            .order_by(_RUNS.c.requested_at.desc(), _RUNS.c.id.desc())
            .limit(size)
        )
        if after is not None:
            time, run_id = after
            statement = statement.where(
                sa.or_(
                    _RUNS.c.requested_at < time,
                    sa.and_(_RUNS.c.requested_at == time, _RUNS.c.id < run_id),
                )
            )
        with self._database.begin() as connection:
            rows = connection.execute(statement).all()
        position = (rows[-1].requested_at, rows[-1].id) if len(rows) == size else None
        found = (self._readable(row.id, row.record) for row in rows)
        return [record for record in found if record is not None], position

    def _readable(self, run_id: str, text: str) -> Record | None:
        """Return a record; `None` if it cannot be read, with one warning for each run."""
        try:
            return records.from_json(text)
        except FleetError as error:
            if run_id not in self._unreadable:
                self._unreadable.add(run_id)
                logger.warning("Run %r is left out: %s", run_id, error)
            return None

    def change(self, run_id: str, decide: Callable[[Record], Next | None]) -> Record | None:
        """Change a run, and enqueue the task that follows.

        Args:
            run_id: The id of the run.
            decide: Returns the run after the change; `None` for no change. It is called again with
                the new record if somebody else changes the run meanwhile.

        Returns:
            The record after the change, or `None` if there is none.

        Raises:
            RunNotFound: There is no such run.
            StoreError: The store cannot be reached.
            FleetError: Others keep changing the run.
        """
        for _ in range(_ATTEMPTS):
            stored = self.find(run_id)
            following = decide(stored.record)
            if following is None:
                return None
            if not following.is_changed or self._write(run_id, stored.revision, following):
                return following.record
        raise FleetError(f"Run {run_id} keeps changing. Try again.")

    def _write(self, run_id: str, revision: int, following: Next) -> bool:
        statement = (
            sa.update(_RUNS)
            .where(_RUNS.c.id == run_id, _RUNS.c.revision == revision)
            .values(**_columns(following.record), revision=revision + 1)
        )
        with self._database.begin() as connection:
            if connection.execute(statement).rowcount == 0:
                return False
            if following.clears is not None:
                _clear(connection, run_id, following.clears)
            if following.reopens is not None:
                _reopen(connection, run_id, following.reopens)
            if following.stores is not None:
                phase, document = following.stores
                _clear(connection, run_id, phase)
                values = {"run": run_id, "phase": phase, "document": _json(document)}
                connection.execute(sa.insert(_PLANS).values(values))
            self._enqueue_next(connection, following)
            return True

    def _enqueue_next(self, connection: sa.Connection, following: Next) -> None:
        record = following.record
        if following.phase is not None:
            task = Task(
                run=record.run.id,
                phase=following.phase,
                attempt=record.attempt,
                partition=record.partition or f"account {record.run.account}",
                delay=following.delay,
            )
            self._enqueue(connection, task)

    def superseded(
        self, query: Query, after: tuple[float, str] | None, *, now: datetime, size: int = _PAGE
    ) -> tuple[list[Superseded], tuple[float, str] | None]:
        """Return the next runs that a later one follows, and the position after them.

        The latest run of each account and clean-up is left out, and so is the latest one of an
        occasion: a schedule needs them to start each due time once.

        Args:
            query: The runs to return.
            after: The position after the page before; `None` for the first page.
            now: The time, which decides which plans have expired.
            size: The maximum number of runs. Default: 200.

        Raises:
            StoreError: The store cannot be reached.
        """
        later = _RUNS.alias()
        is_later = sa.and_(
            later.c.account == _RUNS.c.account,
            later.c.cleanup == _RUNS.c.cleanup,
            _is_after(later, _RUNS.c.requested_at, _RUNS.c.id),
        )
        has_occasion = later.c.occasion.is_not(None)
        begun = sa.exists().where(_CHUNKS.c.run == _RUNS.c.id, _CHUNKS.c.phase == "apply")
        statement = (
            sa.select(
                _RUNS.c.id,
                _RUNS.c.requested_at,
                _RUNS.c.revision,
                _RUNS.c.record,
                (_length(_PLANS.c.document) + _length(_CHUNKS.c.result)).label("size"),
                begun.label("has_begun"),
            )
            .where(
                *_conditions(query, now),
                sa.exists().where(is_later),
                sa.or_(_RUNS.c.occasion.is_(None), sa.exists().where(is_later, has_occasion)),
            )
            .order_by(_RUNS.c.requested_at.desc(), _RUNS.c.id.desc())
            .limit(size)
        )
        if after is not None:
            statement = statement.where(sa.not_(_is_after(_RUNS, *after)), _RUNS.c.id != after[1])
        with self._database.begin() as connection:
            rows = connection.execute(statement).all()
        position = (rows[-1].requested_at, rows[-1].id) if len(rows) == size else None
        found = ((row, self._readable(row.id, row.record)) for row in rows)
        return [
            Superseded(
                record=record,
                revision=row.revision,
                size=row.size + len(row.record),
                has_begun=row.has_begun,
            )
            for row, record in found
            if record is not None
        ], position

    def remove(self, run_id: str, revision: int) -> bool:
        """Remove a run with its plans and results, unless somebody has changed it meanwhile.

        Args:
            run_id: The id of the run.
            revision: The revision of its row.

        Returns:
            Whether this call has removed it.

        Raises:
            StoreError: The store cannot be reached.
        """
        delete = sa.delete(_RUNS).where(_RUNS.c.id == run_id, _RUNS.c.revision == revision)
        with self._database.begin() as connection:
            if connection.execute(delete).rowcount == 0:
                return False
            for table in (_PLANS, _CHUNKS):
                connection.execute(sa.delete(table).where(table.c.run == run_id))
            return True

    # --- Plans and results ---------------------------------------------------------------------

    def get_plan(self, run_id: str, phase: Phase) -> dict[str, Any] | None:
        """Return the plan of a phase as JSON values; `None` if there is none.

        Raises:
            StoreError: The store cannot be reached.
        """
        query = sa.select(_PLANS.c.document).where(_PLANS.c.run == run_id, _PLANS.c.phase == phase)
        with self._database.begin() as connection:
            text = connection.execute(query).scalar_one_or_none()
        if text is None:
            return None
        with refusing_altered(run_id):
            found: dict[str, Any] = json.loads(text)
            return found

    def begin_chunk(
        self,
        run_id: str,
        phase: Phase,
        number: int,
        owner: str,
        server_time: datetime | None,
        until: datetime | None = None,
    ) -> ChunkState | None:
        """Record that a worker begins a chunk, and return the state of the chunk before.

        The owner of the chunk is `claim(owner, until)`.

        Args:
            run_id: The id of the run.
            phase: The phase.
            number: The number of the chunk, from 0.
            owner: The process that begins it.
            server_time: The time by the clock of the API; `None` if it is unknown.
            until: The time after which the process changes nothing before it begins the chunk
                again, by the same clock. Default: unknown.

        Returns:
            The state; `None` if another process has taken over the run.

        Raises:
            StoreError: The store cannot be reached.
        """
        where = (_CHUNKS.c.run == run_id, _CHUNKS.c.phase == phase, _CHUNKS.c.number == number)
        # This write locks the row of the run, so nobody takes over before the chunk is recorded.
        fence = sa.update(_RUNS).where(_RUNS.c.id == run_id, _RUNS.c.owner == owner)
        chunk = sa.select(
            _CHUNKS.c.owner, _CHUNKS.c.begun_at, _CHUNKS.c.is_complete, _CHUNKS.c.result
        ).where(*where)
        with self._database.begin() as connection:
            if connection.execute(fence.values(owner=owner)).rowcount == 0:
                return None
            row = connection.execute(chunk).one_or_none()
            if row is not None:
                with refusing_altered(run_id):
                    result = None if row.result is None else json.loads(row.result)
                if row.is_complete:
                    return ChunkState(in_doubt=False, result=result, is_complete=True)
                begin = sa.update(_CHUNKS).where(*where).values(owner=claim(owner, until))
                # Any process that begins the chunk becomes its owner, also one of a release that
                # does not know this member. So the chunk is in doubt again from then on.
                if isinstance(result, dict) and result.get(_ENDED_BY) == row.owner:
                    if server_time is not None:
                        begin = begin.values(begun_at=server_time.isoformat())
                    connection.execute(begin)
                    return ChunkState(in_doubt=False, result=result)
                connection.execute(begin)
                begun_at = None if row.begun_at is None else datetime.fromisoformat(row.begun_at)
                return ChunkState(in_doubt=begun_at or True, result=result, until=_until(row.owner))
            values = {
                "run": run_id,
                "phase": phase,
                "number": number,
                "owner": claim(owner, until),
                "begun_at": None if server_time is None else server_time.isoformat(),
                "is_complete": False,
            }
            connection.execute(sa.insert(_CHUNKS).values(values))
            return ChunkState(in_doubt=False, result=None)

    def end_chunk(
        self,
        run_id: str,
        phase: Phase,
        number: int,
        owner: str,
        result: Mapping[str, Any],
        *,
        is_complete: bool,
        is_clean: bool = False,
    ) -> bool:
        """Store the result of a chunk, and return whether the worker still owns the chunk.

        Args:
            run_id: The id of the run.
            phase: The phase.
            number: The number of the chunk.
            owner: The claim of the process that began it.
            result: The result as JSON values.
            is_complete: Whether each token has an outcome.
            is_clean: Whether the process ends its work on the chunk, and has certainly not
                changed the tokens without an outcome. Default: False.

        Raises:
            StoreError: The store cannot be reached.
        """
        if is_clean:
            result = {**result, _ENDED_BY: owner}
        update = sa.update(_CHUNKS).where(
            _CHUNKS.c.run == run_id,
            _CHUNKS.c.phase == phase,
            _CHUNKS.c.number == number,
            _CHUNKS.c.owner == owner,
        )
        values = {"result": _json(result), "is_complete": is_complete}
        with self._database.begin() as connection:
            return connection.execute(update.values(values)).rowcount == 1

    def unfinished_chunks(self, run_id: str, phase: Phase) -> list[int]:
        """Return the numbers of the chunks that were begun, and are not complete.

        Raises:
            StoreError: The store cannot be reached.
        """
        query = (
            sa.select(_CHUNKS.c.number)
            .where(
                _CHUNKS.c.run == run_id,
                _CHUNKS.c.phase == phase,
                _CHUNKS.c.is_complete.is_(sa.false()),
            )
            .order_by(_CHUNKS.c.number)
        )
        with self._database.begin() as connection:
            return list(connection.execute(query).scalars())

    def results(self, run_id: str, phases: Iterable[Phase]) -> Iterator[tuple[Phase, Any]]:
        """Return the results of the finished chunks of phases as JSON values, in their order.

        Raises:
            StoreError: The store cannot be reached.
        """
        for phase in phases:
            query = (
                sa.select(_CHUNKS.c.result)
                .where(
                    _CHUNKS.c.run == run_id,
                    _CHUNKS.c.phase == phase,
                    _CHUNKS.c.result.is_not(None),
                )
                .order_by(_CHUNKS.c.number)
            )
            with self._database.begin() as connection:
                texts: Sequence[str] = connection.execute(query).scalars().all()
            for text in texts:
                with refusing_altered(run_id):
                    yield phase, json.loads(text)

    # --- Warnings ------------------------------------------------------------------------------

    def warnings(self, account: str, cleanup: str) -> dict[str, WarningRecord]:
        """Return the tokens of an account that a clean-up has warned about, by their ids.

        Args:
            account: The account.
            cleanup: The name of the clean-up.

        Raises:
            StoreError: The store cannot be reached.
        """
        query = sa.select(_WARNINGS).where(
            _WARNINGS.c.account == account, _WARNINGS.c.cleanup == cleanup
        )
        with self._database.begin() as connection:
            rows = connection.execute(query).all()
        return {
            row.token: WarningRecord(
                at=datetime.fromisoformat(row.at),
                promised=datetime.fromisoformat(row.promised),
                last_updated=(
                    None if row.last_updated is None else datetime.fromisoformat(row.last_updated)
                ),
            )
            for row in rows
        }

    def record_warnings(
        self,
        run_id: str,
        owner: str,
        account: str,
        cleanup: str,
        found: Mapping[str, WarningRecord],
    ) -> bool:
        """Replace the records of an account and a clean-up.

        Args:
            run_id: The id of the run.
            owner: The process that warned.
            account: The account.
            cleanup: The name of the clean-up.
            found: The records, by the ids of the tokens.

        Returns:
            Whether the process still has the run. Otherwise, nothing was written.

        Raises:
            StoreError: The store cannot be reached.
        """
        fence = sa.update(_RUNS).where(_RUNS.c.id == run_id, _RUNS.c.owner == owner)
        old = sa.delete(_WARNINGS).where(
            _WARNINGS.c.account == account, _WARNINGS.c.cleanup == cleanup
        )
        rows = [
            {
                "account": account,
                "cleanup": cleanup,
                "token": token,
                "at": one.at.isoformat(),
                "promised": one.promised.isoformat(),
                "last_updated": None if one.last_updated is None else one.last_updated.isoformat(),
            }
            for token, one in found.items()
        ]
        with self._database.begin() as connection:
            if connection.execute(fence.values(owner=owner)).rowcount == 0:
                return False
            connection.execute(old)
            if rows:
                connection.execute(sa.insert(_WARNINGS), rows)
            return True


def claim(owner: str, until: datetime | None) -> str:
    """Return the owner of a chunk: the process, and the time after which it changes nothing.

    Earlier releases only compare the string. If one of them begins the chunk, the time is gone, and
    it has made no such promise.
    """
    return owner if until is None else f"{owner}@{until.isoformat()}"


def _until(claimed: str) -> datetime | None:
    """Return the time in the owner of a chunk; `None` if there is none that can be read."""
    _, _, text = claimed.partition("@")
    with contextlib.suppress(ValueError):
        time = datetime.fromisoformat(text)
        return None if time.utcoffset() is None else time
    return None


class _ConflictError(Exception):
    """Another process has added a run for the same occasion."""


@contextlib.contextmanager
def refusing_altered(run_id: str) -> Iterator[None]:
    """Raise a `FleetError` for stored JSON that no release writes."""
    problem = ""
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        problem = type(error).__name__
    if problem:
        raise FleetError(
            f"The plan or the results of run {run_id} in the store were altered ({problem}). Start "
            f"a new run."
        )


def _json(data: Mapping[str, Any]) -> str:
    # Half of a surrogate pair is not valid UTF-8, and PostgreSQL stores no NUL character.
    return json.dumps(data, ensure_ascii=True, separators=(",", ":"))


def _columns(record: Record) -> dict[str, Any]:
    run = record.run
    return {
        "state": run.state,
        "account": run.account,
        "cleanup": run.cleanup,
        "requested_at": run.requested_at.timestamp(),
        "approve_by": None if run.approve_by is None else run.approve_by.timestamp(),
        "sweep_due_at": None if run.sweep_due_at is None else run.sweep_due_at.timestamp(),
        "owner": record.owner,
        "record": records.to_json(record),
    }


def _conditions(query: Query, now: datetime) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if query.states:
        time = now.timestamp()
        state = _RUNS.c.state
        chosen = [one for one in query.states if one not in {"waiting", "expired"}]
        parts: list[sa.ColumnElement[bool]] = [state.in_(chosen)] if chosen else []
        # Nobody changes the row of a plan that expires.
        if "waiting" in query.states:
            parts.append(sa.and_(state == "waiting", _RUNS.c.approve_by > time))
        if "expired" in query.states:
            parts.append(state == "expired")
            parts.append(sa.and_(state == "waiting", _RUNS.c.approve_by <= time))
        found.append(sa.or_(*parts))
    if query.account is not None:
        found.append(_RUNS.c.account == query.account)
    if query.cleanup is not None:
        found.append(_RUNS.c.cleanup == query.cleanup)
    if query.since is not None:
        found.append(_RUNS.c.requested_at >= query.since.timestamp())
    if query.until is not None:
        found.append(_RUNS.c.requested_at <= query.until.timestamp())
    if query.with_failed_tokens:
        found.append(_RUNS.c.record.contains(_FAILED_MEMBER, autoescape=True))
    if query.due_before is not None:
        due_at = _RUNS.c.sweep_due_at
        found.append(sa.or_(due_at.is_(None), due_at < query.due_before.timestamp()))
    return found


def _reopen(connection: sa.Connection, run_id: str, phase: Phase) -> None:
    """Remove the outcomes of failed tokens, so that the next worker changes these tokens.

    A chunk whose worker died keeps them: all of its other tokens are in doubt, and a failed token
    is not.
    """
    of_phase = sa.and_(_CHUNKS.c.run == run_id, _CHUNKS.c.phase == phase)
    query = sa.select(_CHUNKS.c.number, _CHUNKS.c.owner, _CHUNKS.c.is_complete, _CHUNKS.c.result)
    has_failed = _CHUNKS.c.result.contains(_FAILED, autoescape=True)
    for row in connection.execute(query.where(of_phase, has_failed)).all():
        with refusing_altered(run_id):
            result = json.loads(row.result)
            if not row.is_complete and result.get(_ENDED_BY) != row.owner:
                continue
            reopened = jobs.ChunkResult.from_json(result).without_failures()
        values = {
            "result": _json({**reopened.to_json(), _ENDED_BY: row.owner}),
            "is_complete": reopened.is_complete,
        }
        update = sa.update(_CHUNKS).where(of_phase, _CHUNKS.c.number == row.number)
        connection.execute(update.values(values))


def _is_after(table: sa.FromClause, time: Any, run_id: Any) -> sa.ColumnElement[bool]:
    """Return the condition that a run of a table was started after another one."""
    started_at = table.c.requested_at
    return sa.or_(started_at > time, sa.and_(started_at == time, table.c.id > run_id))


def _length(column: sa.Column[str]) -> sa.ColumnElement[int]:
    """Return the length of all texts of a column that belong to a run. They are ASCII."""
    total = sa.func.coalesce(sa.func.sum(sa.func.length(column)), 0)
    return sa.select(total).where(column.table.c.run == _RUNS.c.id).scalar_subquery()


def _clear(connection: sa.Connection, run_id: str, phase: Phase) -> None:
    for table in (_PLANS, _CHUNKS):
        connection.execute(sa.delete(table).where(table.c.run == run_id, table.c.phase == phase))
