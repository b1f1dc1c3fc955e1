"""`WarningLedger`: the record of the tokens that a ladder has warned about."""

import json
import os
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import anyio
from attrs import field, frozen

from losant_tokens import ApiToken, Owner, UserOauthToken
from losant_tokens._utils.private_files import (
    acquire_lock,
    open_lock_file,
    open_private,
    reason,
    replace_file,
)
from losant_tokens.policy._errors import WarningError
from losant_tokens.policy._types import Cleanup

Token = ApiToken | UserOauthToken

_VERSION = 1
_KEPT = timedelta(days=730)


@frozen
class WarnedToken:
    """A token that a ladder warns about."""

    owner: Owner
    """The owner."""
    id: str
    """The id."""
    name: str
    """The name."""
    creator: str | None
    """The name of the creator, or the id; `None` if it is unknown."""
    reason: str
    """Why the clean-up selects the token, as a phrase."""
    last_updated: datetime | None = None
    """The time of the last change; `None` if it is unknown."""


@frozen
class WarningRecord:
    """The record that a token was warned about."""

    at: datetime
    """When the message was delivered."""
    promised: datetime
    """The earliest time of the deactivation, according to the message."""
    last_updated: datetime | None
    """The time of the last change of the token, as it was then; `None` if it was unknown."""

    def is_about(self, token: Token | WarnedToken) -> bool:
        """Return whether a token has not been changed since the warning.

        Args:
            token: The token as it is now.
        """
        return token.last_updated == self.last_updated

    def due(self, after: timedelta) -> datetime:
        """Return when the token may be deactivated.

        Args:
            after: How long after the warning, according to the policy file as it is now. The
                message may have promised more time.
        """
        return max(self.promised, self.at + after)


class Warnings(Protocol):
    """The record of warnings: a `WarningLedger`, or the store of a fleet."""

    def warned(self, cleanup: Cleanup) -> Mapping[str, WarningRecord]:
        """Return the tokens of a clean-up that were warned about, by their ids."""
        ...

    def locked(self) -> AbstractAsyncContextManager[None]:
        """Return a context in which no other process warns."""
        ...

    def record(
        self,
        cleanup: Cleanup,
        selected: Iterable[WarnedToken],
        listed: Collection[str],
        now: datetime,
    ) -> None:
        """Record which tokens a clean-up selects, all of which were warned about."""
        ...


def merged(
    before: Mapping[str, WarningRecord],
    cleanup: Cleanup,
    selected: Iterable[WarnedToken],
    listed: Collection[str],
    now: datetime,
) -> dict[str, WarningRecord]:
    """Return the records of a clean-up after new warnings. `WarningLedger.record` explains them.

    Args:
        before: The records before.
        cleanup: The clean-up.
        selected: The selected tokens, all of which were warned about.
        listed: The ids of all listed tokens.
        now: The time of the new warnings.
    """
    new = {one.id: one for one in selected}
    kept: dict[str, WarningRecord] = {}
    for token, record in before.items():
        if token in new and record.is_about(new[token]):
            del new[token]
        elif token in listed or now - record.at > _KEPT:
            continue
        kept[token] = record
    promised = now + cleanup.ladder[1].after
    kept |= {
        one.id: WarningRecord(at=now, promised=promised, last_updated=one.last_updated)
        for one in new.values()
    }
    return kept


@frozen
class WarningLedger:
    """A private file that records which tokens were warned about, and when."""

    path: Path = field(converter=Path)
    """The file. It is created with the first record, and so is its folder. A file beside it, with
    `.lock` at the end of its name, keeps two processes from warning at the same time.
    """

    def warned(self, cleanup: Cleanup) -> dict[str, WarningRecord]:
        """Return the tokens of a clean-up that were warned about, by their ids.

        Args:
            cleanup: The clean-up.

        Raises:
            WarningError: The ledger cannot be read.
        """
        return {
            record["token"]: _record(record)
            for record in self._read()
            if record["cleanup"] == cleanup.name
        }

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Keep the ledger for this process during the block.

        Raises:
            WarningError: Another process keeps it, or the lock file cannot be created.
        """
        descriptor = await anyio.to_thread.run_sync(self._lock)
        try:
            yield
        finally:
            os.close(descriptor)

    def _lock(self) -> int:
        path = self.path.with_name(f"{self.path.name}.lock")
        try:
            descriptor = open_lock_file(path)
        except OSError as error:
            problem = reason(error)
        else:
            if acquire_lock(descriptor):
                return descriptor
            os.close(descriptor)
            problem = "another process uses it: wait until it ends"
        raise WarningError(f"{path} cannot be locked: {problem}.")

    def record(
        self,
        cleanup: Cleanup,
        selected: Iterable[WarnedToken],
        listed: Collection[str],
        now: datetime,
    ) -> None:
        """Record which tokens a clean-up selects, all of which were warned about.

        A token that was recorded before keeps its time, unless it was changed since. A token that
        is listed, but no longer selected, is dropped. Tokens that are not listed may belong to
        another owner or account, so they are kept for two years.

        Args:
            cleanup: The clean-up.
            selected: The selected tokens.
            listed: The ids of all listed tokens.
            now: The time of the new warnings, with a time zone.

        Raises:
            WarningError: The ledger cannot be read or written.
        """
        records: dict[str, WarningRecord] = {}
        kept: list[dict[str, Any]] = []
        for one in self._read():
            record = _record(one)
            if one["cleanup"] == cleanup.name:
                records[one["token"]] = record
            elif now - record.at <= _KEPT:
                kept.append(one)
        kept += [
            {
                "cleanup": cleanup.name,
                "token": token,
                "at": _text(record.at),
                "promised": _text(record.promised),
                "lastUpdated": None if record.last_updated is None else _text(record.last_updated),
            }
            for token, record in merged(records, cleanup, selected, listed, now).items()
        ]
        self._write({"version": _VERSION, "warnings": kept})

    def _read(self) -> list[dict[str, Any]]:
        try:
            with os.fdopen(open_private(self.path, os.O_RDONLY), "rb") as file:
                document = json.loads(file.read())
            if document["version"] != _VERSION:
                problem = f"it has version {document['version']!r}, which is unknown"
            else:
                return [_checked(record) for record in document["warnings"]]
        except FileNotFoundError:
            return []
        except OSError as error:
            problem = reason(error)
        except (ValueError, LookupError, TypeError, RecursionError):
            problem = "it is not a ledger of warnings, or it is damaged"
        raise WarningError(
            f"{self.path} cannot be read: {problem}. To warn about all tokens again, move it away."
        )

    def _write(self, document: Mapping[str, Any]) -> None:
        try:
            replace_file(self.path, json.dumps(document, indent=1).encode("ascii"))
        except OSError as error:
            problem = reason(error)
        else:
            return
        raise WarningError(
            f"{self.path} cannot be written: {problem}. The message was delivered, and will be "
            f"delivered again in the next run."
        )


def _checked(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record after a check of its members."""
    if {type(record[name]) for name in ("cleanup", "token")} != {str}:
        raise TypeError
    _record(record)
    return record


def _record(data: Mapping[str, Any]) -> WarningRecord:
    updated = data["lastUpdated"]
    return WarningRecord(
        at=_time(data["at"]),
        promised=_time(data["promised"]),
        last_updated=None if updated is None else _time(updated),
    )


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(text)
    return time


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat()
