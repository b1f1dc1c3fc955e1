"""Ask the API about a leaked secret: whether it works, and which token it belongs to.

The secret is sent to the base URL of its client and nowhere else, and only if the claims name no
other host. A forged secret could name the host of an attacker.
"""

from collections.abc import Iterable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal

import anyio
import httpx
from attrs import field, frozen

from losant_tokens._api import operations
from losant_tokens._api.operations import Operation
from losant_tokens._api.owner import Owner
from losant_tokens._api.payloads import ApiTokenPatch
from losant_tokens._client import AsyncClient
from losant_tokens._credentials.scope_check import Permission, permission_for
from losant_tokens.errors import (
    Forbidden,
    LosantError,
    NotFound,
    ScopeError,
    Unauthorized,
    ValidationError,
)
from losant_tokens.leaks._claims import Claims
from losant_tokens.leaks._created_tokens import created_with, creating_token
from losant_tokens.leaks._matching import Match, OwnedToken, Via, match_tokens, may_match

State = Literal["works", "dead", "unknown"]

_CONCURRENCY = 8  # lists at once
_LISTS: Mapping[str, Operation[Any]] = MappingProxyType(
    {
        "user": operations.USER_API_TOKENS_GET,
        "oauth": operations.USER_OAUTH_TOKENS_GET,
        "application": operations.APPLICATION_API_TOKENS_GET,
        "instance": operations.INSTANCE_API_TOKENS_GET,
    }
)
"""The operation that lists the tokens of each kind of owner."""


@frozen(kw_only=True)
class Check:
    """Whether the API accepts a secret."""

    state: State
    """`works`, `dead`, or `unknown` if the API did not say."""
    reason: str
    """Why, as a sentence without a full stop."""


@frozen(kw_only=True)
class Investigation:
    """The result of `investigate`: the facts about a leaked secret."""

    claims: Claims
    """The claims in the secret."""
    check: Check
    """Whether the API accepts the secret."""
    match: Match = field(factory=Match)
    """The token that the secret belongs to."""
    created: tuple[OwnedToken, ...] = ()
    """The tokens that this token created, and those that these created."""
    not_listed: Mapping[Owner, str] = field(factory=dict)
    """The owners whose tokens could not be listed completely, with the reason."""
    now: datetime = field(factory=lambda: datetime.now(UTC))
    """The time of the investigation, by the server's clock if it is known."""


@frozen(kw_only=True)
class CreatedTokens:
    """The tokens that a token created."""

    tokens: tuple[OwnedToken, ...] = ()
    """The tokens, and those that these created in turn, the oldest first."""
    not_listed: Mapping[Owner, str] = field(factory=dict)
    """The owners whose tokens could not be listed completely, with the reason."""


async def check_secret(claims: Claims, secret_client: AsyncClient) -> Check:
    """Return whether the API accepts a secret. It is sent with one request, which changes nothing.

    The request lists one token. The API checks the secret before its scopes, so a refusal because
    of the scopes proves that the secret works.

    Args:
        claims: The claims of the secret.
        secret_client: A client for the secret, with `scope_check="off"`.
    """
    host = httpx.URL(secret_client.base_url).host
    if not claims.is_from(host):
        return Check(
            state="unknown",
            reason=(
                f"it was issued by {claims.issuer}, and it is not sent to {host}: check it with a "
                f"client of its API if you trust that"
            ),
        )
    owner = Owner.user_oauth() if claims.oauth else Owner.user()
    try:
        await secret_client.tokens(owner).page(per_page=1)
    except (Unauthorized, Forbidden) as error:
        return _check_of_refusal(claims, error)
    except LosantError as error:
        return Check(state="unknown", reason=f"the API did not say so: {error}")
    return Check(state="works", reason="the API accepts it")


def _check_of_refusal(claims: Claims, error: Unauthorized | Forbidden) -> Check:
    """Return what a refusal says about a secret.

    A proxy says nothing about it. If its 403 counted, the claims of a forged secret would count as
    confirmed, and they may name any token.
    """
    if not error.is_from_api:
        return Check(state="unknown", reason=f"the API did not say so: {error}")
    if isinstance(error, Forbidden):
        return Check(state="works", reason="the API accepts it, but it may not list tokens")
    if claims.is_cut_off:
        return Check(state="unknown", reason="its signature is not complete")
    return Check(state="dead", reason=f"the API refuses it: {error}")


async def investigate(
    claims: Claims,
    secret_client: AsyncClient,
    operator: AsyncClient | None = None,
    owners: Iterable[Owner] = (Owner.user(),),
) -> Investigation:
    """Return what the API says about a leaked secret. Nothing is changed.

    Args:
        claims: The claims of the secret.
        secret_client: A client for the secret, with `scope_check="off"`. If the secret works, and
            its scopes allow it, the tokens of its user and of the owners are listed with it.
        operator: A client for your own token, which lists the tokens of the owners.
        owners: The owners to search: one of them may own the token.
    """
    check = await check_secret(claims, secret_client)
    lists = _Lists(claims)
    chosen = tuple(dict.fromkeys(owners))
    if operator is not None:
        await lists.read(operator, chosen, "operator")
    if check.state == "works":
        own = Owner.user_oauth() if claims.oauth else Owner.user()
        listable = (
            owner
            for owner in dict.fromkeys((own, *chosen))
            if permission_for(_LISTS[owner.kind], claims.scopes) is not Permission.REFUSED
        )
        await lists.read(secret_client, listable, "secret")
    server_time = secret_client.server_time() or (operator and operator.server_time())
    now = server_time or datetime.now(UTC)
    works = {"works": True, "dead": False, "unknown": None}[check.state]
    match = match_tokens(claims, lists.candidates, works=works, now=now)
    return Investigation(
        claims=claims,
        check=check,
        match=match,
        created=created_with(match.token.token.id, lists.created) if match.token else (),
        not_listed=lists.not_listed,
        now=now,
    )


async def list_created(
    token_id: str, operator: AsyncClient, owners: Iterable[Owner] = (Owner.user(),)
) -> CreatedTokens:
    """Return the tokens that a token created, and those that these created in turn.

    Call it after the token was deactivated, because it may create tokens until then.

    Args:
        token_id: The id of the token.
        operator: A client for your own token.
        owners: The owners whose tokens are listed.
    """
    lists = _Lists(None)
    await lists.read(operator, owners, "operator")
    return CreatedTokens(tokens=created_with(token_id, lists.created), not_listed=lists.not_listed)


async def deactivate(
    one: OwnedToken, claims: Claims, secret_client: AsyncClient, operator: AsyncClient | None = None
) -> Check:
    """Deactivate the token of a secret, and return whether the API still accepts the secret.

    If it does, the token was not the one that the secret belongs to.

    Args:
        one: The token.
        claims: The claims of the secret.
        secret_client: A client for the secret. It deactivates the token if the operator cannot.
        operator: A client for your own token.

    Raises:
        LosantError: The token could not be deactivated.
    """
    patch = ApiTokenPatch(status="inactive")
    problem: LosantError = ValidationError(
        "deactivate needs a client that lists the token: pass operator"
    )
    # The operator comes first, because its token still works afterwards.
    for via, client in (("operator", operator), ("secret", secret_client)):
        if client is None or via not in one.via:
            continue
        try:
            await client.tokens(one.owner).patch(one.token.id, patch)
        except (ScopeError, Forbidden, NotFound, Unauthorized) as error:
            problem = error
        else:
            return await check_secret(claims, secret_client)
    raise problem


class _Lists:
    """The tokens of several lists that matter: candidates, and tokens that a token created.

    All others are dropped as they arrive, so a large account takes little memory.
    """

    def __init__(self, claims: Claims | None) -> None:
        self._claims = claims
        self._candidates: dict[str, OwnedToken] = {}
        self._created: dict[str, OwnedToken] = {}
        self._problems: dict[Owner, str] = {}
        self._complete: set[Owner] = set()

    @property
    def candidates(self) -> tuple[OwnedToken, ...]:
        return _ordered(self._candidates)

    @property
    def created(self) -> tuple[OwnedToken, ...]:
        return _ordered(self._created)

    @property
    def not_listed(self) -> dict[Owner, str]:
        return {
            owner: reason for owner, reason in self._problems.items() if owner not in self._complete
        }

    async def read(self, client: AsyncClient, owners: Iterable[Owner], via: Via) -> None:
        """Read the lists of owners, several at once."""
        pending = iter(dict.fromkeys(owners))

        async def work() -> None:
            for owner in pending:
                await self._read_list(client, owner, via)

        async with anyio.create_task_group() as tasks:
            for _ in range(_CONCURRENCY):
                tasks.start_soon(work)

    async def _read_list(self, client: AsyncClient, owner: Owner, via: Via) -> None:
        listing = client.tokens(owner).iter()
        listing.warns = False
        try:
            async with aclosing(listing):
                async for token in listing:
                    self._add(OwnedToken(owner=owner, token=token, via=frozenset({via})))
        except LosantError as error:
            self._problems[owner] = str(error)
            return
        if problems := listing.progress.problems:
            self._problems[owner] = ", ".join(map(str, problems))
        else:
            self._complete.add(owner)

    def _add(self, one: OwnedToken) -> None:
        if self._claims is not None and may_match(self._claims, one.token):
            _merge(self._candidates, one)
        if creating_token(one) is not None:
            _merge(self._created, one)


def _ordered(tokens: Mapping[str, OwnedToken]) -> tuple[OwnedToken, ...]:
    """Return tokens by the time of their creation, the oldest first."""
    start = datetime.min.replace(tzinfo=UTC)
    return tuple(
        sorted(
            tokens.values(),
            key=lambda one: (one.token.creation_date or start, one.token.id.lower()),
        )
    )


def _merge(tokens: dict[str, OwnedToken], one: OwnedToken) -> None:
    """Add a token, or the credential that has listed it as well."""
    identity = one.token.id.lower()
    known = tokens.get(identity)
    via = one.via if known is None else one.via | known.via
    tokens[identity] = OwnedToken(owner=one.owner, token=one.token, via=via)
