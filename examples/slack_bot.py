"""A Slack bot that plans a clean-up, asks for approval with buttons, and applies the plan.

pip install 'slack-bolt>=1.22' aiohttp /path/to/losant-tokens
export LOSANT_API_TOKEN=... SLACK_BOT_TOKEN=xoxb-... SLACK_APP_TOKEN=xapp-...
SLACK_APPROVERS=U02AB3CD4,U05EF6GH7 python examples/slack_bot.py

The app in Slack needs Socket Mode, interactivity, the command /clean-up, and the scopes `commands`
and `chat:write`. Then type `/clean-up ci-*` in a channel that the bot is a member of. The bot plans
to delete expired tokens with such a name, and posts the plan with buttons.

Plans, decisions and journals are files in the folder `clean-ups`, so a button still works after a
restart, and the first decision about a plan is final. If the bot is stopped during a job, the
message shows the command that continues it.
"""

import asyncio
import logging
import os
import re
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
from attrs import define, field
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from losant_tokens import AsyncClient, Owner, errors, jobs

log = logging.getLogger("slack_bot")

FOLDER = Path("clean-ups")
MAX_SHOWN = 10  # tokens in a message
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})

Json = dict[str, Any]


def escaped(text: str) -> str:
    """Return text for Slack, in which a name cannot mention anybody or be a link."""
    return text.translate(_ESCAPES)


def count(number: int) -> str:
    """Return a number of tokens."""
    return f"{number} token{'' if number == 1 else 's'}"


@define
class CleanUps:
    """The clean-ups of the bot: plans in a folder, each with one decision at most.

    Attributes:
        losant: The client.
        group: Runs the jobs, which go on after the request that started them.
        folder: The folder of the plans.
        stop: Stops all jobs.
    """

    losant: AsyncClient
    group: asyncio.TaskGroup
    folder: Path = FOLDER
    stop: anyio.Event = field(factory=anyio.Event)

    async def plan(self, pattern: str) -> jobs.Plan:
        """Plan to delete expired tokens whose name matches. Nothing is changed."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        rule = jobs.expired() & jobs.named(pattern)
        draft = self.folder / f"{uuid4().hex}.draft"
        plan = await jobs.plan(self.losant, Owner.user(), select=rule, path=draft)
        return jobs.Plan.read(draft.replace(self._file(plan.digest, "jsonl")))

    def find(self, digest: str) -> jobs.Plan:
        """Return the plan that a button is for.

        Raises:
            PlanRefused: There is no such plan, or its file was altered.
        """
        plan = jobs.Plan.read(self._file(digest, "jsonl"))
        if plan.digest != digest:
            raise jobs.PlanRefused("This plan was altered. Make a new one.")
        return plan

    def decide(self, digest: str, decision: str) -> str | None:
        """Record a decision, or return the earlier one, which is final."""
        path = self._file(digest, "decision")
        try:
            with path.open("x") as file:
                file.write(decision)
        except FileExistsError:
            return path.read_text()
        return None

    def start(self, plan: jobs.Plan, report: Callable[[str], Awaitable[object]]) -> None:
        """Apply a plan in the background."""
        self.group.create_task(self._apply(plan, report))

    async def _apply(self, plan: jobs.Plan, report: Callable[[str], Awaitable[object]]) -> None:
        """Apply a plan, and report the result. An error ends no other job."""
        try:
            done = await jobs.apply(self.losant, plan, stop=self.stop)
        except errors.LosantError as error:
            await report(f"The job failed: {escaped(str(error))}")
        else:
            counts = {outcome.value: number for outcome, number in done.counts.items() if number}
            counts["pending"] = done.pending
            text = ", ".join(f"{number} {name}" for name, number in counts.items())
            if not done.is_complete:
                text += f"\nContinue: `losant-tokens apply --resume {plan.path}`"
            await report(text)

    def _file(self, digest: str, suffix: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise jobs.PlanRefused("There is no such plan.")
        return self.folder / f"{digest.removeprefix('sha256:')}.{suffix}"


def summary(plan: jobs.Plan) -> list[Json]:
    """Return the blocks that describe a plan."""
    total = plan.header.total
    title = f"Delete {total.selected} of {count(total.listed)}?"
    lines = [escaped(f"{entry.name[:100]} - {entry.reason}") for entry in plan.entries()]
    if len(lines) > MAX_SHOWN:
        lines[MAX_SHOWN:] = [f"and {len(lines) - MAX_SHOWN} more"]
    notes = [f"Plan {plan.id}", plan.header.rule, f"{total.protected} protected"]
    return [
        {"type": "header", "text": {"type": "plain_text", "text": title}},
        # Slack formats nothing in plain text, so a name with stars stays as it is.
        *({"type": "section", "text": plain("\n".join(lines))} for _ in lines[:1]),
        {"type": "context", "elements": [plain(escaped(" | ".join(notes)))]},
    ]


def plain(text: str) -> Json:
    """Return text that Slack shows as it is."""
    return {"type": "plain_text", "text": text[:2900], "emoji": False}


def buttons(plan: jobs.Plan) -> Json:
    """Return the buttons of a plan, which carry its digest."""

    def button(action: str, text: str, style: str) -> Json:
        label = {"type": "plain_text", "text": text}
        button = {"type": "button", "action_id": action, "text": label, "style": style}
        return {**button, "value": plan.digest}

    return {
        "type": "actions",
        "elements": [
            button("approve", f"Delete {count(plan.header.total.selected)}", "danger"),
            button("reject", "Reject", "primary"),
        ],
    }


@define
class Bot:
    """The bot: what it does for a command, and for a click on a button."""

    clean_ups: CleanUps
    approvers: frozenset[str]

    async def propose(self, ack: Any, respond: Any, command: Json, client: AsyncWebClient) -> None:
        """Plan a clean-up, and post the plan."""
        await ack()
        if command["user_id"] not in self.approvers:
            await respond("You may not clean up tokens.")
            return
        try:
            plan = await self.clean_ups.plan(command.get("text", "").strip() or "*")
        except errors.LosantError as error:
            await respond(escaped(str(error)))
            return
        selected = plan.header.total.selected
        await client.chat_postMessage(
            channel=command["channel_id"],
            text=f"A plan to delete {count(selected)}",
            blocks=[*summary(plan), *([buttons(plan)] if selected else [])],
        )

    async def decide(
        self, ack: Any, respond: Any, action: Json, body: Json, client: AsyncWebClient
    ) -> None:
        """Record the decision about a plan. If it is the first one and an approval, apply it."""
        await ack()
        user, is_approval = body["user"]["id"], action["action_id"] == "approve"
        if user not in self.approvers:
            await respond("You may not decide about plans.", replace_original=False)
            return
        decision = f"{'Approved' if is_approval else 'Rejected'} by <@{user}>"
        try:
            plan = self.clean_ups.find(action["value"])
        except errors.LosantError as error:
            await respond(escaped(str(error)), replace_original=False)
            return
        if earlier := self.clean_ups.decide(plan.digest, decision):
            await respond(f"This plan has a decision: {earlier}", replace_original=False)
            return
        message = Message(client, body["channel"]["id"], body["message"]["ts"], plan)
        await message.show(decision)
        if is_approval:
            self.clean_ups.start(plan, lambda result: message.show(f"{decision}\n{result}"))


@define
class Message:
    """The message with a plan."""

    client: AsyncWebClient
    channel: str
    ts: str
    plan: jobs.Plan

    async def show(self, text: str) -> None:
        """Replace the buttons with a text, if Slack can be reached."""
        section = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
        blocks = [*summary(self.plan), section]
        try:
            await self.client.chat_update(
                channel=self.channel, ts=self.ts, text=text, blocks=blocks
            )
        except Exception:
            # If Slack cannot be reached, the job goes on.
            log.exception("The message about plan %s could not be updated", self.plan.id)


def make_app(bot: Bot, token: str, signing_secret: str = "") -> AsyncApp:
    """Return the app of the bot. Without a signing secret, it accepts Socket Mode only."""
    is_http = bool(signing_secret)
    app = AsyncApp(token=token, signing_secret=signing_secret, request_verification_enabled=is_http)
    app.command("/clean-up")(bot.propose)
    app.action(re.compile("approve|reject"))(bot.decide)
    return app


async def main() -> None:
    """Run the bot until a signal stops it. Then its jobs finish the requests in flight."""
    approvers = frozenset(os.environ["SLACK_APPROVERS"].replace(",", " ").split())
    async with AsyncClient() as losant, asyncio.TaskGroup() as group:
        clean_ups = CleanUps(losant, group)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, clean_ups.stop.set)
        app = make_app(Bot(clean_ups, approvers), os.environ["SLACK_BOT_TOKEN"])
        handler: Any = AsyncSocketModeHandler(app, os.environ["SLACK_APP_TOKEN"])
        await handler.connect_async()
        await clean_ups.stop.wait()
        await handler.close_async()


if __name__ == "__main__":
    asyncio.run(main())
