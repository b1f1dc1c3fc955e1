"""What all contenders are measured against: a compiled server, in a process of its own.

It answers any `DELETE` with `{"success": true}`, and `GET /TOTAL/me/tokens` with a page out of so
many tokens. It does nothing else, so that what is measured is the client.
"""

from typing import Any
from urllib.parse import parse_qs

from pages import page

_HEADERS = [("content-type", "application/json")]
_BODY = b'{"success":true}'


async def app(scope: Any, protocol: Any) -> None:
    """A RSGI application for granian."""
    if scope.proto == "http":
        body = _BODY if scope.method == "DELETE" else _listed(scope.path, scope.query_string)
        protocol.response_bytes(200, _HEADERS, body)


def _listed(path: str, query: str) -> bytes:
    asked = {name: values[-1] for name, values in parse_qs(query).items()}
    return page(
        int(path.split("/")[1]),
        int(asked["page"]),
        int(asked["perPage"]),
        backwards=asked.get("sortDirection") == "desc",
    )
