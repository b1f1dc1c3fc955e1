"""Hold back 404 and 403 results until other tokens confirm them.

The problem: a 404 looks the same for a deleted token and for a token of another account. A 403
looks the same for one forbidden token and for a credential that may do nothing.

The approach: a 404 is recorded as soon as another token of the plan is found. If many tokens in a
row are missing, or all of them, a list of the owner's tokens must confirm it. A 403 is recorded as
soon as a token is changed. If no token can be changed, the credential is to blame. A result that
is not confirmed stays open, so a resumed job tries again.

The client may get another token while the job runs, whose claims do not show that it is of the same
account. Then all of this begins again: the earlier tokens that were found prove nothing about it,
and a list proves nothing until it has found a token of the same owner.

Rejected: recording these results immediately, because a job with the wrong credential would mark
thousands of tokens as gone.
"""

import anyio
import attrs

from losant_tokens import AsyncClient, Owner
from losant_tokens._client import account_changes_of, rate_limiter_of
from losant_tokens._complete_listing.page_reader import open_pages
from losant_tokens.errors import Forbidden, LosantError, ResponseError
from losant_tokens.jobs._execution.journal_interface import JobJournal
from losant_tokens.jobs._execution.queue import WorkItem
from losant_tokens.jobs._execution.token_result import TokenResult
from losant_tokens.jobs._plan.settings import PAGE_SIZE
from losant_tokens.jobs._plan.throttled_pages import throttled
from losant_tokens.jobs._throttle.throttle import GaveUpError, open_throttle
from losant_tokens.jobs._types import Outcome

MAX_GONE_IN_A_ROW = 20
MAX_FORBIDDEN = 500  # without a success: the credential is to blame
MIN_FORBIDDEN = 10  # without a success, if the plan has no other tokens
_NOT_CONFIRMED = "404 for many tokens in a row, so this token may still exist"
_Proof = tuple[int, Owner | None]
"""The account that a response is from: the number of changes of the account, and the owner. After
the first change, a token of one owner proves nothing about others.
"""


@attrs.frozen(eq=False)
class _Missing:
    """A token that a 404 reports as missing.

    Attributes:
        item: The token.
        result: The result, if it is confirmed that the token is gone.
        proof: The account that the response is from.
    """

    item: WorkItem
    result: TokenResult
    proof: _Proof


@attrs.define(eq=False)
class HeldBackResults:
    """The results that are not recorded yet.

    Attributes:
        client: The client that lists tokens.
        journal: The journal for confirmed results.
        patience: How long a list waits for the end of an outage, in seconds.
        is_account_confirmed: Whether the plan is known to be for the client's account. If it is
            not, a list cannot confirm that a token is gone.
        has_succeeded: Whether a token was changed.
        first_account: The value of `account_changes` before the account of the plan was compared
            with the client's. Default: the current value.
    """

    client: AsyncClient
    journal: JobJournal
    patience: float
    is_account_confirmed: bool
    has_succeeded: bool = False
    first_account: int | None = None
    _found: set[_Proof] = attrs.field(factory=set)
    _gone: list[_Missing] = attrs.field(factory=list)
    _is_gone_refuted: bool = False
    _forbidden: list[tuple[WorkItem, TokenResult]] = attrs.field(factory=list)
    _listed_ids: dict[_Proof, set[str]] = attrs.field(factory=dict)
    _lock: anyio.Lock = attrs.field(factory=anyio.Lock)

    def __attrs_post_init__(self) -> None:
        if self.first_account is None:
            self.first_account = self.account_changes

    @property
    def account_changes(self) -> int:
        """How often the client got a token that may be of another account."""
        return account_changes_of(self.client)

    @property
    def is_account_in_doubt(self) -> bool:
        """Whether the client has got a token that may be of another account than the job's."""
        return self.account_changes != self.first_account

    def _proof(self, account_changes: int, owner: Owner) -> _Proof:
        """Return the account that a response to a request about an owner is from."""
        return account_changes, None if account_changes == self.first_account else owner

    async def add_gone(self, item: WorkItem, result: TokenResult) -> None:
        """Hold back a 404.

        Args:
            item: The token.
            result: The result, if it is confirmed that the token is gone.

        Raises:
            GaveUpError: Many tokens in a row are missing, and a list does not confirm it.
        """
        proof = self._proof(self.account_changes, item.entry.owner)
        self._gone.append(_Missing(item, result, proof))
        if len(self._gone) >= MAX_GONE_IN_A_ROW:
            await self._confirm_gone()

    def add_forbidden(self, item: WorkItem, result: TokenResult) -> None:
        """Hold back a 403.

        Raises:
            Forbidden: There were too many of them.
        """
        self._forbidden.append((item, result))
        if len(self._forbidden) >= MAX_FORBIDDEN and result.forbidden is not None:
            raise result.forbidden

    def record_found(self, item: WorkItem, account_changes: int) -> None:
        """Record that a token of the plan exists, so that earlier 404s can be believed.

        Args:
            item: The token.
            account_changes: The value of `account_changes` before the request. If it has changed,
                it is not known which account has responded.
        """
        if account_changes != self.account_changes:
            return
        proof = self._proof(account_changes, item.entry.owner)
        self._found.add(proof)
        if self._gone and not self._is_gone_refuted:
            gone, self._gone = self._gone, []
            for missing in gone:
                if missing.proof == proof:
                    missing.result.record(self.journal, missing.item.number)
                else:
                    self._gone.append(missing)

    def record_success(self) -> None:
        """Record that a token was changed, so that a 403 is about one token alone."""
        self.has_succeeded = True
        if self._forbidden:
            forbidden, self._forbidden = self._forbidden, []
            for item, result in forbidden:
                result.record(self.journal, item.number)

    async def finish(self, *, is_complete: bool) -> None:
        """Record the results that were held back until the end.

        Args:
            is_complete: Whether every token was attempted.

        Raises:
            GaveUpError: All tokens of this run are missing, and a list does not confirm it.
            Forbidden: All tokens of this run are forbidden.
        """
        forbidden = self._finish_forbidden(is_complete=is_complete)
        try:
            if is_complete and any(one.proof not in self._found for one in self._gone):
                await self._confirm_gone()
        finally:
            self._finish_gone()
        if is_complete and forbidden is not None:
            raise forbidden

    def _finish_forbidden(self, *, is_complete: bool) -> Forbidden | None:
        """Record the 403s. Return the error if the credential is to blame."""
        forbidden, self._forbidden = self._forbidden, []
        is_credential = not self.has_succeeded and (
            not is_complete or len(forbidden) >= MIN_FORBIDDEN
        )
        for item, result in forbidden:
            if is_credential and result.outcome is Outcome.FAILED:
                attrs.evolve(result, outcome=None).record(self.journal, item.number)
            else:
                result.record(self.journal, item.number)
        return forbidden[0][1].forbidden if forbidden and is_credential else None

    def _finish_gone(self) -> None:
        gone, self._gone = self._gone, []
        for missing in gone:
            is_confirmed = missing.proof in self._found and not self._is_gone_refuted
            result = missing.result if is_confirmed else _unconfirmed(missing.item)
            result.record(self.journal, missing.item.number)

    async def _confirm_gone(self) -> None:
        """Record tokens as gone if they are not in a list of all tokens.

        Raises:
            GaveUpError: The list has one of them, or cannot be read.
        """
        async with self._lock:
            while self._gone and not self._is_gone_refuted:
                missing = self._gone[0]
                entry = missing.item.entry
                listed = await self._ids_of(entry.owner)
                if listed is None or entry.id.lower() in listed:
                    self._is_gone_refuted = True
                elif missing in self._gone:  # `record_found` may have recorded it during the list
                    self._gone.remove(missing)
                    missing.result.record(self.journal, missing.item.number)
        if self._is_gone_refuted:
            raise GaveUpError(
                "the API responded with 404 for many tokens in a row, but a list of all tokens "
                f"does not confirm it. {self._remedy}"
            )

    @property
    def _remedy(self) -> str:
        if self.is_account_in_doubt:
            return (
                "The client got another token meanwhile, which may be of another account. Run the "
                "job again with a token of the account of the plan"
            )
        return (
            "Check that the base URL is that of the API, and that the plan is not for another "
            "account"
        )

    async def _ids_of(self, owner: Owner) -> set[str] | None:
        """Return the ids of all tokens of an owner; `None` if they cannot be listed."""
        proof = self._proof(self.account_changes, owner)
        # The URL of the request names an application or an instance.
        is_new = self.is_account_in_doubt and owner.id is None and proof not in self._found
        if is_new or not self.is_account_confirmed:
            return None
        if proof not in self._listed_ids:
            try:
                listed = await self._list_ids(owner)
            except LosantError:
                return None
            if proof != self._proof(self.account_changes, owner):
                return None
            self._listed_ids[proof] = listed
        return self._listed_ids[proof]

    async def _list_ids(self, owner: Owner) -> set[str]:
        """Return the ids of all tokens of an owner.

        Raises:
            ResponseError: A page has no new tokens, so the server may not have sent the requested
                one.
            LosantError: A page cannot be read.
        """
        ids: set[str] = set()
        tokens, subject = self.client.tokens(owner), f"the tokens of {owner}"
        async with (
            open_throttle(rate_limiter_of(self.client), self.patience) as throttle,
            open_pages(throttled(throttle, tokens), subject, PAGE_SIZE) as pages,
        ):
            async for listed in pages:
                page_ids = {token.id.lower() for token in listed.page.items}
                if page_ids and page_ids <= ids:
                    raise ResponseError(
                        f"Page {listed.number} of the list of {subject} repeats tokens of earlier "
                        f"pages",
                        status_code=200,
                    )
                ids |= page_ids
        return ids


def _unconfirmed(item: WorkItem) -> TokenResult:
    """Return the result for a token that may be gone, so that a resumed job tries again."""
    return TokenResult(Outcome.UNKNOWN if item.in_doubt else None, _NOT_CONFIRMED)
