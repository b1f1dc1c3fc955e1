"""The progress of a job, on terminals of several widths and without one."""

from collections.abc import Callable
from typing import Any

import pytest

from losant_tokens.cli._jobs.progress import fitted_status, job_progress
from losant_tokens.cli._terminal.console import quiet_output, verbose_output
from losant_tokens.jobs import Outcome, Progress

NONE = dict.fromkeys(Outcome, 0)
OUTAGE: dict[str, Any] = {
    "pause_reason": "service unavailable",
    "next_attempt_in": 12.4,
    "gives_up_in": 245.0,
}


def at(done: int, elapsed: float = 0.0, total: int = 100, **members: Any) -> Progress:
    """Return the progress of a job with a number of deleted tokens."""
    outcomes = members.pop("outcomes", {})
    return Progress(
        **{
            "total": total,
            "counts": NONE | {Outcome.DONE: done} | outcomes,
            "elapsed": elapsed,
            "per_second": 240.0,
            "tokens_per_second": 120.0,
            **members,
        }
    )


BUSY = at(
    1942, total=11891, remaining=82.0, concurrency=20, outcomes={Outcome.FAILED: 8, Outcome.GONE: 2}
)


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        (
            120,
            "1,952/11,891, 8 failed, 2 gone, 1 min left, 120 tokens/s, 240 requests/s, 20 at once",
        ),
        (80, "1,952/11,891, 8 failed, 2 gone, 1 min left, 120 tokens/s"),
        (60, "1,952/11,891, 8 failed, 2 gone, 1 min left"),
        (40, "1,952/11,891, 8 failed"),
        (20, "1,952/11,891"),
        (4, "1,952/11,891"),
    ],
)
def test_status_that_fits(columns: int, status: str) -> None:
    """The status names its numbers, and leaves the less important ones out if there is no room."""
    assert fitted_status(BUSY, columns - len("Deleting"))[1] == status


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        (
            120,
            "50/100, 3 failed, service unavailable, next attempt in 12 s, gives up in 4 min",
        ),
        (80, "50/100, service unavailable, next attempt in 12 s, gives up in 4 min"),
        (78, "50/100, unavailable, next attempt in 12 s, gives up in 4 min"),
        (60, "50/100, service unavailable, next attempt in 12 s"),
        (52, "50/100, unavailable, next attempt in 12 s"),
        (40, "50/100, service unavailable"),
        (20, "50/100"),
    ],
)
def test_outage_that_fits(columns: int, status: str) -> None:
    """During an outage, the status has a countdown, and is shortened if there is no room."""
    progress = at(47, outcomes={Outcome.FAILED: 3}, **OUTAGE)

    assert fitted_status(progress, columns - len("Deleting"))[1] == status


@pytest.mark.parametrize("columns", range(1, 160))
@pytest.mark.parametrize("progress", [BUSY, at(50, **OUTAGE), at(0), at(100)])
@pytest.mark.sweep(sample=40)
def test_status_is_one_line(columns: int, progress: Progress) -> None:
    """The bar and the status always fit one line, unless there is no room even for the count."""
    width, text = fitted_status(progress, columns)

    assert width == 0 or 6 <= width <= 40
    assert width + len(text) + 3 <= columns or len(text) <= len("1,952/11,891")


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"pause_reason": "checking the account"}, "50/100, checking the account"),
        (
            {"pause_reason": "rate limited", "next_attempt_in": 3.0},
            "50/100, rate limited, next attempt in 3 s",
        ),
        ({"tokens_per_second": 4.25, "per_second": 9.96}, "50/100, 4.2 tokens/s, 10.0 requests/s"),
        ({"tokens_per_second": 0.0, "per_second": 1234.5}, "50/100, 0 tokens/s, 1,234 requests/s"),
    ],
)
def test_status(members: dict[str, Any], status: str) -> None:
    """A pause is named, and small rates have a decimal."""
    assert fitted_status(at(50, **members), 200)[1] == status


def test_no_time_left_at_the_end() -> None:
    """A finished job has no time left."""
    assert "left" not in fitted_status(at(100, remaining=0.0), 200)[1]


# --- Without a terminal ----------------------------------------------------------------------


def test_lines_of_a_verbose_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal, a line is printed at each tenth, and every ten seconds."""
    with verbose_output(True), job_progress("Deleting", 100) as listener:
        for progress in (
            at(0, 0.0),
            at(9, 1.0),
            at(10, 2.0, concurrency=3, remaining=75.0),
            at(11, 3.0),
            at(12, 13.0),
            at(13, 14.0, **OUTAGE),
            at(13, 23.0, **OUTAGE),
            at(100, 24.0),
        ):
            listener(progress)

    assert capsys.readouterr().err.splitlines() == [
        "Deleting: 10 of 100; 1 min left, 120 tokens/s, 240 requests/s, 3 at once",
        "Deleting: 12 of 100; 120 tokens/s, 240 requests/s",
        "Deleting: 13 of 100; service unavailable, next attempt in 12 s, gives up in 4 min",
        "Deleting: 100 of 100; 120 tokens/s, 240 requests/s",
    ]


def test_display_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the display fails, the job continues without it."""
    shown: list[object] = []

    def broken(_: object, progress: Progress) -> None:
        shown.append(progress)
        raise OSError

    monkeypatch.setattr("losant_tokens.cli._jobs.progress._ProgressLines.__call__", broken)
    with job_progress("Deleting", 100, prints_lines=True) as listener:
        listener(at(50))
        listener(at(60))

    assert shown == [at(50)]


def test_unexpected_outcomes(capsys: pytest.CaptureFixture[str]) -> None:
    """Unexpected outcomes are printed first, and among them the failures."""
    outcomes = {Outcome.FAILED: 2, Outcome.CHANGED: 1, Outcome.UNKNOWN: 9}

    with job_progress("Deleting", 100, prints_lines=True) as listener:
        listener(at(50, outcomes=outcomes))

    expected = "Deleting: 53 of 100; 2 failed, 1 changed, 120 tokens/s, 240 requests/s\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("total", "quiet", "verbose"), [(100, False, False), (0, False, True), (100, True, True)]
)
def test_no_lines(
    capsys: pytest.CaptureFixture[str], total: int, quiet: bool, verbose: bool
) -> None:
    """Without a terminal, a command prints no progress unless it is verbose and has tokens."""
    with quiet_output(quiet), verbose_output(verbose), job_progress("Deleting", total) as listener:
        listener(at(total, total=total))

    assert capsys.readouterr().err == ""


# --- On a terminal ---------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_bar_is_one_line(
    capsys: pytest.CaptureFixture[str], terminal: Callable[..., None], columns: int
) -> None:
    """On a terminal, the bar and the status are one line."""
    terminal(columns=columns)

    with job_progress("Deleting", 11891) as listener:
        listener(BUSY)

    shown = capsys.readouterr().err
    assert "1,952/11,891, 8 failed" in shown
    assert "━" in shown
    assert "\x1b[1A" not in shown


def test_bar_that_cannot_start(
    capsys: pytest.CaptureFixture[str],
    terminal: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bar that cannot start is left out, and the job continues."""

    def broken(*_: object) -> None:
        raise RuntimeError

    terminal()
    monkeypatch.setattr("rich.progress.Progress.__enter__", broken)

    with job_progress("Deleting", 100) as listener:
        listener(at(50))

    assert "Deleting" not in capsys.readouterr().err
