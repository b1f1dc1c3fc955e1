"""SIGINT, SIGTERM and SIGHUP, sent to this process."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest

from losant_tokens.cli._connect import run_until_stopped
from losant_tokens.cli._signal_handlers import (
    STOP_SIGNALS,
    exit_at_once,
    handled,
    ignore_stop_signals,
    interrupt,
)
from losant_tokens.cli._stop_signals import StopSignals
from losant_tokens.testing import FakeLosant
from tests.e2e.test_processes import start, until, until_line


def send(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_handled(number: int) -> None:
    """A handler receives stop signals during the block, and the previous one is restored."""
    before = signal.getsignal(number)
    seen: list[int] = []

    with handled(seen.append):
        send(number)

    assert ([number], before) == (seen, signal.getsignal(number))


def test_ignored_signals_stay_ignored() -> None:
    """A signal that the parent process ignores, as with nohup, stays ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handled(interrupt):
            send(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_command_in_another_thread() -> None:
    """A program can run the command in another thread, which cannot set handlers."""
    before = signal.getsignal(signal.SIGTERM)

    def run() -> bool:
        with handled(interrupt):
            return signal.getsignal(signal.SIGTERM) == before

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(run).result()


def test_interrupt() -> None:
    """SIGTERM ends a command as Ctrl-C does."""
    with handled(interrupt), pytest.raises(KeyboardInterrupt):
        send()


def test_postponed() -> None:
    """Two signals are postponed until the block is done; the third ends it."""
    signals = StopSignals()

    with signals.postponed():
        send()
        send()
        assert 2 == signals.count
        with pytest.raises(KeyboardInterrupt):
            send()


async def test_signals_before_the_loop() -> None:
    """A signal that arrived before the event loop started is handled."""
    seen: list[int] = []
    signals = StopSignals(1)

    with signals.listening(lambda: seen.append(signals.count)):
        await anyio.sleep(0.01)

    assert [1] == seen


def test_work_is_cancelled() -> None:
    """Without a grace period, the first signal cancels the work."""
    ends: list[str] = []

    async def work() -> None:
        send()
        try:
            await anyio.sleep(30)
        finally:
            ends.append("cancelled")

    with pytest.raises(KeyboardInterrupt):
        run_until_stopped(work)

    assert ["cancelled"] == ends


def test_work_within_the_grace_period(capsys: pytest.CaptureFixture[str]) -> None:
    """Work that ends within the grace period returns its result."""

    async def work() -> str:
        send()
        await anyio.sleep(0.05)
        return "done"

    assert "done" == run_until_stopped(work, grace=20)
    assert "Stopping: waiting up to 20 seconds for requests in flight." in capsys.readouterr().err


@pytest.mark.parametrize(("signals", "grace"), [(1, 0.1), (2, 30.0)])
def test_work_after_the_grace_period(signals: int, grace: float) -> None:
    """The grace period and a second signal both end the work."""
    began = time.monotonic()

    async def work() -> None:
        for _ in range(signals):
            send()
            await anyio.sleep(0.01)
        await anyio.sleep(30)

    with pytest.raises(KeyboardInterrupt):
        run_until_stopped(work, grace=grace)

    assert time.monotonic() - began < 5


def test_exit_at_once() -> None:
    """Ctrl-C during imports ends the process with one line."""
    code = (
        "import os, signal\n"
        "from losant_tokens.cli._signal_handlers import exit_at_once, handled\n"
        "with handled(exit_at_once): os.kill(os.getpid(), signal.SIGINT)\n"
        "print('still there')\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    expected = (130, "", "losant-tokens: interrupted\n")
    assert expected == (done.returncode, done.stdout, done.stderr)


def test_first_handler_imports_little() -> None:
    """Ctrl-C is handled before the slow imports of asyncio, attrs and cyclopts."""
    code = (
        "import sys, losant_tokens.cli._signal_handlers\n"
        "print(sys.modules.keys() & {'asyncio', 'attrs', 'cyclopts'})\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "set()\n" == done.stdout


def test_exit_at_once_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler for imports writes one line and exits with 130."""
    calls: list[object] = []
    monkeypatch.setattr(os, "write", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(os, "_exit", calls.append)

    exit_at_once(2)

    assert [(2, b"losant-tokens: interrupted\n"), 130] == calls


def test_signals_are_ignored_at_exit() -> None:
    """Stop signals are ignored while the interpreter exits."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        ignore_stop_signals()
        for number in STOP_SIGNALS:
            send(number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- The commands ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_delete(fake: FakeLosant, service: str, number: int) -> None:
    """A stopped deletion prints each deleted id and starts no other."""
    ids = [fake.add_token(f"ci-{n}").id for n in range(100)]
    fake.fail("latency", seconds=0.3, times=None, method="DELETE", after_acting=True)
    with start("delete", "--yes", *ids) as process:
        until(lambda: len(fake.tokens()) < 90)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)

    gone = set(ids) - {token.id for token in fake.tokens()}
    assert (130, gone) == (process.returncode, set(out.split()))
    assert f"Deleted {len(gone)} of 100, {100 - len(gone)} not started.\n" in err


def test_delete_in_doubt(fake: FakeLosant, service: str) -> None:
    """Tokens whose requests were cancelled are reported as possibly deleted."""
    token = fake.add_token("ci")
    fake.fail("latency", seconds=30, method="DELETE", after_acting=True)
    with start("delete", "--yes", token.id) as process:
        until(lambda: not fake.tokens())
        process.send_signal(signal.SIGTERM)
        until_line(process, "Stopping: ")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)

    assert (130, "") == (process.returncode, out)
    assert err.startswith(f"{token.id} may have been deleted: no response confirms it.\n")


def test_create_within_the_grace_period(fake: FakeLosant, service: str) -> None:
    """A token that is created within the grace period has its secret printed."""
    fake.fail("latency", seconds=0.5, method="POST", after_acting=True)
    with start("create", "ci") as process:
        until(fake.tokens)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)

    assert (0, f"{fake.tokens()[0].secret}\n") == (process.returncode, out)


def test_patch_in_doubt(fake: FakeLosant, service: str) -> None:
    """A cancelled change is reported as possibly made, with the command to check."""
    token = fake.add_token("ci")
    fake.fail("latency", seconds=30, method="PATCH", after_acting=True)
    with start("patch", token.id, "--name", "new") as process:
        until(lambda: fake.requests)
        process.send_signal(signal.SIGHUP)
        until_line(process, "Stopping: ")
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate(timeout=20)

    assert 130 == process.returncode
    assert f"The token may have been changed: check with `losant-tokens show {token.id}`." in err


def test_patch_within_the_grace_period(fake: FakeLosant, service: str) -> None:
    """A change that is made within the grace period is shown."""
    token = fake.add_token("ci")
    fake.fail("latency", seconds=0.5, method="PATCH")
    with start("patch", token.id, "--name", "new") as process:
        until(lambda: fake.requests)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)

    assert (0, "Name:        new") == (process.returncode, out.splitlines()[1])


def test_signals_need_no_threads() -> None:
    """Signals are handled without additional threads."""
    before = threading.active_count()
    with StopSignals().postponed():
        pass

    assert before == threading.active_count()
