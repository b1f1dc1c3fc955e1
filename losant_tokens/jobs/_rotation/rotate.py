"""`rotate`: replace tokens with successors. `resume_rotation` and `cancel_rotation` continue it."""

import os
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import anyio

from losant_tokens import AsyncClient, Owner
from losant_tokens._credentials.token_claims import same_account
from losant_tokens.errors import NotFound, ValidationError
from losant_tokens.jobs._errors import PlanRefused
from losant_tokens.jobs._plan.account_check import other_claim, owner_ids_of
from losant_tokens.jobs._quarantine.ledger import Ledger
from losant_tokens.jobs._rotation.preparation import (
    DEFAULT_GRACE,
    DEFAULT_OVERLAP,
    Tokens,
    check_permissions,
    check_targets,
    refuse_problems,
    rotation_settings,
    targets_of,
    tokens_in_order,
)
from losant_tokens.jobs._rotation.rotation import RotatedToken, Rotation
from losant_tokens.jobs._rotation.rotation_journal import RotationJournal
from losant_tokens.jobs._rotation.rotation_run import RotationRun
from losant_tokens.jobs._rotation.successor import ClientFactory, OnRotation, time_of
from losant_tokens.sinks import Sink, TokenSecret
from losant_tokens.sinks._types import check_sink

_ID_BYTES = 8


async def rotate(  # noqa: PLR0913 -- settings, all but two by keyword
    client: AsyncClient,
    tokens: Tokens,
    *,
    sink: Sink[TokenSecret],
    expires: timedelta | datetime,
    journal: str | os.PathLike[str],
    overlap: timedelta = DEFAULT_OVERLAP,
    grace: timedelta = DEFAULT_GRACE,
    allow_unverified: bool = False,
    ledger: Ledger | None = None,
    make_client: ClientFactory | None = None,
    on_step: OnRotation | None = None,
) -> Rotation:
    """Replace tokens with successors with the same name, description, scopes and roles.

    For one token after the other, a successor is created and verified, and its secret is passed to
    the sink. Old tokens are deactivated when their overlap has ended: at once if it is zero,
    otherwise by `resume_rotation`. The client's own token comes last. If a step fails, the rotation
    stops, and `resume_rotation` continues it. Read the state of the result.

    Args:
        client: The client that creates and deactivates the tokens.
        tokens: A plan with the action `rotate`, or pairs of an owner and the id of a token, such as
            `("user", "575ec7417ae143cd83dc4a95")`.
        sink: Receives the secret of each successor.
        expires: How long the successors last, or when they expire, with a time zone.
        journal: The file of the journal, which must not exist. It never holds a secret.
        overlap: How long both tokens work after the delivery. Default: 24 hours.
        grace: How long a deactivated token waits before `sweep` may delete it. Default: 30 days.
        allow_unverified: Whether to deliver a successor although its scopes allow no request that
            shows whether it works. Default: False.
        ledger: Records the deactivated tokens as a quarantine. Default: none.
        make_client: Makes a client that uses a successor. Default: a client for the same base URL,
            with the same `proxy`, `verify` and `trust_env`. If `client` has a `transport`, pass a
            function whose clients have an equal one, because a transport belongs to one client.
        on_step: Called with the state of the rotation after each step.

    Returns:
        The state of the rotation.

    Raises:
        ValidationError: An argument is invalid. Nothing was sent.
        PlanRefused: The plan cannot be used.
        RotationRefused: Some of the tokens cannot be rotated. Nothing was created.
        JournalError: The journal exists, or cannot be written.
        LosantError: The API refused the client's token, or does not respond.
    """
    check_sink("rotate", sink)
    settings = rotation_settings(expires, overlap, grace, allow_unverified=allow_unverified)
    targets = await targets_of(client, tokens)
    if not targets:
        raise ValidationError("rotate.tokens must name at least one token, but it is empty")
    for owner in dict.fromkeys(owner for owner, _ in targets):
        check_permissions(client, owner)
    checks = await check_targets(client, targets, settings)
    refuse_problems(checks, allow_unverified=allow_unverified)
    rotation = Rotation(
        id=secrets.token_hex(_ID_BYTES),
        path=_absolute(journal),
        created_at=time_of(client),
        base_url=client.base_url,
        account=client.account,
        settings=settings,
        tokens=tokens_in_order(checks),
        sink=type(sink).__name__,
    )
    opened = await anyio.to_thread.run_sync(RotationJournal.create, rotation)
    return await RotationRun(client, opened, ledger, make_client, on_step).run(sink)


async def resume_rotation(
    client: AsyncClient,
    journal: str | os.PathLike[str],
    *,
    sink: Sink[TokenSecret] | None = None,
    ledger: Ledger | None = None,
    make_client: ClientFactory | None = None,
    on_step: OnRotation | None = None,
) -> Rotation:
    """Continue a rotation that was interrupted, has failed, or whose overlap has ended.

    Args:
        client: The client. If the rotation has replaced its own token, use the successor.
        journal: The file of the journal.
        sink: Receives the secrets of successors. Default: none, so that only successors that nobody
            has are deleted, and old tokens whose overlap has ended are deactivated.
        ledger: As for `rotate`.
        make_client: As for `rotate`.
        on_step: As for `rotate`.

    Returns:
        The state of the rotation.

    Raises:
        ValidationError: `sink` is not a sink. Nothing was sent.
        PlanRefused: The rotation is for another base URL or account.
        JournalError: The journal cannot be read or written, or another process uses it.
        LosantError: The API refused the client's token, or does not respond.
    """
    if sink is not None:
        check_sink("resume_rotation", sink)
    opened = await _opened(client, journal)
    return await RotationRun(client, opened, ledger, make_client, on_step).run(sink)


async def cancel_rotation(client: AsyncClient, journal: str | os.PathLike[str]) -> Rotation:
    """Give up a rotation: delete the successors that nobody has, and change no old token.

    A successor that was delivered is kept, because its users may use it. So is one whose delivery
    is in doubt. Delete them once you know that nobody uses them.

    Args:
        client: The client.
        journal: The file of the journal.

    Returns:
        The state of the rotation.

    Raises:
        PlanRefused: The rotation is for another base URL or account.
        JournalError: The journal cannot be read or written, or another process uses it.
        LosantError: The API refused the client's token, or does not respond.
    """
    opened = await _opened(client, journal)
    return await RotationRun(client, opened).cancel()


async def _opened(client: AsyncClient, journal: str | os.PathLike[str]) -> RotationJournal:
    """Open the journal of a rotation that is for the client's account.

    Raises:
        PlanRefused: It is for another base URL or account.
        JournalError: It cannot be opened.
    """
    opened = await anyio.to_thread.run_sync(RotationJournal.open, _absolute(journal))
    rotation = opened.rotation
    owners = tuple(token.owner for token in rotation.tokens)
    problem = None
    if rotation.base_url != client.base_url:
        problem = f"is for {rotation.base_url}, but the client uses {client.base_url}."
    problem = problem or other_claim(owners, rotation.account, client.account)
    try:
        if problem is not None:
            raise PlanRefused(f"{rotation.path} {problem}")  # noqa: TRY301 -- closes the file, too
        await _confirm_account(client, rotation)
    except BaseException:
        opened.close()
        raise
    return opened


async def _confirm_account(client: AsyncClient, rotation: Rotation) -> None:
    """Check that the client is for the account of each owner of the rotation.

    In another account, no token of the rotation exists. Then a successor would count as deleted,
    and a search would not find it.

    Raises:
        PlanRefused: The account of an owner cannot be confirmed.
    """
    is_same_user = same_account(rotation.account, client.account) is True
    unfinished = [token for token in rotation.tokens if not token.is_settled]
    for owner in dict.fromkeys(token.owner for token in unfinished):
        if owner.kind == "user" and is_same_user:
            continue
        if await _can_read(client, (one for one in unfinished if one.owner == owner)):
            continue
        # All of them may be gone. The URL of a request names an application or an instance.
        found = await _listed_owner_ids(client, owner)
        recorded = {one.owner_id for one in rotation.tokens if one.owner == owner}
        if found is not None and (owner.kind != "user" or (found and found <= recorded)):
            continue
        raise PlanRefused(
            f"{rotation.path} cannot be continued, because the API has none of its tokens of "
            f"{owner} for this client. Use a token of the account that it began with. If this is "
            f"one, all these tokens are gone: remove the file."
        )


async def _can_read(client: AsyncClient, tokens: Iterable[RotatedToken]) -> bool:
    """Return whether a client can read one of the tokens, or one of their successors."""
    candidates = (
        (token.owner, token_id) for token in tokens for token_id in (token.id, *token.successor_ids)
    )
    for owner, token_id in candidates:
        try:
            await client.tokens(owner).get(token_id)
        except NotFound as error:
            if not error.is_from_api:
                raise
        else:
            return True
    return False


async def _listed_owner_ids(client: AsyncClient, owner: Owner) -> set[str] | None:
    """Return the ids that the API gives for an owner; `None` if it does not exist."""
    try:
        return owner_ids_of(await client.tokens(owner).page(page=0, per_page=1))
    except NotFound as error:
        if not error.is_from_api:
            raise
        return None


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(path).absolute()
