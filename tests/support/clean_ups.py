"""Tokens to clean up, and a folder of state of their own, for tests of the command."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from losant_tokens.testing import FakeLosant


def fake_with_tokens(
    now: Callable[[], datetime] | None = None, *, kept: int = 9, ids: bool = False
) -> FakeLosant:
    """Return a fake with 4 tokens to clean up, `ci-0` to `ci-3`, and others to keep.

    Args:
        now: The clock of the fake.
        kept: The number of tokens to keep.
        ids: Whether the tokens to clean up have ids from 0 to 3.
    """
    fake = FakeLosant() if now is None else FakeLosant(now=now)
    for number in range(4):
        fake.add_token(f"ci-{number}", id=f"{number:024x}" if ids else None)
    for number in range(kept):
        fake.add_token(f"keep-{number}")
    return fake


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a temporary folder, and return the folder of state in it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "state" / "losant-tokens"
