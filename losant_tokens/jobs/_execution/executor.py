"""Execute the action of a plan on one token after the other, and record each outcome.

`Executor.execute` reads from top to bottom as a token lives through it: acquire a slot, read the
token and compare it with the plan, record the intent, send the change, record the outcome. The
rules:

- A token counts as gone only by a 404 in the API's own form, and as done only if the response to
  the change proves it, or a look at the token does. Anything else leaves it in doubt, and it is
  read.
- The look and the change are sent in succession, in one slot. After any wait between them (a
  retry, a pause, an outage) the token is read again.
- A response that cannot come from the API is a failure of the path to it, and of no token. Nothing
  that follows from it is final: a job that resumes tries again.
- Many tokens in a row that are gone are rather a wrong account, and nothing but 403 is rather a
  wrong credential. Both stop the job, and leave these tokens to be tried again.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any

import anyio
import attrs

from losant_tokens import ApiTokenPatch, AsyncClient, Owner
from losant_tokens._resources.base import Send
from losant_tokens._resources.owner_tokens import OwnerTokens
from losant_tokens._retry import (
    FailureKind,
    classify,
    may_have_arrived,
    may_retry_in_job,
)
from losant_tokens.errors import (
    Forbidden,
    LosantError,
    NotFound,
    ResponseError,
    Unauthorized,
    ValidationError,
)
from losant_tokens.jobs._execution.journal import Journal
from losant_tokens.jobs._execution.queue import WorkItem, WorkQueue
from losant_tokens.jobs._rules import Token
from losant_tokens.jobs._throttle.throttle import (
    ONE_ATTEMPT,
    GaveUpError,
    Slot,
    Throttle,
    reading,
)
from losant_tokens.jobs._types import Action, Entry, Outcome

MAX_GONE_IN_A_ROW = 20
MAX_FORBIDDEN = 500  # with no success at all: the credential is to blame
MIN_FORBIDDEN = 10  # with no success at all, if there are no other tokens
_MAX_AGE_OF_LOOK = 1.0  # seconds between the look and the change
_PATCHES: Mapping[str, ApiTokenPatch] = MappingProxyType(
    {
        "deactivate": ApiTokenPatch(status="inactive"),
        "activate": ApiTokenPatch(status="active"),
    }
)


@attrs.frozen
class Result:
    """The result for a token.

    Attributes:
        outcome: Its outcome; `None` if nothing was done, and a job that resumes has to try again.
        error: What went wrong, if anything did.
        changed: When the API says that this job has changed it, if the response to the change
            itself said so. A later look cannot: somebody else may have changed it since.
        forbidden: The error, if the API answered 403.
        is_deferrable: Whether another attempt makes sense after all other tokens.
    """

    outcome: Outcome | None
    error: str | None = None
    changed: datetime | None = None
    forbidden: Forbidden | None = None
    is_deferrable: bool = False


@attrs.frozen(slots=False, eq=False)
class _Access:
    """The requests for the tokens of one owner.

    A request that is not used is not prepared: to read a token takes a scope of its own.
    """

    tokens: OwnerTokens
    action: Action

    @cached_property
    def look(self) -> Callable[[str], Awaitable[Any]]:
        """Reads a token."""
        return self.tokens.repeated("get")

    @cached_property
    def change(self) -> Callable[[str], Awaitable[Any]]:
        """Carries out the action."""
        if self.action == "delete":
            return self.tokens.repeated("delete")
        return self.tokens.repeated("patch", _PATCHES[self.action])


@attrs.define(eq=False)
class Executor:
    """Executes an action on tokens, any number of them at once.

    Attributes:
        client: What to send with.
        action: What to do.
        verify: Whether to read each token before it is changed.
        journal: Where intents and outcomes are recorded.
        throttle: Where slots come from.
        queue: Where an item goes that is deferred.
        is_account_confirmed: Whether the tokens of the plan are known to be of the client's
            account. If not, a list of its tokens cannot confirm that one is gone.
    """

    client: AsyncClient
    action: Action
    verify: bool
    journal: Journal
    throttle: Throttle
    queue: WorkQueue
    is_account_confirmed: bool = True
    _accesses: dict[Owner, _Access] = attrs.field(factory=dict)
    _gone: list[WorkItem] = attrs.field(factory=list)  # in a row, and not recorded yet
    _doubts_gone: bool = False
    _listed: dict[Owner, set[str]] = attrs.field(factory=dict)  # ids that a list has shown
    _confirming: anyio.Lock = attrs.field(factory=anyio.Lock)
    _forbidden: list[tuple[WorkItem, Result]] = attrs.field(factory=list)  # not recorded yet
    _has_seen_one: bool = False  # of the tokens, alive
    _has_succeeded: bool = False

    async def execute(self, item: WorkItem) -> None:
        """Execute the action on one token, and record the outcome.

        Raises:
            StoppedError: The job is stopping.
            GaveUpError: The service was out for too long, or tokens are missing in a row.
            LosantError: Every other token would fail in the same way.
        """
        if item.entry.protected is not None:
            self.journal.settle(item.number, Outcome.PROTECTED)
            return
        if self.client.uses_token(item.entry.id):
            self.journal.settle(item.number, Outcome.PROTECTED, "the token in use")
            return
        result: Result | None = None
        while result is None:
            places = 2 if self._looks_first(item) else 1
            try:
                async with self.throttle.acquire(places) as slot:
                    result = await self._attempt(item, slot)
            except LosantError as error:
                if not may_retry_in_job(error):
                    raise
                failure = error
            else:
                continue
            await self.throttle.back_off(failure, item)
        await self._record(item, result)

    async def _attempt(self, item: WorkItem, slot: Slot) -> Result | None:
        """Read the token, compare it, and change it; return `None` to start over at once.

        Raises:
            StoppedError: The job is stopping.
            LosantError: A request failed: start over later, or end the job.
        """
        access, token_id = self._access_to(item.entry.owner), item.entry.id
        if self._looks_first(item):
            try:
                seen: Token = await slot.send(lambda: access.look(token_id), item)
            except LosantError as error:
                return self._after_failed_look(item, error)
            looked_at = self.throttle.now()
            self._note_sighting()
            if (result := self._compare(item, seen)) is not None:
                return result
            await slot.wait_for_next()
            if not slot.is_open or self.throttle.now() - looked_at > _MAX_AGE_OF_LOOK:
                return None  # it may have changed since
        self.journal.intend(item.number)
        try:
            response = await slot.send(lambda: access.change(token_id), item, "change")
        except LosantError as error:
            return self._after_failed_change(item, error)
        self._note_sighting()
        if not self._is_proof(item.entry, response):
            item.in_doubt = item.must_look = True
            item.failures += 1
            item.error = ResponseError(
                f"The response to {self.action} does not say that it was carried out"
            )
            return None
        self._note_success()
        is_time_known = self.action != "delete" and not item.in_doubt
        return Result(Outcome.DONE, changed=response.last_updated if is_time_known else None)

    async def finish(self, *, is_complete: bool) -> None:
        """Record the results that were held back.

        Args:
            is_complete: Whether all tokens had their turn.

        Raises:
            GaveUpError: All tokens of this run are gone, and that cannot be confirmed.
            Forbidden: All tokens of this run are forbidden.
        """
        forbidden = self._finish_forbidden(is_complete=is_complete)
        try:
            if is_complete and self._gone and not self._has_seen_one:
                await self._confirm_gone()
        finally:
            gone, self._gone = self._gone, []
            is_certain = self._has_seen_one and not self._doubts_gone
            for item in gone:
                result = Result(Outcome.GONE) if is_certain else Result(None, _NOT_FINAL)
                self._settle(item, result)
        if is_complete and forbidden is not None:
            raise forbidden

    def _finish_forbidden(self, *, is_complete: bool) -> Forbidden | None:
        """Record the tokens that were forbidden; return the error if the credential is to blame."""
        held_back, self._forbidden = self._forbidden, []
        is_credential = not self._has_succeeded and (
            not is_complete or len(held_back) >= MIN_FORBIDDEN
        )
        for item, result in held_back:
            is_open = is_credential and result.outcome is Outcome.FAILED
            self._settle(item, attrs.evolve(result, outcome=None) if is_open else result)
        return held_back[0][1].forbidden if held_back and is_credential else None

    # --- What came of a request --------------------------------------------------------------

    def _compare(self, item: WorkItem, seen: Token) -> Result | None:
        """Return the result if a look at the token shows it; `None` if it is to be changed."""
        if item.in_doubt and outcome_after(self.action, seen) is Outcome.DONE:
            return Result(Outcome.DONE)
        if not _is_as_planned(seen, item.entry):
            return Result(Outcome.CHANGED)
        if item.is_exhausted:  # the last attempt had no effect either
            return Result(Outcome.FAILED, str(item.error))
        return None

    def _absent(self, item: WorkItem) -> Result:
        """Return the result for a token that does not exist: proven by a 404 of the API."""
        was_deleted = self.action == "delete" and item.in_doubt
        return Result(Outcome.DONE if was_deleted else Outcome.GONE)

    def _is_proof(self, entry: Entry, response: Any) -> bool:
        """Return whether the response to a change says that it was carried out."""
        if self.action == "delete":
            return bool(response.success and response.is_stated)
        is_same = str(response.id).lower() == entry.id.lower()
        return is_same and outcome_after(self.action, response) is Outcome.DONE

    def _after_failed_look(self, item: WorkItem, error: LosantError) -> Result:
        """Return the result for a token that could not be read.

        Raises:
            LosantError: The same error: another attempt makes sense, or the job has to end.
        """
        if isinstance(error, NotFound) and error.is_from_api:
            return self._absent(item)
        if not _is_final(error) and not (may_retry_in_job(error) and item.is_exhausted):
            raise error
        if classify(error) is FailureKind.NOT_FROM_API:
            outcome = Outcome.UNKNOWN if item.in_doubt else None
            return Result(outcome, str(error), is_deferrable=True)
        outcome = Outcome.UNKNOWN if item.in_doubt else Outcome.FAILED
        return Result(outcome, str(error), forbidden=_forbidden(error))

    def _after_failed_change(self, item: WorkItem, error: LosantError) -> Result | None:
        """Return the result for a token whose change failed; `None` to look at it at once.

        Raises:
            LosantError: The same error: another attempt makes sense, or the job has to end.
        """
        if may_have_arrived(error):
            item.in_doubt = True
            # A response that is not the API's own says nothing, so the token itself is read.
            item.must_look |= classify(error) is FailureKind.NOT_FROM_API
        elif not item.in_doubt:
            self.journal.take_back(item.number)
        if isinstance(error, NotFound) and error.is_from_api:
            return self._absent(item)
        is_final = _is_final(error)
        if not is_final and not (may_retry_in_job(error) and item.is_exhausted):
            raise error
        if not item.in_doubt:
            return Result(Outcome.FAILED, str(error), forbidden=_forbidden(error))
        item.exhaust(error)
        item.must_look = True
        return None

    # --- Records -----------------------------------------------------------------------------

    async def _record(self, item: WorkItem, result: Result) -> None:
        """Record a result, unless others have to show first whether it can be believed.

        Raises:
            GaveUpError: Tokens are gone, and that cannot be confirmed.
            Forbidden: Nothing but 403, too often.
        """
        if result.forbidden is not None and not self._has_succeeded:
            self._forbidden.append((item, result))
            if len(self._forbidden) >= MAX_FORBIDDEN:
                raise result.forbidden
        elif result.outcome is Outcome.GONE:
            self._gone.append(item)
            if len(self._gone) >= MAX_GONE_IN_A_ROW:
                await self._confirm_gone()
        elif result.is_deferrable and not item.was_deferred:
            self.queue.defer(item)
        else:
            self._settle(item, result)

    async def _confirm_gone(self) -> None:
        """Record tokens as gone if a list of all tokens does not show them either.

        Raises:
            GaveUpError: It does, or cannot be had.
        """
        async with self._confirming:
            while self._gone and not self._doubts_gone:
                item = self._gone[0]
                listed = await self._list(item.entry.owner)
                if listed is None or item.entry.id.lower() in listed:
                    self._doubts_gone = True
                elif item in self._gone:  # a sighting may have recorded it meanwhile
                    self._gone.remove(item)
                    self._settle(item, Result(Outcome.GONE))
        if self._doubts_gone:
            raise GaveUpError(
                "tokens of the plan do not exist (404), one after the other, but a list of all "
                "tokens does not confirm it. The responses may not come from the right service, "
                "or the plan may be that of another account"
            )

    async def _list(self, owner: Owner) -> set[str] | None:
        """Return the ids of all tokens of an owner; `None` if they cannot be listed."""
        if not self.is_account_confirmed:
            return None
        if owner not in self._listed:
            found: set[str] = set()

            async def list_all(send: Send) -> None:
                tokens = self.client.tokens(owner).iter_by(send, sort_field="id", retry=ONE_ATTEMPT)
                found.update([token.id.lower() async for token in tokens])

            try:
                await reading(list_all, self.throttle.circuit_breaker.patience)
            except LosantError:
                return None
            self._listed[owner] = found
        return self._listed[owner]

    def _settle(self, item: WorkItem, result: Result) -> None:
        if result.outcome is None:
            self.journal.take_back(item.number, result.error)
        else:
            self.journal.settle(item.number, result.outcome, result.error, result.changed)

    def _note_sighting(self) -> None:
        """Note that a token of the plan exists, so that a 404 for others can be believed."""
        self._has_seen_one = True
        if self._gone and not self._doubts_gone:
            gone, self._gone = self._gone, []
            for item in gone:
                self._settle(item, Result(Outcome.GONE))

    def _note_success(self) -> None:
        """Note that a token was changed, so that a 403 for others is about these alone."""
        self._has_succeeded = True
        if self._forbidden:
            held_back, self._forbidden = self._forbidden, []
            for item, result in held_back:
                self._settle(item, result)

    def _looks_first(self, item: WorkItem) -> bool:
        return self.verify or item.must_look

    def _access_to(self, owner: Owner) -> _Access:
        access = self._accesses.get(owner)
        if access is None:
            access = self._accesses[owner] = _Access(self.client.tokens(owner), self.action)
        return access


_NOT_FINAL = "404, like others in a row, so it is not certain that it is gone"


def _is_final(error: LosantError) -> bool:
    """Return whether an error is about one token, and another attempt would meet it again."""
    if isinstance(error, ValidationError):  # its id is malformed
        return True
    return classify(error) is FailureKind.FINAL and not isinstance(error, Unauthorized)


def _forbidden(error: LosantError) -> Forbidden | None:
    return error if isinstance(error, Forbidden) else None


def outcome_after(action: Action, seen: Token) -> Outcome | None:
    """Return `DONE` if a token shows that an action was carried out on it; else `None`."""
    patch = _PATCHES.get(action)
    return Outcome.DONE if patch is not None and seen.status == patch.status else None


def _is_as_planned(token: Token, entry: Entry) -> bool:
    """Return whether a token is certain to be the one that the plan saw, and unchanged.

    Nothing shows a change if the time of the last one cannot be read.
    """
    if "last_updated" in token.unreadable:
        return False
    return (token.id.lower(), token.last_updated, token.status, token.name) == (
        entry.id.lower(),
        entry.last_updated,
        entry.status,
        entry.name,
    )
