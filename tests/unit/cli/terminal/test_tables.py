"""Tables on terminals and in pipes."""

from collections.abc import Callable

import pytest
from rich.cells import cell_len

from losant_tokens.cli._terminal.tables import Cell, fit_columns, format_table, write_table

WIDTHS = {"ID": 24, "NAME": 30, "STATUS": 8, "SCOPES": 40}
STEPS = (("SCOPES", 16), ("NAME", 20), ("SCOPES", 12), ("ID", 9))


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (200, WIDTHS),
        (108, WIDTHS),
        (107, WIDTHS | {"SCOPES": 39}),
        (84, WIDTHS | {"SCOPES": 16}),
        (80, WIDTHS | {"SCOPES": 16, "NAME": 26}),
        (70, WIDTHS | {"SCOPES": 12, "NAME": 20}),
        (60, WIDTHS | {"SCOPES": 12, "NAME": 20, "ID": 14}),
        (40, {"ID": 8, "NAME": 9, "STATUS": 8, "SCOPES": 9}),
        (12, {"ID": 1, "NAME": 1, "STATUS": 2, "SCOPES": 2}),
        (1, {"ID": 1, "NAME": 1, "STATUS": 1, "SCOPES": 1}),
    ],
)
def test_columns_shrink_in_order(room: int, expected: dict[str, int]) -> None:
    """Columns shrink step by step, then the widest ones do, and none is left out."""
    fitted = fit_columns(WIDTHS, room, steps=STEPS)

    assert sum(fitted.values()) == sum(expected.values())
    assert fitted == expected


def test_the_wrapped_column_shrinks_last() -> None:
    """The column that wraps shrinks after all steps."""
    assert fit_columns({"A": 24, "B": 24}, 30, steps=(("A", 16),), wrap="B") == {"A": 16, "B": 12}


def test_short_columns_keep_their_width() -> None:
    """A step never makes a column wider."""
    assert fit_columns({"A": 24, "B": 3}, 200, steps=(("B", 12),)) == {"A": 24, "B": 3}


def test_kept_column() -> None:
    """A column to keep does not shrink, even if the table does not fit."""
    assert fit_columns({"A": 24, "B": 20}, 30, keep=("A",)) == {"A": 24, "B": 4}
    assert fit_columns({"A": 24, "B": 20}, 10, keep=("A", "B")) == {"A": 24, "B": 20}


ROWS = [("1", "a", "12"), ("23", "\x1b[1m[red]漢字[/red]", "3")]


def test_table_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe, a table is complete, plain, and without trailing spaces."""
    write_table(("ID", "NAME", "N"), ROWS, cut="NAME", numbers=("N",))

    expected = "ID  NAME                     N\n1   a                       12\n"
    assert capsys.readouterr().out == f"{expected}23  \\x1b[1m[red]漢字[/red]   3\n"


def test_table_without_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """A table without rows has a header."""
    write_table(("ID", "NAME"), [])

    assert capsys.readouterr().out == "ID  NAME\n"


def test_table_on_a_terminal(
    capsys: pytest.CaptureFixture[str], terminal: Callable[..., None]
) -> None:
    """On a terminal, long cells are shortened, actions are colored, and markup is text."""
    terminal(columns=21)

    write_table(("ID", "ACTION"), [("[b]", "delete"), ("2", "x" * 30)], cut="ACTION")

    assert capsys.readouterr().out == (
        f"\x1b[1mID\x1b[0m   \x1b[1mACTION\x1b[0m\n[b]  \x1b[31mdelete\x1b[0m\n2    {'x' * 15}…\n"
    )


def test_no_row_is_wider_than_the_terminal(
    terminal: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wide characters count as two cells, so no row wraps."""
    terminal(columns=20)
    monkeypatch.setenv("NO_COLOR", "1")

    table = format_table(("A", "B"), [("漢字" * 9, "x" * 40), ("é" * 40, "\x1b" * 9)])

    assert max(map(cell_len, table.splitlines())) <= 20
    assert "…" in table


def test_a_column_wraps(terminal: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of the column that wraps is complete, on several lines between other columns."""
    terminal(columns=32)
    monkeypatch.setenv("NO_COLOR", "1")

    table = format_table(
        ("A", "REASON", "N"),
        [("a", "expired on 2026-01-01, named 'x'", "12"), ("b", "y" * 28, "3"), ("c", "", "4")],
        wrap="REASON",
        numbers=("N",),
    )

    assert table.splitlines() == [
        "A  REASON                      N",
        "a  expired on 2026-01-01,     12",
        "   named 'x'",
        "b  yyyyyyyyyyyyyyyyyyyyyyyyy   3",
        "   yyy",
        "c                              4",
    ]


def test_a_column_moves_below(
    terminal: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column that would break its words moves below the others, and they get the whole width."""
    terminal(columns=30)
    monkeypatch.setenv("NO_COLOR", "1")

    table = format_table(
        ("NAME", "FINDINGS", "N"),
        [("ci-build-tool", "can-create-tokens, never-expires", "1"), ("ci", "", "2")],
        steps=(("NAME", 12),),
        wrap="FINDINGS",
    )

    assert table.splitlines() == [
        "NAME           N",
        "    FINDINGS",
        "ci-build-tool  1",
        "    can-create-tokens,",
        "    never-expires",
        "ci             2",
    ]


def test_a_cell_uses_the_longest_form_that_fits() -> None:
    """A cell has shorter forms, and shortens the last one if none fits."""
    cell = Cell("expired 2 years ago", shorter=("expired 2y", "2y"))

    assert [cell.fitted(width) for width in (19, 18, 10, 9, 2, 1)] == [
        *("expired 2 years ago", "expired 2y", "expired 2y", "2y", "2y", "…"),
    ]


def test_a_cell_can_shorten_itself() -> None:
    """The function of a cell shortens it."""
    assert Cell("long text", shorten=lambda width: f"<{width}>").fitted(5) == "<5>"


def test_no_color(
    capsys: pytest.CaptureFixture[str],
    terminal: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NO_COLOR disables colors."""
    terminal()
    monkeypatch.setenv("NO_COLOR", "1")

    write_table(("ID", "ACTION"), [("1", "delete")], cut="ACTION")

    assert "\x1b[31m" not in capsys.readouterr().out


def test_forced_colors(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """FORCE_COLOR enables colors in a pipe."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")

    write_table(("ID", "ACTION"), [("1", "delete")])

    assert "\x1b[31mdelete\x1b[0m\n" in capsys.readouterr().out
