"""`rotate`: replace tokens with successors. `resume_rotation` and `cancel_rotation` continue it."""

import os
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
import attrs

from losant_tokens import AsyncClient, Owner, Secret
from losant_tokens._credentials.token_claims import same_account
from losant_tokens._utils import validators
from losant_tokens.errors import NotFound, ValidationError
from losant_tokens.jobs._errors import JobError, PlanRefused
from losant_tokens.jobs._plan.account_check import (
    check_account,
    other_claim,
    owner_ids_of,
)
from losant_tokens.jobs._plan.plan import MAX_PLAN_AGE, Plan
from losant_tokens.jobs._quarantine.ledger import Ledger
from losant_tokens.jobs._rotation import rotation as events
from losant_tokens.jobs._rotation.checks import RotationCheck, check_token
from losant_tokens.jobs._rotation.retirement import Retirement
from losant_tokens.jobs._rotation.rotation import (
    RotatedToken,
    Rotation,
    RotationSettings,
    RotationStage,
)
from losant_tokens.jobs._rotation.rotation_journal import RotationJournal
from losant_tokens.jobs._rotation.successor import (
    UNVERIFIABLE,
    ClientFactory,
    OnRotation,
    StepFailed,
    Successor,
    time_of,
)
from losant_tokens.sinks import Sink, TokenSecret
from losant_tokens.sinks._types import check_sink

Tokens = Plan | Sequence[tuple[Owner | str, str]]
"""The tokens to rotate: a plan with the action `rotate`, or owners with the ids of tokens."""

DEFAULT_OVERLAP = timedelta(hours=24)
DEFAULT_GRACE = timedelta(days=30)
_METHODS = ("get", "page", "post", "patch", "delete")
_MAX_PROBLEMS = 20
_ID_BYTES = 8


class RotationRefused(JobError):  # noqa: N818 -- as the other errors of jobs
    """Tokens cannot be rotated. Nothing was created."""

    checks: tuple[RotationCheck, ...]
    """The tokens that cannot be rotated, and why."""

    def __init__(self, message: str, *, checks: Sequence[RotationCheck] = ()) -> None:
        super().__init__(message)
        self.checks = tuple(checks)


async def check_rotation(
    client: AsyncClient,
    tokens: Tokens,
    *,
    expires: timedelta | datetime,
    overlap: timedelta = DEFAULT_OVERLAP,
) -> tuple[RotationCheck, ...]:
    """Return for each token whether it can be rotated. Nothing is changed.

    Args:
        client: The client that is to rotate them.
        tokens: A plan with the action `rotate`, or owners with the ids of tokens.
        expires: How long the successors last, or when they expire.
        overlap: How long both tokens work after the delivery. Default: 24 hours.

    Raises:
        ValidationError: An argument is invalid. Nothing was sent.
        PlanRefused: The plan cannot be used.
        LosantError: A token cannot be read.
    """
    settings = _settings(expires, overlap, DEFAULT_GRACE, allow_unverified=False)
    return await _checks(client, await _targets(client, tokens), settings)


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
        make_client: Makes a client that uses a successor. Default: a client for the same base URL.
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
    settings = _settings(expires, overlap, grace, allow_unverified=allow_unverified)
    targets = await _targets(client, tokens)
    if not targets:
        raise ValidationError("rotate.tokens must name at least one token, but it is empty")
    for owner in dict.fromkeys(owner for owner, _ in targets):
        _check_permissions(client, owner)
    checks = await _checks(client, targets, settings)
    _refuse_problems(checks, allow_unverified=allow_unverified)
    rotation = Rotation(
        id=secrets.token_hex(_ID_BYTES),
        path=_absolute(journal),
        created_at=time_of(client),
        base_url=client.base_url,
        account=client.account,
        settings=settings,
        tokens=tuple(map(_rotated, sorted(checks, key=_use))),
        sink=type(sink).__name__,
    )
    opened = await anyio.to_thread.run_sync(RotationJournal.create, rotation)
    return await _Run(client, opened, ledger, make_client, on_step).run(sink)


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
    return await _Run(client, opened, ledger, make_client, on_step).run(sink)


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
    return await _Run(client, opened, None, None, None).cancel()


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
    for token in tokens:
        for token_id in (token.id, *token.successor_ids):
            try:
                await client.tokens(token.owner).get(token_id)
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


# --- Before the rotation ---------------------------------------------------------------------


def _settings(
    expires: object, overlap: object, grace: object, *, allow_unverified: bool
) -> RotationSettings:
    """Return the settings of a rotation.

    Raises:
        ValidationError: An argument is invalid.
    """
    for name, span in (("overlap", overlap), ("grace", grace)):
        if not isinstance(span, timedelta) or span < timedelta(0):
            raise ValidationError(
                f"rotate.{name} must be a timedelta that is not negative, but it is {span!r}"
            )
    assert isinstance(overlap, timedelta)  # noqa: S101 -- for mypy
    assert isinstance(grace, timedelta)  # noqa: S101 -- for mypy
    lifetime = expires if isinstance(expires, timedelta) else None
    if lifetime is None:
        if not isinstance(expires, datetime):
            raise ValidationError(
                f"rotate.expires must be a timedelta or a datetime, but it is "
                f"{validators.describe(expires)}"
            )
        validators.check_argument(validators.aware_datetime, "rotate", "expires", expires)
    elif lifetime <= overlap:
        raise ValidationError(
            f"rotate.expires must be longer than the overlap of {_hours(overlap)}, but it is "
            f"{_hours(lifetime)}"
        )
    return RotationSettings(
        lifetime=lifetime,
        until=expires if isinstance(expires, datetime) else None,
        overlap=overlap,
        grace=grace,
        allow_unverified=allow_unverified,
    )


def _hours(span: timedelta) -> str:
    return f"{span / timedelta(hours=1):g}h"


async def _targets(client: AsyncClient, tokens: Tokens) -> list[tuple[Owner, str]]:
    """Return the owners and ids of the tokens to rotate, each once.

    Raises:
        ValidationError: An owner or an id is malformed, or an owner has OAuth tokens.
        PlanRefused: The plan is of another action, too old, or for another account.
    """
    if isinstance(tokens, Plan):
        if tokens.header.action != "rotate":
            raise PlanRefused(
                f"{tokens.path} is a plan to {tokens.header.action} tokens, not to rotate them. "
                f"Apply it with apply."
            )
        await check_account(client, tokens)
        tokens.check(client.base_url, MAX_PLAN_AGE, time_of(client))
        entries = await anyio.to_thread.run_sync(lambda: list(tokens.entries()))
        return [(entry.owner, entry.id) for entry in entries if entry.protected is None]
    found: dict[tuple[Owner, str], None] = {}
    pairs: Sequence[object] = tokens
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:  # noqa: PLR2004 -- a pair
            raise ValidationError(
                f"rotate.tokens must be a plan, or pairs of an owner and the id of a token, such "
                f"as ('user', '575ec7417ae143cd83dc4a95'), but one of them is "
                f"{validators.describe(pair)}"
            )
        owner, token_id = pair
        parsed = owner if isinstance(owner, Owner) else Owner.parse(owner)
        validators.check_argument(
            validators.string(pattern=validators.ID_PATTERN.pattern), "rotate", "tokens", token_id
        )
        if parsed.kind == "oauth":
            raise ValidationError(
                "rotate.tokens must not have OAuth tokens, because only a user can create one, by "
                "authorizing an application"
            )
        found[parsed, token_id.lower()] = None
    return list(found)


def _check_permissions(client: AsyncClient, owner: Owner) -> None:
    """Check that the client's scopes allow all requests of a rotation.

    Raises:
        ScopeError: They do not.
    """
    for method in _METHODS:
        if (refusal := client.tokens(owner).refusal(method)) is not None:  # type: ignore[arg-type]
            raise refusal


async def _checks(
    client: AsyncClient, targets: Sequence[tuple[Owner, str]], settings: RotationSettings
) -> tuple[RotationCheck, ...]:
    checks = []
    for owner, token_id in targets:
        try:
            token = await client.tokens(owner).get(token_id)
        except NotFound as error:
            if not error.is_from_api:
                raise
            problem = f"{token_id} does not exist: {error}."
            checks.append(RotationCheck(owner=owner, id=token_id, token=None, problem=problem))
            continue
        now = time_of(client)
        expires_at = settings.expires_at(now)
        if expires_at <= now + settings.overlap:
            raise ValidationError(
                f"rotate.expires must be after the end of the overlap, "
                f"{now + settings.overlap}, but it is {expires_at}"
            )
        checks.append(check_token(client, owner, token, expires_at, now))
    return tuple(checks)


def _refuse_problems(checks: Sequence[RotationCheck], *, allow_unverified: bool) -> None:
    """Refuse to rotate tokens if one of them has a problem.

    Raises:
        RotationRefused: One of them has.
    """
    refused = [
        (one, one.problem or f"{one.id} {UNVERIFIABLE}")
        for one in checks
        if one.problem is not None or not (one.can_verify or allow_unverified)
    ]
    if not refused:
        return
    lines = [problem for _, problem in refused[:_MAX_PROBLEMS]]
    if more := len(refused) - len(lines):
        lines.append(f"{more:,} more cannot be rotated.")
    raise RotationRefused(
        f"{' '.join(lines)} Nothing was created.", checks=[check for check, _ in refused]
    )


def _use(check: RotationCheck) -> int:
    """Return the place of a token in the order: the token in use comes last."""
    return {False: 0, None: 1, True: 2}[check.is_in_use]


def _rotated(check: RotationCheck) -> RotatedToken:
    token = check.token
    assert token is not None  # noqa: S101 -- it exists, or it was refused
    return RotatedToken(
        owner=check.owner,
        id=token.id,
        name=token.name,
        last_updated=token.last_updated,
        expiration_date=token.expiration_date,
        owner_id=None if token.owner_id is None else token.owner_id.lower(),
    )


# --- The rotation ----------------------------------------------------------------------------


def _ignore(_: Rotation) -> None:
    """Do nothing with the state of a rotation."""


@attrs.define(eq=False)
class _Run:
    """Carries out what is left to do of a rotation."""

    client: AsyncClient
    journal: RotationJournal
    ledger: Ledger | None
    make_client: ClientFactory | None
    on_step: OnRotation | None
    own_secret: Secret | None = None

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
        )

    async def _hand_over_all(self, sink: Sink[TokenSecret] | None) -> None:
        """Hand over each token that has no successor.

        Raises:
            StepFailed: A step failed, and it would fail for the next token as well.
        """
        for number, token in enumerate(self.journal.rotation.tokens):
            successor = self._successor(number)
            try:
                if token.stage is RotationStage.DELIVERED and token.is_marked:
                    await successor.remove_marker()
                if not token.needs_sink:
                    continue
                if sink is None:
                    with suppress(StepFailed):
                        await successor.clean_up()
                    continue
                secret = await successor.hand_over(sink)
            except StepFailed as error:
                if error.is_general:
                    raise
                continue
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
    """Return a client that uses another token at the same base URL."""
    return AsyncClient(
        secret,
        base_url=client.base_url,
        # The check of the scopes is that of the API.
        scope_check="off",
        # The first client may have been allowed to use this URL.
        insecure_http=client.base_url.startswith("http://") or None,
    )
