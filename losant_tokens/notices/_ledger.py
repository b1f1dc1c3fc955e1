"""`NoticeLedger`: a file with the notices that were delivered.

The problem: a cron job must not report a token twice, although two runs may overlap, and a run
may be killed at any time.

The approach: a run locks the ledger, reads it, delivers, and writes it. So two runs do not deliver
the same notice. The ledger is written only after the delivery. A run that is killed in between
delivers again the next time: a notice that comes twice is better than one that never comes. The
lock is a file of its own, because the ledger is replaced when it is written.

Rejected: a database, because one small file is written once a run; to record before the delivery,
because a notice could be lost.
"""

import json
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
from attrs import field, frozen

from losant_tokens._utils.private_files import (
    lock,
    open_lock_file,
    open_private,
    reason,
    replace_file,
)
from losant_tokens.notices._errors import NoticeError
from losant_tokens.notices._expiring import MAX_EXPIRED_AGE, ExpiringToken

_VERSION = 1
_KEPT = 2 * MAX_EXPIRED_AGE
"""How long a record is kept after its token expired. No token is reported for as long as that."""

_MAX_SIZE = 256 * 1024 * 1024  # bytes; a record has about 150
_POLL = 0.1  # seconds


@frozen
class NoticeLedger:
    """A private file that records which notices were delivered.

    Use one ledger for each receiver. Records of tokens that expired more than 60 days ago are
    dropped, so that the file does not grow forever.
    """

    path: Path = field(converter=Path)
    """The file. It is created with the first record, and so is its folder. A file beside it, with
    `.lock` at the end of its name, keeps two processes from delivering the same notice.
    """

    @asynccontextmanager
    async def locked(self, patience: float = 60.0) -> AsyncIterator[None]:
        """Keep the ledger for this process during the block.

        Args:
            patience: How long to wait for another process, in seconds. Default: 60.

        Raises:
            NoticeError: Another process kept the ledger for too long, or the lock file cannot be
                created.
        """
        descriptor = await anyio.to_thread.run_sync(self._open_lock)
        try:
            with anyio.move_on_after(patience) as scope:
                while not lock(descriptor):  # noqa: ASYNC110 -- another process holds it
                    await anyio.sleep(_POLL)
            if scope.cancelled_caught:
                raise NoticeError(
                    f"Another process has used the ledger {self.path} for more than "
                    f"{patience:g} seconds. Wait until it ends."
                )
            yield
        finally:
            os.close(descriptor)

    def _open_lock(self) -> int:
        """Open the lock file, and create it and its folder if they are missing.

        Raises:
            NoticeError: That fails.
        """
        path = self.path.with_name(f"{self.path.name}.lock")
        try:
            return open_lock_file(path)
        except OSError as error:
            problem = reason(error)
        raise NoticeError(f"{path} cannot be created: {problem}.")

    def unreported(self, tokens: Iterable[ExpiringToken]) -> tuple[ExpiringToken, ...]:
        """Return the tokens for which neither this notice nor a more urgent one was delivered.

        Args:
            tokens: The tokens.

        Raises:
            NoticeError: The ledger cannot be read.
        """
        reported = self._read()
        return tuple(one for one in tokens if _is_news(one, reported.get(one.key)))

    def record(self, tokens: Iterable[ExpiringToken]) -> None:
        """Record the notices about tokens as delivered.

        Args:
            tokens: The tokens.

        Raises:
            NoticeError: The ledger cannot be read or written.
        """
        tokens = tuple(tokens)
        if not tokens:
            return
        # The tokens state the server's time.
        now = max(one.expires_at - one.remaining for one in tokens)
        reported = self._read()
        for one in tokens:
            reported[one.key] = _record(one)
        kept = [record for record in reported.values() if _expires(record) > now - _KEPT]
        self._write({"version": _VERSION, "reported": kept})

    def _read(self) -> dict[str, dict[str, Any]]:
        """Return the records by the key of their token.

        Raises:
            NoticeError: The file cannot be read, or is not a ledger.
        """
        try:
            descriptor = open_private(self.path, os.O_RDONLY)
            with os.fdopen(descriptor, "rb") as file:
                content = file.read(_MAX_SIZE)
            document = json.loads(content)
            if document["version"] != _VERSION:
                problem = f"it has version {document['version']!r}, which is unknown"
            else:
                return {_checked(record)["key"]: record for record in document["reported"]}
        except FileNotFoundError:
            return {}
        except OSError as error:
            problem = reason(error)
        except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
            problem = "it is not a ledger of notices, or it is damaged"
        raise NoticeError(
            f"The ledger {self.path} cannot be read: {problem}. Without it, each notice would be "
            "delivered again: to accept that, move the file away."
        )

    def _write(self, document: Mapping[str, Any]) -> None:
        """Replace the file.

        Raises:
            NoticeError: That fails.
        """
        try:
            replace_file(self.path, json.dumps(document, indent=1).encode("ascii"))
        except OSError as error:
            problem = reason(error)
        else:
            return
        raise NoticeError(
            f"The ledger {self.path} cannot be written: {problem}. The message was delivered, and "
            "will be delivered again in the next run."
        )


def _record(one: ExpiringToken) -> dict[str, Any]:
    return {
        "key": one.key,
        "expires": one.expires_at.astimezone(UTC).isoformat(),
        "threshold": one.threshold.total_seconds(),
        "notice_id": one.notice_id,
    }


def _checked(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record after a check of the members that are used.

    Raises:
        ValueError, LookupError, TypeError, OverflowError: A member is missing or malformed.
    """
    _expires(record)
    timedelta(seconds=record["threshold"])
    if not isinstance(record["key"], str):
        raise TypeError
    return record


def _expires(record: Mapping[str, Any]) -> datetime:
    expires = datetime.fromisoformat(record["expires"])
    if expires.tzinfo is None:
        raise ValueError("the time zone is missing")
    return expires


def _is_news(one: ExpiringToken, record: Mapping[str, Any] | None) -> bool:
    """Return whether neither this notice nor a more urgent one is recorded."""
    return record is None or one.threshold < timedelta(seconds=record["threshold"])
