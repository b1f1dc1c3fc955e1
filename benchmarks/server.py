"""The compiled server that all contenders send to, in a process of its own.

It responds to every `DELETE` with `{"success": true}`, to `GET /me/tokens/ID` with a token, and to
`GET /TOTAL/me/tokens` with a page of a list of TOTAL tokens. A prefix of the path of a token has no
meaning. It does nothing else, so the client is the slower side.
"""

from typing import Any
from urllib.parse import parse_qs

from pages import page, token

_HEADERS = [("content-type", "application/json")]
_BODY = b'{"success":true}'


async def app(scope: Any, protocol: Any) -> None:
    """Respond to a request. This is an RSGI application for granian."""
    if scope.proto == "http":
        body = _BODY if scope.method == "DELETE" else _read(scope.path, scope.query_string)
        protocol.response_bytes(200, _HEADERS, body)


def _read(path: str, query: str) -> bytes:
    start, _, token_id = path.rpartition("/")
    return token(int(token_id, 16)) if start.endswith("/me/tokens") else _listed(path, query)


def _listed(path: str, query: str) -> bytes:
    parameters = {name: values[-1] for name, values in parse_qs(query).items()}
    return page(
        int(path.split("/")[1]),
        int(parameters["page"]),
        int(parameters["perPage"]),
        backwards=parameters.get("sortDirection") == "desc",
    )
