"""The command `delete`."""

import sys
from collections.abc import Callable

import pytest

from losant_tokens.testing import FakeLosant
from tests.support.command import Command

ONE, TWO, GONE = "1" * 24, "2" * 24, "e" * 24


@pytest.fixture
def fake() -> FakeLosant:
    fake = FakeLosant()
    fake.add_token("ci-1", id=ONE)
    fake.add_token("ci-\x1b2", id=TWO)
    return fake


def test_delete(fake: FakeLosant, service: str, command: Command) -> None:
    """With --yes, tokens are deleted without confirmation, and their ids go to stdout."""
    code, out, err = command("delete", "--yes", ONE, TWO)

    assert (code, set(out.split()), err) == (0, {ONE, TWO}, "Deleted 2 of 2.\n")
    assert fake.tokens() == ()


def test_ids_are_printed_at_once(fake: FakeLosant, service: str, command: Command) -> None:
    """Each id is printed as soon as its token is deleted, in any order."""
    fake.fail("latency", seconds=0.2, path=f"*{ONE}")

    assert command("delete", "--yes", ONE, TWO)[1] == f"{TWO}\n{ONE}\n"


def test_failure_does_not_stop_the_others(fake: FakeLosant, service: str, command: Command) -> None:
    """If one deletion fails, the other tokens are deleted, and the exit code is 3."""
    code, out, err = command("delete", "--yes", GONE, ONE)

    assert (code, out) == (3, f"{ONE}\n")
    assert f"{GONE}): 404 NotFound" in err
    assert err.endswith("Deleted 1 of 2.\n")


def test_repeated_id(fake: FakeLosant, service: str, command: Command) -> None:
    """An id that occurs twice, in upper and lower case, is deleted once."""
    fake.add_token("hex", id="ab" * 12)

    code, out, _ = command("delete", "--yes", "ab" * 12, "AB" * 12)

    assert (code, out) == (0, "ab" * 12 + "\n")


def test_invalid_id(fake: FakeLosant, service: str, command: Command) -> None:
    """An invalid id is a usage error, and nothing is deleted."""
    code, out, err = command("delete", "--yes", ONE, "../..")

    expected = "losant-tokens: error: '../..' is not a token id: an id has 24 hexadecimal digits\n"
    assert (code, out, err) == (2, "", expected)
    assert len(fake.tokens()) == 2


def test_without_a_terminal(fake: FakeLosant, service: str, command: Command) -> None:
    """Without a terminal, a deletion needs --yes."""
    expected = "losant-tokens: error: delete needs --yes: stdin is not a terminal\n"
    assert command("delete", ONE) == (2, "", expected)
    assert fake.requests == ()


@pytest.mark.parametrize(("typed", "left"), [("y\n", 0), ("YES\n", 0), ("n\n", 2), ("\n", 2)])
def test_confirmation(
    fake: FakeLosant,
    service: str,
    command: Command,
    terminal: Callable[..., None],
    typed: str,
    left: int,
) -> None:
    """On a terminal, the tokens are shown and deleted only after a yes."""
    terminal(typed=typed)

    code, out, err = command("delete", ONE, TWO)

    shown = f"  {ONE}  ci-1  (expires: never)\n  {TWO}  ci-\\x1b2  (expires: never)\n"
    assert err.startswith(f"{shown}Delete these 2 tokens permanently? [y/N] ")
    assert (code, len(fake.tokens())) == (1 if left else 0, left)
    assert (set(out.split()), err.endswith("Nothing was deleted.\n")) == (
        (set(), True) if left else ({ONE, TWO}, False)
    )


def test_confirmation_of_a_missing_token(
    fake: FakeLosant, service: str, command: Command, terminal: Callable[..., None]
) -> None:
    """An id without a token is shown as not found. If none has a token, nothing is asked."""
    terminal()

    code, _, err = command("delete", GONE)

    assert (code, err) == (1, f"  {GONE}  (not found)\nNothing was deleted.\n")


def test_confirmation_of_one_token(
    fake: FakeLosant, service: str, command: Command, terminal: Callable[..., None]
) -> None:
    """The question is about the tokens that exist, and the end of the input means no."""
    terminal()

    code, _, err = command("delete", GONE, ONE)

    question = "Delete this token permanently? [y/N] "
    assert (code, err.endswith(f"{question}\nNothing was deleted.\n")) == (1, True)


def test_ctrl_c_at_the_question(
    service: str,
    command: Command,
    terminal: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ctrl-C at the question prints that nothing was deleted."""

    def interrupted() -> str:
        raise KeyboardInterrupt

    terminal()
    monkeypatch.setattr(sys.stdin, "readline", interrupted)

    with pytest.raises(KeyboardInterrupt):
        command("delete", ONE)

    assert capsys.readouterr().err.endswith("[y/N] \nNothing was deleted.\n")


def test_own_token(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the token in use is to be deleted, nothing is deleted without --allow-own-token."""
    own = fake.add_token("own", scope=["all.User"])
    monkeypatch.setenv("LOSANT_API_TOKEN", own.secret)

    code, out, err = command("delete", "--yes", ONE, own.id.upper(), TWO)

    assert (code, out, fake.requests) == (4, "", ())
    assert f"{own.id} is the token in use: to delete it would lock this command out" in err
    assert "hint: leave it out, use another token, or pass --allow-own-token\n" in err
    code, out, _ = command("delete", "--yes", own.id, "--allow-own-token")
    assert (code, out) == (0, f"{own.id}\n")


def test_quiet(fake: FakeLosant, service: str, command: Command) -> None:
    """A quiet deletion prints only errors."""
    assert command("delete", "--yes", "--quiet", ONE) == (0, "", "")
    code, out, err = command("delete", "--yes", "--quiet", GONE)
    assert (code, out, len(err.splitlines())) == (3, "", 2)


def test_invalid_response(fake: FakeLosant, service: str, command: Command) -> None:
    """A token whose response is invalid is reported as possibly deleted."""
    fake.fail(status=200, body={"a": 1}, times=None, method="DELETE")

    code, out, err = command("delete", "--yes", ONE)

    assert (code, out) == (3, "")
    assert err.endswith(
        f"{ONE} may have been deleted: no response confirms it.\n"
        "Deleted 0 of 1, 1 may have been deleted.\n"
    )


def test_confirmation_of_a_token_that_cannot_be_read(
    fake: FakeLosant, service: str, command: Command, terminal: Callable[..., None]
) -> None:
    """A token that cannot be read is shown with its error, and counted in the question."""
    fake.fail(status=400, method="GET", path=f"*{ONE}")
    terminal(typed="n\n")

    _, _, err = command("delete", ONE, TWO)

    assert f"  {ONE}  (BadRequest)\n" in err
    assert "Delete these 2 tokens permanently? [y/N] " in err
