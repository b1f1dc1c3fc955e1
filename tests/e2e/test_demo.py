"""The demo, and the fake that it runs on."""

import contextlib
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from losant_tokens.cli import _fake_process
from losant_tokens.cli._errors import CommandError
from losant_tokens.cli._fake_process import running_fake
from losant_tokens.testing import FakeLosant
from tests.support.command import Command, process_that_prints


def test_demo(command: Command) -> None:
    """The demo shows the plan, applies it, and prints the totals."""
    code, out, err = command("demo", "--tokens", "60", "--concurrency", "3")

    title, last = out.splitlines()[0], out.splitlines()[-1]
    selected = int(title.split()[1])
    assert (code, 0 < selected < 60) == (0, True)
    assert title.startswith(f"Delete {selected} of 61 tokens at http://127.0.0.1:")
    assert f"\n= keep {61 - selected} tokens of user: not selected\n" in out
    assert last.startswith(f"Deleted {selected}, kept {61 - selected}, failed 0: ")
    assert last.endswith(" requests per second.")
    assert f"Deleting: {selected} of {selected}; " in err
    assert err.startswith("Starting a fake Losant with 60 tokens in a separate process...\n")
    assert "WARNING" not in err


@pytest.mark.slow
def test_demo_on_a_terminal(command: Command, terminal: Callable[..., None]) -> None:
    """On a terminal, a bar shows the progress."""
    terminal(columns=100)

    code, out, err = command("demo", "--tokens", "10")

    assert (code, "\x1b[31m- delete\x1b[0m " in out) == (0, True)
    assert "━" in err
    assert "Deleting" in err


@pytest.mark.slow
def test_demo_without_tokens(command: Command) -> None:
    """A demo without tokens has nothing to delete."""
    code, out, _ = command("demo", "--tokens", "0")

    assert (code, out.splitlines()[-1].split(":")[0]) == (0, "Deleted 0, kept 1, failed 0")


@pytest.mark.slow
def test_demo_deletes_expired_and_inactive_tokens(
    fake: FakeLosant, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo deletes only expired and inactive tokens, and not its own token."""
    fake.seed(200)
    bad = {t.id for t in fake.tokens() if t.status == "inactive" or t.expired(datetime.now(UTC))}
    good = {t.id for t in fake.tokens()} - bad

    with fake.serve() as base_url:
        monkeypatch.setattr(
            _fake_process, "_COMMAND", process_that_prints(base_url, fake.admin_token)
        )
        code, out, _ = command("demo", "--tokens", "200", "--concurrency", "7")

    left = fake.tokens()
    assert good | {left[-1].id} == {token.id for token in left}
    assert left[-1].name == "losant-tokens demo"
    assert left[-1].scope == ("userApiTokens.get", "userApiToken.get", "userApiToken.delete")
    assert (code, f"Deleted {len(bad)}, kept {len(good) + 1}, failed 0: " in out) == (0, True)


@pytest.mark.slow
def test_demo_with_failures(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens that the demo cannot delete are printed, and the exit code is 3."""
    fake = FakeLosant()
    fake.seed(60)
    fake.fail(status=400, method="DELETE", times=7)
    with fake.serve() as base_url:
        monkeypatch.setattr(
            _fake_process, "_COMMAND", process_that_prints(base_url, fake.admin_token)
        )
        code, out, err = command("demo", "--tokens", "60")

    assert code == 3
    assert ", failed 7: " in out
    assert err.count("): userApiToken.delete") == 5


def test_fake_does_not_start(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line of a fake that does not start is part of the error."""
    monkeypatch.setattr(_fake_process, "_COMMAND", (sys.executable, "-c", "import no_such_module"))

    code, out, err = command("demo")

    assert (code, out) == (1, "")
    assert err.endswith(
        "losant-tokens: error: the fake did not start: "
        "ModuleNotFoundError: No module named 'no_such_module'\n"
    )


def test_fake_ignores_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The fake is that of the installed package, not of a folder in the working directory."""
    (tmp_path / "losant_tokens").mkdir()
    (tmp_path / "losant_tokens" / "__init__.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)

    with running_fake("--tokens", "1") as fake:
        assert fake.is_running


_NOISY = """
import json, os, sys
print(json.dumps({"base_url": "", "token": os.environ.get("LOSANT_API_TOKEN", "none")}), flush=True)
sys.stdin.readline()
sys.stderr.write("a problem\\n" * 50_000)
print(json.dumps({"clock_offset": 86_400}), flush=True)
sys.stdin.readline()
"""


def test_fake_prints_many_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake continues after it has printed more to stderr than a pipe holds."""
    monkeypatch.setattr(_fake_process, "_COMMAND", (sys.executable, "-c", _NOISY))

    with running_fake() as fake:
        assert fake.move_clock("+1d") == timedelta(days=1)


def test_fake_gets_no_api_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process of the fake does not get the API token of the user, which it does not need."""
    monkeypatch.setattr(_fake_process, "_COMMAND", (sys.executable, "-c", _NOISY))
    monkeypatch.setenv("LOSANT_API_TOKEN", "a secret")

    with running_fake() as fake:
        assert fake.token == "none"


@pytest.mark.slow
@pytest.mark.parametrize("end", [None, KeyboardInterrupt, CommandError])
@pytest.mark.sweep(sample=1)
def test_fake_is_always_stopped(end: type[BaseException] | None) -> None:
    """The process of the fake ends with the block, even after an error."""
    with contextlib.suppress(end or Exception), running_fake("--tokens=1") as fake:
        status = httpx.get(fake.base_url).status_code
        was_running = fake.is_running
        if end:
            raise end("as a test")

    assert (status, was_running, fake.is_running) == (405, True, False)
    assert fake.token not in repr(fake)
    with pytest.raises(httpx.ConnectError):
        httpx.get(fake.base_url)
