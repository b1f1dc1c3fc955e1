"""A web app that plans a clean-up, lets a user review it, applies it and streams its progress.

pip install '/path/to/losant-tokens[testing]'  # for starlette and uvicorn
LOSANT_API_TOKEN=... uvicorn --app-dir examples sse_cleanup:app

curl -X POST 'localhost:8000/plans?named=ci-*'             # plan; the response has its id
curl -X POST localhost:8000/plans/PLAN/apply               # apply the plan with this id
curl -N localhost:8000/plans/PLAN/progress                 # its progress, as server-sent events

A job belongs to the app and not to a request, so it goes on if the browser disconnects. When the
app shuts down, requests in flight are finished. Apply the plan again to resume from its journal.
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
INTERVAL = 0.2  # seconds between two events


@define
class Job:
    """A plan and the progress of its job."""

    plan: jobs.Plan
    progress: jobs.Progress | None = None
    is_started: bool = False
    outcome: dict[str, object] | None = None

    def set_progress(self, progress: jobs.Progress) -> None:
        """Store the progress. The job calls this several times a second."""
        self.progress = progress

    def event(self) -> tuple[str, dict[str, object]]:
        """Return the kind and the data of the next event."""
        if self.outcome is not None:
            return "done", self.outcome
        now = self.progress
        if now is None:
            return "progress", {"finished": 0, "total": len(self.plan)}
        return "progress", {
            "finished": now.finished,
            "total": now.total,
            "perSecond": round(now.per_second),
            "remaining": now.remaining,
            "pauseReason": now.pause_reason,
        }


@define
class Jobs:
    """All jobs of the app, which share one client."""

    client: AsyncClient
    group: TaskGroup
    stop: anyio.Event = field(factory=anyio.Event)
    by_id: dict[str, Job] = field(factory=dict)

    async def run(self, job: Job) -> None:
        """Apply a plan. An error is stored as its outcome, so that it ends no other job."""
        try:
            report = await jobs.apply(
                self.client, job.plan, resume=True, stop=self.stop, on_progress=job.set_progress
            )
        except errors.LosantError as error:
            job.outcome = {"error": str(error)}
        else:
            counts = {outcome.value: count for outcome, count in report.counts.items()}
            job.outcome = {**counts, "pending": report.pending}


class State(TypedDict):
    """The state that each request can access."""

    jobs: Jobs


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    """Open one client for all jobs. On shutdown, stop the jobs and wait for them."""
    async with AsyncClient() as client, anyio.create_task_group() as group:
        running = Jobs(client, group)
        yield {"jobs": running}
        running.stop.set()


async def make_plan(request: Request) -> JSONResponse:
    """Plan to delete expired tokens whose name matches. Nothing is changed."""
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
    """Apply a plan in the background. A second request does not start it again."""
    running: Jobs = request.state.jobs
    job = running.by_id[request.path_params["plan"]]
    if not job.is_started:
        job.is_started = True
        running.group.start_soon(running.run, job)
    return JSONResponse({"progress": f"/plans/{request.path_params['plan']}/progress"}, 202)


async def watch(request: Request) -> Response:
    """Stream the progress of a job as server-sent events, until it ends or the app shuts down."""
    running: Jobs = request.state.jobs
    job = running.by_id[request.path_params["plan"]]

    async def events() -> AsyncIterator[str]:
        kind = "progress"
        # A job that was stopped still reports its outcome. One that never started has none.
        while kind != "done" and (job.is_started or not running.stop.is_set()):
            kind, data = job.event()
            yield f"event: {kind}\ndata: {json.dumps(data)}\n\n"
            await anyio.sleep(INTERVAL)

    return StreamingResponse(
        events(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"}
    )


async def explain(request: Request, error: Exception) -> JSONResponse:
    """Turn errors into responses: 404 for an unknown plan, 409 for a refused job, else 502."""
    match error:
        case KeyError():
            return JSONResponse({"error": "there is no such plan"}, 404)
        case jobs.JobError():
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
