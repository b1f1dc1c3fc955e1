"""`demo`: clean up a thousand tokens of a fake Losant."""

import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from losant_tokens.cli._errors import EXIT_INTERRUPTED
from losant_tokens.cli._fake_process import RunningFake, running_fake
from losant_tokens.cli._options.common import AtLeastOne, AtLeastZero
from losant_tokens.cli._terminal.console import print_status, write_summary
from losant_tokens.cli._terminal.format import format_count

if TYPE_CHECKING:
    from losant_tokens import ApiToken, AsyncClient, jobs

_SCOPES = ("userApiTokens.get", "userApiToken.get", "userApiToken.delete")


def run_demo(
    *,
    tokens: Annotated[
        int, Parameter(metavar="N", validator=AtLeastZero, help="Start with N tokens.")
    ] = 1000,
    concurrency: Annotated[
        int, Parameter(metavar="N", validator=AtLeastOne, help="Send up to N requests at once.")
    ] = 20,
) -> int:
    """Watch a clean-up of a fake Losant on this machine."""
    print_status(f"Starting a fake Losant with {format_count(tokens)} in a separate process...")
    with running_fake(f"--tokens={tokens}") as fake, TemporaryDirectory() as folder:
        return clean_up(fake, concurrency, Path(folder))


def clean_up(fake: RunningFake, concurrency: int, folder: Path) -> int:
    """Delete the expired and the inactive tokens of a fake: plan, show and apply.

    Args:
        fake: The fake.
        concurrency: The maximum number of requests in flight.
        folder: The folder of the plan.
    """
    from losant_tokens import AsyncClient
    from losant_tokens.cli._connections.clients import fastest_transport
    from losant_tokens.cli._event_loop import run_event_loop
    from losant_tokens.cli._jobs.reports import print_failures
    from losant_tokens.cli._jobs.runner import JobRunner
    from losant_tokens.cli._jobs.workflow import exit_code
    from losant_tokens.cli._plans.action_words import PROGRESS_LABELS
    from losant_tokens.cli._plans.planning import make_plan
    from losant_tokens.cli._plans.view import show_plan

    own = run_event_loop(partial(_create_own_token, fake))

    def make_client(_: int | None) -> AsyncClient:
        transport = fastest_transport(concurrency)
        return AsyncClient(own.token, base_url=fake.base_url, transport=transport)

    print_status("$ losant-tokens plan --expired --inactive --any --out plan.jsonl")
    plan = make_plan(_plan_expired_and_inactive, folder / "plan.jsonl", make_client)
    show_plan(plan, sys.stdout)
    print_status("$ losant-tokens apply plan.jsonl --yes")
    runner = JobRunner(plan, PROGRESS_LABELS[plan.header.action], make_client, prints_lines=True)
    with runner.signals.postponed():
        report = runner.run()
        print_failures(report)
        write_summary(_summary(report))
    print_status("To try these and other commands yourself: losant-tokens sandbox")
    return EXIT_INTERRUPTED if runner.is_stopped else exit_code(report, runner)


async def _plan_expired_and_inactive(client: "AsyncClient", path: Path) -> "jobs.Plan":
    from losant_tokens import Owner, jobs

    rule = jobs.expired() | jobs.inactive()
    return await jobs.plan(client, Owner.user(), select=rule, path=path)


def _summary(report: "jobs.Report") -> str:
    from losant_tokens.jobs import Outcome

    deleted, failed = report.counts[Outcome.DONE], report.counts[Outcome.FAILED]
    kept = report.plan.header.total.listed - deleted - failed
    return (
        f"Deleted {deleted:,}, kept {kept:,}, failed {failed:,}: {report.seconds:.1f} seconds, "
        f"{report.requests / max(report.seconds, 0.001):,.0f} requests per second."
    )


async def _create_own_token(fake: RunningFake) -> "ApiToken":
    """Create a token that only has the permissions of the clean-up, and expires soon."""
    from losant_tokens import ApiTokenPost, AsyncClient

    post = ApiTokenPost(
        "losant-tokens demo", scope=_SCOPES, expiration_date=datetime.now(UTC) + timedelta(days=2)
    )
    async with AsyncClient(fake.token, base_url=fake.base_url) as client:
        return await client.user_api_tokens.post(post)
