"""The executor: the record that follows from each response to a read or a change.

The API and the throttle are scripted.
"""

from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, NoReturn

import attrs
import pytest

from losant_tokens import ApiToken, ApiTokenPatch, Owner, Success
from losant_tokens.errors import (
    ClientStateError,
    Forbidden,
    LosantError,
    NotFound,
    RequestTimeout,
    ResponseError,
    ServerError,
    StatusError,
    Unauthorized,
    ValidationError,
)
from losant_tokens.jobs import Outcome
from losant_tokens.jobs._execution.queue import WorkItem
from losant_tokens.jobs._execution.token_executor import Executor
from losant_tokens.jobs._execution.token_result import TokenResult
from losant_tokens.jobs._execution.unconfirmed_results import (
    MAX_FORBIDDEN,
    MAX_GONE_IN_A_ROW,
    MIN_FORBIDDEN,
    HeldBackResults,
)
from losant_tokens.jobs._throttle.throttle import GaveUpError
from losant_tokens.jobs._throttle.token_attempts import MAX_ATTEMPTS
from losant_tokens.jobs._types import Entry
from tests.support.jobs import USER

BEFORE, AFTER = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
INTENDED, UNTOUCHED = "intended", "untouched"


def id_of(number: int) -> str:
    return f"{number:024x}"


def item_of(number: int = 10, **members: Any) -> WorkItem:
    entry = Entry(USER, id_of(number), "ci", "active", BEFORE, BEFORE, None, "named 'ci'")
    return WorkItem(number, entry, **members)


def token(number: int = 10, **members: Any) -> ApiToken:
    return ApiToken(
        **{
            "id": id_of(number),
            "name": "ci",
            "status": "active",
            "last_updated": BEFORE,
            **members,
        }
    )


def api_error(kind: type[StatusError], code: int) -> StatusError:
    return kind(f"the API says {code}", status_code=code, is_from_api=True)


GONE = api_error(NotFound, 404)
DENIED = api_error(Forbidden, 403)
REFUSED = api_error(StatusError, 400)
EXPIRED = api_error(Unauthorized, 401)
STRANGER = NotFound("a page", status_code=404)
TIMEOUT = RequestTimeout("no response")
NOT_SENT = RequestTimeout("not sent", ambiguous=False)
BROKEN = api_error(ServerError, 500)


class World:
    """An executor, the scripted responses of the API, and the records of the journal.

    Attributes:
        reads: The responses to reads; if there are none left, the token is as planned.
        changes: The responses to changes; if there are none left, the change succeeds.
        listed: The ids in a list, or its error.
        sent: The kind of each request.
        records: Each record, with the number of its token.
        places: The number of places of each slot.
        token: The number of times that the account may have changed.
        changes_account: Whether it changes during a list.
        changes_account_at: The kind of the request during which it changes once.
    """

    def __init__(
        self, action: str = "delete", *, verify: bool = True, is_account_confirmed: bool = True
    ) -> None:
        self.action = action
        self.reads: list[Any] = []
        self.changes: list[Any] = []
        self.listed: list[str] | LosantError = []
        self.sent: list[str] = []
        self.records: list[tuple[Any, ...]] = []
        self.places: list[int] = []
        self.deferred: list[WorkItem] = []
        self.backed_off = 0
        self.time = 0.0
        self.delays: list[float] = []  # between a read and its change
        self.is_open: list[bool] = []
        self.in_use = ""
        self._session = self
        self.token = SimpleNamespace(account_changes=0)
        self.changes_account = False
        self.changes_account_at = ""
        parts: dict[str, Any] = {"client": self, "journal": self, "throttle": self, "queue": self}
        parts["tokens"] = {Owner.user(): self}
        held_back = HeldBackResults(
            self,  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
            patience=0.0,
            is_account_confirmed=is_account_confirmed,
        )
        self.executor = Executor(action=action, verify=verify, held_back=held_back, **parts)  # type: ignore[arg-type]

    # The client.

    def require_open(self) -> NoReturn:
        """Have no rate limiter, as a client that is not open."""
        raise ClientStateError

    def uses_token(self, token_id: str) -> bool:
        return token_id == self.in_use

    def tokens(self, owner: Owner) -> "World":
        self.owner = owner
        return self

    def _send(self, kind: str) -> None:
        self.sent.append(kind)
        if kind == self.changes_account_at:
            self.token.account_changes, self.changes_account_at = 1, ""

    async def get(self, token_id: str, **_: object) -> Any:
        self._send("read")
        return respond(self.reads.pop(0) if self.reads else token(int(token_id, 16)))

    async def delete(self, *_: object, **__: object) -> Any:
        self._send("change")
        return respond(self.changes.pop(0) if self.changes else Success())

    async def patch(self, token_id: str, patch: ApiTokenPatch, **_: object) -> Any:
        self.sent.append("change")
        if self.changes:
            return respond(self.changes.pop(0))
        return token(int(token_id, 16), status=patch.status, last_updated=AFTER)

    async def page(self, *, page: int, **_: object) -> Any:
        self.token.account_changes += self.changes_account
        if page == 0:
            self.sent.append("list")
        ids = respond(self.listed)
        items = [SimpleNamespace(id=id_) for id_ in ids[page : page + 1]]
        return SimpleNamespace(items=items, count=len(items), total_count=None)

    # The journal.

    def record_intent(self, number: int) -> None:
        self.records.append((number, INTENDED))

    def revert_intent(self, number: int, error: str | None = None) -> None:
        self.records.append((number, UNTOUCHED, error))

    def record_outcome(
        self,
        number: int,
        outcome: Outcome,
        error: str | None = None,
        changed_at: datetime | None = None,
    ) -> None:
        self.records.append((number, outcome, error, changed_at))

    # The throttle, its slots, and the queue.

    async def acquire(self, places: int) -> AbstractContextManager[Any]:
        self.places.append(places)
        is_open = self.is_open.pop(0) if self.is_open else True
        return nullcontext(
            SimpleNamespace(
                begin_request=lambda: None,
                sent_at=self.time,
                wait_for_next=self.wait_for_next,
                is_open=lambda _: is_open,
            )
        )

    def record_response(self, *_: object) -> float:
        return self.time

    def record_error(self, error: LosantError, _: float, __: str, item: WorkItem) -> None:
        item.failures, item.error = item.failures + 1, error

    async def wait_for_next(self, _: float) -> None:
        self.time += self.delays.pop(0) if self.delays else 0.0

    def now(self) -> float:
        return self.time

    async def back_off(self, *_: object) -> None:
        self.backed_off += 1

    def defer(self, item: WorkItem) -> None:
        item.was_deferred = True
        self.deferred.append(item)

    async def run(self, *items: WorkItem) -> list[tuple[Any, ...]]:
        """Execute items, and return their outcomes with the errors."""
        for item in items or (item_of(),):
            await self.executor.execute(item)
        return self.outcomes()

    def outcomes(self) -> list[tuple[Any, ...]]:
        """Return number, outcome and error of the tokens with an outcome."""
        return [record[:3] for record in self.records if len(record) == 4]


def respond(response: Any) -> Any:
    """Raise a scripted error, or return a scripted response."""
    if isinstance(response, Exception):
        raise response
    return response


async def test_read_intent_change_and_outcome() -> None:
    """A token is read, intended, changed and recorded, in a slot with two places."""
    world = World()

    await world.run()

    assert world.sent == ["read", "change"]
    assert world.records == [(10, INTENDED), (10, Outcome.DONE, None, None)]
    assert world.places == [2]


async def test_without_verification() -> None:
    """Without `verify`, only the change is sent, in a slot with one place."""
    world = World(verify=False)

    await world.run()

    assert (world.sent, world.places) == (["change"], [1])


async def test_protected_token() -> None:
    """Nothing is sent for a token that the plan protects."""
    world = World()
    item = item_of()
    object.__setattr__(item.entry, "protected", "protected by 'x'")

    assert await world.run(item) == [(10, Outcome.PROTECTED, None)]
    assert world.sent == []


async def test_token_in_use() -> None:
    """Nothing is sent for the token that the client uses."""
    world = World()
    world.in_use = id_of(10)

    assert await world.run() == [(10, Outcome.PROTECTED, "the token in use")]
    assert world.sent == []


@pytest.mark.parametrize(
    "seen",
    [
        token(name="other"),
        token(status="inactive"),
        token(last_updated=AFTER),
        token(number=11),
        token(name="a"),
    ],
)
async def test_changed_token(seen: ApiToken) -> None:
    """A token that differs from the plan is left alone."""
    world = World()
    world.reads = [seen]

    assert await world.run() == [(10, Outcome.CHANGED, None)]
    assert world.sent == ["read"]


async def test_token_with_unreadable_time_of_change() -> None:
    """A token is left alone if its time of change is unreadable."""
    item = item_of()
    item.entry = attrs.evolve(item.entry, last_updated=None)
    world = World()
    world.reads = [token(last_updated=None, unreadable=frozenset({"last_updated"}))]

    assert await world.run(item) == [(10, Outcome.CHANGED, None)]


async def test_token_without_a_time_of_change() -> None:
    """A token without a time of change is changed if the plan has none either."""
    item = item_of()
    item.entry = attrs.evolve(item.entry, last_updated=None)
    world = World()
    world.reads = [token(last_updated=None)]

    assert (await world.run(item))[-1][:2] == (10, Outcome.DONE)


async def test_case_of_an_id() -> None:
    """An id may differ from the plan in case."""
    world = World()
    world.reads = [token(0xABC, id=id_of(0xABC).upper())]

    assert await world.run(item_of(0xABC)) == [(0xABC, Outcome.DONE, None)]


@pytest.mark.parametrize(("delay", "reads"), [(0.9, 1), (1.0, 1), (1.1, 2)])
async def test_old_read_is_repeated(delay: float, reads: int) -> None:
    """A token is read again if the read is more than a second old."""
    world = World()
    world.delays = [delay]

    await world.run()

    assert world.sent == ["read"] * reads + ["change"]


async def test_closed_slot() -> None:
    """A token is read again if the change cannot be sent immediately."""
    world = World()
    world.is_open = [False]

    await world.run()

    assert world.sent == ["read", "read", "change"]


@pytest.mark.parametrize(
    ("action", "status", "is_known"),
    [("delete", None, False), ("deactivate", "inactive", True), ("activate", "active", True)],
)
async def test_time_of_a_change(action: str, status: str | None, is_known: bool) -> None:
    """The time of a change is recorded from the response to a PATCH."""
    world = World(action, verify=False)

    await world.run()

    assert world.records[-1] == (10, Outcome.DONE, None, AFTER if is_known else None)


async def test_time_of_a_change_in_doubt() -> None:
    """The time of a change is unknown if an earlier attempt may have made it."""
    world = World("deactivate", verify=False)

    await world.run(item_of(in_doubt=True))

    assert world.records[-1] == (10, Outcome.DONE, None, None)


@pytest.mark.parametrize("action", ["deactivate", "activate"])
async def test_read_resolves_doubt(action: str) -> None:
    """A token in doubt is done if a read shows the action, without a time of change."""
    world = World(action, verify=False)
    status = {"activate": "active", "deactivate": "inactive"}[action]
    world.reads = [token(status=status, last_updated=AFTER)]

    await world.run(item_of(in_doubt=True, must_verify=True))

    assert world.records == [(10, Outcome.DONE, None, None)]


async def test_same_change_by_somebody_else() -> None:
    """A token that somebody else changed in the same way is not done by this job."""
    world = World("deactivate")
    world.reads = [token(status="inactive", last_updated=AFTER)]

    assert await world.run() == [(10, Outcome.CHANGED, None)]


@pytest.mark.parametrize(
    ("action", "response"),
    [
        ("delete", Success(is_stated=False)),
        ("deactivate", token(status="active")),
        ("deactivate", token(number=11, status="inactive")),
        ("deactivate", token(number=9, status="inactive")),
    ],
)
async def test_response_without_proof(action: str, response: Any) -> None:
    """A response that does not prove the change leads to a read, even without `verify`."""
    world = World(action, verify=False)
    world.changes = [response]
    item = item_of()

    await world.run(item)

    assert world.sent == ["change", "read", "change"]
    assert (item.in_doubt, item.failures) == (True, 1)
    assert str(item.error) == f"The response to {action} does not confirm that it was carried out"


async def test_change_without_effect_fails() -> None:
    """A token fails if no attempt to change it has an effect."""
    world = World()
    world.changes = [Success(is_stated=False)] * MAX_ATTEMPTS

    settled = await world.run()

    assert [outcome for _, outcome, _ in settled] == [Outcome.FAILED]
    assert settled[0][2] == "The response to delete does not confirm that it was carried out"
    assert world.sent.count("change") == MAX_ATTEMPTS


async def test_404_for_a_token_in_doubt() -> None:
    """A token that this job may have deleted is done if it is gone."""
    world = World()
    world.changes, world.reads = [TIMEOUT], [token(), GONE]

    assert await world.run() == [(10, Outcome.DONE, None)]
    assert world.sent == ["read", "change", "read"]
    assert world.backed_off == 1


@pytest.mark.parametrize("action", ["activate", "deactivate"])
async def test_404_for_a_patched_token_in_doubt(action: str) -> None:
    """A token that this job may have patched is gone if it does not exist."""
    world = World(action)
    world.changes, world.reads = [TIMEOUT], [token(), GONE, token(11)]

    await world.run(item_of(), item_of(11))

    assert world.outcomes()[0] == (10, Outcome.GONE, None)


async def test_404_to_the_first_change() -> None:
    """A token that is gone at the first change was not deleted by this job."""
    world = World()
    world.changes = [GONE]

    await world.run(item_of(), item_of(11))

    assert world.records[:2] == [(10, INTENDED), (10, UNTOUCHED, None)]
    assert world.outcomes()[0] == (10, Outcome.GONE, None)


async def test_intent_is_reverted_if_no_attempt_arrived() -> None:
    """The intent is reverted if the request certainly had no effect."""
    world = World()
    world.changes = [NOT_SENT]

    await world.run()

    assert world.records[:2] == [(10, INTENDED), (10, UNTOUCHED, None)]
    assert world.outcomes() == [(10, Outcome.DONE, None)]


async def test_intent_stays_if_an_attempt_may_have_arrived() -> None:
    """The intent stays if an earlier attempt may have had an effect."""
    world = World()
    world.changes = [TIMEOUT, NOT_SENT]

    await world.run()

    assert (10, UNTOUCHED, None) not in world.records


async def test_refused_change_fails() -> None:
    """A token fails immediately if the API refuses its change."""
    world = World()
    world.changes = [REFUSED]

    assert await world.run() == [(10, Outcome.FAILED, "the API says 400")]
    assert world.backed_off == 0


async def test_refused_change_in_doubt_is_verified() -> None:
    """If an earlier attempt may have arrived, a refused change leads to a read."""
    world = World("deactivate", verify=False)
    world.changes = [TIMEOUT, REFUSED]
    world.reads = [token(status="inactive")]

    assert await world.run() == [(10, Outcome.DONE, None)]
    assert world.sent == ["change", "change", "read"]


async def test_foreign_response_to_a_change_leads_to_a_read() -> None:
    """If the response to a change is not from the API, the token is read."""
    world = World("deactivate", verify=False)
    world.changes, world.reads = [STRANGER], [token(status="inactive")]

    assert await world.run() == [(10, Outcome.DONE, None)]
    assert world.sent == ["change", "read"]


async def test_timeout_of_a_change_needs_no_read() -> None:
    """Without `verify`, a change that timed out is sent again without a read."""
    world = World("deactivate", verify=False)
    world.changes = [TIMEOUT]

    await world.run()

    assert world.sent == ["change", "change"]


async def test_malformed_id_fails() -> None:
    """A token with a malformed id fails, and the job continues."""
    world = World()
    world.reads = [ValidationError("malformed")]

    assert await world.run() == [(10, Outcome.FAILED, "malformed")]


@pytest.mark.parametrize("step", ["reads", "changes"])
async def test_401_ends_the_job(step: str) -> None:
    """A 401 ends the job, because every request would fail."""
    world = World()
    setattr(world, step, [EXPIRED])

    with pytest.raises(Unauthorized):
        await world.run()
    assert world.outcomes() == []


async def test_reads_are_repeated_up_to_a_limit() -> None:
    """A token that cannot be read fails after the last attempt."""
    world = World()
    world.reads = [BROKEN] * MAX_ATTEMPTS

    assert await world.run() == [(10, Outcome.FAILED, "the API says 500")]
    assert world.sent == ["read"] * MAX_ATTEMPTS


async def test_token_in_doubt_that_cannot_be_read() -> None:
    """A token in doubt that cannot be read is unknown."""
    world = World()
    world.reads = [BROKEN] * MAX_ATTEMPTS

    assert await world.run(item_of(in_doubt=True)) == [
        (10, Outcome.UNKNOWN, "the API says 500"),
    ]


async def test_refused_read_of_a_token_in_doubt() -> None:
    """A token in doubt is unknown if the API refuses to read it."""
    world = World()
    world.reads = [REFUSED]

    assert await world.run(item_of(in_doubt=True)) == [(10, Outcome.UNKNOWN, "the API says 400")]


@pytest.mark.parametrize("in_doubt", [False, True])
async def test_foreign_responses_defer_a_token(in_doubt: bool) -> None:
    """A token with foreign responses only is deferred once, and then stays open or unknown."""
    world = World()
    world.reads = [STRANGER] * 2 * MAX_ATTEMPTS
    item = item_of(in_doubt=in_doubt)

    await world.run(item)
    assert (world.deferred, world.records) == ([item], [])
    item.failures = 0
    await world.run(item)

    last = (10, Outcome.UNKNOWN, "a page", None) if in_doubt else (10, UNTOUCHED, "a page")
    assert world.records == [last]


async def test_foreign_responses_to_the_last_change() -> None:
    """A token is unknown if its last change and the read after it get foreign responses."""
    world = World()
    world.changes = [STRANGER] * MAX_ATTEMPTS
    item = item_of(was_deferred=True, failures=MAX_ATTEMPTS - 1)
    world.reads = [token(), STRANGER]

    assert await world.run(item) == [(10, Outcome.UNKNOWN, "a page")]


# --- 404 for many ------------------------------------------------------------------------------


async def test_404_is_held_back_until_a_token_is_found() -> None:
    """A 404 is recorded when another token of the plan is found."""
    world = World()
    world.reads = [GONE, GONE]

    assert await world.run(item_of(1), item_of(2)) == []
    assert await world.run(item_of(3)) == [
        (1, Outcome.GONE, None),
        (2, Outcome.GONE, None),
        (3, Outcome.DONE, None),
    ]


async def test_successful_change_confirms_404() -> None:
    """Without `verify`, a successful change confirms the 404s before it."""
    world = World(verify=False)
    world.changes = [GONE]

    assert await world.run(item_of(1), item_of(2)) == [
        (1, Outcome.GONE, None),
        (2, Outcome.DONE, None),
    ]


async def test_list_confirms_404s_in_a_row() -> None:
    """After too many 404s in a row, one list of all tokens confirms them."""
    world = World()
    world.reads = [GONE] * 2 * MAX_GONE_IN_A_ROW
    world.listed = [id_of(999)]

    settled = await world.run(*map(item_of, range(MAX_GONE_IN_A_ROW - 1)))
    assert (settled, world.sent.count("list")) == ([], 0)
    await world.run(item_of(MAX_GONE_IN_A_ROW - 1))
    assert len(world.outcomes()) == MAX_GONE_IN_A_ROW
    await world.run(*map(item_of, range(100, 100 + MAX_GONE_IN_A_ROW)))
    assert len(world.outcomes()) == 2 * MAX_GONE_IN_A_ROW
    assert world.sent.count("list") == 1


@pytest.mark.parametrize(
    ("listed", "is_confirmed"),
    [([id_of(0xA).upper()], True), (BROKEN, True), ([], False)],
    ids=["shows one", "fails", "account not confirmed"],
)
async def test_404s_that_a_list_does_not_confirm(
    listed: Any, is_confirmed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job ends if the list has one of the missing tokens, or fails."""
    monkeypatch.setattr("losant_tokens.jobs._throttle.throttle._BACKOFF_CAP", 0.0)
    world = World(is_account_confirmed=is_confirmed)
    world.reads, world.listed = [GONE] * MAX_GONE_IN_A_ROW, listed

    with pytest.raises(GaveUpError, match=r"404 for many tokens in a row"):
        await world.run(*map(item_of, range(0xA, 0xA + MAX_GONE_IN_A_ROW)))
    await world.executor.held_back.finish(is_complete=False)

    assert world.outcomes() == []
    assert {record[1] for record in world.records} == {UNTOUCHED}


async def test_refuted_404s_stay_open() -> None:
    """404s that a list has refuted stay open, even if a token is found later."""
    world = World(is_account_confirmed=False)
    world.reads = [GONE] * MAX_GONE_IN_A_ROW
    with pytest.raises(GaveUpError):
        await world.run(*map(item_of, range(MAX_GONE_IN_A_ROW)))

    assert await world.run(item_of(99)) == [(99, Outcome.DONE, None)]
    await world.executor.held_back.finish(is_complete=True)

    assert len(world.outcomes()) == 1


@pytest.mark.parametrize(("is_complete", "is_gone"), [(True, True), (False, False)])
async def test_404s_for_all_tokens(is_complete: bool, is_gone: bool) -> None:
    """If all tokens are missing, a list confirms it at the end; otherwise they stay open."""
    world = World()
    world.reads = [GONE]
    await world.run()

    await world.executor.held_back.finish(is_complete=is_complete)

    error = "404 for many tokens in a row, so this token may still exist"
    expected = (10, Outcome.GONE, None, None) if is_gone else (10, UNTOUCHED, error)
    assert world.records == [expected]
    assert world.sent.count("list") == is_complete


async def test_404s_at_the_end_after_a_found_token() -> None:
    """At the end, 404s need no list if a token of the plan was found."""
    world = World()
    world.reads = [token(1), GONE]
    await world.run(item_of(1), item_of(2))

    await world.executor.held_back.finish(is_complete=True)

    assert world.outcomes() == [(1, Outcome.DONE, None), (2, Outcome.GONE, None)]
    assert "list" not in world.sent


async def test_each_account_confirms_its_own_404s() -> None:
    """After the token was replaced, a token that is found confirms the 404s since then."""
    world = World()
    world.reads = [token(1), GONE, GONE]
    await world.run(item_of(1), item_of(2))
    world.token.account_changes = 1
    assert await world.run(item_of(3)) == [(1, Outcome.DONE, None)]

    assert (await world.run(item_of(4)))[1:] == [(3, Outcome.GONE, None), (4, Outcome.DONE, None)]
    await world.executor.held_back.finish(is_complete=True)

    assert world.outcomes()[-1] == (2, Outcome.GONE, None)


@pytest.mark.parametrize("changes_before", [0, 1])
async def test_a_token_that_is_found_while_the_account_changes(changes_before: int) -> None:
    """If the token was replaced during a request, its response confirms no 404."""
    world = World()
    world.token.account_changes = 1
    held_back = HeldBackResults(world, world, patience=0.0, is_account_confirmed=True)  # type: ignore[arg-type]
    world.token.account_changes = 2
    await held_back.add_gone(item_of(1), TokenResult(Outcome.GONE, is_missing=True))

    held_back.record_found(item_of(2), 1 + changes_before)

    assert len(world.outcomes()) == changes_before


@pytest.mark.parametrize("step", ["read", "change"])
async def test_a_404_while_the_account_changes(step: str) -> None:
    """If the token was replaced during a request that got a 404, the request is sent again."""
    world = World(verify=step == "read")
    (world.reads if step == "read" else world.changes).append(GONE)
    world.changes_account_at = step

    assert await world.run(item_of(1)) == [(1, Outcome.DONE, None)]

    assert world.sent == {"read": ["read", "read", "change"], "change": ["change"] * 2}[step]


async def test_a_404_in_doubt_of_another_account() -> None:
    """A 404 does not prove a deletion in doubt if the client may use another account by now."""
    world = World()
    world.reads = [GONE]
    world.token.account_changes = 1
    item = item_of()
    item.in_doubt = True
    assert await world.run(item) == []

    with pytest.raises(GaveUpError, match="a token of the account of the plan"):
        await world.executor.held_back.finish(is_complete=True)

    assert [outcome for _, outcome, _ in world.outcomes()] == [Outcome.UNKNOWN]


async def test_a_list_while_the_account_changes() -> None:
    """A list confirms no 404 if the token was replaced while it was read."""
    world = World()
    world.reads, world.listed = [GONE], [id_of(999)]
    world.changes_account = True
    await world.run()

    with pytest.raises(GaveUpError):
        await world.executor.held_back.finish(is_complete=True)

    assert world.outcomes() == []


def test_limits_of_unconfirmed_results() -> None:
    """The limits allow a few odd tokens, and detect a wrong account."""
    assert (MAX_GONE_IN_A_ROW, MIN_FORBIDDEN, MAX_FORBIDDEN) == (20, 10, 500)


# --- 403 for many ------------------------------------------------------------------------------


async def test_403_is_held_back_until_a_success() -> None:
    """A 403 is recorded when another token was changed."""
    world = World()
    world.changes = [DENIED]

    assert await world.run(item_of(1)) == []
    assert await world.run(item_of(2), item_of(3)) == [
        (1, Outcome.FAILED, "the API says 403"),
        (2, Outcome.DONE, None),
        (3, Outcome.DONE, None),
    ]


async def test_403_after_a_success() -> None:
    """After a success, a token with a 403 fails immediately."""
    world = World()
    await world.run(item_of(1))
    world.reads = [DENIED]

    assert (2, Outcome.FAILED, "the API says 403") in await world.run(item_of(2))


async def test_too_many_403s_end_the_job() -> None:
    """Too many 403s without a success end the job, and the tokens stay open."""
    world = World()
    world.reads = [DENIED] * MAX_FORBIDDEN
    await world.run(*map(item_of, range(MAX_FORBIDDEN - 1)))

    with pytest.raises(Forbidden):
        await world.run(item_of(MAX_FORBIDDEN))
    await world.executor.held_back.finish(is_complete=False)

    assert world.outcomes() == []
    assert len(world.records) == MAX_FORBIDDEN


@pytest.mark.parametrize("count", [1, MIN_FORBIDDEN - 1, MIN_FORBIDDEN, MIN_FORBIDDEN + 1])
async def test_403s_at_the_end(count: int) -> None:
    """At the end, nine 403s fail their tokens, and ten blame the credential."""
    world = World()
    world.reads = [DENIED] * count
    await world.run(*map(item_of, range(count)))

    if count >= MIN_FORBIDDEN:
        with pytest.raises(Forbidden):
            await world.executor.held_back.finish(is_complete=True)
        assert {record[1] for record in world.records} == {UNTOUCHED}
        return
    await world.executor.held_back.finish(is_complete=True)
    assert {record[1] for record in world.records} == {Outcome.FAILED}


async def test_403s_before_an_interruption() -> None:
    """An interrupted job leaves tokens with a 403 open, and raises no error."""
    world = World()
    world.reads = [DENIED]
    await world.run()

    await world.executor.held_back.finish(is_complete=False)

    assert world.records == [(10, UNTOUCHED, "the API says 403")]


async def test_403_for_a_token_in_doubt() -> None:
    """A token in doubt with a 403 is unknown, even if the credential is to blame."""
    world = World()
    world.reads = [DENIED]
    await world.run(item_of(in_doubt=True))

    await world.executor.held_back.finish(is_complete=False)

    assert world.records == [(10, Outcome.UNKNOWN, "the API says 403", None)]


async def test_finish_without_unconfirmed_results() -> None:
    """`finish` sends and records nothing if no result is held back."""
    world = World()
    await world.run()
    records = list(world.records)

    await world.executor.held_back.finish(is_complete=True)

    assert (world.records, world.sent) == (records, ["read", "change"])


@pytest.mark.parametrize("error", [ResponseError("odd"), STRANGER])
async def test_failed_read_is_repeated(error: LosantError) -> None:
    """A read is repeated after a backoff if the API did not respond."""
    world = World()
    world.reads = [error]

    assert await world.run() == [(10, Outcome.DONE, None)]
    assert (world.sent, world.backed_off) == (["read", "read", "change"], 1)
