"""`warn`: the first step of a ladder.

The problem: a token may be deactivated only if people had the time to object. So the record must
prove that a message was delivered, and that the clean-up selects the token ever since: a token that
was used again and later forgotten again needs a new warning. So does one that was deactivated, and
that somebody activated again.

The approach: a run lists the tokens, delivers one message about those that are new or changed, and
then writes the record. It drops each token that is no longer selected. If the process is killed
before it writes, the message is delivered twice, which is better than never.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import groupby

import anyio
from attrs import frozen

from losant_tokens import AsyncClient, Owner, jobs
from losant_tokens.errors import ValidationError
from losant_tokens.jobs._plan.settings import PAGE_SIZE, PATIENCE
from losant_tokens.policy._types import Cleanup
from losant_tokens.policy._warning_ledger import (
    Token,
    WarnedToken,
    WarningLedger,
    WarningRecord,
    Warnings,
)
from losant_tokens.sinks import Message, Sink
from losant_tokens.sinks._types import check_sink

MAX_SHOWN = 500
"""The number of tokens in a message. A longer one would be refused, or read by nobody."""


@frozen
class WarningResult:
    """The result of `warn`."""

    message: Message | None
    """The message that was delivered; `None` if no token was new."""
    tokens: tuple[WarnedToken, ...]
    """The tokens that it names."""
    warned_before: int
    """The number of selected tokens that were warned about before."""
    left_out: int = 0
    """The number of tokens that it counts, but does not name. They were not recorded, so the
    message of the next run names them.
    """


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
        ValidationError: The clean-up does not warn, or `sink` is not a sink. Nothing was sent.
        GuardRefused: The clean-up selects more than `max_changes` tokens. Nothing was delivered.
        SinkError: The message could not be delivered. Nothing was recorded.
        WarningError: The ledger cannot be used.
        LosantError: The tokens cannot be listed.
    """
    return await warn_once(client, owners, cleanup, sink, ledger, dry_run, page_size, patience)


async def warn_once(
    client: AsyncClient,
    owners: Owner | Iterable[Owner],
    cleanup: Cleanup,
    sink: Sink[Message],
    ledger: Warnings,
    dry_run: bool = False,
    page_size: int = PAGE_SIZE,
    patience: float = PATIENCE,
) -> WarningResult:
    """Do the work of `warn` with any record of warnings."""
    check_sink("warn", sink)
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
