"""Colors, and the variables that decide about them."""

import io

import pytest

from losant_tokens.cli._terminal.colors import colored, has_color

VARIABLES = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set none of the variables, and a terminal with colors."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def set_all(monkeypatch: pytest.MonkeyPatch, settings: str) -> None:
    for setting in settings.split():
        monkeypatch.setenv(*setting.split("="))


def test_only_a_terminal_has_colors() -> None:
    """Without variables, a terminal gets colors. A pipe and a closed stream get none."""
    assert [has_color(one) for one in (Terminal(), io.StringIO(), None)] == [True, False, False]


@pytest.mark.parametrize(
    "settings", ["NO_COLOR=1", "NO_COLOR=0", "CLICOLOR=0", "TERM=dumb", "NO_COLOR=1 FORCE_COLOR=1"]
)
def test_variables_disable_colors(settings: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR with any value, CLICOLOR=0 and a dumb terminal disable colors."""
    set_all(monkeypatch, settings)

    assert not has_color(Terminal())


@pytest.mark.parametrize(
    "settings",
    [
        *("FORCE_COLOR=1", "FORCE_COLOR=3", "CLICOLOR_FORCE=1", "FORCE_COLOR=1 CLICOLOR=0"),
        *("CLICOLOR_FORCE=1 TERM=dumb", "NO_COLOR= FORCE_COLOR=1"),
    ],
)
def test_variables_force_colors(settings: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """FORCE_COLOR and CLICOLOR_FORCE enable colors without a terminal."""
    set_all(monkeypatch, settings)

    assert has_color(io.StringIO())


@pytest.mark.parametrize(
    "settings",
    ["FORCE_COLOR=0", "CLICOLOR_FORCE=0", "NO_COLOR=", "FORCE_COLOR=", "CLICOLOR=1", "CLICOLOR="],
)
def test_variables_without_effect(settings: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable, and 0 for a variable that forces colors, change nothing."""
    set_all(monkeypatch, settings)

    assert [has_color(Terminal()), has_color(io.StringIO())] == [True, False]


def test_styles_become_escape_sequences() -> None:
    """A style is one escape sequence before the string, and one that ends it."""
    assert colored("a", "red") == "\x1b[31ma\x1b[0m"
    assert colored("a", "bold yellow") == "\x1b[1;33ma\x1b[0m"


def test_plain_strings_are_unchanged() -> None:
    """Without colors, without a style and without text, there is no escape sequence."""
    assert colored("a", "red", enabled=False) == "a"
    assert [colored("a", ""), colored("", "red")] == ["a", ""]
