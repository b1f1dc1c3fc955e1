"""Cron expressions."""

from datetime import UTC, datetime, timedelta

import pytest

from losant_tokens.fleet._cron import Cron

THURSDAY = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)


def _next(expression: str, after: datetime = THURSDAY, zone: str = "UTC", count: int = 2) -> str:
    cron, times = Cron.parse(expression, zone), []
    for _ in range(count):
        after = cron.next_after(after)
        times.append(f"{after:%y-%m-%d %H:%M}")
    return ", ".join(times)


@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("*/20 * * * *", "26-01-01 12:40, 26-01-01 13:00"),
        ("30 12 * * *", "26-01-02 12:30, 26-01-03 12:30"),
        ("0 9-17/8,20 * * *", "26-01-01 17:00, 26-01-01 20:00"),
        ("0 3 * * mon-fri", "26-01-02 03:00, 26-01-05 03:00"),
        ("0 3 * * 7", "26-01-04 03:00, 26-01-11 03:00"),
        ("0 0 1 FEB,aug *", "26-02-01 00:00, 26-08-01 00:00"),
        ("0 0 13 * FRI", "26-01-02 00:00, 26-01-09 00:00"),
        ("0 0 */31 2 TUE", "28-02-01 00:00, 33-02-01 00:00"),
        ("0 0 29 2 *", "28-02-29 00:00, 32-02-29 00:00"),
        ("0 0 31 2 MON", "26-02-02 00:00, 26-02-09 00:00"),
        ("hourly", "26-01-01 13:00, 26-01-01 14:00"),
        ("daily", "26-01-02 00:00, 26-01-03 00:00"),
        ("weekly", "26-01-04 00:00, 26-01-11 00:00"),
        ("monthly", "26-02-01 00:00, 26-03-01 00:00"),
    ],
)
def test_due_times(expression: str, times: str) -> None:
    """An expression is due at the times that cron(5) says, after the given time."""
    assert _next(expression) == times


@pytest.mark.parametrize(
    ("expression", "after", "times"),
    [
        ("30 2 * * *", datetime(2026, 3, 28, 12, tzinfo=UTC), "26-03-29 01:30, 26-03-30 00:30"),
        ("30 2 * * *", datetime(2026, 10, 24, 12, tzinfo=UTC), "26-10-25 00:30, 26-10-26 01:30"),
        (
            "30 * * * *",
            datetime(2026, 10, 24, 23, 45, tzinfo=UTC),
            "26-10-25 00:30, 26-10-25 01:30",
        ),
        ("30 * * * *", datetime(2026, 3, 29, 0, 0, tzinfo=UTC), "26-03-29 00:30, 26-03-29 01:30"),
    ],
)
def test_clock_changes(expression: str, after: datetime, times: str) -> None:
    """A local time that is skipped or repeated is due once, and an hourly schedule each hour."""
    assert _next(expression, after, "Europe/Berlin") == times


def test_latest_due_time() -> None:
    """Of many due times that were missed, only the last one is returned."""
    cron = Cron.parse("0 */6 * * *")
    assert cron.latest(THURSDAY - timedelta(days=9), THURSDAY) == THURSDAY.replace(minute=0)
    assert cron.latest(THURSDAY.replace(minute=0), THURSDAY) is None
    assert cron.latest(THURSDAY, THURSDAY.replace(hour=18, minute=0)) == THURSDAY.replace(
        hour=18, minute=0
    )


def test_invalid_expression() -> None:
    """An expression that a policy file may not have is refused, and so is an unknown time zone."""
    with pytest.raises(ValueError, match="must be hourly"):
        Cron.parse("* * * *")
    with pytest.raises(ValueError, match="Mars/Base"):
        Cron.parse("daily", "Mars/Base")
