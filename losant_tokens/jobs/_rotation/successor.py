"""Create the successor of one token, verify it, and deliver its secret.

This module and `retirement` wait for the network. Each effect follows a line of the journal.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import attrs

from losant_tokens import ApiToken, ApiTokenPatch, AsyncClient, NewApiToken, Owner, Secret
from losant_tokens._client import account_changes_of
from losant_tokens._retries.retry_policy import may_have_arrived
from losant_tokens.errors import LosantError, NotFound, ResponseError
from losant_tokens.jobs._rotation import marker as markers
from losant_tokens.jobs._rotation import rotation as events
from losant_tokens.jobs._rotation.checks import (
    check_token,
    difference,
    drift,
    marked_successor,
)
from losant_tokens.jobs._rotation.rotation import RotatedToken, Rotation, RotationStage
from losant_tokens.jobs._rotation.rotation_journal import RotationJournal
from losant_tokens.jobs._rotation.verification import Verdict, verify
from losant_tokens.jobs._token_rules import Token
from losant_tokens.sinks import Sink, SinkError, TokenSecret

ClientFactory = Callable[[Secret], AsyncClient]
"""Makes a client that uses another token."""

OnRotation = Callable[[Rotation], None]
"""Receives the state of the rotation after each step."""


class StepFailed(Exception):  # noqa: N818 -- a step failed, and the journal says why
    """A step for a token failed. The journal has the error.

    Attributes:
        is_general: Whether the same step would fail for other tokens as well.
    """

    def __init__(self, *, is_general: bool = True) -> None:
        super().__init__("A step of a rotation failed.")
        self.is_general = is_general


_SEARCHES = 3
_MOVED = frozenset({"changed", "total", "count", "repeated"})
"""The problems of a listing that has moved while it was read. A token may be missing."""


async def search(client: AsyncClient, owner: Owner, is_lost: Callable[[Token], bool]) -> list[str]:
    """Return the ids of the lost successors among the tokens of an owner.

    Args:
        client: The client.
        owner: The owner.
        is_lost: Returns whether a token is a lost successor.

    Raises:
        LosantError: They could not be listed, or changed each time, and none was found.
    """
    for _ in range(_SEARCHES):
        listing = client.tokens(owner).iter(sort_field="id")
        found = [token.id async for token in listing if is_lost(token)]
        if found or not any(problem.kind in _MOVED for problem in listing.progress.problems):
            return found
    raise LosantError(
        f"The tokens of {owner} changed each time they were listed. Try again when nobody creates "
        f"or deletes tokens."
    )


def time_of(client: AsyncClient) -> datetime:
    """Return the server's time, or this machine's if the server has not stated its own."""
    return client.server_time() or datetime.now(UTC)


@attrs.frozen(eq=False)
class Successor:
    """The successors of one token of a rotation.

    Attributes:
        client: The client that creates and deletes tokens.
        make_client: Makes a client that uses the successor.
        journal: The journal.
        number: The number of the token in the rotation.
        changed: Called after each recorded step.
        account_changes: How often the account of the client had changed when it was confirmed.
    """

    client: AsyncClient
    make_client: ClientFactory
    journal: RotationJournal
    number: int
    changed: OnRotation
    account_changes: int

    @property
    def token(self) -> RotatedToken:
        """The state of the token."""
        return self.journal.token(self.number)

    @property
    def marker(self) -> str:
        """The marker of its successors."""
        return markers.marker_of(self.journal.rotation.id, self.token.id)

    async def record(self, event: events.Event) -> None:
        """Record an event.

        Raises:
            JournalError: The journal could not be written.
        """
        await self.journal.record(self.number, event)
        self.changed(self.journal.rotation)

    # --- The steps forward -------------------------------------------------------------------

    async def hand_over(self, sink: Sink[TokenSecret]) -> Secret:
        """Create a successor, verify it, deliver its secret, and return the secret.

        Args:
            sink: The sink.

        Raises:
            StepFailed: A step failed. The journal has the error.
            JournalError: The journal could not be written.
        """
        await self.clean_up()
        old = await self._checked_token()
        made = await self._create(old)
        await self._verify(made)
        await self._deliver(made, sink)
        await self.remove_marker(old)
        return made.token

    async def _checked_token(self) -> ApiToken:
        """Return the old token if it is still as it was, and can be rotated."""
        now = time_of(self.client)
        expires_at = self.journal.rotation.settings.expires_at(now)
        try:
            found = await self.client.tokens(self.token.owner).get(self.token.id)
        except LosantError as error:
            is_gone = isinstance(error, NotFound) and error.is_from_api
            raise await self._failed(f"{error}", is_general=not is_gone) from None
        check = check_token(self.client, self.token.owner, found, expires_at, now)
        problem = drift(self.token, found) or check.problem
        if problem is not None:
            raise await self._failed(problem, is_general=False)
        assert isinstance(found, ApiToken)  # noqa: S101 -- OAuth tokens are refused before
        return found

    async def _create(self, old: ApiToken) -> NewApiToken:
        expires_at = self.journal.rotation.settings.expires_at(time_of(self.client))
        post = marked_successor(old, self.marker, expires_at)
        await self.record(events.creating())
        try:
            made = await self.client.tokens(self.token.owner).post(post)
        except LosantError as error:
            raise await self._create_failed(error) from None
        if not made.id:
            await self.record(events.noted("The API returned a token without an id."))
            await self._search()
            raise await self._failed("The API returned a token without an id, which was deleted.")
        await self.record(events.created(made.id, made.expiration_date))
        if problem := difference(old, made):
            raise await self._give_up(f"The successor {made.id} is not a copy: {problem}.")
        return made

    async def _create_failed(self, error: LosantError) -> StepFailed:
        """Delete what a failed request may have created, and return the error to raise."""
        message = f"The successor could not be created: {error}"
        if isinstance(error, ResponseError) and error.token_id is not None:
            await self.record(events.created(error.token_id, None))
            return await self._give_up(message)
        if not may_have_arrived(error):
            return await self._failed(message)
        await self.record(events.noted(message))
        # If none is found, the request may still arrive: the stage stays `creating`.
        if await self._search():
            return await self._failed(message)
        return StepFailed()

    async def _verify(self, made: NewApiToken) -> None:
        try:
            async with self.make_client(made.token) as client:
                verdict = await verify(client, self.token.owner, made)
        except LosantError as error:
            raise await self._give_up(f"The successor could not be verified: {error}") from None
        if verdict is Verdict.REFUSED:
            raise await self._give_up(f"The API does not accept the successor {made.id}.")
        if verdict is Verdict.WORKS:
            await self.record(events.verified())
        elif not self.journal.rotation.settings.allow_unverified:
            problem = f"{self.token.id} {UNVERIFIABLE}"
            raise await self._give_up(problem, is_general=False)

    async def _deliver(self, made: NewApiToken, sink: Sink[TokenSecret]) -> None:
        delivery = TokenSecret(
            secret=made.token,
            token_id=made.id,
            name=self.token.name,
            owner=self.token.owner,
            replaces=self.token.id,
            expires_at=made.expiration_date,
        )
        await self.record(events.delivering())
        try:
            await sink.deliver(delivery)
        except SinkError as error:
            # A command that reports a failure states that it has not stored the secret.
            if error.is_reported or not error.ambiguous:
                raise await self._give_up(f"{error}") from None
            await self.record(events.uncertain(f"{error}"))
            raise StepFailed from None
        except Exception as error:  # noqa: BLE001 -- a sink of somebody else
            # Its text may hold the secret.
            await self.record(events.uncertain(f"The sink failed with {type(error).__name__}."))
            raise StepFailed from None
        await self.record(events.delivered(time_of(self.client)))

    async def remove_marker(self, old: ApiToken | None = None) -> None:
        """Give the successor the description of the old token. A failure changes no stage.

        Args:
            old: The old token. Default: read it, or remove the marker if it is gone.

        Raises:
            JournalError: The journal could not be written.
        """
        token = self.token
        assert token.successor_id is not None  # noqa: S101 -- it was delivered
        tokens = self.client.tokens(token.owner)
        try:
            if old is None:
                made = await tokens.get(token.successor_id)
                description = made.description
                with suppress(NotFound):
                    description = (await tokens.get(token.id)).description
            else:
                description = old.description
            patch = ApiTokenPatch(description=markers.unmarked(description))
            await tokens.patch(token.successor_id, patch)
        except LosantError as error:
            await self.record(
                events.noted(f"The description of {token.successor_id} still has a marker: {error}")
            )
        else:
            await self.record(events.unmarked())

    # --- The steps back ----------------------------------------------------------------------

    async def clean_up(self) -> None:
        """Delete the successors that an earlier process left, and whose secret nobody has.

        Raises:
            StepFailed: One could not be deleted. The journal has the error.
            JournalError: The journal could not be written.
        """
        match self.token.stage:
            case RotationStage.CREATING:
                await self._search()
            case RotationStage.CREATED:
                await self._remove("The process ended before the secret was delivered.")
            case RotationStage.REMOVING:
                await self._remove("The successor was not delivered.")
            case RotationStage.DELIVERING:
                await self.record(events.uncertain("The process ended during the delivery."))
            case _:
                pass

    async def _search(self) -> int:
        """Delete all tokens with the marker that the journal does not name; return their number.

        Raises:
            StepFailed: They could not be listed or deleted.
        """
        marker, known = self.marker, set(self.token.successor_ids)
        try:
            found = await search(
                self.client,
                self.token.owner,
                lambda token: markers.has_marker(token, marker) and token.id not in known,
            )
            for token_id in found:
                await self._delete(token_id)
        except LosantError as error:
            await self.record(events.noted(f"The successor could not be searched for: {error}"))
            raise StepFailed from None
        return len(found)

    async def _delete(self, token_id: str) -> None:
        """Delete a token that may be gone already.

        Raises:
            LosantError: It could not be deleted, or a 404 may be from another account.
        """
        try:
            await self.client.tokens(self.token.owner).delete(token_id)
        except NotFound as error:
            is_in_doubt = self.account_changes != account_changes_of(self.client)
            if is_in_doubt or not error.is_from_api:
                raise

    async def _remove(self, reason: str, *, is_general: bool = True) -> None:
        """Delete the successor.

        Raises:
            StepFailed: It could not be deleted. A resumed rotation tries again.
        """
        token_id = self.token.successor_id
        assert token_id is not None  # noqa: S101 -- it was created
        await self.record(events.removing(reason))
        try:
            await self._delete(token_id)
        except LosantError as error:
            await self.record(
                events.noted(
                    f"{reason} The successor {token_id} could not be deleted, so it still works: "
                    f"{error}"
                )
            )
            raise StepFailed(is_general=is_general) from None
        await self.record(events.failed(reason))

    async def _give_up(self, reason: str, *, is_general: bool = True) -> StepFailed:
        """Delete the successor, and return the error to raise."""
        try:
            await self._remove(reason, is_general=is_general)
        except StepFailed as error:
            return error
        return StepFailed(is_general=is_general)

    async def _failed(self, reason: str, *, is_general: bool = True) -> StepFailed:
        """Record that there is no successor, and return the error to raise."""
        await self.record(events.failed(reason))
        return StepFailed(is_general=is_general)


UNVERIFIABLE = (
    "has scopes that allow no request to verify its successor with. Check them, or pass "
    "allow_unverified=True."
)
