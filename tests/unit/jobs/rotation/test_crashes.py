"""Rotations that are killed at any step, and resumed."""

from pathlib import Path

import pytest

from losant_tokens.jobs import Rotation, RotationStage
from tests.support.rotations import Killed, Steps, World, counted_writes

FAILURES = [
    pytest.param((), id="sink works"),
    pytest.param(("refuses",), id="sink refuses"),
    pytest.param(("fails",), id="sink fails"),
    pytest.param(("stores",), id="sink stores and fails"),
]


def world_in(folder: Path, failures: tuple[str, ...]) -> World:
    folder.mkdir()
    return World(folder, *failures)


def is_kill(error: BaseException) -> bool:
    """Return whether an error is a kill, in groups or not."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_kill, error.exceptions))
    return isinstance(error, Killed)


async def killed_at(step: int, world: World, again: int = 0) -> bool:
    """Rotate two tokens, one of them in use, and kill the process; return whether it was killed.

    After each step, the users must have working tokens, and each new token must be known.
    """
    old, own = world.add("ci-1", description="first"), world.add("admin", scope=["all.User"])

    async def start() -> Rotation:
        # The command has the token that its users have.
        return await world.rotate(old.id, own.id, client=world.client(own.secret))

    async def go_on() -> Rotation:
        return await world.resume(world.client(world.store.secrets[own.id]))

    kills, rotation = [again, 0], None
    world.steps = Steps(step, world.users_have_working_tokens)
    with counted_writes(world):
        for _ in range(8):
            try:
                rotation = await (go_on() if world.journal.exists() else start())
            except (Killed, BaseExceptionGroup) as error:
                if not is_kill(error):
                    raise
                world.steps = Steps(kills.pop(0), world.users_have_working_tokens)
            assert world.steps.unsafe == []
            assert world.unknown() == []
            if rotation is not None and rotation.is_complete:
                break
    assert rotation is not None
    assert {token.stage for token in rotation.tokens} == {RotationStage.RETIRED}
    successors = [token.successor_id for token in rotation.tokens]
    working = [token for token in world.made() if token.status == "active"]
    assert sorted(token.id for token in working) == sorted(map(str, successors))
    assert {token.description for token in working} == {"first", ""} or all(
        "[rotation" not in (token.description or "") for token in working
    )
    assert all(world.token(token.id).status == "inactive" for token in (old, own))
    quarantined = {key[1] for one in world.ledger.quarantines() for key in one.changes}
    left = {token.id for token in world.made()} - {token.id for token in working}
    assert quarantined == {old.id, own.id} | left
    return len(kills) < 2


@pytest.mark.slow
@pytest.mark.sweep(sample=1)
@pytest.mark.parametrize("failures", FAILURES)
async def test_killed_at_each_step(
    tmp_path: Path, failures: tuple[str, ...], thorough: bool
) -> None:
    """Killed at any step and resumed, a rotation ends with one working successor for each token."""
    step, stride = 1, 9 if thorough else 13
    while await killed_at(step, world_in(tmp_path / str(step), failures)):
        step += stride

    assert step > 60
