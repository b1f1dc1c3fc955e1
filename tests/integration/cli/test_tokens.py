"""`list`, `show`, `patch` and `create`."""

import json
import os
import sys
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from losant_tokens import AsyncClient
from losant_tokens.testing import FakeLosant
from tests.support.command import Command
from tests.support.standard_streams import Broken, pipe_without_a_reader

APPLICATION = f"application:{'a' * 24}"
DATE = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)


def add_three(fake: FakeLosant, owner: str = "user") -> None:
    fake.add_token("ci-1", owner=owner, id="1" * 24, creation_date=DATE, scope=["a.b", "c"])
    fake.add_token("ci-2", owner=owner, id="2" * 24, creation_date=DATE, status="inactive")
    fake.add_token("x" * 200, owner=owner, id="3" * 24, creation_date=DATE, expiration_date=DATE)


def ids(out: str) -> str:
    """Return the first digits of the ids in an array of tokens."""
    return "".join(token["id"][0] for token in json.loads(out))


def test_list(fake: FakeLosant, service: str, command: Command) -> None:
    """A list is a table, which is complete if stdout is not a terminal."""
    add_three(fake)

    code, out, err = command("list")

    blanks = " " * 196
    expected = (
        f"ID                        NAME{blanks}  STATUS    EXPIRES     CREATED     SCOPES\n"
        f"{'1' * 24}  ci-1{blanks}  active    never       2030-01-02  a.b c\n"
        f"{'2' * 24}  ci-2{blanks}  inactive  never       2030-01-02  all.User.read\n"
        f"{'3' * 24}  {'x' * 200}  active    2030-01-02  2030-01-02  all.User.read\n"
    )
    assert (code, out, err) == (0, expected, "")


def test_list_on_a_terminal(
    fake: FakeLosant, service: str, command: Command, terminal: Callable[..., None]
) -> None:
    """On a narrow terminal, less important columns are left out, and the count is printed."""
    terminal(columns=80)
    fake.add_token("ci: device provisioning 12345")

    _, out, err = command("list")

    assert "CREATED" not in out
    assert "SCOPES" not in out
    assert fake.tokens()[0].id in out
    assert err == "1 token\n"

    fake.seed(1199)
    assert command("list")[2] == "1,200 tokens\n"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "123"),
        (["--name", "ci-*"], "12"),
        (["--status", "inactive"], "2"),
        (["--name", "ci-*", "--status", "active"], "1"),
        (["--filter-field", "name", "--filter", "ci-2"], "2"),
        (["--sort-field", "id", "--sort-direction", "desc"], "321"),
        (["--limit", "2"], "12"),
        (["--limit", "1", "--status", "inactive"], "2"),
        (["--limit", "9"], "123"),
    ],
)
@pytest.mark.parametrize("owner", ["user", "oauth", APPLICATION])
def test_list_options(
    fake: FakeLosant,
    service: str,
    command: Command,
    owner: str,
    options: list[str],
    expected: str,
) -> None:
    """The tokens of every kind of owner can be filtered, sorted and limited."""
    add_three(fake, owner)

    code, out, _ = command("list", "--json", "--owner", owner, *options)

    assert (code, ids(out)) == (0, expected)


def test_list_with_a_limit_requests_a_small_page(
    fake: FakeLosant, service: str, command: Command
) -> None:
    """With a small limit, a small page is requested."""
    fake.seed(50)

    _, out, _ = command("list", "--json", "--limit", "7")

    assert len(json.loads(out)) == 7
    assert fake.requests[0].query["perPage"] == "7"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--filter", "x"], "--filter-field and --filter require each other"),
        (["--filter-field", "name"], "--filter-field and --filter require each other"),
        (
            ["--filter-field", "name", "--filter", "x", "--status", "active"],
            "--filter cannot be combined with --name or --status",
        ),
        (
            ["--filter-field", "status", "--filter", "active", "--name", ""],
            "--filter cannot be combined with --name or --status",
        ),
    ],
)
def test_exclusive_options(command: Command, options: list[str], message: str) -> None:
    """Options that exclude each other are a usage error."""
    assert command("list", *options) == (2, "", f"losant-tokens: error: {message}\n")


def test_show(fake: FakeLosant, service: str, command: Command) -> None:
    """The details of a token are shown line by line, without missing ones."""
    fake.add_token(
        "a\x1b[1mb",
        id="1" * 24,
        creation_date=DATE,
        expiration_date=DATE,
        description="For\nci",
        creator_name="ada",
        default_role="view",
    )
    fake.add_token("plain", id="2" * 24, creation_date=DATE, scope=[])

    assert command("show", "1" * 24) == (
        0,
        f"""\
Id:          {"1" * 24}
Name:        a\\x1b[1mb
Status:      active
Expires:     2030-01-02 03:04 UTC
Created:     2030-01-02 03:04 UTC
Updated:     2030-01-02 03:04 UTC
Scopes:      all.User.read
Role:        view
Creator:     ada
Description: For\\nci
""",
        "",
    )
    assert "Expires:     never\n" in command("show", "2" * 24)[1]
    assert "Scopes" not in command("show", "2" * 24)[1]


def test_show_as_json(fake: FakeLosant, service: str, command: Command) -> None:
    """With --json, a token is one object."""
    add_three(fake, APPLICATION)

    _, out, _ = command("show", "2" * 24, "--owner", APPLICATION, "--json")

    assert json.loads(out)["name"] == "ci-2"


def test_show_an_oauth_token(fake: FakeLosant, service: str, command: Command) -> None:
    """An OAuth token can be shown."""
    fake.seed(1, owner="oauth")

    code, out, _ = command("show", fake.tokens("oauth")[0].id, "--owner", "oauth")

    assert (code, out.split()[1]) == (0, fake.tokens("oauth")[0].id)


@pytest.mark.parametrize("owner", ["user", "oauth", APPLICATION])
def test_patch(fake: FakeLosant, service: str, command: Command, owner: str) -> None:
    """A patch changes the given members and shows the changed token."""
    add_three(fake, owner)

    code, out, _ = command(
        *("patch", "1" * 24, "--owner", owner, "--status", "inactive", "--description", "")
    )

    token = fake.tokens(owner)[0]
    assert (token.name, token.status, token.description) == ("ci-1", "inactive", "")
    assert (code, out.splitlines()[2]) == (0, "Status:      inactive")


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
def test_create(fake: FakeLosant, service: str, command: Command, owner: str) -> None:
    """Only the secret of a new token is written to stdout; its details go to stderr."""
    code, out, err = command(
        *("create", "ci", "--scope", "all.User.read", "--scope", "device.get"),
        *("--expires", "2030-01-02T03:04", "--description", "d", "--status", "inactive"),
        *("--owner", owner),
    )

    (token,) = fake.tokens(owner)
    assert (code, out) == (0, f"{token.secret}\n")
    assert err == (
        f"Created 'ci', id {token.id}, expires: 2030-01-02 03:04 UTC.\n"
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

    assert (code, out, fake.tokens()) == (1, "", ())
    assert "Did you mean 'all.User.read'? If the API has added it, pass it with " in err
    assert err.endswith("pass it with --unlisted-scope\n")


def test_create_with_an_unlisted_scope(fake: FakeLosant, service: str, command: Command) -> None:
    """A scope passed as unlisted is sent to the server."""
    code, _, err = command("create", "ci", "--unlisted-scope", "galaxy.get")

    assert code == 1
    assert "apiToken.scope.0 must be an enum value" in err


def test_create_with_only_a_name(fake: FakeLosant, service: str, command: Command) -> None:
    """A token created with only a name never expires."""
    code, _, err = command("create", "ci")

    (token,) = fake.tokens()
    assert code == 0
    assert "expires: never" in err
    assert (
        token.name,
        token.expiration_date,
        token.status,
        token.description,
    ) == ("ci", None, "active", None)


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
    assert command("create", "ci") == (1, "", expected)


def test_create_with_an_unreadable_response(
    fake: FakeLosant, service: str, command: Command
) -> None:
    """A response without an id is an error of the response."""
    fake.fail(status=201, method="POST", body={"name": "ci"})

    code, out, err = command("create", "ci")

    assert (code, out) == (1, "")
    assert "hint: check that LOSANT_API_URL is the API of Losant\n" in err


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
        command("create", "ci")

    assert capsys.readouterr().err.startswith("The token may have been created: check with")


# --- Names, as in jobs -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("svc[[]prod]-?", {"svc[prod]-1", "svc[prod]-2"}),
        ("svc[prod]-1", {"svc[prod]-1"}),
        ("svc*", {"svc[prod]-1", "svc[prod]-2"}),
        ("cafe\u0301", {"caf\u00e9"}),
        ("SVC*", set()),
        ("nope", set()),
    ],
)
def test_list_by_name(
    fake: FakeLosant, service: str, command: Command, pattern: str, expected: set[str]
) -> None:
    """`--name` matches like `--named` and `--protect`: an equal name, or a glob."""
    for name in ("svc[prod]-1", "svc[prod]-2", "caf\u00e9", "other"):
        fake.add_token(name)

    code, out, _ = command("list", "--name", pattern, "--json")

    assert (code, {token["name"] for token in json.loads(out)}) == (0, expected)


def test_page_size(fake: FakeLosant, service: str, command: Command) -> None:
    """`--page-size` sets the size of a page, and all tokens are listed."""
    fake.seed(30)

    _, out, _ = command("list", "--page-size", "10", "--json")

    assert len(json.loads(out)) == 30
    assert {request.query["perPage"] for request in fake.requests} == {"10"}


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


def test_contradictory_list(
    service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that contradicts itself is printed with a warning that names the contradiction."""
    page = {"items": [{"id": "a" * 24, "name": "ci"}, {"name": "no id"}], "totalCount": 5}

    def new_client(_: object) -> AsyncClient:
        return AsyncClient(
            "t",
            transport=httpx.MockTransport(
                lambda request: httpx.Response(
                    200, json=page if request.url.params["page"] == "0" else {"items": []}
                )
            ),
        )

    monkeypatch.setattr("losant_tokens.cli._connect.new_client", new_client)

    code, out, err = command("list")

    assert (code, "ci" in out) == (0, True)
    assert [line.partition("WARNING: ")[2] for line in err.splitlines()] == [
        "tokens may be missing, or listed twice: page 0 has 1 item that cannot be read",
        "tokens may be missing, or listed twice: the list states a total of 5 and has 2 items",
    ]


def test_lost_secret(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If stdout fails after the token was created, its id and how to delete it are printed."""
    monkeypatch.setattr("losant_tokens.cli.commands.create.output_problem", lambda: None)
    monkeypatch.setattr(sys, "stdout", Broken())

    code, _, err = command("create", "new")

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
        code, _, err = command("create", "new", "--json")

    assert (
        code,
        "its secret is lost: the reader of standard output has closed it" in err,
    ) == (1, True)
