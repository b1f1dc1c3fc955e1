"""Cron expressions: the times at which a schedule is due.

The rules are those of cron(5): five fields, lists, ranges, steps and names. If both day fields are
restricted, a day needs to match only one of them. A local time that a clock change skips is due
when it would have been without the change. A local time that a clock change repeats is due once,
or twice if the hour is not restricted, so that an hourly schedule is due each hour.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Self
from zoneinfo import ZoneInfo

from attrs import field, frozen

_WORDS = MappingProxyType(
    {
        "hourly": "0 * * * *",
        "daily": "0 0 * * *",
        "weekly": "0 0 * * 0",
        "monthly": "0 0 1 * *",
    }
)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/([0-9]{1,2}))?", re.ASCII)
_MAX_LENGTH = 100
_DAY = timedelta(days=1)
_HORIZON = 13 * 366  # days. 1 February can take twelve years to be the same day of the week.


@frozen
class _Field:
    """The rules of a field: its name, its limits, and the names of its values."""

    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()

    def value(self, text: str) -> int:
        """Return a value of the field, which may be a name."""
        if text.upper() in self.names:
            return self.first + self.names.index(text.upper())
        if text.isdecimal() and self.first <= int(text) <= self.last:
            return int(text)
        names = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
        raise ValueError(
            f'"{text}" is not a value of the {self.name}: use {self.first} to {self.last}{names}'
        )

    def values(self, text: str) -> frozenset[int]:
        """Return the values of a field, which is a list of values, ranges and steps."""
        found: set[int] = set()
        for part in text.split(","):
            match = _PART.fullmatch(part)
            if match is None:
                raise ValueError(
                    f'"{part}" is not a {self.name}: use *, a value, a range such as 1-5, or a '
                    f"step such as */2"
                )
            star, first, last, step = match.groups()
            low = self.first if star else self.value(first)
            # As in cron, "5/10" starts at 5 and ends with the field.
            end = self.last if star or step else low
            high = self.value(last) if last else end
            if low > high:
                raise ValueError(f'The range "{part}" of the {self.name} ends before it starts')
            if step and not int(step):
                raise ValueError(f'The step of "{part}" in the {self.name} must be at least 1')
            found.update(range(low, high + 1, int(step or 1)))
        return frozenset(found)


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _WEEKDAYS),  # 0 and 7 are Sunday.
)


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
        """Return a cron expression, such as `0 3 * * MON-FRI`.

        Args:
            expression: Five fields, or `hourly`, `daily`, `weekly` (on Sunday) or `monthly`.
            time_zone: The IANA name of its time zone, such as `Europe/Berlin`.

        Raises:
            ValueError: It is not such an expression, it is never due, or the time zone is unknown.
        """
        if len(expression) > _MAX_LENGTH:
            raise ValueError(f"A cron expression has at most {_MAX_LENGTH} characters")
        fields = _WORDS.get(expression.removeprefix("@"), expression).split()
        if len(fields) != len(_FIELDS):
            raise ValueError(
                f'"{expression}" is not a cron expression: use five fields, such as "0 3 * * MON" '
                f"(minute, hour, day of the month, month, day of the week), or hourly, daily, "
                f"weekly or monthly"
            )
        minutes, hours, days, months, weekdays = (
            one.values(text) for one, text in zip(_FIELDS, fields, strict=True)
        )
        any_weekday = fields[4].startswith("*")
        if any_weekday and min(days) > max(_LONGEST_MONTHS[month - 1] for month in months):
            raise ValueError(f'"{expression}" is never due: no such month has a day {min(days)}')
        _zone(time_zone)
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
            any_weekday=any_weekday,
        )

    def next_after(self, time: datetime) -> datetime:
        """Return the first due time after a time, in UTC.

        Args:
            time: The time, with a time zone.
        """
        first = time.astimezone(_zone(self.time_zone)).date() - _DAY
        days = (first + number * _DAY for number in range(_HORIZON))
        return next(due for day in days for due in self._due_on(day) if due > time)

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """Return the last due time of a span, in UTC; None if the span has none.

        Args:
            after: The start of the span, with a time zone. It is not part of the span.
            until: The end of the span, with a time zone. It is part of the span.
        """
        zone = _zone(self.time_zone)
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
        zone = _zone(self.time_zone)
        for hour in self._hours:
            for minute in self._minutes:
                local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
                first, second = local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
                yield first
                # For a skipped local time, the second is the earlier one.
                if self._each_hour and second > first:
                    yield second


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError(
            f'"{name}" is not a time zone: use a name such as UTC or Europe/Berlin'
        ) from None
