"""Deactivate the old tokens whose overlap has ended, as a quarantine.

The deactivation is a plan that `apply` carries out, so it has all its checks: a token that somebody
has changed is left alone, each outcome is in a journal, and `restore` and `sweep` know the tokens.
While the tokens are listed for the plan, lost successors are found by their markers.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import attrs

from losant_tokens import AsyncClient, Owner
from losant_tokens.errors import NotFound
from losant_tokens.jobs._execution.apply import apply
from losant_tokens.jobs._execution.job_failed import JobFailed
from losant_tokens.jobs._execution.report_from_journal import job_report
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._plan.planner import make_plan
from losant_tokens.jobs._plan.settings import PAGE_SIZE, PATIENCE, PlanSettings, Selection
from losant_tokens.jobs._quarantine.ledger import Ledger
from losant_tokens.jobs._quarantine.obstacles import Key, key_of
from losant_tokens.jobs._report.report import Report
from losant_tokens.jobs._rotation import rotation as events
from losant_tokens.jobs._rotation.checks import is_in_use
from losant_tokens.jobs._rotation.marker import has_marker, marker_of
from losant_tokens.jobs._rotation.rotation import RotatedToken
from losant_tokens.jobs._rotation.rotation_journal import RotationJournal
from losant_tokens.jobs._rotation.successor import OnRotation, search, time_of
from losant_tokens.jobs._token_rules import Rule, Token
from losant_tokens.jobs._types import Outcome, Result

_ANY_AGE = timedelta(days=36500)  # The plan is bound to the last change of each token.


@attrs.frozen(eq=False)
class Retirement:
    """Deactivates old tokens.

    Attributes:
        client: The client.
        journal: The journal of the rotation.
        ledger: Records the quarantine; `None` to record nothing.
        changed: Called after each recorded step.
    """

    client: AsyncClient
    journal: RotationJournal
    ledger: Ledger | None
    changed: OnRotation

    async def retire(self, numbers: Sequence[int]) -> None:
        """Deactivate the old tokens with these numbers, if their successors work.

        Raises:
            JournalError: The journal could not be written.
            LosantError: The tokens could not be listed or changed.
        """
        usable = [number for number in numbers if await self._is_usable(number)]
        fresh = list(usable)
        for path, group in self._begun().items():
            # A plan is carried out as a whole, so each of its tokens must have a successor.
            if set(group) <= set(usable):
                # The process may have ended before it deleted the lost successors it had listed.
                await self._search_lost(group)
                await self._apply(await anyio.to_thread.run_sync(Plan.read, path), group)
                fresh = [number for number in fresh if number not in group]
        # The client's own token may be among those that are not known to be others. If it is, the
        # requests after its deactivation fail, so these come last, and one after the other.
        others = [number for number in fresh if not self._may_be_in_use(number)]
        for group in (others, *([number] for number in fresh if number not in others)):
            if group:
                await self._retire_new(group)

    def _begun(self) -> dict[Path, list[int]]:
        """Return the tokens of each plan that an earlier process has made and not finished."""
        begun: dict[Path, list[int]] = {}
        for number, token in enumerate(self.journal.rotation.tokens):
            path = token.retirement
            if path is not None and not token.is_settled and path.exists():
                begun.setdefault(path, []).append(number)
        return begun

    def _may_be_in_use(self, number: int) -> bool:
        token = self.journal.token(number)
        return is_in_use(self.client, token.id, token.expiration_date) is not False

    async def _is_usable(self, number: int) -> bool:
        """Return whether the users of a token have a successor that works, as far as it shows."""
        token = self.journal.token(number)
        assert token.successor_id is not None  # noqa: S101 -- it was delivered
        problem: str | None
        try:
            found = await self.client.tokens(token.owner).get(token.successor_id)
        except NotFound as error:
            if not error.is_from_api:
                raise
            problem = "is gone"
        else:
            problem = _unusable(found, time_of(self.client))
        own = next(filter(self.client.uses_token, token.retired_ids), None)
        if problem is None and own is not None:
            await self._note(
                number,
                f"{own} is the token in use, so it was not deactivated. Resume the rotation "
                f"with its successor {token.successor_id}.",
            )
            return False
        if problem is not None:
            await self._note(
                number,
                f"The successor {token.successor_id} {problem}, so {token.id} was not deactivated.",
            )
        return problem is None

    async def _note(self, number: int, error: str) -> None:
        await self._record((number,), events.noted(error))

    async def _record(self, numbers: Sequence[int], event: events.Event) -> None:
        await self.journal.record(numbers, event)
        self.changed(self.journal.rotation)

    async def _retire_new(self, numbers: Sequence[int]) -> None:
        """Plan the deactivation, and carry it out."""
        rotation = self.journal.rotation
        path = _unused_path(rotation.path)
        # The path comes first, so that a killed process leaves no plan that nobody finds.
        await self._record(numbers, events.retiring(path))
        tokens = [self.journal.token(number) for number in numbers]
        listed = _Listed.of(rotation.id, tokens, rotation.tokens)
        rule = listed.rule()
        made = await make_plan(
            self.client,
            Selection(
                rules=dict.fromkeys((token.owner for token in tokens), rule),
                description=rule.description,
                uses_time=False,
                action="deactivate",
                grace=rotation.settings.grace,
                # The order of the rotation takes care of that token.
                warns_of_own_token=False,
            ),
            PlanSettings(
                "rotate",
                path=path,
                protect=(),
                allow_majority=True,
                max_changes=None,
                unmatched="ignore",
                incomplete="refuse",
                page_size=PAGE_SIZE,
                patience=PATIENCE,
                # Its successor replaces the old token, which has usually been in use until now.
                protect_seen=timedelta(0),
            ),
        )
        await self._delete_lost(listed)
        await self._apply(made, numbers)

    async def _search_lost(self, numbers: Sequence[int]) -> None:
        """Find the lost successors of tokens by their markers, and delete them."""
        rotation = self.journal.rotation
        tokens = [self.journal.token(number) for number in numbers]
        listed = _Listed.of(rotation.id, tokens, rotation.tokens)
        for owner in dict.fromkeys(token.owner for token in tokens):
            await search(self.client, owner, listed.notices_lost)
        await self._delete_lost(listed)

    async def _delete_lost(self, listed: "_Listed") -> None:
        """Delete the successors that a lost response has left."""
        for token_id, replaced in listed.lost.items():
            try:
                await self.client.tokens(replaced.owner).delete(token_id)
            except NotFound as error:
                if not error.is_from_api:
                    raise

    async def _apply(self, made: Plan, numbers: Sequence[int]) -> None:
        """Carry out a plan, and record what became of the old tokens."""
        if made.header.total.selected:
            await self._record_quarantine(await anyio.to_thread.run_sync(job_report, made))
            try:
                report = await apply(
                    self.client, made, resume=True, retry_failed=True, max_age=_ANY_AGE
                )
            except JobFailed as error:
                await self._record_quarantine(error.report)
                raise
            await self._record_quarantine(report)
            results = {key_of(one.entry.owner, one.entry.id): one for one in report.results()}
        else:
            results = {}
        for number in numbers:
            await self._record((number,), await self._result(number, results))

    async def _record_quarantine(self, report: Report) -> None:
        if self.ledger is not None:
            await anyio.to_thread.run_sync(self.ledger.record, report)

    async def _result(self, number: int, results: dict[Key, Result]) -> events.Event:
        """Return the event for what became of an old token, and of its uncertain successors."""
        token = self.journal.token(number)
        left: events.Event | None = None
        for token_id in token.retired_ids:
            result = results.get(key_of(token.owner, token_id))
            match None if result is None else result.outcome:
                case Outcome.DONE | Outcome.GONE:
                    continue
                case Outcome.FAILED | Outcome.UNKNOWN | Outcome.PROTECTED:
                    assert result is not None  # noqa: S101 -- it has an outcome
                    reason = result.error or result.entry.protected or "its outcome is unknown"
                    return events.noted(f"{token_id} could not be deactivated: {reason}.")
                case _:
                    if await self.is_active(token.owner, token_id):
                        left = events.left(
                            f"{token_id} was changed since the rotation began, so it is still "
                            f"active. Review it, and deactivate it."
                        )
        return left or events.retired()

    async def is_active(self, owner: Owner, token_id: str) -> bool:
        """Return whether a token that the plan does not have, or that has changed, is active."""
        try:
            found = await self.client.tokens(owner).get(token_id)
        except NotFound as error:
            if not error.is_from_api:
                raise
            return False
        return found.status != "inactive"


def _unusable(token: Token, now: datetime) -> str | None:
    """Return why a successor does not work, as a phrase; `None` if nothing shows that."""
    if token.status != "active":
        return "is not active"
    if token.is_expired(now):
        return "has expired"
    return None


def _unused_path(journal: Path) -> Path:
    """Return a path for another plan beside the journal of a rotation."""
    paths = (journal.with_name(f"{journal.name}.retire-{number}.jsonl") for number in _numbers())
    return next(path for path in paths if not path.exists())


def _numbers() -> Iterator[int]:
    number = 1
    while True:
        yield number
        number += 1


@attrs.frozen(eq=False)
class _Listed:
    """Selects the old tokens in a listing, and finds lost successors in it.

    Attributes:
        old: The old tokens to deactivate, and the uncertain successors, by their ids.
        known: The ids of all successors that the journal names.
        markers: The token of the rotation for each marker.
        lost: The token of the rotation for the id of each lost successor.
    """

    rotation_id: str
    old: dict[str, RotatedToken]
    known: frozenset[str]
    markers: dict[str, RotatedToken]
    lost: dict[str, RotatedToken] = attrs.field(factory=dict)

    @classmethod
    def of(
        cls, rotation_id: str, tokens: Sequence[RotatedToken], every: Sequence[RotatedToken]
    ) -> "_Listed":
        return cls(
            rotation_id,
            {id_: token for token in tokens for id_ in token.retired_ids},
            frozenset(id_ for token in every for id_ in token.successor_ids),
            {marker_of(rotation_id, token.id): token for token in tokens},
        )

    def rule(self) -> Rule:
        """Return the rule that selects the tokens to deactivate."""
        return Rule(
            f"replaced by rotation {self.rotation_id}",
            lambda token, _: self._match(token),
            lambda token, _: f"replaced by {self.old[token.id].successor_id}",
        )

    def _match(self, token: Token) -> bool:
        self.notices_lost(token)
        planned = self.old.get(token.id)
        if planned is None:
            return False
        is_unchanged = token.name == planned.name and token.last_updated == planned.last_updated
        return is_unchanged or token.id != planned.id

    def notices_lost(self, token: Token) -> bool:
        """Remember a token if it is a lost successor, and return whether it is one."""
        if token.id in self.known or not (token.description or "").endswith("]"):
            return False
        for marker, planned in self.markers.items():
            if has_marker(token, marker):
                self.lost[token.id] = planned
                return True
        return False
