"""A Discord bot that lists the tokens that expire soon, in pages with buttons.

pip install 'discord.py>=2.5' /path/to/losant-tokens
export LOSANT_API_TOKEN=... DISCORD_TOKEN=...
DISCORD_USERS=80351110224678912 python examples/discord_bot.py

Then type `/expiring` in a server that the bot is a member of. Only the users in DISCORD_USERS may
do so, and only they see the reply.
"""

import asyncio
import os
from datetime import UTC, datetime, timedelta

import discord
from discord import app_commands

from losant_tokens import ApiToken, AsyncClient, errors

PAGE = 10  # tokens; a message has at most 2,000 characters
TIMEOUT = 600.0  # seconds until the buttons of a reply stop working


class Bot(discord.Client):
    """The bot.

    Args:
        losant: The client.
        users: The ids of the users who may see tokens.
    """

    def __init__(self, losant: AsyncClient, users: frozenset[int]) -> None:
        super().__init__(
            intents=discord.Intents(guilds=True), allowed_mentions=discord.AllowedMentions.none()
        )
        self.losant = losant
        self.allowed = users
        self.tree = app_commands.CommandTree(self)

        @self.tree.command(description="List the tokens that expire soon.")
        @app_commands.describe(days="How many days to look ahead.")
        async def expiring(
            interaction: discord.Interaction[Bot], days: app_commands.Range[int, 1, 3650] = 30
        ) -> None:
            await self.reply(interaction, days)

    async def setup_hook(self) -> None:
        """Register the command with Discord."""
        await self.tree.sync()

    async def reply(self, interaction: discord.Interaction["Bot"], days: int) -> None:
        """Reply with the tokens that expire within some days."""
        if interaction.user.id not in self.allowed:
            await interaction.response.send_message("You may not see tokens.", ephemeral=True)
            return
        # Discord waits 3 seconds for a reply, and a long list takes more.
        await interaction.response.defer(ephemeral=True)
        try:
            tokens = await self.expiring_within(timedelta(days=days))
        except errors.LosantError as error:
            await interaction.followup.send(escaped(str(error), 1000), ephemeral=True)
            return
        if not tokens:
            text = f"No token expires within {days} day{'' if days == 1 else 's'}."
            await interaction.followup.send(text, ephemeral=True)
            return
        pages = Pages(tokens)
        await interaction.followup.send(pages.text, view=pages, ephemeral=True)

    async def expiring_within(self, span: timedelta) -> list[ApiToken]:
        """Return the tokens that expire within a time span, the first one first."""
        found = [
            (token.expiration_date, token.id, token)
            async for token in self.losant.user_api_tokens.iter()
            if token.expiration_date is not None
        ]
        now = self.losant.server_time() or datetime.now(UTC)
        return [token for date, _, token in sorted(found) if now < date <= now + span]


class Pages(discord.ui.View):
    """A list of tokens in pages, with a button for each direction."""

    def __init__(self, tokens: list[ApiToken]) -> None:
        super().__init__(timeout=TIMEOUT)
        self._tokens = tokens
        self._page = 0
        self._update()

    @property
    def text(self) -> str:
        """The text of the page."""
        first = self._page * PAGE
        shown = self._tokens[first : first + PAGE]
        title = f"**{first + 1} to {first + len(shown)} of {len(self._tokens)}**"
        return "\n".join([title, *map(line, shown)])

    @discord.ui.button(label="Back")
    async def back(
        self, interaction: discord.Interaction[Bot], _: discord.ui.Button["Pages"]
    ) -> None:
        """Show the page before."""
        await self._turn(interaction, self._page - 1)

    @discord.ui.button(label="Next", style=discord.ButtonStyle.primary)
    async def forward(
        self, interaction: discord.Interaction[Bot], _: discord.ui.Button["Pages"]
    ) -> None:
        """Show the next page."""
        await self._turn(interaction, self._page + 1)

    async def _turn(self, interaction: discord.Interaction[Bot], page: int) -> None:
        # A fast double click may ask for a page that does not exist.
        self._page = min(max(page, 0), (len(self._tokens) - 1) // PAGE)
        self._update()
        await interaction.response.edit_message(content=self.text, view=self)

    def _update(self) -> None:
        self.back.disabled = self._page == 0
        self.forward.disabled = (self._page + 1) * PAGE >= len(self._tokens)


def line(token: ApiToken) -> str:
    """Return one token as a line, with its time of expiry as Discord shows times."""
    assert token.expiration_date is not None  # noqa: S101 -- all tokens of the list expire
    return f"{discord.utils.format_dt(token.expiration_date, 'R')} {escaped(token.name)}"


def escaped(text: str, max_length: int = 80) -> str:
    """Return text on one line that formats nothing and mentions nobody, cut to a length."""
    text = " ".join(text.split())
    text = text if len(text) <= max_length else f"{text[:max_length]}..."
    return discord.utils.escape_mentions(discord.utils.escape_markdown(text))


async def main() -> None:
    """Run the bot until it is interrupted."""
    users = frozenset(map(int, os.environ["DISCORD_USERS"].replace(",", " ").split()))
    async with AsyncClient() as losant, Bot(losant, users) as bot:
        await bot.start(os.environ["DISCORD_TOKEN"])


if __name__ == "__main__":
    asyncio.run(main())
