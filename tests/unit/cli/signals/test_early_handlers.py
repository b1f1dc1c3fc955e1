"""Handlers of SIGINT, SIGTERM and SIGHUP."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from losant_tokens.cli._signals.early_handlers import (
    STOP_SIGNALS,
    exit_at_once,
    handled,
    ignore_stop_signals,
    interrupt,
)
from tests.support.signals import send


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_handled(number: int) -> None:
    """A handler receives stop signals during the block, and the previous one is restored."""
    before = signal.getsignal(number)
    seen: list[int] = []

    with handled(seen.append):
        send(number)

    assert (seen, signal.getsignal(number)) == ([number], before)


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


def test_exit_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler for imports writes one line and exits with 130."""
    calls: list[object] = []
    monkeypatch.setattr(os, "write", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(os, "_exit", calls.append)

    exit_at_once(2)

    assert calls == [(2, b"losant-tokens: interrupted\n"), 130]


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
