"""`notify`: deliver one message about the tokens that were not reported yet."""

from collections.abc import Iterable

import anyio
from attrs import frozen

from losant_tokens._utils import validators
from losant_tokens.notices._expiring import ExpiringToken
from losant_tokens.notices._ledger import NoticeLedger
from losant_tokens.notices._message import expiry_message, named_in_message
from losant_tokens.sinks import Message, Sink
from losant_tokens.sinks._types import check_sink


@frozen
class Notification:
    """The result of `notify`."""

    message: Message | None
    """The message that was delivered; `None` if there was nothing to report."""
    tokens: tuple[ExpiringToken, ...]
    """The tokens that it names, the first to expire first."""
    reported_before: int
    """The number of tokens that were left out, because they had been reported."""
    left_out: int = 0
    """The number of tokens that it counts, but does not name. They were not recorded, so the
    message of the next run names them.
    """


async def notify(
    tokens: Iterable[ExpiringToken],
    sink: Sink[Message],
    *,
    ledger: NoticeLedger | None = None,
) -> Notification:
    """Deliver one message about the tokens that were not reported yet, and record those it names.

    If the process is killed after the delivery and before the record, the message is delivered
    again in the next run. Its id, and those of its notices, are then the same.

    Args:
        tokens: The tokens, as `find_expiring` returns them.
        sink: The receiver.
        ledger: The record of what the receiver got. Default: none, so each token is reported.

    Raises:
        ValidationError: `sink` is not a sink, or `ledger` is not a `NoticeLedger`.
        SinkError: The message could not be delivered. Nothing was recorded.
        NoticeError: The ledger cannot be used. If it cannot be written, the message was delivered.
    """
    validators.check_argument(
        validators.optional(validators.instance_of(NoticeLedger)), "notify", "ledger", ledger
    )
    check_sink("notify", sink)
    # Two accounts may have access to the same token.
    tokens = tuple({one.key: one for one in tokens}.values())
    if ledger is None:
        return await _deliver(tokens, tokens, sink)
    async with ledger.locked():
        due = await anyio.to_thread.run_sync(ledger.unreported, tokens)
        result = await _deliver(tokens, due, sink)
        # The message was delivered, so a cancellation must not prevent the record.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(ledger.record, result.tokens)
    return result


async def _deliver(
    tokens: tuple[ExpiringToken, ...], due: tuple[ExpiringToken, ...], sink: Sink[Message]
) -> Notification:
    """Deliver a message about the tokens that are due, if there are any."""
    reported_before = len(tokens) - len(due)
    if not due:
        return Notification(None, (), reported_before)
    message = expiry_message(due)
    await sink.deliver(message)
    named = named_in_message(due)
    return Notification(message, named, reported_before, len(due) - len(named))
