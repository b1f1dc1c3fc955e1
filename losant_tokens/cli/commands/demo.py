"""`demo`: a clean-up of a thousand tokens, start to end, at a fake that is gone afterwards."""

import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from losant_tokens import ApiToken, ApiTokenPost, AsyncClient, Owner, jobs
from losant_tokens.cli._connect import run_loop
from losant_tokens.cli._errors import INTERRUPTED, SOME_FAILED, say
from losant_tokens.cli._fake_process import RunningFake, running_fake
from losant_tokens.cli._job_runner import Run, planned, pool
from losant_tokens.cli._render import DOING, show_plan
from losant_tokens.cli._tables import write_result
from losant_tokens.cli.commands.jobs import complain_of_failures

_SCOPES = ("userApiTokens.get", "userApiToken.get", "userApiToken.delete")


def demo(tokens: int, concurrency: int) -> int:
    """Shows a clean-up, and stops the fake however it ends."""
    say(f"Starting a fake Losant with {tokens:,} tokens, in a process of its own...")
    with running_fake(tokens) as fake, TemporaryDirectory() as folder:
        return clean_up(fake, concurrency, Path(folder))


def clean_up(fake: RunningFake, concurrency: int, folder: Path) -> int:
    """Deletes the expired and the inactive tokens of a user: plans, shows, and applies.

    Args:
        fake: Where they are.
        concurrency: The maximum number of requests in flight.
        folder: Where the plan goes.
    """
    own = run_loop(partial(_token_for_this, fake))

    def connect(_: int | None) -> AsyncClient:
        return AsyncClient(own.token, base_url=fake.base_url, transport=pool(concurrency))

    plan = planned(
        lambda client, path: jobs.plan(
            client,
            Owner.user(),
            select=jobs.expired() | jobs.inactive(),
            path=path,
            allow_majority=True,
        ),
        folder / "plan.jsonl",
        connect,
    )
    show_plan(plan, sys.stdout)
    run = Run(plan, DOING[plan.header.action], connect)
    with run.signals.postponed():
        report = run()
        complain_of_failures(report)
        write_result(f"{_summary(report)}\n")
    if run.is_stopped:
        return INTERRUPTED
    return SOME_FAILED if report.counts[jobs.Outcome.FAILED] or not report.is_complete else 0


def _summary(report: jobs.Report) -> str:
    deleted, failed = report.counts[jobs.Outcome.DONE], report.counts[jobs.Outcome.FAILED]
    kept = report.plan.header.total.listed - deleted - failed
    return (
        f"Deleted {deleted:,}, kept {kept:,}, failed {failed:,}: {report.seconds:.1f} seconds, "
        f"{report.requests / max(report.seconds, 0.001):,.0f} requests per second."
    )


async def _token_for_this(fake: RunningFake) -> ApiToken:
    """A token for the clean-up alone, that can do no more than that, and not for long."""
    post = ApiTokenPost(
        "losant-tokens demo", scope=_SCOPES, expiration_date=datetime.now(UTC) + timedelta(hours=1)
    )
    async with AsyncClient(fake.token, base_url=fake.base_url) as client:
        return await client.user_api_tokens.post(post)
