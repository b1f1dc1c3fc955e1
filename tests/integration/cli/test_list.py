"""`list`: selection, order, limit and formats."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from losant_tokens import AsyncClient
from losant_tokens.testing import FakeLosant
from tests.support.command import Command

APPLICATION = f"application:{'a' * 24}"
NOW = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def tokens(fake: FakeLosant, service: str) -> FakeLosant:
    """Add four tokens; the first digits of their ids are 1 to 4."""
    fake.clock_offset = NOW - datetime.now(UTC)
    add_tokens(fake)
    return fake


def add_tokens(fake: FakeLosant, owner: str = "user") -> None:
    def add(name: str, digit: int, days: int, **options: object) -> None:
        fake.add_token(
            name,
            owner=owner,
            id=str(digit) * 24,
            creation_date=NOW - days * DAY,
            last_updated=NOW - digit * DAY,
            **options,  # type: ignore[arg-type]
        )

    add("ci-b", 1, 400, scope=["all.User.read", "device.get"], creator_name="ada")
    add("ci-a", 2, 800, status="inactive", expiration_date=NOW - 700 * DAY, creator_name="bob")
    add("CI-c", 3, 10, expiration_date=NOW + 3.5 * DAY, creator_name="ada")
    add("x" * 60, 4, 500, expiration_date=NOW + 100 * DAY, creator_name="eve", description="=1+1")


def ids(out: str) -> str:
    """Return the first digits of the ids in JSON."""
    return "".join(token["id"][0] for token in json.loads(out))


# --- Selection -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", "3214"),
        ("--expired", "2"),
        ("--expires-within 30d", "3"),
        ("--never-expires", "1"),
        ("--older-than 1y", "214"),
        ("--not-updated-for 36h", "324"),
        ("--active", "314"),
        ("--inactive", "2"),
        ("--named ci-*", "21"),
        ("--named ci-b", "1"),
        ("--named CI-?", "3"),
        ("--named ci-a --named CI-c", "32"),
        ("--except-named ci-*", "34"),
        ("--created-by ada", "31"),
        ("--has-scope device.get", "1"),
        ("--can-create-tokens", ""),
        ("--named ci-* --active", "1"),
        ("--named ci-* --except-named ci-a", "1"),
        ("--expired --never-expires --any", "21"),
        ("--active --inactive --any", "3214"),
        ("--active --inactive", ""),
    ],
)
@pytest.mark.sweep(sample=8)
def test_rules(tokens: FakeLosant, command: Command, options: str, expected: str) -> None:
    """`list` takes the rules of `plan`, and compares dates with the server's time."""
    code, out, err = command("list", "--json", *options.split())

    assert (code, ids(out), err) == (0, expected, "")


@pytest.mark.parametrize("owner", ["oauth", APPLICATION, f"instance:{'b' * 24}"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", "3214"),
        ("--inactive", "2"),
        ("--named ci-*", "21"),
        ("--sort created", "2413"),
        ("--limit 2", "32"),
        ("--sort created:desc --limit 2", "31"),
    ],
)
@pytest.mark.sweep(sample=6)
def test_owners(
    fake: FakeLosant, service: str, command: Command, owner: str, options: str, expected: str
) -> None:
    """The tokens of every kind of owner can be selected, sorted and limited."""
    fake.clock_offset = NOW - datetime.now(UTC)
    add_tokens(fake, owner)

    code, out, _ = command("list", "--json", "--owner", owner, *options.split())

    assert (code, ids(out)) == (0, expected)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--inactive", ("status", "inactive")),
        ("--active --expired", ("status", "active")),
        ("--named ci-* --inactive", ("name", "ci-*")),
        ("--named ci-[ab]", (None, None)),
        ("--named ci-a --named ci-b", (None, None)),
        ("--inactive --expired --any", (None, None)),
        ("--active --inactive", (None, None)),
        ("--inactive --owner oauth", (None, None)),
    ],
)
def test_the_api_filters_where_it_can(
    fake: FakeLosant,
    service: str,
    command: Command,
    options: str,
    expected: tuple[str | None, str | None],
) -> None:
    """A filter of the API is used only if it keeps all tokens that the rules select."""
    assert command("list", *options.split())[0] == 0

    query = fake.requests[0].query
    assert (query.get("filterField"), query.get("filter")) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("svc[[]prod]-?", {"svc[prod]-1", "svc[prod]-2"}),
        ("svc[prod]-1", {"svc[prod]-1"}),
        ("cafe\u0301", {"caf\u00e9"}),
        ("SVC*", set()),
    ],
)
def test_names_match_as_in_a_plan(
    fake: FakeLosant, service: str, command: Command, pattern: str, expected: set[str]
) -> None:
    """A pattern matches an equal name, or is a glob; Unicode forms do not matter."""
    for name in ("svc[prod]-1", "svc[prod]-2", "caf\u00e9", "other"):
        fake.add_token(name)

    code, out, _ = command("list", "--named", pattern, "--json")

    assert (code, {token["name"] for token in json.loads(out)}) == (0, expected)


def test_a_server_without_a_clock(
    fake: FakeLosant, service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the server's time, rules about time use this machine's clock, with a warning."""
    monkeypatch.setattr(AsyncClient, "server_time", lambda _: None)
    fake.add_token("old", id="1" * 24, expiration_date=datetime(2020, 1, 1, tzinfo=UTC))

    _, out, err = command("list", "--expired", "--json")

    assert ids(out) == "1"
    assert err.startswith("losant-tokens: WARNING: The server does not state its time")
    assert command("list", "--inactive", "--json")[2] == ""


# --- Order and limit -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("id", "1234"),
        ("id:desc", "4321"),
        ("ID:asc", "1234"),
        ("name", "2134"),
        ("status", "3142"),
        ("expires", "2341"),
        ("expires:desc", "1432"),
        ("created", "2413"),
        ("updated", "4321"),
        ("creator", "3124"),
        ("scopes", "3241"),
        ("owner", "3214"),
        ("description", "3214"),
    ],
)
@pytest.mark.sweep(sample=4)
def test_sort(tokens: FakeLosant, command: Command, sort: str, expected: str) -> None:
    """Tokens are sorted by any column; tokens that never expire come after all others."""
    assert ids(command("list", "--json", "--sort", sort)[1]) == expected
    assert ids(command("list", "--json", "--sort", sort, "--limit", "3")[1]) == expected[:3]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [("created:desc", ("creationDate", "desc", "2")), ("expires", (None, None, "1000"))],
)
def test_the_api_sorts_where_it_can(
    tokens: FakeLosant,
    command: Command,
    sort: str,
    expected: tuple[str | None, ...],
) -> None:
    """Only for an order that nobody can disagree about, the API sorts, and one page is read."""
    command("list", "--json", "--sort", sort, "--limit", "2")

    (request,) = tokens.requests
    names = ("sortField", "sortDirection", "perPage")
    assert tuple(request.query.get(name) for name in names) == expected


@pytest.mark.parametrize("sort", ["x", "name:up", "", "creationDate"])
def test_unknown_order(command: Command, sort: str) -> None:
    """An unknown column to sort by is a usage error that lists the columns."""
    code, out, err = command("list", "--sort", sort)

    assert (code, out) == (2, "")
    assert f'Invalid value for --sort: "{sort}" is not a column: use COLUMN or COLUMN:desc\n' in err
    assert err.endswith("updated, scopes, creator, owner, account, seen, description\n")


def test_unreadable_dates_come_last(
    service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A date that cannot be read sorts last, and is shown as unknown."""
    items = [
        {"id": "1" * 24, "name": "a", "expirationDate": "+010000-01-01T04:59:59.000Z"},
        {"id": "2" * 24, "name": "b"},
        {"id": "3" * 24, "name": "c", "expirationDate": "2020-01-01T00:00:00.000Z"},
    ]
    respond(monkeypatch, {"items": items, "totalCount": 3})

    assert command("list", "--sort", "expires", "--columns", "name,expires,created")[1] == (
        "c\t2020-01-01T00:00:00Z\t\nb\tnever\t\na\tunknown\t\n"
    )


def respond(monkeypatch: pytest.MonkeyPatch, page: dict[str, object]) -> None:
    """Make the API respond with a page, and with empty ones after it."""

    def open_client(_: object) -> AsyncClient:
        return AsyncClient(
            "t",
            transport=httpx.MockTransport(
                lambda request: httpx.Response(
                    200, json=page if request.url.params["page"] == "0" else {"items": []}
                )
            ),
        )

    monkeypatch.setattr("losant_tokens.cli._connections.chosen_accounts.open_client", open_client)


def test_several_owners_have_one_order(tokens: FakeLosant, command: Command) -> None:
    """The tokens of several owners are sorted together, each with its owner."""
    tokens.add_token("late", owner=APPLICATION, id="5" * 24, creation_date=NOW - DAY)
    tokens.add_token("early", owner=APPLICATION, id="6" * 24, creation_date=NOW - 999 * DAY)

    _, out, _ = command(
        *("list", "--json", "--sort", "created", "--owner", "user", "--owner", APPLICATION),
        *("--owner", "user"),
    )

    assert ids(out) == "624135"
    assert [token["owner"] for token in json.loads(out)] == [
        APPLICATION,
        *["user"] * 4,
        APPLICATION,
    ]


def test_a_limit_ends_the_list(fake: FakeLosant, service: str, command: Command) -> None:
    """With a limit, no more pages and owners are read than needed, and pages are small."""
    fake.seed(50)

    _, out, _ = command("list", "--json", "--limit", "7", "--owner", "user", "--owner", APPLICATION)

    assert len(json.loads(out)) == 7
    assert fake.requests[0].query["perPage"] == "7"
    assert {request.path for request in fake.requests} == {"/me/tokens"}


@pytest.mark.parametrize(("size", "requested"), [("3", "3"), ("20", "7")])
def test_a_limit_and_a_page_size(
    fake: FakeLosant, service: str, command: Command, size: str, requested: str
) -> None:
    """The smaller of the limit and the page size is the size of a page."""
    fake.seed(20)

    _, out, _ = command("list", "--json", "--limit", "7", "--page-size", size)

    assert len(json.loads(out)) == 7
    assert fake.requests[0].query["perPage"] == requested


def test_page_size(fake: FakeLosant, service: str, command: Command) -> None:
    """`--page-size` sets the size of a page, and all tokens are listed."""
    fake.seed(30)

    _, out, _ = command("list", "--page-size", "10", "--json")

    assert len(json.loads(out)) == 30
    assert {request.query["perPage"] for request in fake.requests} == {"10"}


def test_contradictory_list(
    service: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that contradicts itself is printed with a warning that names the contradiction."""
    page = {"items": [{"id": "a" * 24, "name": "ci"}, {"name": "no id"}], "totalCount": 5}
    respond(monkeypatch, page)

    code, out, err = command("list")

    assert (code, "ci" in out) == (0, True)
    assert [line.partition("WARNING: ")[2] for line in err.splitlines()] == [
        "tokens may be missing, or listed twice: page 0 has 1 item that cannot be read",
        "tokens may be missing, or listed twice: the list states a total of 5 and has 2 items",
    ]


# --- In a pipe -------------------------------------------------------------------------------


def test_a_pipe_gets_complete_lines(tokens: FakeLosant, command: Command) -> None:
    """In a pipe, each token is a line of complete values separated by tabs, without a header."""
    tokens.add_token("tab\t\x1b[1m", id="0" * 24)

    expected = (
        f"{'0' * 24}\ttab\\t\\x1b[1m\tactive\tnever\tall.User.read\n"
        f"{'1' * 24}\tci-b\tactive\tnever\tall.User.read device.get\n"
        f"{'2' * 24}\tci-a\tinactive\t2028-02-02T03:04:00Z\tall.User.read\n"
        f"{'3' * 24}\tCI-c\tactive\t2030-01-05T15:04:00Z\tall.User.read\n"
        f"{'4' * 24}\t{'x' * 60}\tactive\t2030-04-12T03:04:00Z\tall.User.read\n"
    )
    assert command("list", "--sort", "id") == (0, expected, "")


def test_a_pipe_has_no_colors(
    tokens: FakeLosant, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values for scripts have no colors, even if colors are forced."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")

    assert "\x1b" not in command("list")[1]


def test_columns(tokens: FakeLosant, command: Command) -> None:
    """`--columns` chooses columns and their order, each one once."""
    _, out, _ = command("list", "--sort", "id", "--limit", "1", "--columns", "Name, owner,id,name")

    assert out == f"ci-b\tuser\t{'1' * 24}\n"


@pytest.mark.parametrize("columns", ["id,nope", "nope", "", "id,"])
def test_unknown_columns(command: Command, columns: str) -> None:
    """An unknown column is a usage error that lists the columns."""
    name = columns.rpartition(",")[2]

    expected = (
        f'losant-tokens: error: Invalid value for --columns: "{name}" is not a column\n'
        "hint: the columns are id, name, status, expires, created, updated, scopes, creator, "
        "owner, account, seen, description\n"
    )
    assert command("list", "--columns", columns) == (2, "", expected)


def test_csv(tokens: FakeLosant, command: Command) -> None:
    """CSV has a header and all columns, without formulas for a spreadsheet."""
    _, out, _ = command("list", "--sort", "id", "--csv")

    header, first, *_, last = csv.reader(io.StringIO(out))
    assert header == [
        *("id", "name", "status", "expires", "created", "updated"),
        *("scopes", "creator", "owner", "description"),
    ]
    assert first == [
        *(f"\t{'1' * 24}", "ci-b", "active", "never", "2028-11-28T03:04:00Z"),
        *("2030-01-01T03:04:00Z", "all.User.read device.get", "ada", "user", ""),
    ]
    assert last[-1] == "'=1+1"
    assert "\r" not in out


def test_csv_with_columns(tokens: FakeLosant, command: Command) -> None:
    """`--columns` chooses the columns of CSV. Without tokens, CSV has only its header."""
    code, out, err = command("list", "--csv", "--columns", "name,id", "--named", "nope")

    assert (code, out, err) == (0, "name,id\n", "")


def test_json_fields(tokens: FakeLosant, command: Command) -> None:
    """`--json` with fields writes these members only, and null for a missing one."""
    _, out, _ = command("list", "--sort", "id", "--limit", "2", "--json", "name,expirationDate")

    assert json.loads(out) == [
        {"name": "ci-b", "expirationDate": None},
        {"name": "ci-a", "expirationDate": "2028-02-02T03:04:00.000Z"},
    ]


@pytest.mark.parametrize(
    "fields", [["--json", "owner,id"], ["--json=owner,id"], ["--json", "owner", "id"]]
)
def test_forms_of_json_fields(tokens: FakeLosant, command: Command, fields: list[str]) -> None:
    """The fields are a list with commas; the owner is one of them."""
    _, out, _ = command("list", *fields, "--inactive")

    assert json.loads(out) == [{"owner": "user", "id": "2" * 24}]


def test_json_without_tokens(tokens: FakeLosant, command: Command) -> None:
    """Without tokens, JSON is an empty list, without a message."""
    assert command("list", "--named", "nope", "--json") == (0, "[]\n", "")


@pytest.mark.parametrize("field", ["nope", "token", "extra"])
def test_unknown_json_field(command: Command, field: str) -> None:
    """An unknown or secret field is a usage error that lists the fields."""
    code, out, err = command("list", "--json", f"id,{field}")

    assert (code, out) == (2, "")
    assert f'Invalid value for --json: "{field}" is not a field\nhint: the fields are owner,' in err
    assert err.count("expirationDate") == 1


@pytest.mark.parametrize("options", [["--csv"], ["--columns", "id"]])
def test_json_has_no_columns(command: Command, options: list[str]) -> None:
    """`--json` cannot be combined with `--csv` or `--columns`."""
    code, out, err = command("list", "--json", *options)

    assert (code, out) == (2, "")
    assert "error: --json cannot be combined with --csv or --columns\n" in err


# --- On a terminal ---------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
def test_table_fits_the_terminal(
    tokens: FakeLosant, command: Command, terminal: Callable[..., None], columns: int
) -> None:
    """All columns stay on a terminal of any width, and no row wraps."""
    terminal(columns=columns)

    _, out, _ = command("list")

    title, blank, header, *rows = plain(out)
    assert (title, blank, len(rows)) == ("Showing 4 tokens", "", 4)
    assert len(header.split()) == 5
    assert max(map(len, (header, *rows))) <= columns


def plain(out: str) -> list[str]:
    """Return the lines of an output without colors."""
    for code in ("1", "2", "31", "33", "0"):
        out = out.replace(f"\x1b[{code}m", "")
    return out.splitlines()


def test_table_on_80_columns(
    tokens: FakeLosant, command: Command, terminal: Callable[..., None]
) -> None:
    """On 80 columns, ids are complete, names are shortened, and scopes keep their ends."""
    terminal(columns=80)

    _, out, _ = command("list", "--sort", "id")

    assert plain(out)[2:] == [
        "ID                        NAME            STATUS    EXPIRES       SCOPES",
        f"{'1' * 24}  ci-b            active    never         all.U….read +1",
        f"{'2' * 24}  ci-a            inactive  expired 1y    all.User.read",
        f"{'3' * 24}  CI-c            active    in 3 days     all.User.read",
        f"{'4' * 24}  xxxxxxxxxxxxx…  active    in 3 months   all.User.read",
    ]


def test_table_on_a_wide_terminal(
    tokens: FakeLosant, command: Command, terminal: Callable[..., None]
) -> None:
    """On a wide terminal, nothing is shortened, and expiry is a phrase."""
    terminal(columns=200)

    out = "\n".join(plain(command("list")[1]))

    assert "  expired 1 year ago  " in out
    assert "all.User.read device.get\n" in out
    assert "…" not in out


def test_colors(tokens: FakeLosant, command: Command, terminal: Callable[..., None]) -> None:
    """Expired is red, soon to expire is yellow, and inactive tokens are dimmed."""
    terminal(columns=200)

    out = command("list")[1]

    assert "\x1b[31mexpired 1 year ago\x1b[0m" in out
    assert "\x1b[33min 3 days\x1b[0m" in out
    assert "\x1b[2mci-a\x1b[0m" in out
    assert "\x1b[2mCI-c" not in out


@pytest.mark.parametrize(
    ("options", "title"),
    [
        ("", "Showing 1,004 tokens"),
        ("--limit 30", "Showing 30 of 1,004 tokens"),
        ("--limit 30 --sort created", "Showing 30 of 1,004 tokens"),
        ("--limit 30 --sort expires", "Showing 30 of 1,004 tokens"),
        ("--limit 5000", "Showing 1,004 tokens"),
        ("--limit 1 --named ci-[ab]", "Showing 1 of 2 tokens that match: named 'ci-[ab]'"),
        ("--named ci-a", "Showing 1 token that matches: named 'ci-a'"),
        ("--limit 30 --owner user --owner oauth", "Showing 30 of 1,014 tokens"),
    ],
)
@pytest.mark.sweep(sample=3)
def test_title(
    tokens: FakeLosant,
    command: Command,
    terminal: Callable[..., None],
    options: str,
    title: str,
) -> None:
    """The title has the number of tokens that are shown, of all tokens, and the rules."""
    terminal(columns=100)
    tokens.seed(1000)
    tokens.seed(10, owner="oauth")

    assert command("list", *options.split())[1].splitlines()[0] == title


def test_the_total_needs_no_further_page(
    tokens: FakeLosant, command: Command, terminal: Callable[..., None]
) -> None:
    """The total comes from the first page, so a limit on a terminal needs one request."""
    terminal()
    tokens.seed(100)

    assert "Showing 2 of 104 tokens\n" in command("list", "--limit", "2")[1]
    assert tokens.requests[0].query["perPage"] == "2"


def test_a_long_title_wraps(
    tokens: FakeLosant, command: Command, terminal: Callable[..., None]
) -> None:
    """A long rule wraps between words."""
    terminal(columns=60)

    out = command("list", "--named", "ci-*", "--never-expires", "--older-than", "30d")[1]

    assert out.splitlines()[:2] == [
        "Showing 1 token that matches: never expires and older than",
        "30 days and named 'ci-*'",
    ]


def test_a_long_table_is_paged(
    tokens: FakeLosant,
    command: Command,
    terminal: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a terminal, the table goes through the pager, with its title."""
    terminal()
    paged: list[str] = []
    monkeypatch.setattr("losant_tokens.cli._terminal.pager.write_paged", paged.append)

    assert command("list")[1] == ""
    assert paged[0].startswith("Showing 4 tokens\n\n")


def test_quiet_without_tokens(tokens: FakeLosant, command: Command) -> None:
    """With --quiet, a list without tokens prints nothing."""
    assert command("list", "--named", "nope", "--quiet") == (0, "", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--named nope", "No tokens of user match: named 'nope'."),
        ("--owner oauth", "There are no tokens of oauth."),
        (
            f"--owner oauth --owner {APPLICATION} --expired",
            f"No tokens of oauth, {APPLICATION} match: expired.",
        ),
    ],
)
@pytest.mark.parametrize("is_terminal", [True, False])
def test_nothing_found(
    tokens: FakeLosant,
    command: Command,
    terminal: Callable[..., None],
    options: str,
    message: str,
    is_terminal: bool,
) -> None:
    """Without tokens, a message on stderr repeats the rules, and the exit code is 0."""
    if is_terminal:
        terminal(columns=120)

    assert command("list", *options.split()) == (0, "", f"{message}\n")


def test_several_owners_have_a_column(
    tokens: FakeLosant, command: Command, terminal: Callable[..., None]
) -> None:
    """With several owners, the first column is the owner, with the start of its id."""
    tokens.add_token("app", owner=APPLICATION, id="5" * 24)
    terminal(columns=80)

    out = "\n".join(plain(command("list", "--owner", "user", "--owner", APPLICATION)[1]))

    assert "\nOWNER  " in out
    assert "…:aaaaaa…  5555" in out
