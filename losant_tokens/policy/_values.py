"""Read single values of a policy file. Each reader accepts exactly one type.

A reader raises `Wrong`, which has all problems of a value. cattrs would convert the number 90 to
the string `"90"`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Any

from losant_tokens._utils.durations import parse_duration, shortened
from losant_tokens.policy._schedule import check_schedule, check_time_zone
from losant_tokens.policy._severity import Severity

Path = tuple[str | int, ...]
"""The keys and positions that lead to a value."""
Problem = tuple[Path, str]

_TYPE_NAMES = {
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
    datetime: "a date",
    date: "a date",
    time: "a time",
}
_HINTS = {
    "status": "write active = true or inactive = true",
    "owner": "pass the owner to the command",
    "owners": "pass the owners to the command",
}


class Wrong(Exception):  # noqa: N818 -- it never leaves this package
    """A value is wrong.

    Attributes:
        problems: The problems, each with its path from the value.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__()
        self.problems = tuple(problems)

    def below(self, *path: str | int) -> Iterator[Problem]:
        """Yield the problems with their paths from the table or list around the value."""
        for inner, text in self.problems:
            yield (*path, *inner), text


def path_text(path: Path) -> str:
    """Return a path as a string: `cleanups[2].select.older_than`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def unknown_key(key: str, known: Collection[str]) -> str:
    """Return the problem of a key that does not exist, with a suggestion."""
    if key in _HINTS:
        return f"is not a key: {_HINTS[key]}"
    close = get_close_matches(key.lower().replace("-", "_"), known, n=1)
    if close:
        return f"is not a key: did you mean {close[0]}?"
    return f"is not a key: the keys are {', '.join(known)}"


def type_name(value: Any) -> str:
    """Return the type of a value of TOML, such as `a number`."""
    return _TYPE_NAMES[type(value)]


def require(value: Any, kind: type, name: str) -> None:
    """Check the type of a value.

    Raises:
        Wrong: It has another type.
    """
    if type(value) is not kind:
        raise Wrong([((), f"must be {name}, but it is {type_name(value)}")])


def read_text(value: Any, _: Any) -> str:
    """Return a string of one line that is not blank."""
    require(value, str, "a string")
    if not value.strip():
        raise Wrong([((), "must not be blank")])
    if not value.isprintable():
        raise Wrong([((), "must be one line without control characters")])
    return str(value)


def read_max_changes(value: Any, _: Any) -> int:
    """Return an integer of at least 1."""
    require(value, int, "an integer")
    if value < 1:
        raise Wrong([((), f"must be at least 1, but it is {value}")])
    return int(value)


def read_bool(value: Any, _: Any) -> bool:
    """Return a boolean."""
    require(value, bool, "true or false")
    return bool(value)


def read_span(value: Any, _: Any) -> timedelta:
    """Return a length of time that is longer than 0."""
    require(value, str, 'a duration, such as "90d"')
    try:
        span = parse_duration(value)
    except ValueError as error:
        raise Wrong([((), str(error))]) from None
    if not span:
        raise Wrong([((), f'"{value}" must be longer than 0')])
    return span


def read_schedule(value: Any, _: Any) -> str:
    """Return a word such as `daily`, or a cron expression."""
    return _checked(read_text(value, None), check_schedule)


def read_time_zone(value: Any, _: Any) -> str:
    """Return the name of a time zone."""
    return _checked(read_text(value, None), check_time_zone)


def _checked(text: str, check: Callable[[str], None]) -> str:
    try:
        check(text)
    except ValueError as error:
        raise Wrong([((), str(error))]) from None
    return text


def read_severity(value: Any, _: Any) -> Severity:
    """Return a severity."""
    return Severity(one_of([one.value for one in Severity])(value, None))


def one_of(values: Collection[str]) -> Callable[[Any, Any], str]:
    """Return a reader of one of a few words. It does not suggest deactivate for activate."""

    def read(value: Any, _: Any) -> str:
        require(value, str, "a string")
        if value not in values:
            close = [] if value == "activate" else get_close_matches(value.lower(), values, n=1)
            hint = f": did you mean {close[0]}?" if close else ""
            text = f'must be one of {", ".join(values)}, but it is "{shortened(value)}"{hint}'
            raise Wrong([((), text)])
        return str(value)

    return read


def read_patterns(value: Any, _: Any) -> tuple[str, ...]:
    """Return a list of strings."""
    require(value, list, 'a list of strings, such as ["ci-*"]')
    problems: list[Problem] = []
    for number, pattern in enumerate(value):
        try:
            read_text(pattern, str)
        except Wrong as error:
            problems += error.below(number)
    if problems:
        raise Wrong(problems)
    return tuple(value)
