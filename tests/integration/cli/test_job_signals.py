"""Stop signals during jobs, in this process. `test_processes` has the tests with processes."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from losant_tokens.cli import _fake_process
from losant_tokens.cli._signals import stop_signals
from losant_tokens.testing import FakeLosant
from tests.support.command import Command, process_that_prints

Interrupt = Callable[[int], None]


@pytest.fixture
def fake() -> FakeLosant:
    """Return a fake that is slow to delete the first token."""
    fake = FakeLosant()
    for number in range(40):
        fake.add_token(f"ci-{number}", status="inactive")
    fake.fail("latency", seconds=0.5, method="DELETE", times=8)
    return fake


@pytest.fixture
def interrupt(fake: FakeLosant, monkeypatch: pytest.MonkeyPatch) -> Interrupt:
    """Send a number of signals after the first deletion."""

    def make(times: int) -> None:
        @contextmanager
        def handled(handler: Callable[[int], None]) -> Iterator[None]:
            over = threading.Event()

            def send() -> None:
                # The fake is served by another thread.
                while not any(request.method == "DELETE" for request in fake.requests):
                    if over.wait(0.01):
                        return
                for _ in range(times):
                    handler(2)
                    time.sleep(0.05)

            sender = threading.Thread(target=send)
            if handler.__name__ == "received":
                sender.start()
            yield
            over.set()
            if sender.ident is not None:
                sender.join()

        monkeypatch.setattr(stop_signals, "handled", handled)

    return make


CLEANUP = ("cleanup", "--inactive", "--allow-majority", "--yes", "--max-concurrency", "4")


def test_first_signal(
    fake: FakeLosant, service: str, command: Command, interrupt: Interrupt, tmp_path: Path
) -> None:
    """The first signal stops the job, which prints how to resume and exits with 130."""
    interrupt(1)

    code, out, err = command(*CLEANUP, "--out", str(tmp_path / "p.jsonl"))

    assert (code, ", not started " in out) == (130, True)
    assert (
        f"To resume: losant-tokens apply {tmp_path}/p.jsonl --resume --max-concurrency 4\n" in err
    )


def test_second_signal(
    fake: FakeLosant, service: str, command: Command, interrupt: Interrupt, tmp_path: Path
) -> None:
    """The second signal cancels requests in flight, and the totals are printed."""
    fake.clear_faults()
    fake.fail("latency", seconds=60, method="DELETE", times=None)
    interrupt(2)

    code, out, err = command(*CLEANUP, "--out", str(tmp_path / "p.jsonl"))

    advice = f"To resume: losant-tokens apply {tmp_path}/p.jsonl --resume --max-concurrency 4\n"
    assert err.endswith(advice)
    assert (code, len(fake.tokens())) == (130, 40)
    assert re.match("Deleted 0, left alone 0, failed 0, in doubt [1-4], not started 3[6-9]: ", out)


def test_signal_during_the_last_requests(
    fake: FakeLosant, service: str, command: Command, interrupt: Interrupt, tmp_path: Path
) -> None:
    """A signal during the last requests lets them finish, and the job is complete."""
    for token in fake.tokens()[1:]:
        fake._store.remove(token)
    interrupt(1)

    code, out, err = command(*CLEANUP)

    assert (code, out.startswith("Deleted 1, ")) == (0, True)
    assert "--resume" not in err


def test_demo(
    fake: FakeLosant, command: Command, interrupt: Interrupt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped demo prints its totals and no command to resume."""
    for number in range(40):
        fake.add_token(f"needed-{number}")
    interrupt(1)
    with fake.serve() as base_url:
        monkeypatch.setattr(
            _fake_process, "_COMMAND", process_that_prints(base_url, fake.admin_token)
        )
        code, out, err = command("demo", "--concurrency", "2")

    assert (code, out.splitlines()[-1].startswith("Deleted ")) == (130, True)
    assert "--resume" not in err
