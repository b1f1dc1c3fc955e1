"""`show`, `patch` and `create`."""

import json
import os
import re
import sys
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from losant_tokens.testing import FakeLosant
from tests.support.command import Command
from tests.support.standard_streams import Broken, pipe_without_a_reader

APPLICATION = f"application:{'a' * 24}"
DATE = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)


def set_clock(fake: FakeLosant, time: datetime) -> None:
    """Set the clock of the server."""
    fake.clock_offset = time - datetime.now(UTC)


def add_three(fake: FakeLosant, owner: str = "user") -> None:
    fake.add_token("ci-1", owner=owner, id="1" * 24, creation_date=DATE, scope=["a.b", "c"])
    fake.add_token("ci-2", owner=owner, id="2" * 24, creation_date=DATE, status="inactive")
    fake.add_token("x" * 200, owner=owner, id="3" * 24, creation_date=DATE, expiration_date=DATE)


def test_show(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The details of a token are shown line by line, with dates relative to the server's time."""
    set_clock(fake, DATE + timedelta(days=800))
    fake.add_token(
        "a\x1b[1mb",
        id="1" * 24,
        creation_date=DATE,
        expiration_date=DATE + timedelta(days=30),
        scope=["all.User.read", "all.User"],
        description="For\nci",
        creator_name="ada",
        default_role="view",
    )

    code, out, err = command("show", "1" * 24)

    creator = fake.tokens()[0].creator_id
    assert (code, err) == (0, "")
    assert (
        out
        == f"""\
Name:           a\\x1b[1mb
Id:             {"1" * 24}
Owner:          user
Status:         active
Expires:        2030-02-01 03:04 UTC (expired 2 years ago)
Created:        2030-01-02 03:04 UTC (2 years ago)
Updated:        2030-01-02 03:04 UTC (2 years ago)
Creator:        ada ({creator})
Scopes:         all.User.read
                all.User
Creates tokens: yes
Role:           view
Description:    For\\nci
"""
    )


def test_show_leaves_out_missing_members(fake: FakeLosant, service: str, command: Command) -> None:
    """A token without scopes, role and description has no such lines."""
    fake.add_token("plain", id="2" * 24, creation_date=DATE, scope=[], status="inactive")

    out = command("show", "2" * 24)[1]

    assert [line.split(":")[0] for line in out.splitlines()] == [
        *("Name", "Id", "Owner", "Status", "Expires", "Created", "Updated", "Creator"),
        "Creates tokens",
    ]
    assert "Expires:        never\n" in out
    assert "Creates tokens: unknown\n" in out


@pytest.mark.parametrize(
    ("expires", "expected"),
    [
        (timedelta(days=-400), "\x1b[31m"),
        (timedelta(days=3), "\x1b[33m"),
        (timedelta(days=300), "2030"),
    ],
)
def test_colors_of_the_expiration_date(
    fake: FakeLosant,
    service: str,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    expires: timedelta,
    expected: str,
) -> None:
    """An expired date is red, and a date in the next 30 days is yellow."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    set_clock(fake, DATE)
    fake.add_token("ci", id="1" * 24, expiration_date=DATE + expires)

    out = command("show", "1" * 24)[1]

    assert f"\nExpires:        {expected}" in out
    assert "\x1b[1mci\x1b[0m\n" in out


@pytest.mark.parametrize("command_line", [("show",), ("patch", "--name", "x")])
def test_malformed_id(command: Command, command_line: tuple[str, ...]) -> None:
    """A malformed id is a usage error, as for `delete`."""
    name, *options = command_line
    expected = "losant-tokens: error: '123' is not a token id: an id has 24 hexadecimal digits\n"
    assert command(name, "123", *options) == (2, "", expected)


def test_ids_from_a_spreadsheet(fake: FakeLosant, service: str, command: Command) -> None:
    """Blanks around an id are ignored, because a CSV file may have a tab before it."""
    add_three(fake)

    assert command("show", f"\t{'2' * 24} ")[0] == 0


def test_show_a_token_that_cannot_create_tokens(
    fake: FakeLosant, service: str, command: Command
) -> None:
    """A token that can only read cannot create tokens."""
    fake.add_token("ci", id="1" * 24, scope=["all.User.read"])

    assert "Creates tokens: no\n" in command("show", "1" * 24)[1]


def test_show_fits_the_terminal(
    fake: FakeLosant,
    service: str,
    command: Command,
    terminal: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a terminal, long values break between words, below the start of the value."""
    fake.add_token("ci", id="1" * 24, description="Deploys the greenhouse every night at two")
    terminal(columns=40)
    monkeypatch.setenv("NO_COLOR", "1")

    out = command("show", "1" * 24)[1]

    assert out.endswith(
        "Description:    Deploys the greenhouse\n                every night at two\n"
    )


def test_show_unknown_scopes(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If scopes cannot be read, it is unknown whether the token can create tokens."""
    fake.fail(status=200, method="GET", body={"id": "1" * 24, "name": "ci", "scope": 7})

    assert "Creates tokens: unknown\n" in command("show", "1" * 24)[1]


def test_show_as_json(fake: FakeLosant, service: str, command: Command) -> None:
    """With --json, a token is one object."""
    add_three(fake, APPLICATION)

    _, out, _ = command("show", "2" * 24, "--owner", APPLICATION, "--json")

    assert json.loads(out)["name"] == "ci-2"


def test_show_an_oauth_token(fake: FakeLosant, service: str, command: Command) -> None:
    """An OAuth token can be shown."""
    fake.seed(1, owner="oauth")

    code, out, _ = command("show", fake.tokens("oauth")[0].id, "--owner", "oauth")

    assert (code, out.splitlines()[1].split()[1]) == (0, fake.tokens("oauth")[0].id)


@pytest.mark.parametrize("owner", ["user", "oauth", APPLICATION])
def test_patch(fake: FakeLosant, service: str, command: Command, owner: str) -> None:
    """A patch changes the given members and shows the changed token."""
    add_three(fake, owner)

    code, out, _ = command(
        *("patch", "1" * 24, "--owner", owner, "--status", "inactive", "--description", "")
    )

    token = fake.tokens(owner)[0]
    assert (token.name, token.status, token.description) == ("ci-1", "inactive", "")
    assert (code, out.splitlines()[3]) == (0, "Status:         inactive")


def test_patch_as_json(fake: FakeLosant, service: str, command: Command) -> None:
    """With --json, a patched token is shown as JSON."""
    add_three(fake)

    _, out, _ = command("patch", "1" * 24, "--name", "new", "--json")

    assert json.loads(out)["name"] == "new"


def test_patch_without_changes(command: Command) -> None:
    """A patch without changes is a usage error, and nothing is sent."""
    expected = "losant-tokens: error: nothing to change: pass --name, --description or --status\n"
    assert command("patch", "1" * 24) == (2, "", expected)


@pytest.mark.parametrize("owner", ["user", f"instance:{'b' * 24}", APPLICATION])
def test_create(
    fake: FakeLosant,
    service: str,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    owner: str,
) -> None:
    """Only the secret of a new token is written to stdout; its details go to stderr."""
    set_clock(fake, DATE - timedelta(days=366))
    code, out, err = command(
        *("create", "ci", "--scope", "all.User.read", "--scope", "device.get"),
        *("--expires", "2030-01-02T03:04", "--description", "d", "--status", "inactive"),
        *("--owner", owner),
    )

    (token,) = fake.tokens(owner)
    assert (code, out) == (0, f"{token.secret}\n")
    assert err == (
        f"Created 'ci', id {token.id}, expires: 2030-01-02 03:04 UTC (in 1 year).\n"
        "Its secret is shown only once:\n"
    )
    assert (
        token.name,
        token.scope,
        token.expiration_date,
        token.description,
        token.status,
    ) == ("ci", ("all.User.read", "device.get"), DATE, "d", "inactive")


def test_create_with_an_unknown_scope(fake: FakeLosant, service: str, command: Command) -> None:
    """An unknown scope is refused with a suggestion."""
    code, out, err = command("create", "ci", "--scope", "all.User.reed")

    assert (code, out, fake.tokens()) == (2, "", ())
    assert "Did you mean 'all.User.read'? " in err
    assert err.endswith("If the API has added it, pass --allow-unknown-scope as well\n")


def test_create_with_an_unknown_scope_that_is_allowed(
    fake: FakeLosant, service: str, command: Command
) -> None:
    """A scope that is unknown but allowed is sent with a warning, and the server decides."""
    scopes = ("--scope", "device.get", "--scope", "galaxy.get", "--allow-unknown-scope")
    code, _, err = command("create", "ci", "--expires", "never", *scopes)

    assert code == 1
    assert 'WARNING: the scope "galaxy.get" is unknown to this version: check its spelling' in err
    assert "device.get" not in err
    assert "apiToken.scope.1 must be an enum value" in err


def test_create_a_token_that_never_expires(
    fake: FakeLosant, service: str, command: Command
) -> None:
    """A token that never expires is created by one request, without scopes of its own."""
    code, _, err = command("create", "ci", "--expires", "never")

    (token,) = fake.tokens()
    assert code == 0
    assert "expires: never.\n" in err
    assert (
        token.name,
        token.expiration_date,
        token.status,
        token.description,
    ) == ("ci", None, "active", None)
    assert [request.method for request in fake.requests] == ["POST"]


def test_create_uses_the_server_clock(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A duration starts at the server's time, not at the time of this machine."""
    set_clock(fake, DATE)

    code, _, err = command("create", "ci", "--expires", "90d")

    expires = fake.tokens()[0].expiration_date
    assert code == 0
    assert expires is not None
    assert abs(expires - DATE - timedelta(days=90)) < timedelta(minutes=5)
    assert re.search(r"expires: 2030-04-0. \S+ UTC \(in (2|3) months\)\.", err)


@pytest.mark.parametrize("kind", ["enforce", "off"])
def test_create_without_permission_to_list(
    fake: FakeLosant,
    service: str,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """A token that may only create tokens can create one that expires."""
    monkeypatch.setenv("LOSANT_API_TOKEN", fake.access_token(["userApiTokens.post"]))

    code, out, _ = command("create", "ci", "--expires", "90d", "--scope-check", kind)

    assert (code, out) == (0, f"{fake.tokens()[0].secret}\n")


def test_create_with_a_date_in_the_past(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An expiration date that is in the past by the server's clock is a usage error."""
    set_clock(fake, DATE)

    code, out, err = command("create", "ci", "--expires", "2029-12-31")

    assert (code, out, fake.tokens()) == (2, "", ())
    assert '"2029-12-31" is in the past: the token would never work' in err


def test_create_needs_an_expiration_date(fake: FakeLosant, service: str, command: Command) -> None:
    """Without a terminal, --expires is required, and nothing is sent without it."""
    expected = (
        "losant-tokens: error: create needs --expires\n"
        "hint: pass a duration such as 90d, a date such as 2030-01-01, or never\n"
    )
    assert command("create", "ci") == (2, "", expected)
    assert fake.requests == ()


def test_create_asks_for_the_expiration_date(
    fake: FakeLosant, service: str, command: Command, terminal: Callable[..., None]
) -> None:
    """On a terminal, the expiration date is asked for until it is valid."""
    terminal(columns=200, typed="soon\n\n 90d\n")

    code, out, err = command("create", "ci")

    (token,) = fake.tokens()
    assert (code, out) == (0, f"{token.secret}\n")
    assert token.expiration_date is not None
    assert err.count("Expires (a duration such as 90d, a date such as 2030-01-01, or never): ") == 3
    assert 'error: "soon" is not an expiration date' in err


def test_a_long_question_wraps(
    fake: FakeLosant, service: str, command: Command, terminal: Callable[..., None]
) -> None:
    """A question breaks between words on a narrow terminal."""
    terminal(columns=40, typed="never\n")

    _, _, err = command("create", "ci")

    assert err.startswith(
        "Expires (a duration such as 90d, a date\nsuch as 2030-01-01, or never): Created 'ci'"
    )


def test_create_at_the_end_of_the_input(
    fake: FakeLosant, service: str, command: Command, terminal: Callable[..., None]
) -> None:
    """If the terminal is closed at the question, nothing is created."""
    terminal(columns=200)

    code, out, err = command("create", "ci")

    assert (code, out, fake.requests) == (2, "", ())
    assert "error: create needs --expires\n" in err


def test_create_as_json(fake: FakeLosant, service: str, command: Command) -> None:
    """With --json, the new token includes its secret."""
    _, out, _ = command("create", "ci", "--expires", "never", "--json")

    (token,) = fake.tokens()
    assert (token.id, token.secret) == (json.loads(out)["id"], json.loads(out)["token"])


def test_create_an_oauth_token(command: Command) -> None:
    """Creating an OAuth token is refused with the reason."""
    code, out, err = command("create", "ci", "--owner", "oauth")

    assert (code, out) == (2, "")
    assert "a user creates one by authorizing" in err


def test_create_without_a_secret(fake: FakeLosant, service: str, command: Command) -> None:
    """A response without the secret is an error with the command that deletes the token."""
    fake.fail(status=201, method="POST", body={"id": "1" * 24, "name": "ci"})

    expected = (
        f"losant-tokens: error: the token {'1' * 24} was created, but its secret is lost: "
        "the response does not contain it\n"
        "hint: the secret cannot be shown again; delete the token: "
        f"losant-tokens delete {'1' * 24}\n"
    )
    assert command("create", "ci", "--expires", "never") == (1, "", expected)


def test_create_with_an_unreadable_response(
    fake: FakeLosant, service: str, command: Command
) -> None:
    """A response without an id is an error of the response."""
    fake.fail(status=201, method="POST", body={"name": "ci"})

    code, out, err = command("create", "ci", "--expires", "never")

    assert (code, out) == (1, "")
    assert "hint: check that LOSANT_API_URL or --account is the API of Losant\n" in err


def test_create_interrupted(
    service: str,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After an interrupted creation, a message states that the token may exist."""

    def interrupted(*_: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("anyio.run", interrupted)

    with pytest.raises(KeyboardInterrupt):
        command("create", "ci", "--expires", "never")

    assert capsys.readouterr().err.startswith("The token may have been created: check with")


# --- The token in use ------------------------------------------------------------------------


def test_own_token_is_not_deactivated(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deactivating the token in use needs --allow-own-token; other changes do not."""
    own = fake.add_token("own", scope=["all.User"])
    monkeypatch.setenv("LOSANT_API_TOKEN", own.secret)

    code, out, err = command("patch", own.id, "--status", "inactive")
    assert (code, out, fake.requests) == (4, "", ())
    assert f"{own.id} is the token in use: to deactivate it would lock this command out" in err

    assert command("patch", own.id, "--status", "active")[0] == 0
    assert command("patch", own.id, "--name", "mine")[0] == 0
    assert command("patch", own.id, "--status", "inactive", "--allow-own-token")[0] == 0
    assert fake.tokens()[0].status == "inactive"


@pytest.mark.parametrize("command_line", [("delete", "--yes"), ("patch", "--status", "inactive")])
def test_token_without_an_id(
    fake: FakeLosant,
    service: str,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    command_line: tuple[str, ...],
) -> None:
    """If the token in use contains no id, the command warns once."""
    monkeypatch.setenv("LOSANT_API_TOKEN", "opaque")

    _, _, err = command(command_line[0], "1" * 24, *command_line[1:])

    assert err.count("losant-tokens: WARNING: cannot determine which token is in use") == 1


# --- Checks that can be overridden -----------------------------------------------------------


@pytest.mark.parametrize(("check", "code"), [("enforce", 1), ("warn", 0), ("off", 0)])
def test_scope_check(
    fake: FakeLosant,
    service: str,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    check: str,
    code: int,
) -> None:
    """`--scope-check` controls the check of the token's claims."""
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(fake._store, "now", lambda: long_ago)
    monkeypatch.setenv("LOSANT_API_TOKEN", fake.access_token(expires=long_ago + timedelta(days=1)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert code == command("list", "--scope-check", check)[0]


def test_lost_secret(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If stdout fails after the token was created, its id and how to delete it are printed."""
    monkeypatch.setattr("losant_tokens.cli.commands.create.output_problem", lambda: None)
    monkeypatch.setattr(sys, "stdout", Broken())

    code, _, err = command("create", "new", "--expires", "never")

    new = next(token for token in fake.tokens() if token.name == "new")
    assert code == 1
    assert f"error: the token {new.id} was created, but its secret is lost: standard output" in err
    assert f"delete the token: losant-tokens delete {new.id}\n" in err
    assert new.secret not in err


def test_secret_without_a_reader(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that closes the pipe before the secret is written is reported, too."""
    monkeypatch.setattr("losant_tokens.cli.commands.create.output_problem", lambda: None)
    with os.fdopen(pipe_without_a_reader(), "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        code, _, err = command("create", "new", "--expires", "never", "--json")

    assert (
        code,
        "its secret is lost: the reader of standard output has closed it" in err,
    ) == (1, True)
