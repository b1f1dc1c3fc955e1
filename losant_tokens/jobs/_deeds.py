"""Does to one token after the other what a plan says, and finds out what came of it.

Look whether the token still is what the plan saw, write down what is intended, do it, write down
what came of it. Where no answer says so, the token is looked at once more; where that tells
nothing either, what came of it stays unknown, and whoever resumes the job looks again.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Self

import attrs

from losant_tokens import ApiTokenPatch, AsyncClient, Owner, errors
from losant_tokens._owner import OwnerTokens
from losant_tokens.errors import LosantError, NotFound, ResponseError, StatusError, TransportError
from losant_tokens.jobs._journal import Journal
from losant_tokens.jobs._requests import GaveUpError, Request, Requests, StoppedError, Tries
from losant_tokens.jobs._selection import Token
from losant_tokens.jobs._values import Action, Entry, Outcome
from losant_tokens.jobs._work import Todo, Work

_TOLD = (StatusError, ResponseError, TransportError)  # what a server, or the network, has said
_MOST_FORBIDDEN = 10
_SHARE_AHEAD = 4  # one in so many of those that may be in flight is intended ahead
_PATCHES: Mapping[str, ApiTokenPatch] = MappingProxyType(
    {
        "deactivate": ApiTokenPatch(status="inactive"),
        "activate": ApiTokenPatch(status="active"),
    }
)


@attrs.frozen
class Finding:
    """What came of a token.

    Attributes:
        outcome: How it came out.
        error: What went wrong, if it failed.
        changed: When the API says that it was changed, if it was, and where it does.
    """

    outcome: Outcome
    error: str | None = None
    changed: datetime | None = None

    @classmethod
    def of_change(cls, seen: Token | None) -> Self:
        """The action was done; the API shows the token as it is now, or nothing any more."""
        return cls(_DONE, changed=None if seen is None else seen.last_updated)


_DONE = Outcome.DONE
_DELETED = Finding(_DONE)


@attrs.frozen(slots=False, eq=False)
class _Access:
    """To the tokens of one owner, with one try each time.

    What is not used is not asked for: to look takes a scope of its own.
    """

    tokens: OwnerTokens
    action: Action
    intend: Callable[[Todo], None]

    @cached_property
    def look(self) -> Request[Tries]:
        """Gets a token."""
        return Request(self.tokens.repeated("get"))

    @cached_property
    def change(self) -> Request[Todo]:
        """Does the action to a token, once it is written down that it is intended."""
        if self.action == "delete":
            send = self.tokens.repeated("delete")
        else:
            send = self.tokens.repeated("patch", _PATCHES[self.action])
        return Request(send, "act", before=self.intend)


@attrs.define(eq=False)
class Deeds:
    """Does one token after the other, any number of them at once.

    Attributes:
        client: What to send with.
        action: What is to be done.
        verify: Whether each token is looked at before.
        journal: Where it is written down.
        requests: How requests are sent.
        work: What comes next.
    """

    client: AsyncClient
    action: Action
    verify: bool
    journal: Journal
    requests: Requests
    work: Work
    _latest: _Access | None = None
    _forbidden: list[tuple[int, Outcome, str]] = attrs.field(factory=list)
    _ahead: set[int] = attrs.field(factory=set)  # what is intended, and not come to yet

    async def do(self, todo: Todo) -> None:
        """Does one token, and writes down what came of it.

        Raises:
            StoppedError: The job is at its end.
            GaveUpError: The service was out for too long.
            LosantError: It would be the same for all others.
        """
        if todo.is_protected:
            self.journal.settle(todo.number, Outcome.PROTECTED)
            return
        try:
            finding = await self._before(todo) if self.verify or todo.was_asked_for else None
            if finding is None:
                seen = await self.requests.send(self._access(todo.owner).change, todo)
                finding = _DELETED if self.action == "delete" else Finding.of_change(seen)
        except (LosantError, StoppedError, GaveUpError) as error:
            finding = await self._in_spite_of(error, todo)
        if finding is None:  # it is held back
            return
        if self._forbidden:
            self.finish()
        self.journal.settle(todo.number, finding.outcome, finding.error, finding.changed)

    def finish(self) -> None:
        """Writes down what was held back: all others came to their ends."""
        held_back, self._forbidden = self._forbidden, []
        for number, outcome, error in held_back:
            self.journal.settle(number, outcome, error)

    def take_back_the_rest(self) -> None:
        """Writes down that what was intended ahead, and not come to, was not done."""
        for number in self._ahead:
            self.journal.take_back(number)
        self._ahead.clear()

    async def _before(self, todo: Todo) -> Finding | None:
        """What has come of a token already, or `None` where it is to be done."""
        seen = await self._look(todo)
        if todo.was_asked_for and (outcome := outcome_after(self.action, seen)) is not None:
            return Finding.of_change(seen) if outcome is _DONE else Finding(outcome)
        if seen is None:
            return Finding(Outcome.GONE)
        return None if _is_as_planned(seen, todo.entry) else Finding(Outcome.CHANGED)

    def _intend(self, todo: Todo) -> None:
        """Writes down that a token is about to be changed, and some that come next with it.

        To write takes as long for some as for one. They are at most a quarter of what may be in
        flight: of so many tokens more, a job that is killed does not know what came of them. What
        is to be looked at first is not intended before that.
        """
        number = todo.number
        if number in self._ahead:
            self._ahead.remove(number)
            return
        at_once = self.requests.concurrency.now // _SHARE_AHEAD
        is_alone = self.verify or self._ahead or at_once <= 1
        ahead = () if is_alone else self.work.next_ones(at_once - 1)
        self.journal.intend(number, *ahead)
        self._ahead.update(ahead)

    async def _in_spite_of(
        self, error: LosantError | StoppedError | GaveUpError, todo: Todo
    ) -> Finding | None:
        """What has come of a token in spite of an error, or `None` where that is held back."""
        if isinstance(error, NotFound):
            # Of our own making, where an earlier try may have arrived.
            done = self.action == "delete" and todo.is_ambiguous
            return _DELETED if done else Finding(Outcome.GONE)
        if todo.is_ambiguous:
            return await self._after(todo, error)
        if todo.sent and not todo.was_asked_for:  # no try can have had any effect
            self.journal.take_back(todo.number)
        return self._failed(todo, error)

    def _failed(self, todo: Todo, error: Exception) -> Finding | None:
        """An error that has left a token as it was: of that token, or of all of them."""
        if not isinstance(error, _TOLD) or isinstance(error, errors.Unauthorized):
            raise error  # it ends the job: it would be the same for all others
        # What was asked for before, and may have been done, has not failed by an error now.
        outcome = Outcome.UNKNOWN if todo.was_asked_for else Outcome.FAILED
        if isinstance(error, errors.Forbidden):
            self._hold_back(todo.number, outcome, error)
            return None
        return Finding(outcome, str(error))

    def _hold_back(self, number: int, outcome: Outcome, error: LosantError) -> None:
        """Keeps what was forbidden: a token of its own, or all that comes, which ends the job.

        In the latter case it has not failed: whoever carries the job on may do it.
        """
        self._forbidden.append((number, outcome, str(error)))
        if len(self._forbidden) >= _MOST_FORBIDDEN:
            raise error

    async def _after(self, todo: Todo, error: Exception) -> Finding:
        """What came of a token whose last try failed, but may have been carried out."""
        if not isinstance(error, _TOLD):
            raise error  # nothing more may be sent: it stays intended, and so unknown
        try:
            seen = await self._look(todo)
        except errors.Unauthorized:
            raise
        except _TOLD:
            return Finding(Outcome.UNKNOWN, str(error))
        outcome = outcome_after(self.action, seen)
        if outcome is _DONE:
            return Finding.of_change(seen)
        return Finding(outcome or Outcome.FAILED, str(error))

    async def _look(self, todo: Todo) -> Token | None:
        """The token as it is now, or `None` where it is gone."""
        look = self._access(todo.owner).look
        try:
            found: Token = await self.requests.send(look, Tries(todo.id))
        except NotFound:
            return None
        return found

    def _access(self, owner: Owner) -> _Access:
        access = self._latest
        if access is None or access.tokens.owner is not owner:  # plans have one after the other
            access = self._latest = _Access(self.client.tokens(owner), self.action, self._intend)
        return access


def outcome_after(action: Action, seen: Token | None) -> Outcome | None:
    """What has come of an action that was asked for; `None`: nothing, so far.

    Args:
        action: What was asked for.
        seen: The token as it is now, or `None` where it is gone.
    """
    if action == "delete":
        return Outcome.DONE if seen is None else None
    if seen is None:
        return Outcome.GONE
    return Outcome.DONE if seen.status == _PATCHES[action].status else None


def _is_as_planned(token: Token, entry: Entry) -> bool:
    """Whether a token is what the plan saw."""
    return (token.last_updated, token.status, token.name) == (
        entry.last_updated,
        entry.status,
        entry.name,
    )
