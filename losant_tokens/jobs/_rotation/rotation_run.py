"""Carry out what is left to do of a rotation, and record each step in its journal."""

from contextlib import suppress
from functools import partial

import attrs

from losant_tokens import AsyncClient, Secret
from losant_tokens._client import account_changes_of, pool_settings_of
from losant_tokens.jobs._quarantine.ledger import Ledger
from losant_tokens.jobs._rotation import rotation as events
from losant_tokens.jobs._rotation.retirement import Retirement
from losant_tokens.jobs._rotation.rotation import RotatedToken, Rotation, RotationStage
from losant_tokens.jobs._rotation.rotation_journal import RotationJournal
from losant_tokens.jobs._rotation.successor import (
    ClientFactory,
    OnRotation,
    StepFailed,
    Successor,
    time_of,
)
from losant_tokens.sinks import Sink, TokenSecret


@attrs.define(eq=False)
class RotationRun:
    """Carries out what is left to do of a rotation.

    Create it directly after the account of the client was compared with that of the rotation.
    """

    client: AsyncClient
    journal: RotationJournal
    ledger: Ledger | None = None
    make_client: ClientFactory | None = None
    on_step: OnRotation | None = None
    own_secret: Secret | None = None
    _account_changes: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._account_changes = account_changes_of(self.client)

    async def run(self, sink: Sink[TokenSecret] | None) -> Rotation:
        """Continue until everything is done, an overlap is running, or a step fails."""
        with self.journal:
            try:
                await self._hand_over_all(sink)
            except StepFailed:
                return self.journal.rotation
            await self._retire_due()
            return self.journal.rotation

    def _successor(self, number: int) -> Successor:
        return Successor(
            self.client,
            self.make_client or partial(_client_like, self.client),
            self.journal,
            number,
            self.on_step or _ignore,
            self._account_changes,
        )

    async def _hand_over_all(self, sink: Sink[TokenSecret] | None) -> None:
        """Hand over each token that has no successor.

        Raises:
            StepFailed: A step failed, and it would fail for the next token as well.
        """
        for number, token in enumerate(self.journal.rotation.tokens):
            try:
                await self._hand_over(number, token, sink)
            except StepFailed as error:
                if error.is_general:
                    raise

    async def _hand_over(
        self, number: int, token: RotatedToken, sink: Sink[TokenSecret] | None
    ) -> None:
        """Hand over a token if it has no successor. Without a sink, only clean up.

        Raises:
            StepFailed: A step failed.
        """
        successor = self._successor(number)
        if token.stage is RotationStage.DELIVERED and token.is_marked:
            await successor.remove_marker()
        if not token.needs_sink:
            return
        if sink is None:
            with suppress(StepFailed):
                await successor.clean_up()
            return
        secret = await successor.hand_over(sink)
        if self._is_own(number):
            self.own_secret = secret

    async def _retire_due(self) -> None:
        """Deactivate the old tokens whose overlap has ended."""
        rotation = self.journal.rotation
        # A request has shown the server's time: an overlap must not end early because the clock of
        # this machine is wrong.
        now = time_of(self.client)
        due = [n for n, token in enumerate(rotation.tokens) if rotation.is_due(token, now)]
        own = [number for number in due if self._is_own(number)]
        others = [number for number in due if number not in own]
        if others:
            await self._retirement(self.client).retire(others)
        if own and self.own_secret is not None:
            # The old token is deactivated with the new one, which proves once more that it works.
            make = self.make_client or partial(_client_like, self.client)
            async with make(self.own_secret) as client:
                await self._retirement(client).retire(own)
        elif own:
            await self._retirement(self.client).retire(own)

    def _is_own(self, number: int) -> bool:
        """Return whether the client uses a token that is to be deactivated."""
        retired_ids = self.journal.token(number).retired_ids
        return any(self.client.uses_token(token_id) for token_id in retired_ids)

    def _retirement(self, client: AsyncClient) -> Retirement:
        return Retirement(client, self.journal, self.ledger, self.on_step or _ignore)

    async def cancel(self) -> Rotation:
        """Delete the successors that nobody has, and record the end of the rotation."""
        with self.journal:
            for number, token in enumerate(self.journal.rotation.tokens):
                if token.is_settled:
                    continue
                successor = self._successor(number)
                try:
                    await successor.clean_up()
                except StepFailed:
                    continue
                if token.stage is RotationStage.DELIVERED and token.is_marked:
                    await successor.remove_marker()
                # An earlier process may have deactivated it, and not recorded that.
                is_retired = token.retirement is not None and not await self._retirement(
                    self.client
                ).is_active(token.owner, token.id)
                event = events.retired() if is_retired else events.cancelled()
                await self.journal.record(number, event)
            return self.journal.rotation


def _client_like(client: AsyncClient, secret: Secret) -> AsyncClient:
    """Return a client that uses another token at the same base URL, over the same proxy.

    It trusts the same authorities, because its requests hold the secret of a new token.
    """
    return AsyncClient(
        secret,
        base_url=client.base_url,
        **pool_settings_of(client),
        # The check of the scopes is that of the API.
        scope_check="off",
        # The first client may have been allowed to use this URL.
        insecure_http=client.base_url.startswith("http://") or None,
    )


def _ignore(_: Rotation) -> None:
    """Do nothing with the state of a rotation."""
