"""The orderly stop after SIGINT, SIGTERM and SIGHUP."""

import threading
import time

import anyio
import pytest

from losant_tokens.cli import _event_loop
from losant_tokens.cli._event_loop import run_until_stopped
from losant_tokens.cli._signals.stop_signals import StopSignals
from tests.support.signals import send


def test_postponed() -> None:
    """Two signals are postponed until the block is done; the third ends it."""
    signals = StopSignals()

    with signals.postponed():
        send()
        send()
        assert signals.count == 2
        with pytest.raises(KeyboardInterrupt):
            send()


async def test_signals_before_the_loop() -> None:
    """A signal that arrived before the event loop started is handled."""
    seen: list[int] = []
    signals = StopSignals(1)

    with signals.listening(lambda: seen.append(signals.count)):
        await anyio.sleep(0.01)

    assert seen == [1]


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

    assert ends == ["cancelled"]


def test_work_without_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that a signal stopped before it returned raises KeyboardInterrupt."""
    monkeypatch.setattr(_event_loop, "run_event_loop", lambda _: [])

    with pytest.raises(KeyboardInterrupt):
        run_until_stopped(anyio.sleep_forever)


def test_work_within_the_grace_period(capsys: pytest.CaptureFixture[str]) -> None:
    """Work that ends within the grace period returns its result."""

    async def work() -> str:
        send()
        await anyio.sleep(0.05)
        return "done"

    assert run_until_stopped(work, grace=20) == "done"
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


def test_signals_need_no_threads() -> None:
    """Signals are handled without additional threads."""
    before = threading.active_count()
    with StopSignals().postponed():
        pass

    assert before == threading.active_count()
