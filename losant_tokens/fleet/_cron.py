"""Cron expressions: the times at which a schedule is due.

The policy file checks the expressions. The rules are those of cron(5): if both day fields are
restricted, a day needs to match only one of them. A local time that a clock change skips is due
when it would have been without the change. A local time that a clock change repeats is due once,
or twice if the hour is not restricted, so that an hourly schedule is due each hour.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from attrs import field, frozen

from losant_tokens.policy._schedule import FIELDS, check_schedule, check_time_zone, cron_of

_DAY = timedelta(days=1)
_HORIZON = 13 * 366  # days. 1 February can take twelve years to be the same day of the week.


@frozen
class Cron:
    """A cron expression in a time zone. Make it with `Cron.parse`.

    Attributes:
        expression: The expression, as it was written.
        time_zone: The name of its time zone.
    """

    expression: str
    time_zone: str
    _minutes: frozenset[int] = field(repr=False)
    _hours: frozenset[int] = field(repr=False)
    _days: frozenset[int] = field(repr=False)
    _months: frozenset[int] = field(repr=False)
    _weekdays: frozenset[int] = field(repr=False)
    _each_hour: bool = field(repr=False)
    _any_day: bool = field(repr=False)
    _any_weekday: bool = field(repr=False)

    @classmethod
    def parse(cls, expression: str, time_zone: str = "UTC") -> Self:
        """Return the schedule of a policy file, such as `0 3 * * MON-FRI`.

        Args:
            expression: Five fields, or `hourly`, `daily`, `weekly` (on Sunday) or `monthly`.
            time_zone: The IANA name of its time zone, such as `Europe/Berlin`.

        Raises:
            ValueError: It is not such an expression, or the time zone is unknown.
        """
        check_schedule(expression)
        check_time_zone(time_zone)
        fields = cron_of(expression).split()
        minutes, hours, days, months, weekdays = (
            frozenset(one.values(text)) for one, text in zip(FIELDS, fields, strict=True)
        )
        return cls(
            expression=expression,
            time_zone=time_zone,
            minutes=minutes,
            hours=hours,
            days=days,
            months=months,
            weekdays=frozenset(weekday % 7 for weekday in weekdays),
            each_hour=fields[1].startswith("*"),
            any_day=fields[2].startswith("*"),
            any_weekday=fields[4].startswith("*"),
        )

    def next_after(self, time: datetime) -> datetime:
        """Return the first due time after a time, in UTC.

        Args:
            time: The time, with a time zone.
        """
        first = time.astimezone(ZoneInfo(self.time_zone)).date() - _DAY
        days = (first + number * _DAY for number in range(_HORIZON))
        return next(due for day in days for due in self._due_on(day) if due > time)

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """Return the last due time of a span, in UTC; None if the span has none.

        Args:
            after: The start of the span, with a time zone. It is not part of the span.
            until: The end of the span, with a time zone. It is part of the span.
        """
        zone = ZoneInfo(self.time_zone)
        day, first = until.astimezone(zone).date() + _DAY, after.astimezone(zone).date() - _DAY
        while day >= first:
            for due in reversed(self._due_on(day)):
                if after < due <= until:
                    return due
            day -= _DAY
        return None

    def _due_on(self, day: date) -> list[datetime]:
        """Return the due times of a local day, in their order."""
        return sorted(set(self._times(day))) if self._is_due_on(day) else []

    def _is_due_on(self, day: date) -> bool:
        if day.month not in self._months:
            return False
        in_month = day.day in self._days
        in_week = day.isoweekday() % 7 in self._weekdays
        if self._any_day or self._any_weekday:
            return in_month and in_week
        return in_month or in_week

    def _times(self, day: date) -> Iterator[datetime]:
        zone = ZoneInfo(self.time_zone)
        for hour in self._hours:
            for minute in self._minutes:
                local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
                first, second = local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
                yield first
                # For a skipped local time, the second is the earlier one.
                if self._each_hour and second > first:
                    yield second
