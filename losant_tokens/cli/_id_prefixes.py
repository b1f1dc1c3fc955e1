"""Find an item by its id or by the beginning of its id."""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._terminal.format import format_datetime

T = TypeVar("T")

_MIN_PREFIX = 4  # digits of an id


def item_with_id(name: str, items: Iterable[tuple[T, str, datetime | None]]) -> T | None:
    """Return the item whose id begins with a name, or None.

    Args:
        name: The beginning of an id, with at least four digits.
        items: The items, each with its id and the date that distinguishes it for a person.

    Raises:
        UsageError: Several ids begin like this.
    """
    prefix = name.lower()
    found = [one for one in items if len(name) >= _MIN_PREFIX and one[1].startswith(prefix)]
    if len(found) > 1:
        listed = ", ".join(f"{id_} ({format_datetime(date, '?')})" for _, id_, date in found)
        raise UsageError(f"{name!r} matches several ids: {listed}", "add a digit")
    return found[0][0] if found else None
