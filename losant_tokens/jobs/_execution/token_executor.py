"""Execute the action of a plan on one token, and record the outcome.

`Executor.execute` calls `Executor._attempt` until there is a result. An attempt reads from top to
bottom: acquire a slot, read the token and compare it with the plan, record the intent, send the
change, and check the response. The rules:

- A token counts as gone only if the API itself responds with 404. The action counts as done only if
  the response to the change or a later read proves it. Otherwise the token is in doubt and is read.
- The read and the change are sent in succession, in one slot. If there is a wait between them (a
  retry, a pause, an outage), the token is read again.
- A response that cannot come from the API proves nothing about the token. No outcome is recorded,
  so a resumed job tries again.
- 404 and 403 results are held back until other tokens confirm them (`unconfirmed_results`).
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

import attrs

from losant_tokens import ApiTokenPatch, AsyncClient, Owner, OwnerTokens, Success
from losant_tokens._retries.retry_policy import (
    FailureKind,
    classify,
    may_have_arrived,
    may_retry_in_job,
)
from losant_tokens._transports.send_permission import ask_before_sending
from losant_tokens.errors import (
    Forbidden,
    LosantError,
    NotFound,
    ResponseError,
    Unauthorized,
    ValidationError,
)
from losant_tokens.jobs._errors import ChangeRefused
from losant_tokens.jobs._evidence.last_seen import LastSeen, seen_reason
from losant_tokens.jobs._execution.journal_interface import JobJournal
from losant_tokens.jobs._execution.queue import WorkItem, WorkQueue
from losant_tokens.jobs._execution.token_result import TokenResult
from losant_tokens.jobs._execution.unconfirmed_results import HeldBackResults
from losant_tokens.jobs._throttle.throttle import ONE_ATTEMPT, Throttle
from losant_tokens.jobs._token_rules import Token
from losant_tokens.jobs._types import Action, Entry, Outcome

# `AsyncClient.server_time` is exact to about a second, and the API may state whole seconds.
_CLOCK_ERROR = timedelta(seconds=2)
_MAX_READ_AGE = 1.0  # seconds between the read and the change
_DONE = TokenResult(Outcome.DONE)
_PATCHES: Mapping[str, ApiTokenPatch] = MappingProxyType(
    {
        "deactivate": ApiTokenPatch(status="inactive"),
        "activate": ApiTokenPatch(status="active"),
    }
)


@attrs.frozen
class OwnChanges:
    """Recognizes the changes of this job whose responses were lost.

    A token may have been changed by the job if its status shows the action. A journal records the
    intent for each token directly before its change, so that is enough. A chunk that runs again
    has no journal, so the time of the last change is compared as well.

    Attributes:
        since: The time before which no run of the job started, by the server's clock; `None` if it
            is unknown.
        until: The time after which no run of the job has changed a token; `None` if it is unknown.
    """

    since: datetime | None = None
    until: datetime | None = None

    def result(self, entry: Entry, token: Token) -> TokenResult:
        """Return the result for a token in doubt whose status shows the action.

        The time of its last change is that of the job's change if the token is exactly as that
        change leaves it. Otherwise, somebody has changed it since.
        """
        changed_at = token.last_updated
        if changed_at is not None and not self._may_have_changed_at(changed_at):
            return TokenResult(Outcome.CHANGED)
        is_unchanged = (token.name, token.description) == (entry.name, entry.description)
        return TokenResult(Outcome.DONE, changed_at=changed_at if is_unchanged else None)

    def _may_have_changed_at(self, time: datetime) -> bool:
        """Return whether a run of the job may have changed a token at a time."""
        is_early = self.since is not None and time < self.since - _CLOCK_ERROR
        is_late = self.until is not None and time > self.until + _CLOCK_ERROR
        return not is_early and not is_late


@attrs.define(eq=False)
class Executor:
    """Executes an action on tokens. Any number of tokens may be in progress at once.

    Attributes:
        client: The client that sends the requests.
        tokens: The tokens of each owner of the plan.
        action: The action.
        verify: Whether to read each token before it is changed.
        journal: The journal of intents and outcomes.
        throttle: The throttle that grants slots.
        queue: The queue for deferred items.
        held_back: The results that other tokens must confirm.
        seen: The tokens that audit logs show in use since the plan was made.
        may_change: Asked before each change; `None` if no one has to be asked.
        own_changes: Recognizes changes of earlier runs; `None` if a journal has their intents.
        refusal: Why no token may be changed. Then tokens are only read.
    """

    client: AsyncClient
    tokens: Mapping[Owner, OwnerTokens]
    action: Action
    verify: bool
    journal: JobJournal
    throttle: Throttle
    queue: WorkQueue
    held_back: HeldBackResults
    seen: LastSeen | None = None
    may_change: Callable[[], bool] | None = None
    own_changes: OwnChanges | None = None
    refusal: str | None = None

    async def execute(self, item: WorkItem) -> None:
        """Execute the action on one token, and record the outcome.

        Raises:
            StoppedError: The job is stopping.
            GaveUpError: The API was unavailable for too long, or many tokens are missing.
            ChangeRefused: `may_change` returned False.
            LosantError: Every other token would fail in the same way.
        """
        result = self._protection(item)
        while result is None:
            try:
                result = await self._attempt(item)
            except LosantError as error:
                if not may_retry_in_job(error):
                    raise
                failure = error
            else:
                continue
            await self.throttle.back_off(failure, item)
        if result.is_missing and self._needs_confirmation(result):
            await self.held_back.add_gone(item, result)
        else:
            self._record(item, result)

    def _protection(self, item: WorkItem) -> TokenResult | None:
        """Return the result for a token that must not be changed."""
        if item.entry.protected is not None:
            return TokenResult(Outcome.PROTECTED)
        if self.client.uses_token(item.entry.id):
            return TokenResult(Outcome.PROTECTED, "the token in use")
        # An earlier run may have changed the token already, so it is read first.
        return None if item.in_doubt else self._use(item.entry)

    def _use(self, entry: Entry) -> TokenResult | None:
        """Return the result for a token that an audit log shows in use."""
        if self.seen is None or (reason := seen_reason(self.seen, entry.id)) is None:
            return None
        return TokenResult(Outcome.PROTECTED, reason)

    async def _attempt(self, item: WorkItem) -> TokenResult | None:
        """Read the token, compare it, and change it. Return `None` to start again immediately.

        Raises:
            StoppedError: The job is stopping.
            GaveUpError: The API was unavailable for too long.
            LosantError: A request failed. The caller retries or ends the job.
        """
        throttle, entry = self.throttle, item.entry
        tokens = self.tokens[entry.owner]
        reads_first = self.verify or item.must_verify
        with await throttle.acquire(2 if reads_first else 1) as slot:
            if reads_first:
                account_changes = self.held_back.account_changes
                slot.begin_request()
                try:
                    token = await tokens.get(entry.id, retry=ONE_ATTEMPT)
                except LosantError as error:
                    throttle.record_error(error, slot.sent_at, "read", item)
                    return self._after_failed_read(item, error, account_changes)
                read_at = throttle.record_response(slot.sent_at, "read")
                self.held_back.record_found(item, account_changes)
                if (result := self._compare(item, token)) is not None:
                    return result
                await slot.wait_for_next(read_at)
                now = throttle.now()
                if now - read_at > _MAX_READ_AGE or not slot.is_open(now):
                    return None
            if self.refusal is not None:
                return TokenResult(None, self.refusal)
            if self.may_change is not None and not self.may_change():
                raise ChangeRefused(
                    "The job ended before its next change, because may_change returned False."
                )
            self.journal.record_intent(item.number)
            account_changes = self.held_back.account_changes
            slot.begin_request()
            try:
                if self.may_change is None:
                    response = await self._change(tokens, entry.id)
                else:
                    with ask_before_sending(self.may_change):
                        response = await self._change(tokens, entry.id)
            except LosantError as error:
                throttle.record_error(error, slot.sent_at, "change", item)
                return self._after_failed_change(item, error, account_changes)
            throttle.record_response(slot.sent_at, "change")
            return self._after_change(item, response, account_changes)

    def _change(self, tokens: OwnerTokens, token_id: str) -> Awaitable[Token | Success]:
        """Return the request that carries out the action."""
        if self.action == "delete":
            return tokens.delete(token_id, retry=ONE_ATTEMPT)
        return tokens.patch(token_id, _PATCHES[self.action], retry=ONE_ATTEMPT)

    def _record(self, item: WorkItem, result: TokenResult) -> None:
        """Record a result, or hold it back.

        Raises:
            Forbidden: Too many tokens are forbidden.
        """
        if result.forbidden is not None and not self.held_back.has_succeeded:
            self.held_back.add_forbidden(item, result)
        elif result.is_deferrable and not item.was_deferred:
            self.queue.defer(item)
        else:
            result.record(self.journal, item.number)

    def _needs_confirmation(self, result: TokenResult) -> bool:
        """Return whether a token that is missing may still exist."""
        is_gone = result.outcome is Outcome.GONE
        return is_gone or self.own_changes is not None or self.held_back.is_account_in_doubt

    # --- Results of requests -----------------------------------------------------------------

    def _compare(self, item: WorkItem, token: Token) -> TokenResult | None:
        """Compare a token with the plan. Return `None` if it must be changed."""
        if item.in_doubt and shows_action(self.action, token):
            if self.own_changes is not None:
                return self.own_changes.result(item.entry, token)
            return _DONE
        if not _is_as_planned(token, item.entry):
            return TokenResult(Outcome.CHANGED)
        if item.is_exhausted:  # the last attempt had no effect
            return TokenResult(Outcome.FAILED, str(item.error))
        # Any other token was looked up before it was read.
        return self._use(item.entry) if item.in_doubt else None

    def _after_failed_read(
        self, item: WorkItem, error: LosantError, account_changes: int
    ) -> TokenResult | None:
        """Return the result for a token that could not be read. Return `None` to read it again.

        Raises:
            LosantError: The same error, if the caller must retry or end the job.
        """
        if isinstance(error, NotFound) and error.is_from_api:
            return self._missing(item, account_changes)
        if not _ends_attempts(item, error):
            raise error
        if classify(error) is FailureKind.NOT_FROM_API:
            outcome = Outcome.UNKNOWN if item.in_doubt else None
            return TokenResult(outcome, str(error), is_deferrable=True)
        outcome = Outcome.UNKNOWN if item.in_doubt else Outcome.FAILED
        return TokenResult(outcome, str(error), forbidden=_forbidden(error))

    def _after_failed_change(
        self, item: WorkItem, error: LosantError, account_changes: int
    ) -> TokenResult | None:
        """Return the result for a token whose change failed. Return `None` to read it immediately.

        Raises:
            LosantError: The same error, if the caller must retry or end the job.
        """
        if may_have_arrived(error):
            item.in_doubt = True
            # A response that is not from the API proves nothing, so the token is read.
            item.must_verify |= classify(error) is FailureKind.NOT_FROM_API
        elif not item.in_doubt:
            self.journal.revert_intent(item.number)
        if isinstance(error, NotFound) and error.is_from_api:
            return self._missing(item, account_changes)
        if not _ends_attempts(item, error):
            raise error
        if not item.in_doubt:
            return TokenResult(Outcome.FAILED, str(error), forbidden=_forbidden(error))
        item.exhaust(error)
        item.must_verify = True
        return None

    def _after_change(
        self, item: WorkItem, response: Token | Success, account_changes: int
    ) -> TokenResult | None:
        """Return the result for a token whose change got a response. Return `None` to read it."""
        self.held_back.record_found(item, account_changes)
        if not self._proves_action(item.entry, response):
            item.in_doubt = item.must_verify = True
            item.failures += 1
            item.error = ResponseError(
                f"The response to {self.action} does not confirm that it was carried out"
            )
            return None
        self.held_back.record_success()
        if isinstance(response, Success) or (item.in_doubt and self.own_changes is None):
            return _DONE
        return TokenResult(Outcome.DONE, changed_at=response.last_updated)

    def _missing(self, item: WorkItem, account_changes: int) -> TokenResult | None:
        """Return the result for a token for which the API responded with 404.

        Return `None` to request it again, if the client got another token during the request. Then
        it is not known which account has responded, so no other token could confirm the 404.
        """
        if account_changes != self.held_back.account_changes:
            return None
        was_deleted = self.action == "delete" and item.in_doubt
        return TokenResult(Outcome.DONE if was_deleted else Outcome.GONE, is_missing=True)

    def _proves_action(self, entry: Entry, response: Token | Success) -> bool:
        """Return whether the response to a change confirms that it was carried out."""
        if isinstance(response, Success):
            return response.is_stated
        is_same_token = response.id.lower() == entry.id.lower()
        return is_same_token and shows_action(self.action, response)


def shows_action(action: Action, token: Token) -> bool:
    """Return whether the status of a token shows that an action was carried out on it."""
    patch = _PATCHES.get(action)
    return patch is not None and token.status == patch.status


def _ends_attempts(item: WorkItem, error: LosantError) -> bool:
    """Return whether an error is the result for a token, because no other attempt follows."""
    return _is_final(error) or (may_retry_in_job(error) and item.is_exhausted)


def _is_final(error: LosantError) -> bool:
    """Return whether an error concerns one token alone, and would recur in another attempt."""
    if isinstance(error, ValidationError):  # the id is malformed
        return True
    return classify(error) is FailureKind.FINAL and not isinstance(error, Unauthorized)


def _forbidden(error: LosantError) -> Forbidden | None:
    return error if isinstance(error, Forbidden) else None


def _is_as_planned(token: Token, entry: Entry) -> bool:
    """Return whether a token is certainly the planned one, and unchanged.

    If its time of change is unreadable, the token may have changed.
    """
    if "last_updated" in token.unreadable:
        return False
    return (token.id.lower(), token.last_updated, token.status, token.name) == (
        entry.id.lower(),
        entry.last_updated,
        entry.status,
        entry.name,
    )
