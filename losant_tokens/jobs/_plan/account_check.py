"""Check that a plan is for the client's account, which the base URL does not name.

The problem: `/me/tokens` is a different list for each user. If a plan is applied with another
user's token, it finds none of its tokens, and a 404 for each looks like tokens that are gone.

The approach: a plan holds the ids that the API gave for the owners of its tokens, and the account
that the planning token claimed. Before a job changes anything, these are compared with the token
that it uses. The claims are compared first, because this needs no request. They decide only if both
tokens name their user. Otherwise one page of one token is listed for each owner. If the API states
no owner's id there, or the token has no permission to list, some tokens of the plan are read. Token
ids are unique, so a token that can be read belongs to the account. If none of these checks confirms
the account, the job is refused.
"""

from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Any, Literal

import anyio
import attrs

from losant_tokens import AsyncClient, Owner
from losant_tokens._client import rate_limiter_of
from losant_tokens._complete_listing.page_cursor import Page
from losant_tokens._credentials.token_claims import same_account
from losant_tokens._retries.retry_policy import FailureKind, classify
from losant_tokens._utils import validators
from losant_tokens._utils.warn_caller import warn_caller
from losant_tokens.errors import Forbidden, LosantError, NotFound, ScopeError, ValidationError
from losant_tokens.jobs._errors import PlanRefused
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._plan.planned_tokens import PlannedTokens
from losant_tokens.jobs._throttle.throttle import ONE_ATTEMPT, Throttle, open_throttle
from losant_tokens.jobs._types import Header, PlanWarning

AccountCheck = Literal["enforce", "warn", "off"]
ACCOUNT_CHECKS: tuple[AccountCheck, ...] = ("enforce", "warn", "off")
USER_KINDS = ("user", "oauth")
"""The kinds of owners whose lists belong to the user of the token, whom the URL does not name."""

_SAMPLE_SIZE = 5  # tokens of an owner that are read to confirm the account
_NOT_ALLOWED = (Forbidden, NotFound, ScopeError)


# --- Comparing -------------------------------------------------------------------------------


def owner_ids_of(page: Page) -> set[str]:
    """Return the ids that the API gives on a page for the owners of tokens, in lower case."""
    found: set[Any] = {getattr(token, "owner_id", None) for token in page.items}
    found.add(getattr(page, "owner_id", None))
    return {owner_id.lower() for owner_id in found if owner_id}


def other_account(owner: Owner, planned: Iterable[str], found: Iterable[str]) -> str | None:
    """Return a message if tokens belong to another account than planned, else `None`.

    Args:
        owner: The owner, as the plan names it.
        planned: The ids of the owners of the planned tokens.
        found: The ids of the owners of the tokens that the client can list.
    """
    if set(found) <= set(planned):
        return None
    return (
        f"is for the account {', '.join(sorted(planned))} ({owner}), but the token in use belongs "
        f"to the account {', '.join(sorted(found))}. Use a token of the same account."
    )


def other_claim(owners: Iterable[Owner], planned: str | None, claimed: str | None) -> str | None:
    """Return a message if two tokens claim different accounts, else `None`.

    This matters only for the tokens of a user. Different people may plan and change the tokens of
    an application or an instance.

    Args:
        owners: The owners of the tokens.
        planned: The claim of the token that listed the tokens.
        claimed: The claim of the token in use.
    """
    if same_account(planned, claimed) is not False:
        return None
    if not any(owner.kind in USER_KINDS for owner in owners):
        return None
    return (
        f"was made with a token of another account: {planned}, but the token in use claims "
        f"{claimed}. Use a token of the same account."
    )


def account_problem(header: Header, account: str | None) -> str | None:
    """Return a message if a plan and a token claim different accounts, else `None`.

    Args:
        header: The header of the plan.
        account: The claim of the token in use.
    """
    return other_claim(_owners_with_changes(header), header.account, account)


def _owners_with_changes(header: Header) -> list[Owner]:
    return [owner for owner, counts in header.counts.items() if counts.selected]


# --- Requests to the API ---------------------------------------------------------------------


async def check_account(
    client: AsyncClient,
    plan: Plan,
    *,
    check: AccountCheck = "enforce",
    patience: float = 300.0,
) -> None:
    """Refuse a plan about the tokens of another account than the client's.

    This only reads: at most one page of one token and five single tokens for each owner.

    Args:
        client: The client that is to change the tokens.
        plan: The plan.
        check: What to do if the account differs or cannot be confirmed. `enforce`: refuse the plan.
            `warn`: warn. `off`: compare nothing. Default: `enforce`.
        patience: How long to wait for the end of an outage, in seconds. Default: 300.

    Raises:
        ValidationError: `check` is not one of these words.
        PlanRefused: The account differs, or cannot be confirmed.
        LosantError: A request failed.
    """
    await confirm_account(client, PlannedTokens.of(plan), check=check, patience=patience)


async def confirm_account(
    client: AsyncClient, planned: PlannedTokens, *, check: AccountCheck, patience: float
) -> None:
    """Refuse planned tokens of another account than the client's, as `check_account` does.

    Raises:
        ValidationError: `check` is not one of the words.
        PlanRefused: The account differs, or cannot be confirmed.
        LosantError: A request failed.
    """
    validators.check_argument(validators.one_of(ACCOUNT_CHECKS), "check_account", "check", check)
    if check == "off":
        return
    problem = account_problem(planned.header, client.account)
    if problem is None:
        async with open_throttle(rate_limiter_of(client), patience) as throttle:
            problem = await _Confirmation(client, planned, throttle).problem()
    if problem is None:
        return
    if check == "enforce":
        raise PlanRefused(f"{planned.source} {problem}")
    warn_caller(f"{planned.source} {problem}", PlanWarning)


@attrs.define
class _Confirmation:
    """Confirms the account of each owner of a plan."""

    client: AsyncClient
    planned: PlannedTokens
    throttle: Throttle

    async def problem(self) -> str | None:
        """Return why the account cannot be confirmed, for a message; `None` if it is confirmed."""
        header = self.planned.header
        is_user_confirmed = same_account(header.account, self.client.account) is True
        # The user comes first: it confirms the same user's OAuth tokens as well.
        for owner in sorted(_owners_with_changes(header), key=lambda owner: owner.kind != "user"):
            if owner.kind in USER_KINDS and is_user_confirmed:
                continue
            if problem := await self._problem_of(owner):
                return problem
            is_user_confirmed |= owner.kind in USER_KINDS
        return None

    async def _problem_of(self, owner: Owner) -> str | None:
        """Return why the account of an owner cannot be confirmed."""
        page = partial(self.client.tokens(owner).page, page=0, per_page=1, retry=ONE_ATTEMPT)
        try:
            found = owner_ids_of(await self.throttle.read(page))
        except _NOT_ALLOWED as error:
            _raise_if_not_from_api(error)
            return None if await self._can_read_one(owner) else self._unconfirmed(owner)
        planned = {owner_id.lower() for owner_id in self.planned.header.owner_ids.get(owner, ())}
        if owner.id is not None:
            planned.add(owner.id.lower())
        if found and planned:
            return other_account(owner, planned, found)
        # The URL of the request names an application or an instance, and the token may list there.
        if owner.id is not None or await self._can_read_one(owner):
            return None
        return self._unconfirmed(owner)

    async def _can_read_one(self, owner: Owner) -> bool:
        """Return whether the client can read one of the first tokens of the plan."""
        tokens = self.client.tokens(owner)
        for token_id in await anyio.to_thread.run_sync(self._sample, owner):
            try:
                await self.throttle.read(partial(tokens.get, token_id, retry=ONE_ATTEMPT))
            except (*_NOT_ALLOWED, ValidationError) as error:
                _raise_if_not_from_api(error)
            else:  # The client refuses a response with another id.
                return True
        return False

    def _sample(self, owner: Owner) -> list[str]:
        of_owner = (entry.id for entry in self.planned.entries() if entry.owner == owner)
        return list(islice(of_owner, _SAMPLE_SIZE))

    def _unconfirmed(self, owner: Owner) -> str:
        if self.planned.has_account_check:
            remedy = "make the plan again, or pass account_check='off'."
        else:
            remedy = "or make the plan again."
        return (
            f"cannot be applied, because the token in use may belong to another account than the "
            f"plan ({owner}). Use the token that the plan was made with, {remedy}"
        )


def _raise_if_not_from_api(error: LosantError) -> None:
    """Raise an error that is not from the API, and so proves nothing about the account."""
    if classify(error) is FailureKind.NOT_FROM_API:
        raise error
