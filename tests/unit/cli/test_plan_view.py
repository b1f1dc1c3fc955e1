"""Plans, totals and progress for people."""

import io
from pathlib import Path

import pytest

from losant_tokens import Owner
from losant_tokens.cli._format import format_seconds
from losant_tokens.cli._plan_view import plan_rows, show_plan, totals_line
from losant_tokens.jobs import Entry, Outcome
from tests.support.reports import entry, report

DONE = dict.fromkeys(Outcome, 0)


def rows(tmp_path: Path, *entries: Entry) -> list[tuple[str, ...]]:
    return plan_rows(report(tmp_path, [None] * len(entries), entries=entries).plan)


def test_reasons_are_grouped(tmp_path: Path) -> None:
    """Tokens whose reasons differ only in their dates are one row, with the first and last date."""
    dates = ["2025-03-01", "2024-01-02", "2025-01-01"]
    tokens = [
        entry(number, f"ci-{number}", reason=f"expired on {date}, named 'x'")
        for number, date in enumerate(dates)
    ]

    assert rows(tmp_path, *tokens) == [
        (
            "delete",
            "user",
            "expired on 2024-01-02 to 2025-03-01, named 'x'",
            "3",
            "ci-0, ci-1, ci-2",
        ),
        ("keep", "user", "not selected", "3", ""),
    ]


def test_equal_dates(tmp_path: Path) -> None:
    """If all dates are the same, the date is shown once."""
    tokens = [entry(number, "same") for number in range(2)]

    assert rows(tmp_path, *tokens)[0] == ("delete", "user", "expired on 2025-01-02", "2", "same")


def test_examples(tmp_path: Path) -> None:
    """Three examples are chosen from the whole list of tokens."""
    tokens = [entry(number, str(number)) for number in range(1000)]

    examples = rows(tmp_path, *tokens)[0][-1]

    *some, more = examples.split(", ")
    assert (len(set(some)), more) == (3, "...")
    assert max(map(int, some)) > 300


def test_protected_tokens(tmp_path: Path) -> None:
    """Protected tokens are kept and have their own reason; the largest group comes first."""
    tokens = [
        entry(0, protected="protected by 'x'"),
        entry(1, reason="inactive"),
        entry(2),
        entry(3),
    ]

    assert [row[:1] + row[2:3] for row in rows(tmp_path, *tokens)] == [
        ("delete", "expired on 2025-01-02"),
        ("delete", "inactive"),
        ("keep", "protected by 'x'"),
        ("keep", "not selected"),
    ]


def test_many_reasons(tmp_path: Path) -> None:
    """A table is not longer than a screen."""
    tokens = [entry(number, reason=f"reason {chr(65 + number)}") for number in range(20)]

    table = rows(tmp_path, *tokens)

    assert len(table) == 17
    assert table[-2] == ("delete", "", "5 other reasons", "5", "")


def test_incomplete_plan(tmp_path: Path) -> None:
    """A plan shows why tokens may be missing."""
    header = {"incomplete": ("user: the API lists 1 token twice",)}
    shown = io.StringIO()

    show_plan(report(tmp_path, [None], header=header).plan, shown)

    assert "May miss:      user: the API lists 1 token twice\n" in shown.getvalue()


def test_control_characters_in_a_plan(tmp_path: Path) -> None:
    """Control characters in a plan are escaped."""
    evil = "\x1b[2J"
    made = report(
        tmp_path,
        [None] * 2,
        entries=[entry(0, evil, reason=evil), entry(1, owner=Owner.user_oauth())],
        header={"rule": evil, "protected": (evil,), "token_in_use": evil},
    )
    shown = io.StringIO()

    show_plan(made.plan, shown)

    assert "\x1b" not in shown.getvalue()
    assert "Rule:          \\x1b[2J\nProtected:     \\x1b[2J\n" in shown.getvalue()
    assert "OWNER" in shown.getvalue()


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([Outcome.DONE], "Deleted 1, left alone 0, failed 0: 10.0 seconds, 2 requests per second."),
        (
            list(Outcome),
            "Deleted 1, left alone 3 (1 changed, 1 gone, 1 protected), failed 1, unknown 1: ",
        ),
        ([None, Outcome.DONE], "Deleted 1, left alone 0, failed 0, not started 1: "),
    ],
)
def test_totals(tmp_path: Path, outcomes: list[Outcome | None], expected: str) -> None:
    """The totals of a job are one line."""
    assert totals_line(report(tmp_path, outcomes))[: len(expected)] == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "?"),
        (0.2, "1 s"),
        (59, "59 s"),
        (61, "1 min"),
        (3599, "1 h 00 min"),
        (9000, "2 h 30 min"),
    ],
)
def test_format_seconds(seconds: float | None, expected: str) -> None:
    """An estimate has a unit that fits its size."""
    assert format_seconds(seconds) == expected
