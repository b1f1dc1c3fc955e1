"""The typing tests, as a list: `nox -s typing` checks them."""

from pathlib import Path

import pytest

from losant_tokens import AsyncClient, OwnerTokens, RawClient, accounts, jobs, leaks
from losant_tokens.testing import FakeLosant

FOLDER = Path(__file__).parents[1] / "typing"
ACCOUNTS, CLIENT, JOBS, FAKE = (
    (FOLDER / f"{name}.py").read_text() for name in ("accounts", "client", "jobs", "fake")
)


def methods(kind: type) -> list[str]:
    """Return the names of the public methods of a class."""
    return [name for name in vars(kind) if not name.startswith("_") and callable(vars(kind)[name])]


def calls() -> list[str]:
    """Return the public methods of the client's resources as they are called."""
    client = AsyncClient("t")
    resources = {name: type(getattr(client, name)) for name in RawClient.__annotations__}
    return [
        f"client.{name}.{method}(" for name, kind in resources.items() for method in methods(kind)
    ]


@pytest.mark.parametrize("call", calls())
def test_call(call: str) -> None:
    """The result of each operation of the API has a typing test."""
    assert call in CLIENT


def test_calls() -> None:
    """The list of operations has all operations of the API."""
    assert len(calls()) >= 41


@pytest.mark.parametrize("method", methods(OwnerTokens))
def test_owner_tokens(method: str) -> None:
    """The result of each method for the tokens of any owner has a typing test."""
    assert f"tokens.{method}(" in CLIENT


@pytest.mark.parametrize("name", [name for name in accounts.__all__ if name.islower()])
def test_accounts(name: str) -> None:
    """The result of each function of accounts has a typing test."""
    assert f"accounts.{name}(" in ACCOUNTS


@pytest.mark.parametrize(
    "name", [name for name in jobs.__all__ if name[0].islower() and not name.startswith("check_")]
)
def test_jobs(name: str) -> None:
    """The result of each function of jobs that returns something has a typing test."""
    assert f"jobs.{name}(" in JOBS


@pytest.mark.parametrize("name", [name for name in leaks.__all__ if name[0].islower()])
def test_leaks(name: str) -> None:
    """The result of each function of leaks has a typing test."""
    assert f"leaks.{name}(" in (FOLDER / "leaks.py").read_text()


@pytest.mark.parametrize(
    "method",
    [
        name
        for name in methods(FakeLosant)
        if not name.startswith(("add_fault", "clear_", "rate_limit"))
    ],
)
def test_fake(method: str) -> None:
    """The result of each method of the fake that returns something has a typing test."""
    assert f"fake.{method}(" in FAKE
