"""The types of notices."""

from datetime import timedelta
from pathlib import Path
from typing import assert_type

from losant_tokens import AsyncClient, Owner, jobs, notices
from losant_tokens.notices import ExpiringToken, NoticeLedger, Notification
from losant_tokens.sinks import Message, StdoutSink

DAY = timedelta(days=1)


async def find(client: AsyncClient) -> tuple[ExpiringToken, ...]:
    found = await notices.find_expiring(client, within=DAY)
    assert_type(found, tuple[ExpiringToken, ...])
    owners = [Owner.user()]
    await notices.find_expiring(client, owners, within=[DAY], select=jobs.named("a"), account="b")
    seen = await notices.with_last_seen(client, found, ["org:575ec8687ae143cd83dc4a97"])
    assert_type(seen, tuple[ExpiringToken, ...])
    return found


async def deliver(found: tuple[ExpiringToken, ...]) -> None:
    ledger = NoticeLedger("notices.json")
    assert_type(ledger.path, Path)
    assert_type(notices.expiry_message(found), Message)
    result = await notices.notify(found, StdoutSink(), ledger=ledger)
    assert_type(result, Notification)
    assert_type(result.message, Message | None)
    async with ledger.locked():
        assert_type(ledger.unreported(found), tuple[ExpiringToken, ...])
        ledger.record(found)
