"""The work queue: its tokens and their order."""

from collections.abc import Iterator

import anyio
import pytest
from anyio.lowlevel import checkpoint

from losant_tokens import Owner
from losant_tokens.jobs import PlanRefused
from losant_tokens.jobs._execution.queue import WorkItem, WorkQueue
from losant_tokens.jobs._token_progress import INTENDED, UNTOUCHED, States
from losant_tokens.jobs._types import Entry, Outcome

OWNER = Owner.application("575ec8687ae143cd83dc4a97")
DONE, FAILED = "done", "failed"


def entry(number: int) -> Entry:
    """Return an entry of a plan."""
    return Entry(OWNER, f"{number:024x}", f"ci-{number}", "active", None, None, None, "old")


def entries(count: int) -> list[Entry]:
    """Return the tokens of a plan."""
    return [entry(number) for number in range(count)]


async def all_items(queue: WorkQueue) -> list[WorkItem]:
    """Return all items of a queue."""
    found = []
    while (item := await queue.next()) is not None:
        found.append(item)
    return found


async def test_unfinished_tokens_are_returned() -> None:
    """The queue skips finished tokens, and an intended token is in doubt."""
    all_entries, states = entries(6), States.of(6)
    states.record(1, INTENDED)
    for number in (0, 2, 3):
        states.record(number, DONE)
    assert [states.outcome(number) for number in (0, 1)] == [Outcome.DONE, Outcome.UNKNOWN]
    queue = WorkQueue(iter([all_entries[:3], all_entries[3:]]), states)

    found = await all_items(queue)

    assert [(item.number, item.in_doubt, item.must_verify) for item in found] == [
        (1, True, True),
        (4, False, False),
        (5, False, False),
    ]
    assert [item.entry for item in found] == [entry(1), entry(4), entry(5)]
    assert queue.is_empty


@pytest.mark.parametrize(("retry_failed", "expected"), [(False, [1]), (True, [1, 0])])
async def test_failed_tokens_are_returned_on_request(
    retry_failed: bool, expected: list[int]
) -> None:
    """Failed tokens are returned with `retry_failed` only, and last."""
    states = States.of(2)
    states.record(0, FAILED, "400")
    assert states.outcome(0) is Outcome.FAILED
    queue = WorkQueue(iter([entries(2)]), states, retry_failed=retry_failed)

    found = await all_items(queue)

    assert [item.number for item in found] == expected


async def test_tokens_with_errors_come_last() -> None:
    """A token with an error from an earlier run comes after all others."""
    states = States.of(3)
    states.record(0, UNTOUCHED, "403")
    queue = WorkQueue(iter([entries(3)]), states)

    found = await all_items(queue)

    assert [item.number for item in found] == [1, 2, 0]


async def test_deferred_items_come_last() -> None:
    """A deferred item comes after all others, with all its attempts."""
    queue = WorkQueue(iter([entries(3)]), States.of(3))
    first = await queue.next()
    assert first is not None
    first.failures = 5
    queue.defer(first)

    found = await all_items(queue)

    assert [item.number for item in found] == [1, 2, 0]
    assert (first.failures, first.was_deferred) == (0, True)


async def test_plan_with_more_tokens_than_its_header_is_refused() -> None:
    """A plan with more lines than its header states is refused."""
    queue = WorkQueue(iter([entries(3)]), States.of(2))

    with pytest.raises(PlanRefused, match="more tokens than the 2 of its header"):
        await queue.next()


async def test_other_tasks_run_between_batches() -> None:
    """Other tasks run after each batch of finished tokens."""
    turns = 0
    at_each_batch = []
    states = States.of(100)
    for number in range(99):
        states.record(number, DONE)

    def batches() -> Iterator[list[Entry]]:
        for part in range(0, 100, 10):
            at_each_batch.append(turns)
            yield entries(100)[part : part + 10]

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    queue = WorkQueue(batches(), states)
    async with anyio.create_task_group() as group:
        group.start_soon(count)
        item = await queue.next()
        group.cancel_scope.cancel()

    assert item is not None
    assert item.number == 99
    assert sorted(set(at_each_batch)) == at_each_batch
