"""A web app that shares one client between all requests.

pip install '/path/to/losant-tokens[testing]'  # for starlette and uvicorn
LOSANT_API_TOKEN=... uvicorn --app-dir examples web_app:app

curl localhost:8000/tokens                # tokens that never expire
curl -X POST localhost:8000/tokens/575ec7417ae143cd83dc4a95/deactivate
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from losant_tokens import ApiTokenPatch, AsyncClient, errors


class State(TypedDict):
    """The state that each request can access."""

    losant: AsyncClient


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    """Open one client, with one connection pool, for all requests."""
    async with AsyncClient() as losant:
        yield {"losant": losant}


async def never_expiring(request: Request) -> JSONResponse:
    """Return the tokens that never expire."""
    losant: AsyncClient = request.state.losant
    found = [
        {"id": token.id, "name": token.name}
        async for token in losant.user_api_tokens.iter()
        if token.never_expires
    ]
    return JSONResponse(found)


async def deactivate(request: Request) -> JSONResponse:
    """Deactivate a token. It can be activated again."""
    losant: AsyncClient = request.state.losant
    patch = ApiTokenPatch(status="inactive")
    token = await losant.user_api_token.patch(request.path_params["id"], patch, timeout=5)
    return JSONResponse({"id": token.id, "status": token.status})


async def explain(request: Request, error: Exception) -> JSONResponse:
    """Turn errors into responses: 400 and 404 for mistakes of the caller, 502 for the rest."""
    match error:
        case errors.ValidationError():
            status = 400
        case errors.NotFound():
            status = 404
        case _:
            status = 502
    return JSONResponse({"error": str(error)}, status_code=status)


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/tokens", never_expiring),
        Route("/tokens/{id}/deactivate", deactivate, methods=["POST"]),
    ],
    exception_handlers={errors.LosantError: explain},
)
