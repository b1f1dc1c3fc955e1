"""`fleet demo`, and the proof that it ends with."""

import sys
from collections import Counter
from datetime import UTC, datetime

import pytest

from losant_tokens.cli._fleet import demo
from losant_tokens.cli._fleet.demo import Snapshot, prove
from losant_tokens.cli.commands import fleet_demo
from tests.support.command import Command

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 2, tzinfo=UTC)
BEFORE = Snapshot(
    {
        "a": ("ci-1", "active", NOW),
        "b": ("ci-2", "active", NOW),
        "c": ("prod-1", "active", NOW),
    },
    Counter(patch=2),
)
KEPT = {"c": ("prod-1", "active", NOW)}


@pytest.mark.slow
@pytest.mark.usefixtures("measured_processes")
def test_fleet_demo(command: Command) -> None:
    """The demo kills a worker in the middle, and ends with a proof from the servers."""
    code, out, err = command("fleet", "demo", "--tokens", "100")

    lines = out.splitlines()
    proofs = {line.split()[0]: line.split()[1:] for line in lines[-4:-1]}
    assert code == 0, err
    assert lines[-1].startswith("Each planned change was made once, although a worker was killed.")
    assert list(proofs) == ["acme", "bolt", "corp"]
    for planned, changes_planned, changes_made, wrong in proofs.values():
        assert int(planned) > 10
        assert (int(changes_planned), changes_made, wrong) == (
            2 * int(planned),
            changes_planned,
            "0",
        )
    assert [line.split()[1] for line in lines[5:8]] == ["done", "done", "restored"]
    assert "worker-1 was killed (kill -9), in the middle of its work." in err
    assert err.count("$ losant-tokens fleet ") == 4


@pytest.mark.parametrize(
    ("after", "is_restored", "expected"),
    [
        (Snapshot(KEPT, Counter(patch=4, delete=2)), False, (4, 0, True)),
        # A token was deactivated twice.
        (Snapshot(KEPT, Counter(patch=5, delete=2)), False, (5, 0, False)),
        # A token is left, or was never changed.
        (
            Snapshot({**KEPT, "b": ("ci-2", "inactive", LATER)}, Counter(patch=4, delete=1)),
            False,
            (3, 1, False),
        ),
        # Another token has changed, is missing, or is new.
        (
            Snapshot({"c": ("prod-1", "active", LATER)}, Counter(patch=5, delete=2)),
            False,
            (5, 1, False),
        ),
        (Snapshot({}, Counter(patch=4, delete=3)), False, (5, 1, False)),
        (
            Snapshot({**KEPT, "d": ("new", "active", LATER)}, Counter(patch=4, delete=2, post=1)),
            False,
            (5, 1, False),
        ),
        # The account was restored: both tokens were deactivated and activated again.
        (
            Snapshot({**BEFORE.tokens, "a": ("ci-1", "active", LATER)}, Counter(patch=6)),
            True,
            (4, 0, True),
        ),
        (
            Snapshot({**BEFORE.tokens, "a": ("ci-1", "inactive", LATER)}, Counter(patch=6)),
            True,
            (4, 1, False),
        ),
        (Snapshot({"b": BEFORE.tokens["b"], **KEPT}, Counter(patch=6)), True, (4, 1, False)),
    ],
)
def test_proof(after: Snapshot, is_restored: bool, expected: tuple[int, int, bool]) -> None:
    """Each difference between the servers and the plans makes the proof fail."""
    proof = prove(BEFORE, after, {"a", "b"}, is_restored=is_restored)

    assert (proof.changes_made, proof.wrong, proof.holds) == expected
    assert (proof.selected, proof.changes_planned) == (2, 4)


def test_proof_that_does_not_hold(capsys: pytest.CaptureFixture[str]) -> None:
    """If the servers differ from the plans, the demo fails and shows which account."""
    accounts = tuple(
        demo.DemoAccount(name, None)  # type: ignore[arg-type]  # It is not used.
        for name in ("acme", "corp")
    )
    before, after = dict.fromkeys(("acme", "corp"), BEFORE), dict.fromkeys(("acme", "corp"), BEFORE)

    code = fleet_demo._show_proof(accounts, before, after, {"acme": {"a"}, "corp": set()})

    out = capsys.readouterr().out
    assert code == 1
    assert out.splitlines()[1].split() == ["acme", "1", "2", "0", "1"]
    assert out.splitlines()[-1].startswith("The changes differ from the plans.")


@pytest.mark.slow
def test_worker_does_not_start(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line of a worker that does not start is part of the error."""
    monkeypatch.setattr(demo, "_COMMAND", (sys.executable, "-c", "import no_such_module"))

    code, out, err = command("fleet", "demo")

    assert (code, out) == (1, "")
    assert err.endswith(
        "losant-tokens: error: the worker did not start: "
        "ModuleNotFoundError: No module named 'no_such_module'\n"
    )
