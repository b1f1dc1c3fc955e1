"""What is left to do, and how it comes to hand."""

from collections.abc import Iterator

import anyio
from anyio.lowlevel import checkpoint

from losant_tokens import Owner
from losant_tokens.jobs._journal import States
from losant_tokens.jobs._plan_format import entry_json, json_line
from losant_tokens.jobs._values import Entry, Outcome
from losant_tokens.jobs._work import Work

OWNER = Owner.application("575ec8687ae143cd83dc4a97")


def entry(number: int, protected: str | None = None) -> Entry:
    """An entry of a plan."""
    return Entry(
        OWNER, f"{number:024x}", f"ci-{number}", "active", None, None, None, "old", protected
    )


def lines(count: int, *protected: int) -> list[bytes]:
    """So many lines of a plan, some of them about protected tokens."""
    entries = (entry(n, "so I say" if n in protected else None) for n in range(count))
    return [json_line(entry_json(entry)) + b"\n" for entry in entries]


async def test_open_ones_come_to_hand() -> None:
    """What was settled is left out; what was asked for, and not answered, is said to be that."""
    all_lines, states = lines(6), States.of(6)
    states.note(1, 1)  # intended
    for number in (0, 2, 3):
        states.note(number, 2)
    assert [states.outcome(number) for number in (0, 1)] == [Outcome.DONE, Outcome.UNKNOWN]
    work = Work(iter([all_lines[:3], all_lines[3:]]), states)

    found = []
    while work.at_hand or await work.read_on():
        found.append(work.at_hand.popleft())

    assert [(todo.number, todo.was_asked_for) for todo in found] == [
        (1, True),
        (4, False),
        (5, False),
    ]
    assert [todo.entry for todo in found] == [entry(1), entry(4), entry(5)]
    assert {(todo.owner, todo.id) for todo in found} == {(OWNER, entry(n).id) for n in (1, 4, 5)}
    assert not await work.read_on()


async def test_next_ones() -> None:
    """Those that come next are those that will be changed, and were not asked for before."""
    states = States.of(6)
    states.note(3, 1)
    work = Work(iter([lines(6, 1)]), states)
    await work.read_on()

    assert (work.next_ones(5), work.next_ones(1), work.next_ones(0)) == ([0, 2, 4], [0], [])


async def test_others_have_turns_while_it_reads_on() -> None:
    """However much was settled before, others have a turn after each chunk of it."""
    turns = 0
    at_each_chunk = []
    states = States.of(100)
    for number in range(99):
        states.note(number, 2)

    def chunks() -> Iterator[list[bytes]]:
        for part in range(0, 100, 10):
            at_each_chunk.append(turns)
            yield lines(100)[part : part + 10]

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    work = Work(chunks(), states)
    async with anyio.create_task_group() as group:
        group.start_soon(count)
        assert await work.read_on()
        group.cancel_scope.cancel()

    assert [todo.number for todo in work.at_hand] == [99]
    assert sorted(set(at_each_chunk)) == at_each_chunk
