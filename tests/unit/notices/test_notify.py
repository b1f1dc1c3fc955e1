"""Delivering each notice once."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from losant_tokens import Owner
from losant_tokens.errors import ValidationError
from losant_tokens.notices import ExpiringToken, NoticeError, NoticeLedger, Notification, notify
from losant_tokens.sinks import Message, SinkError

NOW = datetime(2031, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Inbox:
    """A sink that keeps its messages, or fails."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.fails = False
        self.delay = 0.0

    async def deliver(self, delivery: Message) -> None:
        await anyio.sleep(self.delay)
        if self.fails:
            raise SinkError("no")
        self.messages.append(delivery)


def expiring(
    name: str = "a",
    *,
    threshold: int = 7,
    now: datetime = NOW,
    expires_at: datetime = NOW + 5 * DAY,
    **members: Any,
) -> Any:
    """Return a token that expires 5 days after `NOW`, or at another time."""
    return ExpiringToken(
        **{
            "base_url": "https://api.losant.com",
            "owner": Owner.user(),
            "token_id": name * 24,
            "name": name,
            "expires_at": expires_at,
            "remaining": expires_at - now,
            "threshold": threshold * DAY,
            **members,
        }
    )


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def ledger(tmp_path: Path) -> NoticeLedger:
    return NoticeLedger(tmp_path / "state" / "notices.json")


def summary(result: Notification) -> tuple[list[str], int]:
    """Return the names of the reported tokens, and the number of the others."""
    return [one.name for one in result.tokens], result.reported_before


async def test_each_notice_is_delivered_once(inbox: Inbox, ledger: NoticeLedger) -> None:
    """Nothing is reported again until a shorter threshold or another expiration date."""
    runs = [
        ([expiring("a")], (["a"], 0)),
        ([expiring("a"), expiring("b")], (["b"], 1)),
        ([expiring("a"), expiring("b")], ([], 2)),
        ([expiring("a", threshold=30)], ([], 1)),
        ([expiring("a", threshold=1)], (["a"], 0)),
        ([expiring("a", threshold=0)], (["a"], 0)),
        ([expiring("a", expires_at=NOW + 6 * DAY)], (["a"], 0)),
        ([], ([], 0)),
    ]
    results = [await notify(tokens, inbox, ledger=ledger) for tokens, _ in runs]

    assert [summary(result) for result in results] == [expected for _, expected in runs]
    assert [result.message for result in results if result.message] == inbox.messages
    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(ledger.path.parent.stat().st_mode) == 0o700


async def test_without_a_ledger(inbox: Inbox) -> None:
    """Without a ledger, each token is reported, and a token that is found twice once."""
    tokens = [expiring("a", account="one"), expiring("a", account="two")]

    assert summary(await notify(tokens, inbox)) == (["a"], 0)
    assert summary(await notify(tokens, inbox)) == (["a"], 0)


async def test_failed_delivery_is_not_recorded(inbox: Inbox, ledger: NoticeLedger) -> None:
    """A message that could not be delivered is delivered in the next run, with the same id."""
    inbox.fails = True
    with pytest.raises(SinkError):
        await notify([expiring()], inbox, ledger=ledger)
    inbox.fails = False

    assert summary(await notify([expiring()], inbox, ledger=ledger)) == (["a"], 0)
    assert inbox.messages[0].id == (await notify([expiring()], inbox)).message.id  # type: ignore[union-attr]


async def test_concurrent_runs(inbox: Inbox, ledger: NoticeLedger) -> None:
    """Of two runs at the same time, one delivers, and the other waits and has nothing to do."""
    inbox.delay = 0.05
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(lambda: notify([expiring()], inbox, ledger=ledger))

    assert len(inbox.messages) == 1


async def test_patience(ledger: NoticeLedger) -> None:
    """A run that waits too long for another one fails."""
    async with ledger.locked():
        with pytest.raises(NoticeError, match=r"used the ledger .* for more than 0\.01 seconds"):
            async with ledger.locked(patience=0.01):
                pass


async def test_cancelled_after_the_delivery(inbox: Inbox, ledger: NoticeLedger) -> None:
    """A cancellation after the delivery does not prevent the record."""
    with anyio.CancelScope() as scope:

        class Cancelling(Inbox):
            async def deliver(self, delivery: Message) -> None:
                scope.cancel()

        await notify([expiring()], Cancelling(), ledger=ledger)

    assert summary(await notify([expiring()], inbox, ledger=ledger)) == ([], 1)


async def test_tokens_that_a_message_does_not_name(inbox: Inbox, ledger: NoticeLedger) -> None:
    """A message names 500 tokens. The others are not recorded, so the next one names them."""
    tokens = [
        expiring(token_id=f"{number:024x}", expires_at=NOW + DAY + timedelta(seconds=number))
        for number in range(502)
    ]
    results = [await notify(tokens, inbox, ledger=ledger) for _ in range(3)]

    assert [(len(one.tokens), one.left_out, one.reported_before) for one in results] == [
        (500, 2, 0),
        (2, 0, 500),
        (0, 0, 502),
    ]
    assert results[1].tokens == tuple(tokens[500:])


async def test_old_records_are_dropped(inbox: Inbox, ledger: NoticeLedger) -> None:
    """The ledger does not grow forever: records are dropped 60 days after the expiration."""
    later = NOW + 70 * DAY
    await notify([expiring("a")], inbox, ledger=ledger)
    await notify([expiring("b", now=later, expires_at=later)], inbox, ledger=ledger)

    reported = json.loads(ledger.path.read_bytes())["reported"]
    assert [record["key"].split()[1] for record in reported] == ["b" * 24]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "it is not a ledger of notices, or it is damaged"),
        (b"[]", "it is not a ledger of notices, or it is damaged"),
        (b'{"version": 1, "reported": [{"key": "a"}]}', "it is not a ledger of notices"),
        (
            b'{"version": 1, "reported": [{"key": "a", "threshold": 1, "expires": "2031-01-01"}]}',
            "it is not a ledger of notices",
        ),
        *(
            (
                b'{"version": 1, "reported": [{"key": "a", "expires": "2031-01-01T00:00:00Z", '
                b'"threshold": %b}]}' % threshold,
                "it is not a ledger of notices",
            )
            for threshold in (b'"1"', b"NaN", b"1e300")
        ),
        (
            (
                b'{"version": 1, "reported": [{"key": 1, "expires": "2031-01-01T00:00:00Z", '
                b'"threshold": 1}]}'
            ),
            "it is not a ledger of notices",
        ),
        (b"[" * 100_000, "it is not a ledger of notices"),
        (b'{"version": 2}', "it has version 2, which is unknown"),
    ],
)
async def test_damaged_ledger(
    inbox: Inbox, ledger: NoticeLedger, content: bytes, problem: str
) -> None:
    """A ledger that cannot be read stops the run, because everything would be reported again."""
    ledger.path.parent.mkdir()
    ledger.path.write_bytes(content)

    with pytest.raises(NoticeError, match=f"{problem}.*move the file away"):
        await notify([expiring()], inbox, ledger=ledger)
    assert inbox.messages == []
    assert ledger.path.read_bytes() == content


async def test_ledger_that_cannot_be_used(inbox: Inbox, tmp_path: Path) -> None:
    """A ledger that is not a file, or has no folder, is an error before the delivery."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(NoticeError, match="cannot be read: it is a folder"):
        await notify([expiring()], inbox, ledger=NoticeLedger(tmp_path / "folder"))
    with pytest.raises(NoticeError, match=r"ledger\.lock cannot be created"):
        await notify([expiring()], inbox, ledger=NoticeLedger(tmp_path / "file" / "ledger"))

    assert inbox.messages == []


async def test_ledger_that_cannot_be_written(
    inbox: Inbox, ledger: NoticeLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that cannot be written is an error that says that the message was delivered."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(NoticeError, match=r"No space left on device\. The message was delivered"):
        await notify([expiring()], inbox, ledger=ledger)

    assert len(inbox.messages) == 1


async def test_path_in_place_of_a_ledger(inbox: Inbox) -> None:
    """A path in place of a ledger is an error, and nothing is delivered."""
    with pytest.raises(ValidationError, match=r"notify\.ledger must be of type NoticeLedger"):
        await notify([expiring()], inbox, ledger="notices.json")  # type: ignore[arg-type]

    assert inbox.messages == []
