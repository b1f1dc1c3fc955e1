"""The values that TAB offers, without a shell."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from losant_tokens import published_scopes
from losant_tokens.cli._app import COMMANDS, command_app
from losant_tokens.cli._completion import completer
from losant_tokens.cli._completion import values as completion_values
from losant_tokens.cli._completion.completer import Completion, complete
from losant_tokens.cli._completion.known_tokens import KnownToken
from losant_tokens.cli._completion.values import NOTHING, SOURCES, Value, source_for
from losant_tokens.fleet import Work
from tests.support.command import Command
from tests.support.fleet_runs import NOW, run, write_store
from tests.support.policies import CLEANUP, LADDER, write_policy

TOKENS = {
    "user": [
        KnownToken("a" * 24, "ci-1", "active", "ada"),
        KnownToken("b" * 24, "ci-2", "inactive", "bob"),
        KnownToken("c" * 24, "ci-2", "active", "ada"),
        KnownToken("d" * 24, "a[b]*?", "active", ""),
        KnownToken("e" * 24, "bad\x1b[2J", "active", "x\x1b"),
        KnownToken("f" * 24, "", "", ""),
    ],
    "oauth": [KnownToken("9" * 24, "oauth-1", "active", "")],
}


@pytest.fixture(autouse=True)
def tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion_values, "known_tokens", lambda owner: TOKENS.get(owner, []))


def texts(line: str) -> list[str]:
    """Return the values for the end of a line, which is separated at single spaces."""
    *words, current = line.split(" ")
    return [value.text for value in complete(words, current).values]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("qua", ["quarantine"]),
        ("runs pr", ["prune"]),
        ("zzz", []),
        ("zzz ", ["--help", "--version"]),
        ("--v", ["--version"]),
        ("list --sor", ["--sort"]),
        ("list --csv --cs", []),
        ("list --json --named ci", ["ci-1", "ci-2"]),
        ("list --json --li", ["--limit"]),
        ("list --json id,na", ["id,name"]),
        ("list --columns id,name,st", ["id,name,status"]),
        ("list --columns id,i", []),
        ("list --sort na", ["name", "name:desc"]),
        ("cleanup --named a --name", ["--named"]),
        ("patch x --status ", ["active", "inactive"]),
        ("patch x --status=in", ["--status=inactive"]),
        ("list --csv=", []),
        ("list --zzz=", []),
        ("patch x --zzz --status in", ["inactive"]),
        ("list --sort=name --own", ["--owner"]),
        ("list --limit ", []),
        ("list --owner ", ["user", "oauth", "application:", "instance:"]),
        ("list --owner=a", ["--owner=application:"]),
        ("create ci --scope all.User.b", ["all.User.bounded"]),
        ("create ci --expires n", ["never"]),
        ("plan --older-than 3", ["30d"]),
        ("plan --has-scope userApiToken.de", ["userApiToken.delete"]),
        ("plan --created-by ", ["ada", "bob"]),
        ("list --named ci", ["ci-1", "ci-2"]),
        ("list --named a", ["a[[]b][*][?]"]),
        ("show ", ["a" * 24, "b" * 24, "c" * 24, "d" * 24, "f" * 24]),
        ("show --owner oauth ", ["9" * 24]),
        (f"delete {'a' * 24} b", ["b" * 24]),
        (f"delete {'a' * 24} a", []),
        (f"delete -- {'a' * 24} --", []),
        ("plan --protect ci-", ["ci-1", "ci-2"]),
        ("plan --protect aaa", ["a" * 24]),
        ("sandbox --fail 50", ["503:2%"]),
        ("audit --fail-on h", ["high"]),
        ("audit --ignore expired", ["expired"]),
        ("audit --seen-in ", ["org:", "instance:"]),
        ("audit --seen-in org:", []),
        ("plan --protect-seen o", ["off"]),
        ("plan --seen-in i", ["instance:"]),
        ("fleet runs --state wa", ["waiting"]),
        ("fleet runs --state waiting --state wa", []),
        ("help ru", ["runs"]),
        ("help runs p", ["prune"]),
        ("completion f", ["fish"]),
        ("completion fish x", []),
    ],
)
def test_values(line: str, expected: list[str]) -> None:
    """The values are those that the command line can continue with."""
    assert texts(line) == expected


def test_options_are_offered_last() -> None:
    """An empty word is completed to an option if the command takes no more arguments."""
    found = texts(f"show {'a' * 24} ")

    assert {"--owner", "--json", "--help"} <= set(found)
    assert all(one.startswith("--") for one in found)


@pytest.mark.parametrize(
    ("line", "patterns"),
    [
        ("apply ", ("*.jsonl",)),
        ("restore ", ("*.json",)),
        ("sweep --after 30d ", ("*.json",)),
        ("quarantine list last ", ("*.json",)),
        ("cleanup --report ", ("*.html", "*.csv", "*.json")),
        ("cleanup --report=", ("*.html", "*.csv", "*.json")),
        ("plan --out ", ("*.jsonl",)),
    ],
)
def test_files(line: str, patterns: tuple[str, ...]) -> None:
    """Files are offered by their suffix."""
    *words, current = line.split(" ")

    found = complete(words, current).files
    assert found is not None
    assert found.patterns == patterns


def test_descriptions() -> None:
    """Values have the descriptions of the help, and ids those of their tokens."""
    assert complete([], "show").values == (Value("show", "Show a token, without its secret"),)
    assert complete(["list"], "--exp").values[0].description.startswith("Select ")
    assert complete(["show"], "b").values == (Value("b" * 24, "ci-2, inactive"),)
    assert complete(["list", "--named"], "ci-2").values == (Value("ci-2", "2 tokens"),)


def test_quarantines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`last` and the ids of the recorded quarantines are offered, the newest first."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert texts("restore ") == ["last"]
    folder = tmp_path / "losant-tokens" / "quarantines"
    folder.mkdir(parents=True)
    for number, id_ in enumerate(("0123", "4567")):
        (folder / f"quarantine-{id_}.json").touch()
        os.utime(folder / f"quarantine-{id_}.json", (86400 * number, 86400 * number))

    assert complete(["restore"], "").values == (
        Value("last", "the newest quarantine"),
        Value("4567", "1970-01-02 00:00 UTC"),
        Value("0123", "1970-01-01 00:00 UTC"),
    )
    assert texts("sweep 45") == ["4567"]


def test_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The accounts of the configuration file are offered, each once; a broken file has none."""
    config = tmp_path / "config.toml"
    config.touch(0o600)
    config.write_text(
        '[accounts.prod]\ntoken = { env = "A" }\n[accounts.staging]\ntoken = { env = "B" }\n'
    )
    monkeypatch.setenv("LOSANT_TOKENS_CONFIG", str(config))

    assert texts("list --account ") == ["prod", "staging"]
    assert texts("account check --account prod --account ") == ["staging"]
    monkeypatch.delenv("LOSANT_TOKENS_CONFIG")
    assert texts(f"list --config {config} --account ") == ["prod", "staging"]
    config.write_text("accounts = 1")
    assert texts(f"list --config {config} --account ") == []


def test_tokens_of_an_account_are_not_offered() -> None:
    """A TAB reads no token of an account, and never offers tokens of another account."""
    assert [text for text in texts("show --account prod ") if not text.startswith("--")] == []


def test_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`last` and the plans in the state folder are offered, the newest first."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert texts("runs show ") == ["last"]
    folder = tmp_path / "losant-tokens"
    folder.mkdir()
    plans = [folder / f"plan-20261126T00000{number}.000000Z.jsonl" for number in (2, 1)]
    for path in plans:
        path.touch()

    assert texts("runs show ") == ["last", *map(str, plans)]


def test_rotations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`last` and the journals of rotations are offered, the newest first."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert texts("rotate resume ")[:1] == ["last"]
    folder = tmp_path / "losant-tokens" / "rotations"
    folder.mkdir(parents=True)
    journals = [folder / f"rotation-{number}.journal" for number in (2, 1)]
    for path in journals:
        path.touch()

    assert texts("rotate cancel ") == ["last", *map(str, journals)]


def test_cleanups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clean-ups of the policy file are offered; a file with mistakes has none."""
    monkeypatch.chdir(tmp_path)
    assert [text for text in texts("policy warn ") if not text.startswith("--")] == []
    path = write_policy(tmp_path, LADDER + CLEANUP)

    assert texts("policy warn ") == ["stale", "old-ci"]
    path.rename(tmp_path / "p.toml")
    assert texts("plan --policy-file p.toml --policy ") == ["stale", "old-ci"]


def test_runs_of_a_fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs that a command can be used with are offered, from the store that it would use."""
    path = tmp_path / "fleet.sqlite"
    monkeypatch.setenv("LOSANT_TOKENS_FLEET", str(path))
    applied = {"apply": Work(worker="w", version="1", started_at=NOW, outcomes={"failed": 1})}
    runs = (
        run(id="a1", approve_by=datetime.now(UTC) + timedelta(days=1)),
        run(id="a2", approve_by=datetime.now(UTC), cleanup="bad\x1b"),
        run(id="a3", state="quarantined", account="staging", work=applied, phase="apply"),
        run(id="a4", state="failed", cleanup="expired"),
    )
    write_store(path, *runs)

    assert complete(["fleet", "approve"], "").values == (Value("a1", "waiting, old-ci for prod"),)
    assert texts("fleet reject a1 a") == []
    assert texts("fleet cancel a") == ["a4", "a3", "a1"]
    assert texts("fleet restore a") == ["a3"]
    assert texts("fleet retry a") == ["a4", "a3"]
    assert texts("fleet show a") == ["a4", "a3", "a2", "a1"]
    assert texts("fleet runs --account ") == ["prod", "staging"]
    assert texts("fleet report --cleanup ") == ["expired", "old-ci"]
    (tmp_path / "url").write_text(str(path))
    (tmp_path / "url").chmod(0o600)
    monkeypatch.delenv("LOSANT_TOKENS_FLEET")
    assert texts(f"fleet show --store {path} a4") == ["a4"]
    assert texts(f"fleet show --store @{tmp_path / 'url'} a4") == ["a4"]


def test_store_that_cannot_be_read(tmp_path: Path) -> None:
    """A TAB creates no store, and offers nothing if a store cannot be read."""
    path = tmp_path / "none" / "fleet.sqlite"
    assert texts(f"fleet prune --store {path} --account ") == []
    assert texts("fleet show --store mysql://x/y 1") == []
    assert not path.parent.exists()


def test_cleanups_of_a_fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fleet plan` offers the clean-ups of the file that --policy names."""
    path = write_policy(tmp_path, LADDER + CLEANUP)
    assert texts(f"fleet plan --policy {path} st") == ["stale"]


def test_all_scopes_are_offered() -> None:
    """Every published scope is offered."""
    assert texts("create ci --scope ") == sorted(published_scopes())


@pytest.mark.parametrize("name", [name for name in COMMANDS if COMMANDS[name].path])
def test_each_value_is_complete_or_free(name: str) -> None:
    """Each option and argument has values to offer, unless only the user knows them."""
    for argument in command_app(name).assemble_argument_collection().filter_by(show=True):
        metavar = argument.parameter.metavar or argument.name
        offers = (
            argument.hint is bool
            or argument.get_choices(force=True)
            or source_for(name, argument.name, metavar) is not None
            or argument.name == "COMMAND..."
        )
        assert bool(offers) != (metavar in NOTHING), (argument.name, metavar)


def test_sources_are_used() -> None:
    """Each row of the table belongs to an option, an argument or a metavar of a command."""
    used = set()
    for name, command in COMMANDS.items():
        if command.path is not None:
            for one in command_app(name).assemble_argument_collection().filter_by(show=True):
                used |= {f"{name} {one.name}", *one.names, one.parameter.metavar, one.name}

    assert set(SOURCES) - used == set()


# --- The output for shells -------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with files."""
    for name in ("plan a.jsonl", "plan-b.jsonl", "notes.txt", ".hidden.jsonl"):
        (tmp_path / name).touch()
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "c.jsonl").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_lines_for_zsh_and_fish(command: Command, shell: str) -> None:
    """zsh and fish get the values with descriptions, or patterns of files."""
    assert command("__complete", shell, "qua") == (
        0,
        "values\nquarantine\tDeactivate tokens, to delete or restore them later\n",
        "",
    )
    assert command("__complete", shell, "apply", "")[1] == "files *.jsonl\n"
    assert command("__complete", shell)[1].startswith("values\nlist\t")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("qua", ["space", "quarantine"]),
        ("list --owner=ap", ["nospace", "application:"]),
        ("list --owner application:", ["space"]),
        ("list '--owner=ap", ["nospace", "--owner=application:"]),
        ('list --owner="ap', ["nospace", "application:"]),
        ("apply pl", ["space", "plan\\ a.jsonl", "plan-b.jsonl", "plans/"]),
        ("apply plan\\ ", ["space", "plan\\ a.jsonl"]),
        ("apply 'plan ", ["space", "plan a.jsonl"]),
        ("apply plans/", ["space", "plans/c.jsonl"]),
        ("apply no", ["space"]),
        ("apply .h", ["space", ".hidden.jsonl"]),
        ("apply plans", ["nospace", "plans/"]),
        ("plan --out=plan-", ["space", "plan-b.jsonl"]),
        ("list --named a", ["space", "a\\[\\[\\]b\\]\\[\\*\\]\\[\\?\\]"]),
        ("patch 'x y'  --status  ac", ["space", "active"]),
        ("list --named ''", ["space", "ci-1", "ci-2", "a\\[\\[\\]b\\]\\[\\*\\]\\[\\?\\]"]),
    ],
)
def test_lines_for_bash(command: Command, folder: Path, line: str, expected: list[str]) -> None:
    """bash gets the words to insert: after the last separator, and quoted as the line is."""
    code, out, err = command("__complete", "bash", f"losant-tokens {line}", " \t\n\"'><=;|&(:")

    assert (code, out.splitlines(), err) == (0, expected, "")


@pytest.mark.parametrize(
    ("opening", "expected"),
    [
        ("", r"""\$\(id\)\`id\`\\\"\'\!"""),
        ('"', r"""\$(id)\`id\`\\\"'"'!'" """.rstrip()),
        ("'", r"""$(id)`id`\"'\''!"""),
    ],
)
def test_bash_runs_no_name(
    command: Command, monkeypatch: pytest.MonkeyPatch, opening: str, expected: str
) -> None:
    """A name on the server is inserted as text: bash expands nothing in it, also in quotes."""
    known = [KnownToken("1" * 24, r"""$(id)`id`\"'!""")]
    monkeypatch.setattr("losant_tokens.cli._completion.values.known_tokens", lambda _: known)

    _, out, _ = command("__complete", "bash", f"losant-tokens list --named {opening}", ":")

    assert out.splitlines() == ["space", expected]


def test_bash_shows_descriptions(command: Command) -> None:
    """At the second TAB, bash shows the words with descriptions that fit the terminal."""
    line = "losant-tokens list --exp"
    words = ["space", "--expired", "--expires-within"]

    assert command("__complete", "bash", line, ":", "9", "40")[1].splitlines() == words
    assert command("__complete", "bash", line, ":", "63", "40")[1].splitlines() == [
        "space",
        "--expired         (Select expired toke…",
        "--expires-within  (Select tokens that…",
    ]
    long = command("__complete", "bash", line, ":", "63", "")[1].splitlines()
    assert long[1] == "--expired         (Select expired tokens)"
    one = command("__complete", "bash", "losant-tokens qua", ":", "63", "80")[1]
    assert one.splitlines() == ["space", "quarantine"]
    owners = command("__complete", "bash", "losant-tokens patch x --status ", ":", "63", "")[1]
    assert owners.splitlines() == ["space", "active", "inactive"]


def test_home_folder(command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tilde at the beginning is the home folder, and stays in the word."""
    monkeypatch.setenv("HOME", str(folder))

    assert command("__complete", "bash", "losant-tokens apply ~/plan-", ":")[1].splitlines() == [
        "space",
        "~/plan-b.jsonl",
    ]


def test_errors_are_silent(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error during completion prints nothing, because the user is typing."""

    def fail(*_: object) -> Completion:
        raise RuntimeError("a bug")

    monkeypatch.setattr(completer, "complete", fail)

    assert command("__complete", "zsh", "") == (0, "", "")
    assert command("__complete") == (0, "", "")


def test_a_request_that_hangs_ends_the_process(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process does not wait for a request whose time is up."""
    codes: list[int] = []
    monkeypatch.setattr(completer, "is_waiting", lambda: True)
    monkeypatch.setattr(os, "_exit", codes.append)

    assert command("__complete", "zsh", "qua")[1].startswith("values\nquarantine\t")
    assert codes == [0]
