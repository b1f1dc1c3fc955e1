"""Finding an item by the beginning of its id."""

from datetime import UTC, datetime

import pytest

from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._id_prefixes import item_with_id

DATE = datetime(2026, 3, 1, 12, tzinfo=UTC)
ITEMS = [("first", "1f3a00", DATE), ("second", "1f3a11", None), ("third", "77bb22", DATE)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("77bb22", "third"),
        ("77BB", "third"),
        ("1f3a1", "second"),
        ("77b", None),
        ("", None),
        ("bb22", None),
        ("77bb223", None),
    ],
)
def test_item_with_id(name: str, expected: str | None) -> None:
    """An item is found by at least the first four digits of its id, in either case."""
    assert item_with_id(name, ITEMS) == expected


def test_several_items() -> None:
    """The beginning of several ids is refused, and the ids are listed with their dates."""
    expected = r"'1f3a' matches several ids: 1f3a00 \(2026-03-01 12:00 UTC\), 1f3a11 \(\?\)$"
    with pytest.raises(UsageError, match=expected) as caught:
        item_with_id("1f3a", ITEMS)

    assert caught.value.hint == "add a digit"
