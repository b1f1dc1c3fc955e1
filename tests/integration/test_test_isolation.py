"""The tests themselves: where they write, and which signals reach them."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import FOLDERS
from tests.support.footprint import footprint
from tests.support.signals import STOP_SIGNALS, delivered_stop_signals


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_of_the_user(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The home folder and the folders for state are temporary while tests run."""
    assert tmp_path_factory.getbasetemp() in Path(os.environ[name]).parents


def test_temporary_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Temporary files are in the temporary folder of the test run."""
    assert tmp_path_factory.getbasetemp() in Path(tempfile.gettempdir()).parents


def test_new_files_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file that a test leaves in the user's state is found."""
    monkeypatch.setattr("tests.support.footprint.HOME", tmp_path)
    before = footprint()
    plan = tmp_path / ".local/state/losant-tokens/plan.jsonl"
    plan.parent.mkdir(parents=True)
    plan.touch()

    assert footprint() - before == {plan.parent, plan}


@pytest.mark.process
@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_ignored_signals_are_delivered(number: signal.Signals) -> None:
    """A test can stop a child process by a signal that the test run itself ignores."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with delivered_stop_signals():
            process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            process.send_signal(number)
            process.wait(timeout=20)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)

    assert process.returncode in {-number, 1}  # 1: Python reports SIGINT as KeyboardInterrupt
