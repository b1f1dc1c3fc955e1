"""SIGINT, SIGTERM and SIGHUP, sent to processes."""

import signal
import subprocess
import sys

import pytest

from losant_tokens.cli._early_signal_handlers import STOP_SIGNALS
from losant_tokens.testing import FakeLosant
from tests.e2e.test_processes import start, until, until_line


def test_exit_at_once() -> None:
    """Ctrl-C during imports ends the process with one line."""
    code = (
        "import os, signal\n"
        "from losant_tokens.cli._early_signal_handlers import exit_at_once, handled\n"
        "with handled(exit_at_once): os.kill(os.getpid(), signal.SIGINT)\n"
        "print('still there')\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    expected = (130, "", "losant-tokens: interrupted\n")
    assert (done.returncode, done.stdout, done.stderr) == expected


def test_first_handler_imports_little() -> None:
    """Ctrl-C is handled before the slow imports of asyncio, attrs and cyclopts."""
    code = (
        "import sys, losant_tokens.cli._early_signal_handlers\n"
        "print(sys.modules.keys() & {'asyncio', 'attrs', 'cyclopts'})\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


@pytest.mark.sweep(sample=1)
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
    assert (process.returncode, set(out.split())) == (130, gone)
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

    assert (process.returncode, out) == (130, "")
    assert err.startswith(f"{token.id} may have been deleted: no response confirms it.\n")


def test_create_within_the_grace_period(fake: FakeLosant, service: str) -> None:
    """A token that is created within the grace period has its secret printed."""
    fake.fail("latency", seconds=0.5, method="POST", after_acting=True)
    with start("create", "ci") as process:
        until(fake.tokens)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)

    assert (process.returncode, out) == (0, f"{fake.tokens()[0].secret}\n")


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

    assert process.returncode == 130
    assert f"The token may have been changed: check with `losant-tokens show {token.id}`." in err


def test_patch_within_the_grace_period(fake: FakeLosant, service: str) -> None:
    """A change that is made within the grace period is shown."""
    token = fake.add_token("ci")
    fake.fail("latency", seconds=0.5, method="PATCH")
    with start("patch", token.id, "--name", "new") as process:
        until(lambda: fake.requests)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)

    assert (process.returncode, out.splitlines()[1]) == (0, "Name:        new")
