"""The chat bots of the examples, with a fake Losant and without Slack and Discord."""

import asyncio
import json
import time
import warnings
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import anyio
import attrs
import pytest
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_sdk.signature import SignatureVerifier
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from losant_tokens import AsyncClient
from losant_tokens.testing import FakeLosant
from losant_tokens.testing._server import Serving

EXAMPLES = Path(__file__).parents[2] / "examples"
LONG_AGO = datetime.now(UTC) - timedelta(days=200)
SECRET = "signing-secret"


@pytest.fixture(autouse=True)
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


@pytest.fixture
def fake(fake_losant: FakeLosant) -> FakeLosant:
    """Return a fake with two expired tokens, one of them with a name that Slack may format."""
    fake_losant.add_token("ci-1", expiration_date=LONG_AGO)
    fake_losant.add_token("ci-<!channel> & *x*", expiration_date=LONG_AGO)
    for number in range(3):
        fake_losant.add_token(f"prod-{number}")
    return fake_losant


@attrs.define
class FakeSlack:
    """The Web API of Slack: records the calls, and accepts all of them."""

    calls: list[tuple[str, dict[str, Any]]] = attrs.field(factory=list)
    is_down: bool = False

    async def respond(self, request: Request) -> JSONResponse:
        body = await request.body()
        is_json = "json" in request.headers.get("content-type", "")
        self.calls.append((request.path_params["method"], json.loads(body) if is_json else {}))
        return JSONResponse(
            {"ok": not self.is_down, "ts": "1.5", "user_id": "UBOT", "bot_id": "B1"}
        )

    def sent(self, method: str) -> list[dict[str, Any]]:
        return [content for name, content in self.calls if name == method]

    async def wait_for(self, method: str, number: int) -> list[dict[str, Any]]:
        """Return the calls of a method once there are as many."""
        with anyio.fail_after(20):
            while len(self.sent(method)) < number:  # noqa: ASYNC110 -- it is in another thread
                await anyio.sleep(0.01)
        return self.sent(method)


@attrs.define
class Workspace:
    """The bot, and the users who talk to it."""

    app: AsyncApp
    slack: FakeSlack
    base_url: str
    stop: anyio.Event

    async def send(self, content: dict[str, str], secret: str = SECRET) -> int:
        """Send a signed request as Slack does, and return the status of the response."""
        body = urlencode(content)
        sent_at = str(int(time.time()))
        signature = SignatureVerifier(secret).generate_signature(timestamp=sent_at, body=body)
        headers: dict[str, str | Sequence[str]] = {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-signature": str(signature),
            "x-slack-request-timestamp": sent_at,
        }
        request = AsyncBoltRequest(body=body, headers=headers)
        return int((await self.app.async_dispatch(request)).status)

    async def command(self, user: str, text: str, secret: str = SECRET) -> int:
        content = {"command": "/clean-up", "text": text, "user_id": user, "team_id": "T1"}
        place = {"channel_id": "C1", "response_url": f"{self.base_url}/respond"}
        return await self.send({**content, **place}, secret)

    async def click(self, user: str, button: dict[str, Any]) -> int:
        payload = {
            "type": "block_actions",
            "team": {"id": "T1"},
            "user": {"id": user, "team_id": "T1"},
            "channel": {"id": "C1"},
            "message": {"ts": "1.5"},
            "actions": [button],
            "response_url": f"{self.base_url}/respond",
        }
        return await self.send({"payload": json.dumps(payload)})

    async def proposal(self, text: str = "ci-*") -> dict[str, Any]:
        """Have a user plan a clean-up, and return the buttons by the name of their action."""
        number = len(self.slack.sent("chat.postMessage"))
        assert 200 == await self.command("UBOSS", text)
        message = (await self.slack.wait_for("chat.postMessage", number + 1))[-1]
        buttons = message["blocks"][-1]["elements"]
        return {button["action_id"]: button for button in buttons}


@asynccontextmanager
async def workspace(fake: FakeLosant, folder: Path) -> AsyncIterator[Workspace]:
    """Run the Slack bot in a folder."""
    import slack_bot

    slack = FakeSlack()
    api = Starlette(routes=[Route("/{method:path}", slack.respond, methods=["POST"])])
    async with (
        Serving(api) as base_url,
        AsyncClient(fake.admin_token, transport=fake.transport()) as losant,
        asyncio.TaskGroup() as group,
    ):
        clean_ups = slack_bot.CleanUps(losant, group, folder)
        app = slack_bot.make_app(slack_bot.Bot(clean_ups, frozenset({"UBOSS"})), "xoxb-1", SECRET)
        app.client.base_url = f"{base_url}/"
        yield Workspace(app, slack, base_url, clean_ups.stop)


def names(fake: FakeLosant) -> set[str]:
    return {token.name for token in fake.tokens()}


PROD = {"prod-0", "prod-1", "prod-2"}
pytestmark = pytest.mark.filterwarnings("ignore::losant_tokens.jobs.PlanWarning")


async def test_slack_approval(fake: FakeLosant, tmp_path: Path) -> None:
    """A plan is posted with its numbers and plain names, and an approval applies it once."""
    async with workspace(fake, tmp_path) as slack:
        buttons = await slack.proposal()
        (message,) = slack.slack.sent("chat.postMessage")
        everything = names(fake)
        clicks = [slack.click("UBOSS", buttons["approve"]) for _ in range(2)]
        assert [200, 200] == await asyncio.gather(*clicks)
        updates = await slack.slack.wait_for("chat.update", 2)
        (refusal,) = await slack.slack.wait_for("respond", 1)

    assert "Delete 2 of 5 tokens?" == message["blocks"][0]["text"]["text"]
    listed = message["blocks"][1]["text"]
    assert "plain_text" == listed["type"]
    assert "ci-&lt;!channel&gt; &amp; *x*" in listed["text"]
    assert (5, PROD) == (len(everything), names(fake))
    assert 2 == sum(request.method == "DELETE" for request in fake.requests)
    assert ["Approved by <@UBOSS>", "Approved by <@UBOSS>\n2 done, 0 pending"] == [
        update["text"] for update in updates
    ]
    assert "This plan has a decision: Approved by <@UBOSS>" == refusal["text"]


async def test_slack_rejection(fake: FakeLosant, tmp_path: Path) -> None:
    """A rejection is final, even after the bot has been restarted."""
    async with workspace(fake, tmp_path) as slack:
        buttons = await slack.proposal()
        await slack.click("UBOSS", buttons["reject"])
        (update,) = await slack.slack.wait_for("chat.update", 1)
    async with workspace(fake, tmp_path) as slack:
        await slack.click("UBOSS", buttons["approve"])
        (refusal,) = await slack.slack.wait_for("respond", 1)
    assert "Rejected by <@UBOSS>" == update["text"]
    assert "This plan has a decision: Rejected by <@UBOSS>" == refusal["text"]
    assert 5 == len(fake.tokens())


async def test_slack_refusals(fake: FakeLosant, tmp_path: Path) -> None:
    """Strangers, wrong signatures and unknown plans change nothing, and errors are explained."""
    async with workspace(fake, tmp_path) as slack:
        assert 401 == await slack.command("UBOSS", "ci-*", secret="another")
        await slack.command("USTRANGER", "ci-*")
        await slack.slack.wait_for("respond", 1)
        buttons = await slack.proposal()
        await slack.click("USTRANGER", buttons["approve"])
        await slack.slack.wait_for("respond", 2)
        for value in ("../../etc/passwd", f"sha256:{'0' * 64}"):
            await slack.click("UBOSS", {**buttons["approve"], "value": value})
        await slack.slack.wait_for("respond", 4)
        await slack.command("UBOSS", "nothing-*")
        empty = (await slack.slack.wait_for("chat.postMessage", 2))[-1]
        fake.fail(status=401, times=None)
        await slack.command("UBOSS", "ci-*")
        refusals = [call["text"] for call in await slack.slack.wait_for("respond", 5)]
    assert ["header", "context"] == [block["type"] for block in empty["blocks"]]
    expected = ("You may not clean up", "You may not decide", "There is no", "", "401 Unauthorized")
    assert [True] * 5 == [part in text for part, text in zip(expected, refusals, strict=True)]
    assert 5 == len(fake.tokens())


async def test_slack_job_that_fails(fake: FakeLosant, tmp_path: Path) -> None:
    """The message says why a job has failed, and the bot still works."""
    async with workspace(fake, tmp_path) as slack:
        buttons = await slack.proposal()
        fake.fail(status=401, times=None)
        await slack.click("UBOSS", buttons["approve"])
        update = (await slack.slack.wait_for("chat.update", 2))[-1]
        fake.clear_faults()
        await slack.proposal()
    assert "The job failed: " in update["text"]
    assert 5 == len(fake.tokens())


async def test_slack_that_is_down(
    fake: FakeLosant, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An approved plan is applied even if its message cannot be updated."""
    async with workspace(fake, tmp_path) as slack:
        buttons = await slack.proposal()
        slack.slack.is_down = True
        await slack.click("UBOSS", buttons["approve"])
        await slack.slack.wait_for("chat.update", 2)
    assert PROD == names(fake)
    assert 2 == caplog.text.count("could not be updated")


async def test_slack_bot_that_is_stopped(fake: FakeLosant, tmp_path: Path) -> None:
    """If the bot is stopped, the message says what is left and how to continue."""
    async with workspace(fake, tmp_path) as slack:
        buttons = await slack.proposal()
        slack.stop.set()
        await slack.click("UBOSS", buttons["approve"])
        update = (await slack.slack.wait_for("chat.update", 2))[-1]
    assert "2 pending\nContinue: `losant-tokens apply --resume " in update["text"]
    assert 5 == len(fake.tokens())


# --- Discord ----------------------------------------------------------------------------------


@attrs.define
class FakeDiscord:
    """A connection to Discord: sends raw interactions to a bot, and records its replies."""

    bot: Any = None
    replies: list[dict[str, Any]] = attrs.field(factory=list)

    async def request(
        self, route: Any, session: object, *, payload: dict[str, Any], **_: object
    ) -> dict[str, Any]:
        """Record a request of discord.py, and return what Discord would."""
        self.replies.append(payload.get("data") or payload)
        if route.path.endswith("/callback"):
            return {"interaction": {"id": "1", "type": 2}, "resource": {"type": 4}}
        return self.message()

    @staticmethod
    def message() -> dict[str, Any]:
        lists = ("attachments", "embeds", "mentions", "mention_roles", "components")
        return {
            **{name: [] for name in lists},
            "id": "7",
            "channel_id": "8",
            "type": 0,
            "content": "",
            "flags": 64,
            "tts": False,
            "author": person(9),
            "pinned": False,
            "mention_everyone": False,
            "timestamp": "2026-01-01T00:00:00+00:00",
            "edited_timestamp": None,
        }

    async def interact(self, user: int, kind: int, data: dict[str, Any]) -> dict[str, Any]:
        """Send an interaction, and return the last reply to it."""
        interaction = {
            "id": "1",
            "application_id": "2",
            "token": "t",
            "version": 1,
            "type": kind,
            "user": person(user),
            "channel_id": "8",
            "data": data,
            "entitlements": [],
            "authorizing_integration_owners": {},
            "attachment_size_limit": 0,
            "message": self.message(),
            "locale": "en-US",
        }
        before = asyncio.all_tasks()
        self.bot._connection.parse_interaction_create(interaction)
        await asyncio.wait(asyncio.all_tasks() - before, timeout=20)
        return self.replies[-1]

    async def command(self, user: int, **options: int) -> dict[str, Any]:
        chosen = [{"name": name, "type": 4, "value": value} for name, value in options.items()]
        data = {"id": "3", "name": "expiring", "type": 1, "options": chosen}
        return await self.interact(user, 2, data)

    async def click(self, label: str) -> dict[str, Any]:
        buttons = self.replies[-1]["components"][0]["components"]
        (clicked,) = [button["custom_id"] for button in buttons if button["label"] == label]
        return await self.interact(1, 3, {"custom_id": clicked, "component_type": 2})


def person(user: int) -> dict[str, Any]:
    return {"id": str(user), "username": "u", "discriminator": "0", "avatar": None}


@pytest.fixture
async def discord_(fake: FakeLosant, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeDiscord]:
    """Return a connection to the Discord bot, which the user 1 may use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # discord.py imports audioop
        import discord_bot
        from discord.webhook.async_ import AsyncWebhookAdapter

    discord = FakeDiscord()
    monkeypatch.setattr(AsyncWebhookAdapter, "request", discord.request)
    async with (
        AsyncClient(fake.admin_token, transport=fake.transport()) as losant,
        discord_bot.Bot(losant, frozenset({1})) as discord.bot,
    ):
        yield discord


async def test_discord_pages(fake: FakeLosant, discord_: FakeDiscord) -> None:
    """The tokens that expire soon are listed in pages, and names format nothing."""
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    fake.add_token("late", expiration_date=soon + timedelta(days=60))
    for number in range(12):
        name = "@everyone **x**\n" if number == 0 else f"ci-{number}"
        fake.add_token(name, expiration_date=soon + timedelta(minutes=number))
    first = await discord_.command(1)
    second = await discord_.click("Next")
    again = await discord_.click("Back")

    lines = first["content"].split("\n")
    assert ("**1 to 10 of 12**", 11) == (lines[0], len(lines))
    assert f"<t:{soon.timestamp():.0f}:R> @\u200beveryone \\*\\*x\\*\\*" == lines[1]
    assert {"parse": []} == first["allowed_mentions"]
    assert ["**11 to 12 of 12**", "ci-10", "ci-11"] == [
        line.rpartition("> ")[2] for line in second["content"].split("\n")
    ]
    assert first["content"] == again["content"]
    assert [[True, False], [False, True], [True, False]] == [
        [button["disabled"] for button in reply["components"][0]["components"]]
        for reply in (first, second, again)
    ]


async def test_discord_replies(fake: FakeLosant, discord_: FakeDiscord) -> None:
    """A stranger, an empty list and an error of the API get a reply that others do not see."""
    replies = [await discord_.command(2), await discord_.command(1, days=1)]
    fake.fail(status=401, times=None)
    replies.append(await discord_.command(1, days=1))
    expected = ("You may not see tokens.", "No token expires within 1 day.", "401 Unauthorized")
    assert [True] * 3 == [
        part in reply["content"] for part, reply in zip(expected, replies, strict=True)
    ]
    assert [64] * 3 == [reply["flags"] for reply in replies]
    assert ["expiring"] == [command.name for command in discord_.bot.tree.get_commands()]
