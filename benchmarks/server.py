"""What all contenders are measured against: a compiled server, in a process of its own.

It answers any `DELETE` with `{"success": true}` and does nothing else, so that what is measured
is the client.
"""

from typing import Any

_HEADERS = [("content-type", "application/json")]
_BODY = b'{"success":true}'


async def app(scope: Any, protocol: Any) -> None:
    """A RSGI application for granian."""
    if scope.proto == "http":
        protocol.response_bytes(200, _HEADERS, _BODY)
