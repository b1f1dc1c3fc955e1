"""A run of `notify` that is killed, or that meets another one, loses no notice."""

import shlex
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from losant_tokens.testing import FakeLosant
from tests.e2e.test_processes import finished, start


@pytest.fixture(autouse=True)
def state(fake: FakeLosant, service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a token that expires soon, and use an empty state folder."""
    fake.add_token("ci", expiration_date=datetime.now(UTC) + timedelta(days=5))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.mark.slow
def test_killed_after_the_delivery(tmp_path: Path) -> None:
    """A run that is killed before it records the delivery is repeated, with the same id."""
    ids, alive = tmp_path / "ids", tmp_path / "alive"
    script = f"cat; echo $LOSANT_MESSAGE_ID >> {ids}; test -e {alive} || kill -9 $PPID"
    arguments = ("notify", "--to-command", f"sh -c {shlex.quote(script)}")

    killed = finished(*arguments)
    alive.touch()
    repeated, quiet = finished(*arguments), finished(*arguments)

    assert killed[0] == -signal.SIGKILL
    assert [repeated[2], quiet[2]] == [
        "1 token was reported to sh.\n",
        "Nothing new to report: 1 token was reported before.\n",
    ]
    first, second = ids.read_text().split()
    assert first == second


@pytest.mark.slow
def test_two_runs_at_the_same_time(tmp_path: Path) -> None:
    """Of two processes at the same time, one delivers, and the other waits for it."""
    script = f"sleep 0.5; cat >> {tmp_path}/messages"
    arguments = ("notify", "--to-command", f"sh -c {shlex.quote(script)}")
    with start(*arguments) as one, start(*arguments) as other:
        results = sorted(process.communicate(timeout=30)[1] for process in (one, other))

    assert results == [
        "1 token was reported to sh.\n",
        "Nothing new to report: 1 token was reported before.\n",
    ]
    assert (tmp_path / "messages").read_text().count("ci") == 1
