"""Tables on terminals and in pipes."""

from collections.abc import Callable

import pytest

from losant_tokens.cli._tables import fit_columns, write_table

WIDTHS = {"ID": 24, "NAME": 30, "STATUS": 8, "CREATED": 10, "SCOPES": 40}


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (200, WIDTHS),
        (120, WIDTHS),
        (119, WIDTHS | {"SCOPES": 39}),
        (92, WIDTHS | {"SCOPES": 12}),
        (91, {"ID": 24, "NAME": 30, "STATUS": 8, "SCOPES": 23}),
        (80, {"ID": 24, "NAME": 30, "STATUS": 8, "SCOPES": 12}),
        (79, {"ID": 24, "NAME": 30, "STATUS": 8}),
        (66, {"ID": 24, "NAME": 30, "STATUS": 8}),
        (60, {"ID": 24, "NAME": 24, "STATUS": 8}),
        (20, {"ID": 24, "NAME": 12, "STATUS": 8}),
    ],
)
def test_fit_columns(room: int, expected: dict[str, int]) -> None:
    """Scopes are truncated first, then columns are left out, then names wrap; ids stay complete."""
    drop = ("CREATED", "SCOPES")

    assert fit_columns(WIDTHS, room, cut="SCOPES", drop=drop, wrap="NAME") == expected


def test_short_columns_are_not_truncated() -> None:
    """A short column keeps its width."""
    assert fit_columns({"A": 24, "B": 3}, 20, cut="B", wrap="B") == {"A": 24, "B": 3}


ROWS = [("1", "a", "12"), ("23", "\x1b[1m[red]漢字[/red]", "3")]


def test_table_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe, a table is complete, plain, and without trailing spaces."""
    write_table(("ID", "NAME", "N"), ROWS, cut="NAME", numbers=("N",))

    expected = "ID  NAME                     N\n1   a                       12\n"
    assert capsys.readouterr().out == f"{expected}23  \\x1b[1m[red]漢字[/red]   3\n"


def test_table_without_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """A table without rows has a header."""
    write_table(("ID", "NAME"), [], cut="NAME")

    assert capsys.readouterr().out == "ID  NAME\n"


def test_table_on_a_terminal(
    capsys: pytest.CaptureFixture[str], terminal: Callable[..., None]
) -> None:
    """On a terminal, long cells are truncated, statuses are colored, and markup is text."""
    terminal(columns=21)

    write_table(("ID", "STATUS"), [("[b]", "inactive"), ("2", "x" * 30)], cut="STATUS")

    out = capsys.readouterr().out
    assert "\x1b[33minactive" in out
    assert "[b]" in out
    assert "x" * 15 + "…" in out
    assert "x" * 16 not in out


def test_no_color(
    capsys: pytest.CaptureFixture[str],
    terminal: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NO_COLOR disables colors."""
    terminal()
    monkeypatch.setenv("NO_COLOR", "1")

    write_table(("ID", "STATUS"), [("1", "inactive")], cut="STATUS")

    assert "\x1b[33m" not in capsys.readouterr().out
