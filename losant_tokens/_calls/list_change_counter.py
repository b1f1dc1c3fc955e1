"""Count the changes that a client makes to its lists, so that a listing can detect them.

A list can change while its total stays the same: one token is deleted and another is created, or a
token is renamed in a list that is sorted by name. Both move other tokens between pages.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from losant_tokens._api.custom_operation import JsonBody
from losant_tokens._api.operations import Operation

_ANY = "*"
_PATCHED = ("name", "status")  # the fields by which a list can be sorted or filtered


class Changes:
    """Counts the requests of a client that may change a list. Each is counted before it is sent."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def record(self, operation: Operation[Any], ids: Mapping[str, str], body: object) -> None:
        """Record a request.

        Args:
            operation: The operation.
            ids: The ids in the path.
            body: The request body, if there is one.
        """
        if operation.method == "GET":
            return
        template = operation.path
        if operation.method == "POST":
            fields = [_ANY]
        else:
            template, _, _ = template.rpartition("/")
            fields = [_ANY] if operation.method == "DELETE" else _fields_of(body)
        collection = _collection(template, ids)
        for field in fields:
            self._counts[collection, field] += 1

    def count(
        self, operation: Operation[Any], ids: Mapping[str, str], fields: Iterable[str]
    ) -> int:
        """Return the number of requests that may have moved the items of a list.

        Args:
            operation: The operation that reads the list.
            ids: The ids in the path.
            fields: The fields by which the list is sorted and filtered.
        """
        collection = _collection(operation.path, ids)
        return sum(self._counts[collection, field] for field in {_ANY, *fields})


def _collection(template: str, ids: Mapping[str, str]) -> str:
    return template.format_map(ids).lower()


def _fields_of(body: object) -> list[str]:
    if isinstance(body, JsonBody):
        return ["lastUpdated", *body.members]
    patched = [name for name in _PATCHED if getattr(body, name, None) is not None]
    return ["lastUpdated", *patched]
