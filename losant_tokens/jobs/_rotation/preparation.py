"""Prepare a rotation: read its settings and its tokens, and check that these can be rotated."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import anyio

from losant_tokens import AsyncClient, Owner
from losant_tokens._utils import validators
from losant_tokens.errors import NotFound, ValidationError
from losant_tokens.jobs._errors import JobError, PlanRefused
from losant_tokens.jobs._plan.account_check import check_account
from losant_tokens.jobs._plan.plan import MAX_PLAN_AGE, Plan
from losant_tokens.jobs._rotation.checks import RotationCheck, check_token
from losant_tokens.jobs._rotation.rotation import RotatedToken, RotationSettings
from losant_tokens.jobs._rotation.successor import UNVERIFIABLE, time_of

Tokens = Plan | Sequence[tuple[Owner | str, str]]
"""The tokens to rotate: a plan with the action `rotate`, or owners with the ids of tokens."""

DEFAULT_OVERLAP = timedelta(hours=24)
DEFAULT_GRACE = timedelta(days=30)
_METHODS = ("get", "page", "post", "patch", "delete")
_MAX_PROBLEMS = 20


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
    settings = rotation_settings(expires, overlap, DEFAULT_GRACE, allow_unverified=False)
    return await check_targets(client, await targets_of(client, tokens), settings)


def rotation_settings(
    expires: object, overlap: object, grace: object, *, allow_unverified: bool
) -> RotationSettings:
    """Return the settings of a rotation.

    Raises:
        ValidationError: An argument is invalid.
    """
    overlap, grace = _checked_span("overlap", overlap), _checked_span("grace", grace)
    if isinstance(expires, timedelta):
        if expires <= overlap:
            raise ValidationError(
                f"rotate.expires must be longer than the overlap of {_hours(overlap)}, but it is "
                f"{_hours(expires)}"
            )
    elif isinstance(expires, datetime):
        validators.check_argument(validators.aware_datetime, "rotate", "expires", expires)
    else:
        raise ValidationError(
            f"rotate.expires must be a timedelta or a datetime, but it is "
            f"{validators.describe(expires)}"
        )
    return RotationSettings(
        lifetime=expires if isinstance(expires, timedelta) else None,
        until=expires if isinstance(expires, datetime) else None,
        overlap=overlap,
        grace=grace,
        allow_unverified=allow_unverified,
    )


def _checked_span(name: str, value: object) -> timedelta:
    if not isinstance(value, timedelta) or value < timedelta(0):
        raise ValidationError(
            f"rotate.{name} must be a timedelta that is not negative, but it is {value!r}"
        )
    return value


def _hours(span: timedelta) -> str:
    return f"{span / timedelta(hours=1):g}h"


async def targets_of(client: AsyncClient, tokens: Tokens) -> list[tuple[Owner, str]]:
    """Return the owners and ids of the tokens to rotate, each once.

    Raises:
        ValidationError: An owner or an id is malformed, or an owner has OAuth tokens.
        PlanRefused: The plan is of another action, too old, or for another account.
    """
    if isinstance(tokens, Plan):
        return await _planned_targets(client, tokens)
    return _named_targets(tokens)


async def _planned_targets(client: AsyncClient, plan: Plan) -> list[tuple[Owner, str]]:
    """Return the owners and ids of the tokens that a plan selects and does not protect.

    Raises:
        PlanRefused: The plan is of another action, too old, or for another account.
    """
    if plan.header.action != "rotate":
        raise PlanRefused(
            f"{plan.path} is a plan to {plan.header.action} tokens, not to rotate them. "
            f"Apply it with apply."
        )
    await check_account(client, plan)
    plan.check(client.base_url, MAX_PLAN_AGE, time_of(client))
    entries = await anyio.to_thread.run_sync(lambda: list(plan.entries()))
    return [(entry.owner, entry.id) for entry in entries if entry.protected is None]


def _named_targets(pairs: Sequence[object]) -> list[tuple[Owner, str]]:
    """Return pairs of an owner and an id, checked, and each once.

    Raises:
        ValidationError: An owner or an id is malformed, or an owner has OAuth tokens.
    """
    found: dict[tuple[Owner, str], None] = {}
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


def check_permissions(client: AsyncClient, owner: Owner) -> None:
    """Check that the client's scopes allow all requests of a rotation.

    Raises:
        ScopeError: They do not.
    """
    for method in _METHODS:
        if (refusal := client.tokens(owner).refusal(method)) is not None:  # type: ignore[arg-type]
            raise refusal


async def check_targets(
    client: AsyncClient, targets: Sequence[tuple[Owner, str]], settings: RotationSettings
) -> tuple[RotationCheck, ...]:
    """Return for each token whether it can be rotated.

    Raises:
        ValidationError: The successors would expire before the end of the overlap.
        LosantError: A token cannot be read.
    """
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


def refuse_problems(checks: Sequence[RotationCheck], *, allow_unverified: bool) -> None:
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


def tokens_in_order(checks: Iterable[RotationCheck]) -> tuple[RotatedToken, ...]:
    """Return the tokens of a rotation in its order: the token in use comes last."""
    return tuple(_rotated(check) for check in sorted(checks, key=_place))


def _place(check: RotationCheck) -> int:
    """Return the place of a token in the order of a rotation."""
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
