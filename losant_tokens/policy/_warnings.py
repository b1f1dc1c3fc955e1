"""`warn` and `WarningLedger`: the first step of a ladder, and the record of it.

The problem: a token may be deactivated only if people had the time to object. So the record must
prove that a message was delivered, and that the clean-up selects the token ever since: a token that
was used again and later forgotten again needs a new warning. So does one that was deactivated, and
that somebody activated again.

The approach: a run lists the tokens, delivers one message about those that are new or changed, and
then writes the record. It drops each token that is no longer selected. If the process is killed
before it writes, the message is delivered twice, which is better than never.
"""

import json
import os
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

import anyio
from attrs import field, frozen

from losant_tokens import ApiToken, AsyncClient, Owner, UserOauthToken, jobs
from losant_tokens._private_files import acquire_lock, open_private, part_of, reason
from losant_tokens.errors import ValidationError
from losant_tokens.jobs._plan.settings import PAGE_SIZE, PATIENCE
from losant_tokens.policy._errors import WarningError
from losant_tokens.policy._types import Cleanup
from losant_tokens.sinks import Message, Sink

Token = ApiToken | UserOauthToken

MAX_SHOWN = 500
"""The number of tokens in a message. A longer one would be refused, or read by nobody."""

_VERSION = 1
_KEPT = timedelta(days=730)


@frozen
class WarnedToken:
    """A token that a ladder warns about.

    Attributes:
        owner: The owner.
        id: The id.
        name: The name.
        creator: The name of the creator, or the id; `None` if it is unknown.
        reason: Why the clean-up selects the token, as a phrase.
        last_updated: The time of the last change; `None` if it is unknown.
    """

    owner: Owner
    id: str
    name: str
    creator: str | None
    reason: str
    last_updated: datetime | None = None


@frozen
class WarningRecord:
    """The record that a token was warned about.

    Attributes:
        at: When the message was delivered.
        promised: The earliest time of the deactivation, according to the message.
        last_updated: The time of the last change of the token, as it was then; `None` if it was
            unknown.
    """

    at: datetime
    promised: datetime
    last_updated: datetime | None

    def is_about(self, token: Token | WarnedToken) -> bool:
        """Return whether a token has not been changed since."""
        return token.last_updated == self.last_updated

    def due(self, after: timedelta) -> datetime:
        """Return when the token may be deactivated.

        Args:
            after: How long after the warning, according to the policy file as it is now. The
                message may have promised more time.
        """
        return max(self.promised, self.at + after)


@frozen
class WarningResult:
    """The result of `warn`.

    Attributes:
        message: The message that was delivered; `None` if no token was new.
        tokens: The tokens that it names.
        warned_before: The number of selected tokens that were warned about before.
        left_out: The number of tokens that it counts, but does not name. They were not recorded, so
            the message of the next run names them.
    """

    message: Message | None
    tokens: tuple[WarnedToken, ...]
    warned_before: int
    left_out: int = 0


@frozen
class WarningLedger:
    """A private file that records which tokens were warned about, and when.

    Args:
        path: The file. It is created with the first record, and so is its folder. A file beside it,
            with `.lock` at the end of its name, keeps two processes from warning at the same time.
    """

    path: Path = field(converter=Path)

    def warned(self, cleanup: Cleanup) -> dict[str, WarningRecord]:
        """Return the tokens of a clean-up that were warned about, by their ids.

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
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
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
        new = {one.id: one for one in selected}
        kept: list[dict[str, str | None]] = []
        for one in self._read():
            record, token = _record(one), one["token"]
            is_mine = one["cleanup"] == cleanup.name
            if is_mine and token in new and record.is_about(new[token]):
                del new[token]
            elif (is_mine and token in listed) or now - record.at > _KEPT:
                continue
            kept.append(one)
        promised = _text(now + cleanup.ladder[1].after)
        kept += [
            {
                "cleanup": cleanup.name,
                "token": one.id,
                "at": _text(now),
                "promised": promised,
                "lastUpdated": None if one.last_updated is None else _text(one.last_updated),
            }
            for one in new.values()
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
            with part_of(self.path) as (descriptor, part):
                with os.fdopen(os.dup(descriptor), "wb") as file:
                    file.write(json.dumps(document, indent=1).encode("ascii"))
                os.fsync(descriptor)
                part.replace(self.path)
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


async def warn(
    client: AsyncClient,
    owners: Owner | Iterable[Owner],
    cleanup: Cleanup,
    sink: Sink[Message],
    ledger: WarningLedger,
    *,
    dry_run: bool = False,
    page_size: int = PAGE_SIZE,
    patience: float = PATIENCE,
) -> WarningResult:
    """Deliver one message about the tokens that a ladder will deactivate, and record them.

    Tokens that were warned about before, and that nobody has changed since, are not in the message.
    Nothing else is changed.

    Args:
        client: The client that lists the tokens.
        owners: The owners of the tokens.
        cleanup: The clean-up, whose first step must be `warn`.
        sink: The receiver of the message.
        ledger: The record of the warnings.
        dry_run: Whether to record nothing, so that the message is delivered again. Default: False.
        page_size: The number of tokens on a page. Default: 1000.
        patience: How long to wait for the end of an outage, in seconds. Default: 300.

    Raises:
        ValidationError: The clean-up does not warn. Nothing was sent.
        GuardRefused: The clean-up selects more than `max_changes` tokens. Nothing was delivered.
        SinkError: The message could not be delivered. Nothing was recorded.
        WarningError: The ledger cannot be used.
        LosantError: The tokens cannot be listed.
    """
    if not cleanup.warns:
        raise ValidationError(f"{cleanup.name!r} has no step 'warn', so it warns about no token")
    all_owners = tuple(dict.fromkeys((owners,) if isinstance(owners, Owner) else owners))
    async with ledger.locked():
        before = await anyio.to_thread.run_sync(ledger.warned, cleanup)
        selected: list[WarnedToken] = []
        listed: set[str] = set()
        for owner in all_owners:
            selected += await _selected(client, owner, cleanup, listed, page_size, patience)
        if len(selected) > cleanup.max_changes:
            raise jobs.GuardRefused(
                f"{len(selected):,} tokens are selected, which is more than the limit of "
                f"{cleanup.name!r} in the policy file, {cleanup.max_changes:,}. Nobody was warned."
            )
        new = tuple(one for one in selected if not _was_warned(one, before))
        left_out = new[MAX_SHOWN:]
        message = _message(cleanup, client.base_url, new) if new else None
        if message is not None:
            await sink.deliver(message)
        if not dry_run:
            # A token that no message names was not warned about.
            unnamed = {one.id for one in left_out}
            warned = [one for one in selected if one.id not in unnamed]
            now = client.server_time() or datetime.now(UTC)
            # The message was delivered, so a cancellation must not prevent the record.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(ledger.record, cleanup, warned, listed, now)
    return WarningResult(message, new[:MAX_SHOWN], len(selected) - len(new), len(left_out))


def _was_warned(token: WarnedToken, before: Mapping[str, WarningRecord]) -> bool:
    """Return whether a token was warned about before, and not changed since."""
    record = before.get(token.id)
    return record is not None and record.is_about(token)


async def _selected(
    client: AsyncClient,
    owner: Owner,
    cleanup: Cleanup,
    listed: set[str],
    page_size: int,
    patience: float,
) -> list[WarnedToken]:
    """Return the tokens of an owner that a clean-up would deactivate now.

    Args:
        client: The client.
        owner: The owner.
        cleanup: The clean-up.
        listed: Receives the ids of all tokens of the owner.
        page_size: The number of tokens on a page.
        patience: How long to wait for the end of an outage, in seconds.
    """
    found: list[WarnedToken] = []
    rule = cleanup.rule()

    async def receive(tokens: Sequence[Token]) -> None:
        now = client.server_time() or datetime.now(UTC)
        for token in tokens:
            listed.add(token.id)
            if token.status == "inactive" or client.uses_token(token.id):
                continue
            if cleanup.matches(token, now):
                reason = rule.reason(token, now) or ""
                found.append(
                    WarnedToken(
                        owner, token.id, token.name, _creator(token), reason, token.last_updated
                    )
                )

    async def restart() -> None:
        found.clear()

    await jobs.list_tokens(
        client, owner, receive, restart=restart, page_size=page_size, patience=patience
    )
    return found


def _creator(token: Token) -> str | None:
    return getattr(token, "creator_name", None) or getattr(token, "creator_id", None)


def _message(cleanup: Cleanup, base_url: str, tokens: Sequence[WarnedToken]) -> Message:
    """Return the message about tokens, grouped by owner. It names the first 500."""
    after = cleanup.ladder[1].after
    count = len(tokens)
    noun = "Losant API token" if count == 1 else "Losant API tokens"
    ids = "".join(sorted(f"{one.owner} {one.id}" for one in tokens))
    lines = []
    for owner, group in groupby(tokens[:MAX_SHOWN], key=lambda one: str(one.owner)):
        lines.append(f"{owner} ({base_url}):")
        for one in group:
            creator = f", created by {one.creator}" if one.creator else ""
            lines.append(f"- {one.name} ({one.id}){creator}: {one.reason}")
    if count > MAX_SHOWN:
        lines.append(f"... and {count - MAX_SHOWN:,} more, which the next message names")
    return Message(
        id=sha256(f"{base_url} {cleanup.name} {ids}".encode()).hexdigest()[:32],
        title=f"{count:,} {noun} will be deactivated in {_days(after)}: {cleanup.name}",
        lines=lines,
        data={
            "kind": "policy-warning",
            "cleanup": cleanup.name,
            "count": count,
            "tokens": [
                {
                    "owner": str(one.owner),
                    "id": one.id,
                    "name": one.name,
                    "creator": one.creator,
                    "reason": one.reason,
                }
                for one in tokens[:MAX_SHOWN]
            ],
        },
    )


def _days(span: timedelta) -> str:
    days = f"{span / timedelta(days=1):g}"
    return f"{days} day{'' if days == '1' else 's'}"
