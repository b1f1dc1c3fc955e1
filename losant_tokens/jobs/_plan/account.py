"""Binds a plan to an account, because an address alone does not say whose tokens are meant.

The problem: `/me/tokens` is a different list for each user. A plan that is applied with another
user's token finds none of its tokens, and a 404 for each looks like tokens that are gone.

The approach: a plan holds the ids that the API gave for the owners of its tokens, and the account
that the planning token claimed. Before a job changes anything, these are compared with the token
that it uses. Claims are compared first, which costs no request; they decide only if both tokens
name their user. Otherwise one page of one token is listed for each owner. If the API states no
owner's id there, or the token must not list, some tokens of the plan are read: token ids are
unique, so a token that can be read belongs to the account. A job is refused if nothing of this
confirms the account.
"""

from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Any, Literal

import anyio
import attrs

from losant_tokens import AsyncClient, Owner
from losant_tokens import _validators as validators
from losant_tokens._resources.base import Send
from losant_tokens._retry import ONCE, FailureKind, classify
from losant_tokens._warnings import warn_caller
from losant_tokens.errors import Forbidden, LosantError, NotFound, ScopeError, ValidationError
from losant_tokens.jobs._errors import PlanRefused
from losant_tokens.jobs._plan.completeness import Page
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._throttle.throttle import reading
from losant_tokens.jobs._types import Header, PlanWarning

AccountCheck = Literal["enforce", "warn", "off"]
ACCOUNT_CHECKS: tuple[AccountCheck, ...] = ("enforce", "warn", "off")

_SAMPLE = 5  # tokens of an owner that are read to confirm the account
_OF_A_USER = ("user", "oauth")
_NOT_ALLOWED = (Forbidden, NotFound, ScopeError)


def owner_ids_of(page: Page) -> set[str]:
    """Return the ids that the API gives on a page for the owners of tokens, in lower case."""
    found: set[Any] = {getattr(token, "owner_id", None) for token in page.items}
    found.add(getattr(page, "owner_id", None))
    return {owner_id.lower() for owner_id in found if owner_id}


def other_account(owner: Owner, planned: Iterable[str], seen: Iterable[str]) -> str | None:
    """Return in words that tokens belong to another account than planned, or `None`.

    Args:
        owner: The owner, as the plan names it.
        planned: The ids of the owners of the planned tokens.
        seen: The ids of the owners of the tokens that the client sees now.
    """
    if set(seen) <= set(planned):
        return None
    return (
        f"is about tokens of the account {', '.join(sorted(planned))} ({owner}), but the token in "
        f"use is of the account {', '.join(sorted(seen))}. Use a token of the same account."
    )


def same_account(planned: str | None, claimed: str | None) -> bool | None:
    """Return whether two tokens claim the same account; `None` if the claims do not say.

    Args:
        planned: The claim of the token that the plan was made with: `userId 575ec...`.
        claimed: The claim of the token in use.
    """
    if planned is None or claimed is None:
        return None
    if planned == claimed:
        return True
    name, _, _ = planned.partition(" ")
    # A `sub` may be the token's own id, so two tokens of one account may differ in it.
    return False if name != "sub" and claimed.startswith(f"{name} ") else None


def account_problem(header: Header, account: str | None) -> str | None:
    """Return in words that a plan and a token claim different accounts, or `None`."""
    selected = (owner for owner, counts in header.counts.items() if counts.selected)
    return other_claim(selected, header.account, account)


def _raise_if_foreign(error: LosantError) -> None:
    """Raise an error that does not come from the API, and so says nothing about the account."""
    if classify(error) is FailureKind.NOT_FROM_API:
        raise error


def other_claim(owners: Iterable[Owner], planned: str | None, claimed: str | None) -> str | None:
    """Return in words that two tokens claim different accounts, or `None`.

    It matters only for the tokens of a user: those of an application or an instance may be planned
    and changed by different people.

    Args:
        owners: The owners of the tokens.
        planned: The claim of the token that listed them before.
        claimed: The claim of the token in use.
    """
    if same_account(planned, claimed) is not False:
        return None
    if not any(owner.kind in _OF_A_USER for owner in owners):
        return None
    return (
        f"was made with a token of another account: {planned}, but the token in use claims "
        f"{claimed}. Use a token of the same account."
    )


async def check_account(
    client: AsyncClient,
    plan: Plan,
    *,
    check: AccountCheck = "enforce",
    patience: float = 300.0,
) -> None:
    """Refuse a plan that is about the tokens of another account than the client's.

    It only reads: at most one page of one token for each owner, and a few single tokens.

    Args:
        client: The client that is to change the tokens.
        plan: The plan.
        check: What to do about a difference, or an account that cannot be confirmed: `enforce`
            refuses the plan, `warn` warns, `off` compares nothing.
        patience: For how many seconds an outage of the service is waited out.

    Raises:
        ValidationError: `check` is none of these.
        PlanRefused: The account differs, or cannot be confirmed.
        LosantError: The requests failed.
    """
    validators.check_argument(validators.one_of(ACCOUNT_CHECKS), "check_account", "check", check)
    if check == "off":
        return
    problem = account_problem(plan.header, client.account)
    if problem is None:
        preflight = _Preflight(client, plan)
        await reading(preflight.run, patience)
        problem = preflight.problem
    if problem is None:
        return
    if check == "enforce":
        raise PlanRefused(f"{plan.path} {problem}")
    warn_caller(f"{plan.path} {problem}", PlanWarning)


@attrs.define
class _Preflight:
    """Confirms the account of each owner of a plan.

    Attributes:
        problem: In words, why it cannot be confirmed.
    """

    client: AsyncClient
    plan: Plan
    problem: str | None = None

    async def run(self, send: Send) -> None:
        header = self.plan.header
        claims_agree = same_account(header.account, self.client.account) is True
        is_user_confirmed = claims_agree
        selected = (owner for owner, counts in header.counts.items() if counts.selected)
        # The user comes first: it confirms the same user's OAuth tokens as well.
        for owner in sorted(selected, key=lambda owner: owner.kind != "user"):
            if owner.kind in _OF_A_USER and is_user_confirmed:
                continue
            if not await self._is_confirmed(owner, send):
                self.problem = self.problem or self._unconfirmed(owner)
                return
            is_user_confirmed |= owner.kind in _OF_A_USER

    def _unconfirmed(self, owner: Owner) -> str:
        return (
            f"cannot be applied, because it cannot be confirmed that the token in use belongs to "
            f"the account of the plan ({owner}). Use the token that the plan was made with, make "
            f"the plan again, or pass account_check='off'."
        )

    async def _is_confirmed(self, owner: Owner, send: Send) -> bool:
        page = partial(self.client.tokens(owner).page, page=0, per_page=1, retry=ONCE)
        try:
            seen = owner_ids_of(await send(page))
        except _NOT_ALLOWED as error:
            _raise_if_foreign(error)
            return await self._reads_one(owner, send)
        planned = {owner_id.lower() for owner_id in self.plan.header.owner_ids.get(owner, ())}
        if owner.id is not None:
            planned.add(owner.id.lower())
        if seen and planned:
            self.problem = other_account(owner, planned, seen)
            return self.problem is None
        # The address of an application or an instance names it, and the token may list there.
        return owner.id is not None or await self._reads_one(owner, send)

    async def _reads_one(self, owner: Owner, send: Send) -> bool:
        """Return whether the client can read a token of the plan."""
        tokens = self.client.tokens(owner)
        for token_id in await anyio.to_thread.run_sync(self._sample, owner):
            try:
                await send(partial(tokens.get, token_id, retry=ONCE))
            except (*_NOT_ALLOWED, ValidationError) as error:
                _raise_if_foreign(error)
            else:  # The client refuses a token with another id.
                return True
        return False

    def _sample(self, owner: Owner) -> list[str]:
        of_owner = (entry.id for entry in self.plan.entries() if entry.owner == owner)
        return list(islice(of_owner, _SAMPLE))
