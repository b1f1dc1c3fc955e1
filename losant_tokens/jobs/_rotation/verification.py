"""Verify that a successor works: a harmless, authenticated request with its secret."""

from enum import Enum
from functools import partial
from typing import Any

import anyio

from losant_tokens import AsyncClient, NewApiToken, Owner
from losant_tokens.errors import Forbidden, Unauthorized
from losant_tokens.jobs._rotation.checks import Probe, probes_for

DELAYS = (0.5, 1.0, 2.0)
"""The waits before another attempt, in seconds. A new token may not be known everywhere at once."""


class Verdict(Enum):
    """Whether a successor works.

    WORKS: The API carried out a request with it.
    REFUSED: The API does not accept it.
    UNKNOWN: Its scopes allow no request that could show it.
    """

    WORKS = "works"
    REFUSED = "refused"
    UNKNOWN = "unknown"


async def verify(client: AsyncClient, owner: Owner, made: NewApiToken) -> Verdict:
    """Return whether a new token works.

    If its scopes allow no harmless request, one is sent that the API must refuse. A 401 then shows
    that the token does not work. A 403 shows that the API knows it (source: the order of checks in
    Losant's server framework), but a proxy may also respond with 403, so it proves nothing.

    Args:
        client: A client that uses the new token.
        owner: The owner of the new token.
        made: The new token.

    Raises:
        LosantError: There was no response that shows anything.
    """
    for delay in DELAYS:
        verdict = await _attempt(client, owner, made)
        if verdict is not Verdict.REFUSED:
            return verdict
        await anyio.sleep(delay)
    return await _attempt(client, owner, made)


async def _attempt(client: AsyncClient, owner: Owner, made: NewApiToken) -> Verdict:
    tokens = client.tokens(owner)
    requests: dict[Probe, Any] = {
        Probe.GET: partial(tokens.get, made.id),
        Probe.LIST: partial(tokens.page, page=0, per_page=1),
    }
    for probe in probes_for(owner, made.scope) or (Probe.GET,):
        try:
            await requests[probe]()
        except Unauthorized:
            return Verdict.REFUSED
        except Forbidden:
            continue
        return Verdict.WORKS
    return Verdict.UNKNOWN
