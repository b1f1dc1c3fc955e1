"""The tokens for completion: from the service, and from a private file for a minute."""

import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from losant_tokens.cli._completion import known_tokens as completion_cache
from losant_tokens.cli._completion.known_tokens import (
    KnownToken,
    cache_folder,
    is_waiting,
    known_tokens,
)
from losant_tokens.testing import FakeLosant
from tests.support.command import Command


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "losant-tokens"


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """A request that goes on after its time ends with the test, and is not seen by the next."""
    yield
    for thread in threading.enumerate():
        if thread.name == completion_cache._THREAD:
            thread.join()


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def set_age(path: Path, seconds: float) -> None:
    changed = time.time() - seconds
    os.utime(path, (changed, changed))


def test_tokens_are_cached(fake: FakeLosant, service: str, cache: Path) -> None:
    """A second completion within a minute sends no request."""
    token = fake.add_token("ci")

    first, requests = known_tokens("user"), len(fake.requests)
    second = known_tokens("user")

    assert token.id in [one.id for one in first]
    assert "ci" in [one.name for one in first]
    assert (second, len(fake.requests)) == (first, requests)


def test_cache_expires(fake: FakeLosant, service: str, cache: Path) -> None:
    """After a minute, the tokens are listed again, and old files are removed."""
    known_tokens("user")
    set_age(only_file(cache), 61)
    (cache / "other.tokens.json").write_text("[]")
    set_age(cache / "other.tokens.json", 61)
    fake.add_token("new")

    assert "new" in [one.name for one in known_tokens("user")]
    assert only_file(cache).name != "other.tokens.json"


def test_cache_is_private(fake: FakeLosant, service: str, cache: Path) -> None:
    """The cache is for this user only, and has no secret and no access token."""
    secret = fake.add_token("ci").secret
    known_tokens("user")

    path = only_file(cache)
    text = f"{path.name} {path.read_text()}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert [one for one in (fake.admin_token, secret) if one in text] == []
    assert set(json.loads(path.read_text())[0]) == {"id", "name", "status", "creator"}


def test_each_account_has_its_own_file(
    fake: FakeLosant, service: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another owner, another access token or another API has a file of its own."""
    known_tokens("user")
    known_tokens("oauth")
    monkeypatch.setenv("LOSANT_API_TOKEN", "another")
    assert known_tokens("user") == []

    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize(
    "text", ["", "{", "3", "[3]", '[{"id": "1"}]', "[" * 100_000, '[{"secret": "x"}]']
)
def test_damaged_cache(fake: FakeLosant, service: str, cache: Path, text: str) -> None:
    """A file that cannot be read is replaced."""
    known_tokens("user")
    only_file(cache).write_text(text)
    fake.add_token("new")

    assert "new" in [one.name for one in known_tokens("user")]


def test_cache_of_somebody_else(fake: FakeLosant, service: str, cache: Path) -> None:
    """A file that other users can access is not trusted."""
    known_tokens("user")
    only_file(cache).write_text('[{"id": "1", "name": "planted"}]')
    only_file(cache).chmod(0o644)

    assert "planted" not in [one.name for one in known_tokens("user")]


def test_cache_that_cannot_be_written(fake: FakeLosant, service: str, cache: Path) -> None:
    """Without a folder for the cache, the tokens are listed each time."""
    fake.add_token("ci")
    cache.parent.write_text("a file")

    assert "ci" in [one.name for one in known_tokens("user")]


def test_interrupted_write(
    fake: FakeLosant, service: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that fails leaves no file behind."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("json.dump", fail)
    known_tokens("user")

    assert list(cache.iterdir()) == []


def test_failures_are_silent(fake: FakeLosant, service: str, cache: Path, command: Command) -> None:
    """A failure offers no tokens, prints nothing, and is remembered for a few seconds."""
    fake.fail(status=503, times=1)

    assert command("__complete", "zsh", "show", "")[1].splitlines()[1].startswith("--owner")
    requests = len(fake.requests)
    assert (known_tokens("user"), len(fake.requests)) == ([], requests)

    fake.add_token("ci")
    set_age(only_file(cache), 11)
    assert "ci" in [one.name for one in known_tokens("user")]


def test_slow_service(service: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Completion does not wait for a service that is slow."""
    responds = threading.Event()
    monkeypatch.setattr(completion_cache, "TIMEOUT", 0.05)
    monkeypatch.setattr(completion_cache, "_request", lambda _: responds.wait())

    assert known_tokens("user") == []
    assert is_waiting()
    responds.set()


def test_no_access_token(
    fake: FakeLosant, service: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an access token, nothing is requested and nothing is written."""
    monkeypatch.delenv("LOSANT_API_TOKEN")

    assert (known_tokens("user"), cache.exists(), fake.requests) == ([], False, ())
    assert not is_waiting()


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The cache is in the home folder by default, and nowhere without one."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "losant-tokens"

    def no_home() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", no_home)
    assert cache_folder() is None


def test_without_a_home_folder(
    fake: FakeLosant, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a home folder, tokens are listed each time."""
    monkeypatch.setattr(completion_cache, "cache_folder", lambda: None)
    fake.add_token("ci")

    assert "ci" in [one.name for one in known_tokens("user")]
    assert known_tokens("zzz") == []


def test_unknown_names() -> None:
    """A known token needs only an id and a name."""
    assert KnownToken("1", "a") == KnownToken("1", "a", "", "")
