"""A web app that cleans up: it plans, lets somebody look, applies, and reports its progress.

pip install 'losant-tokens[testing]'      # for starlette and uvicorn
LOSANT_API_TOKEN=... uvicorn --app-dir examples sse_cleanup:app

curl -X POST 'localhost:8000/plans?named=ci-*'             # what would be deleted, for review
curl -X POST localhost:8000/plans/PLAN/apply               # do it
curl -N localhost:8000/plans/PLAN/progress                 # how far it is, as server-sent events

A job belongs to the app and not to a request: browsers may come and go. When the app shuts
down, what is under way is finished, and the journal says where to carry on: apply it once more.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import TypedDict
from uuid import uuid4

import anyio
from anyio.abc import TaskGroup
from attrs import define, field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from losant_tokens import AsyncClient, Owner, errors, jobs

FOLDER = Path(gettempdir())
GLANCE = 0.2  # seconds between two events


@define
class Job:
    """A plan, and how far it has come."""

    plan: jobs.Plan
    progress: jobs.Progress | None = None
    is_begun: bool = False
    outcome: dict[str, object] | None = None

    def note(self, progress: jobs.Progress) -> None:
        """Called by the job, several times a second."""
        self.progress = progress

    def event(self) -> tuple[str, dict[str, object]]:
        """Return the current state."""
        if self.outcome is not None:
            return "done", self.outcome
        now = self.progress
        if now is None:
            return "progress", {"settled": 0, "total": len(self.plan)}
        return "progress", {
            "settled": now.settled,
            "total": now.total,
            "perSecond": round(now.per_second),
            "remaining": now.remaining,
            "pausing": now.pausing,
        }


@define
class Jobs:
    """All jobs of the app, over one client."""

    client: AsyncClient
    group: TaskGroup
    stop: anyio.Event = field(factory=anyio.Event)
    by_id: dict[str, Job] = field(factory=dict)

    async def run(self, job: Job) -> None:
        """Applies a plan. An error is an outcome, too: nothing else may come to harm by it."""
        try:
            report = await jobs.apply(
                self.client, job.plan, resume=True, stop=self.stop, on_progress=job.note
            )
        except errors.LosantError as error:
            job.outcome = {"error": str(error)}
        else:
            counts = {outcome.value: count for outcome, count in report.counts.items()}
            job.outcome = {**counts, "left": report.left}


class State(TypedDict):
    """What each request can get at."""

    jobs: Jobs


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    """One client for all; at the end, all jobs stop, and are waited for."""
    async with AsyncClient() as client, anyio.create_task_group() as group:
        running = Jobs(client, group)
        yield {"jobs": running}
        running.stop.set()


async def make_plan(request: Request) -> JSONResponse:
    """Plans to delete what has expired and has such a name. Nothing is changed."""
    running: Jobs = request.state.jobs
    id_ = uuid4().hex
    plan = await jobs.plan(
        running.client,
        Owner.user(),
        select=jobs.expired() & jobs.named(request.query_params.get("named", "*")),
        path=FOLDER / f"losant-tokens-{id_}.jsonl",
    )
    running.by_id[id_] = Job(plan)
    tokens = [{"id": e.id, "name": e.name, "reason": e.reason} for e in plan.entries()]
    return JSONResponse({"plan": id_, "listed": plan.header.total.listed, "tokens": tokens}, 201)


async def apply_plan(request: Request) -> JSONResponse:
    """Applies a plan, in the background; once, however often it is asked for."""
    running: Jobs = request.state.jobs
    job = running.by_id[request.path_params["plan"]]
    if not job.is_begun:
        job.is_begun = True
        running.group.start_soon(running.run, job)
    return JSONResponse({"progress": f"/plans/{request.path_params['plan']}/progress"}, 202)


async def watch(request: Request) -> Response:
    """Reports the progress of a job, as server-sent events, until it ends or the app shuts down."""
    running: Jobs = request.state.jobs
    job = running.by_id[request.path_params["plan"]]

    async def events() -> AsyncIterator[str]:
        kind = "progress"
        # A job that the app has stopped still reports its outcome; one that never began has none.
        while kind != "done" and (job.is_begun or not running.stop.is_set()):
            kind, said = job.event()
            yield f"event: {kind}\ndata: {json.dumps(said)}\n\n"
            await anyio.sleep(GLANCE)

    return StreamingResponse(
        events(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"}
    )


async def explain(request: Request, error: Exception) -> JSONResponse:
    """Errors as answers: an unknown plan is a 404, what a guard refuses a 409, the rest a 502."""
    match error:
        case KeyError():
            return JSONResponse({"error": "there is no such plan"}, 404)
        case errors.JobError():
            return JSONResponse({"error": str(error)}, 409)
        case _:
            return JSONResponse({"error": str(error)}, 502)


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/plans", make_plan, methods=["POST"]),
        Route("/plans/{plan}/apply", apply_plan, methods=["POST"]),
        Route("/plans/{plan}/progress", watch),
    ],
    exception_handlers={KeyError: explain, errors.LosantError: explain},
)
