"""When a clean-up runs: a word such as `daily`, or a cron expression of five fields.

Programs disagree about the rarer forms of cron: seconds, years, `L`, `#`, `?`, `5/15` and ranges
that wrap around. So only the forms that all of them read in the same way are accepted.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from zoneinfo import ZoneInfo

from attrs import frozen

from losant_tokens._utils.durations import shortened

WORDS: Mapping[str, str] = MappingProxyType(
    {
        "hourly": "0 * * * *",
        "daily": "0 0 * * *",
        "weekly": "0 0 * * 0",
        "monthly": "0 0 1 * *",
    }
)
"""The cron expression of each word, as in `crontab`: daily is midnight."""

_FIELD = "[0-9A-Za-z*,/-]+"
CRON_PATTERN = f"^({_FIELD} +){{4}}{_FIELD}$"
"""A regular expression that every cron expression matches, which is valid in JSON Schema, too."""
_PART = re.compile(r"(\*|(\w+)(?:-(\w+))?)(?:/([0-9]+))?", re.ASCII)
_MAX_DIGITS = 4


@frozen
class _Field:
    """A field of a cron expression.

    Attributes:
        name: Its name, for messages.
        low: The lowest value.
        high: The highest value.
        names: Names of values, in lower case; the first is `low`.
    """

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def values(self, text: str) -> set[int]:
        """Return the values that a field allows.

        Raises:
            ValueError: The field is not valid. The message says what is wrong.
        """
        found: set[int] = set()
        for part in text.split(","):
            found.update(self._part(part))
        return found

    def _part(self, part: str) -> range:
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(
                f'the {self.name} "{shortened(part)}" is not a value, a range or a step'
            )
        everything, first, last, step = match.groups()
        if everything == "*":
            low, high = self.low, self.high
        else:
            low = self._value(first)
            high = low if last is None else self._value(last)
        if last is None and step is not None and everything != "*":
            raise ValueError(f'the {self.name} "{part}" has a step, but is not a range')
        if high < low:
            raise ValueError(f'the {self.name} "{part}" ends before it begins')
        if last is not None and high == low:
            # croniter reads `5-5` as every value.
            raise ValueError(f'the {self.name} "{part}" is one value: write {first}')
        width = 1 if step is None else _number(step)
        if not 1 <= width <= self.high:
            raise ValueError(f'the step of the {self.name} "{part}" must be 1 to {self.high}')
        return range(low, high + 1, width)

    def _value(self, text: str) -> int:
        if text.lower() in self.names:
            return self.low + self.names.index(text.lower())
        value = _number(text) if text.isdecimal() else -1
        if not self.low <= value <= self.high:
            names = f", or {self.names[0]} to {self.names[-1]}" if self.names else ""
            raise ValueError(
                f"the {self.name} must be {self.low} to {self.high}{names}, but it is "
                f'"{shortened(text)}"'
            )
        return value


def _number(digits: str) -> int:
    """Return a number; one that is out of each range if it has many digits."""
    return int(digits) if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS


_MONTHS = (
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    # Sunday is 0 and 7.
    _Field("day of the week", 0, 7, _DAYS),
)
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def check_schedule(text: str) -> None:
    """Check a schedule.

    Args:
        text: A word, or a cron expression.

    Raises:
        ValueError: It is neither. The message says what is wrong.
    """
    if text in WORDS:
        return
    fields = text.split()
    if len(fields) != len(FIELDS):
        close = get_close_matches(text.lower(), WORDS, n=1)
        raise ValueError(
            f'must be {", ".join(WORDS)}, or a cron expression of 5 fields, such as "0 4 * * 1", '
            f'but it is "{shortened(text)}"{f": did you mean {close[0]}?" if close else ""}'
        )
    values = [field.values(part) for field, part in zip(FIELDS, fields, strict=True)]
    days, months = values[2], values[3]
    longest = max(_LENGTHS[month - 1] for month in months)
    if min(days) > longest and fields[4].startswith("*"):
        raise ValueError(f"never happens, because these months have no day {min(days)}")


def cron_of(schedule: str) -> str:
    """Return a checked schedule as a cron expression with single spaces."""
    return WORDS.get(schedule) or " ".join(schedule.split())


def check_time_zone(name: str) -> None:
    """Check the name of a time zone.

    Raises:
        ValueError: This machine does not know it.
    """
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        pass
    else:
        return
    raise ValueError(
        f'"{shortened(name)}" is not a time zone that this machine knows: use a name such as '
        '"Europe/Berlin"'
    )
