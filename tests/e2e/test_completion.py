"""TAB in real shells, set up with the lines of the documentation."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from losant_tokens.cli._app import COMMANDS
from losant_tokens.testing import FakeLosant
from tests.support import shells
from tests.support.command import Command
from tests.support.documentation import ROOT

pytestmark = pytest.mark.usefixtures("forked_commands")
PAGE = ROOT / "docs" / "how-to" / "completion.md"
TOKEN = "575ec7417ae143cd83dc4a95"

AWKWARD = "odd: it's [a] $b \\"


def documented(shell: str) -> list[str]:
    """Return the code blocks of a shell on the page about completion."""
    return re.findall(rf"^```{shell}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def set_up(variant: str, home: Path) -> None:
    """Follow the documentation of a shell in a home folder."""
    shell, _, way = variant.partition("-")
    blocks = documented(shell)
    if variant == "bash":
        (home / ".bashrc").write_text(f"PS1='> '\n{blocks[0]}")
    elif variant == "fish":
        config = home / ".config" / "fish" / "config.fish"
        config.parent.mkdir(parents=True)
        config.write_text("function fish_prompt; echo '> '; end\nfunction fish_greeting; end\n")
        (home / "once").write_text(blocks[0])
    elif way == "folder":
        (home / "once").write_text(blocks[1])
        (home / ".zshrc").write_text(f"PROMPT='> '\n{blocks[2]}")
    else:
        (home / ".zshrc").write_text(f"PROMPT='> '\n{blocks[0]}")


@pytest.fixture(
    scope="module",
    params=["bash", *(pytest.param(name, marks=pytest.mark.slow) for name in ("zsh", "fish"))],
)
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def shell(variant: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[shells.Terminal]:
    """A shell with completion, in a folder with files, and a fake with two tokens."""
    name = variant.partition("-")[0]
    shells.require(name)
    home = tmp_path_factory.mktemp(variant)
    work = home / "work"
    (work / "reports").mkdir(parents=True)
    for file in ("plan a.jsonl", "quarantine.json", "notes.txt", "table.csv"):
        (work / file).touch()
    set_up(variant, home)
    fake = FakeLosant()
    fake.add_token("ci-prod", id=TOKEN)
    fake.add_token(AWKWARD, id="6" * 24)
    with fake.serve() as base_url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOSANT_API_URL", base_url)
        patch.setenv("LOSANT_API_TOKEN", fake.admin_token)
        if (home / "once").exists():
            with shells.opened(name, home) as first:
                first.run(f"source {home / 'once'}")
        with shells.opened(name, home) as terminal:
            terminal.run("true")
            yield terminal


@pytest.fixture
def tab(shell: shells.Terminal) -> Iterator[shells.Terminal]:
    """The shell, with an empty line before and after the test."""
    yield shell
    shell.type("\x03")
    shell.run("true")


@pytest.mark.sweep(sample=3)
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("losant-tokens qua", "losant-tokens quarantine "),
        ("losant-tokens runs pru", "losant-tokens runs prune "),
        ("losant-tokens list --page", "losant-tokens list --page-size "),
        ("losant-tokens patch 1 --status ina", "losant-tokens patch 1 --status inactive "),
        ("losant-tokens patch 1 --status=ina", "losant-tokens patch 1 --status=inactive "),
        ("losant-tokens list --owner app", "losant-tokens list --owner application:"),
        ("losant-tokens list --owner=ins", "losant-tokens list --owner=instance:"),
        ("losant-tokens create ci --scope userApiToken.pa", "--scope userApiToken.patch "),
        ("losant-tokens show 575", f"losant-tokens show {TOKEN} "),
        ("losant-tokens list --named ci-", "losant-tokens list --named ci-prod "),
        ("losant-tokens apply pl", "losant-tokens apply plan\\ a.jsonl "),
        ("losant-tokens restore q", "losant-tokens restore quarantine.json "),
        ("losant-tokens restore la", "losant-tokens restore last "),
        ("losant-tokens cleanup --report ta", "losant-tokens cleanup --report table.csv "),
        ("losant-tokens cleanup --report=ta", "losant-tokens cleanup --report=table.csv "),
        ("losant-tokens cleanup --report re", "losant-tokens cleanup --report reports/"),
        ("losant-tokens help quar", "losant-tokens help quarantine "),
        ("losant-tokens completion zs", "losant-tokens completion zsh "),
    ],
)
def test_tab(tab: shells.Terminal, typed: str, expected: str) -> None:
    """TAB completes commands, options, choices, owners, scopes, tokens and files."""
    tab.complete(typed, expected)

    assert tab.line().endswith(expected)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["zsh-folder"], indirect=True)
def test_folder_of_functions(tab: shells.Terminal) -> None:
    """TAB also works if the script is in a folder of zsh."""
    tab.complete("losant-tokens qua", "losant-tokens quarantine ")
    tab.complete(" --named ci-", " --named ci-prod ")


def test_awkward_names(tab: shells.Terminal) -> None:
    """A name with spaces, quotes and other special characters arrives as it is."""
    tab.complete("losant-tokens list --csv --named od", "\\ ")
    tab.type("\r")

    tab.wait(lambda: "6" * 24 in tab.screen())


@pytest.mark.sweep(sample=3)
@pytest.mark.parametrize("quote", ['"', "'"])
def test_awkward_names_in_quotes(tab: shells.Terminal, quote: str) -> None:
    """In quotes too, a name arrives as it is: the shell expands nothing in it."""
    tab.complete(f"losant-tokens list --csv --named {quote}od", f"{quote} ")
    tab.type("\r")

    tab.wait(lambda: "6" * 24 in tab.screen().rpartition(f"--named {quote}")[2])


@pytest.mark.sweep(sample=2)
@pytest.mark.parametrize("typed", ["losant-tokens apply no", "losant-tokens cleanup --report no"])
def test_no_other_files(tab: shells.Terminal, typed: str) -> None:
    """Where a file of a certain kind is expected, TAB offers no other files."""
    tab.type(f"{typed}\t\t")
    tab.type(" end")

    tab.wait(lambda: " end" in tab.line())
    assert "notes.txt" not in tab.screen()


def test_descriptions(tab: shells.Terminal, variant: str) -> None:
    """TAB lists the commands with their descriptions; in bash, the second TAB does."""
    tab.type("losant-tokens r\t\t" if variant == "bash" else "losant-tokens r\t")

    tab.wait(lambda: "Activate the unchanged tokens of a quarantine" in tab.screen())
    # The shell writes the line again after the list.
    tab.wait(lambda: tab.line().endswith("losant-tokens r"))


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_help_shows_the_same_lines(name: str) -> None:
    """The help of `completion` has the lines of the documentation that these tests run."""
    text = " ".join(COMMANDS["completion"].epilogue.replace("\\\n", " ").split())

    assert documented(name)[0].splitlines()[-1] in text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_scripts_are_accepted(command: Command, name: str) -> None:
    """Each shell accepts its script."""
    shells.require(name)
    code, out, err = command("completion", name)

    checked = subprocess.run([name, "-n"], input=out, capture_output=True, text=True, check=False)
    assert (code, err) == (0, "")
    assert (checked.returncode, checked.stderr) == (0, "")
