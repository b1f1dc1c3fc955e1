"""The types of jobs."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, assert_type

import anyio

from losant_tokens import ApiToken, AsyncClient, Owner, UserOauthToken, jobs
from losant_tokens.jobs import Counts, Entry, Header, Outcome, Plan, Progress, Report, Result, Rule
from losant_tokens.sinks import FileSink

SPAN = timedelta(days=90)


async def job(client: AsyncClient) -> None:
    plan = await jobs.plan(client, Owner.user(), select=jobs.expired(), path="plan.jsonl")
    assert_type(plan, Plan)
    assert_type(jobs.journal_path(plan), Path)
    assert_type(jobs.job_state(plan, "plan.jsonl.journal"), jobs.JobState)
    assert_type(jobs.job_state(plan).counts[jobs.Outcome.DONE], int)

    def report_progress(progress: Progress) -> None:
        assert_type(progress.finished, int)
        assert_type(progress.pause_reason, str | None)

    report = await jobs.apply(client, plan, stop=anyio.Event(), on_progress=report_progress)
    assert_type(report, Report)
    assert_type(await jobs.sweep(client, report, after=SPAN), Plan)
    assert_type(await jobs.restore(client, "report.json"), Plan)
    assert_type(await jobs.restore(client, report, named="ci-*", ids=["575e"]), Plan)

    ledger = jobs.Ledger("folder")
    assert_type(ledger.record(report), Path | None)
    assert_type(ledger.quarantines(), tuple[jobs.Quarantine, ...])
    reviews = await jobs.review_quarantines(client, ledger.quarantines())
    assert_type(reviews, tuple[jobs.QuarantineReview, ...])
    assert_type(await jobs.sweep(client, ledger.quarantines(), path="sweep.jsonl"), Plan)
    assert_type(jobs.job_report(plan), Report)
    found = await jobs.quarantines_of(client, ledger.quarantines())
    assert_type(found, tuple[jobs.Quarantine, ...])


async def chunks(client: AsyncClient, plan: Plan) -> None:
    document = jobs.PlanDocument.of(plan)
    assert_type(document, jobs.PlanDocument)
    assert_type(jobs.PlanDocument.from_json(document.to_json()), jobs.PlanDocument)
    assert_type(document.chunks(size=10), tuple[jobs.PlanChunk, ...])
    results: list[jobs.ChunkResult] = []
    for chunk in document.chunks():
        assert_type(jobs.PlanChunk.from_json(chunk.to_json()), jobs.PlanChunk)
        try:
            result = await jobs.apply_chunk(
                client,
                chunk,
                in_doubt=True,
                may_change=lambda: True,
                max_age=jobs.MAX_CHUNK_AGE,
                pace=jobs.Pace(),
            )
        except jobs.ChunkFailed as error:
            assert_type(error.result, jobs.ChunkResult)
            assert_type(isinstance(error.__cause__, jobs.ChangeRefused), bool)
        else:
            assert_type(result, jobs.ChunkResult)
            assert_type(result.results, tuple[jobs.TokenOutcome, ...])
            assert_type(result.without_failures(), jobs.ChunkResult)
            assert_type(result.results[0].changed_at, datetime | None)
            results.append(result)
    await jobs.apply_chunk(
        client, document.chunks()[0], in_doubt=plan.header.created_at, earlier=results[0]
    )
    assert_type(jobs.ChunkResult.from_json(results[0].to_json()), jobs.ChunkResult)
    seen = await jobs.seen_since_plan(client, document.header)
    assert_type(seen, jobs.LastSeen | None)
    await jobs.apply_chunk(client, document.chunks()[0], seen=seen)
    assert_type(jobs.Quarantine.of_results(document, results), jobs.Quarantine)
    assert_type(jobs.Quarantine.of_results(document.header, results), jobs.Quarantine)
    await jobs.apply(client, plan, may_change=lambda: False)


async def evidence(client: AsyncClient) -> None:
    seen = await jobs.last_seen(client, ["org:" + "a" * 24], since=SPAN)
    assert_type(seen, jobs.LastSeen)
    assert_type(seen["a" * 24], datetime)
    assert_type(seen.gaps, tuple[str, ...])
    source = jobs.LogSource.parse("instance:" + "a" * 24)
    assert_type(source, jobs.LogSource)

    def report_progress(progress: jobs.LogProgress) -> None:
        assert_type(progress.entries, int)

    await jobs.last_seen(client, source, on_progress=report_progress)
    assert_type(jobs.seen_within(SPAN, seen), Rule)
    plan = await jobs.plan(
        client, Owner.user(), select=jobs.expired(), seen_in=[source], protect_seen=SPAN
    )
    assert_type(plan.header.seen, jobs.Evidence | None)


async def failed_job(client: AsyncClient, plan: Plan) -> None:
    try:
        await jobs.apply(client, plan)
    except jobs.JobFailed as error:
        assert_type(error.report, Report)


def plans() -> None:
    plan = Plan.read(Path("plan.jsonl"))
    assert_type(plan, Plan)
    assert_type(plan.path, Path)
    assert_type(plan.header, Header)
    assert_type(plan.header.created_at, datetime)
    assert_type(plan.header.counts, Mapping[Owner, Counts])
    assert_type(plan.header.total, Counts)
    assert_type(plan.entries(), Iterator[Entry])
    assert_type(len(plan), int)
    assert_type(jobs.save_plan_page(plan, "plan.html"), Path)


def reports(report: Report) -> None:
    assert_type(report.counts, dict[Outcome, int])
    assert_type(report.changed_at, Mapping[int, datetime])
    assert_type(report.pending, int)
    assert_type(report.finished_before, int)
    assert_type(report.is_complete, bool)
    assert_type(report.started_at, datetime)
    assert_type(report.ended_at, datetime)
    assert_type(report.gave_up, str | None)
    assert_type(report.results(), Iterator[Result])
    assert_type(report.summary(), dict[str, Any])
    assert_type(report.save("report.html"), Path)
    assert_type(jobs.harmless_cell("=1"), str)
    assert_type(jobs.json_document({"a": 1}, "items", [2]), Iterator[str])


def pages(page: jobs.TokenPage, rows: list[jobs.TokenPageRow]) -> None:
    assert_type(jobs.save_token_page(page, rows, "tokens.html"), Path)


async def listings(client: AsyncClient) -> None:
    async def receive(tokens: Sequence[ApiToken | UserOauthToken]) -> None:
        assert_type(tokens[0].id, str)

    async def restart() -> None: ...

    listing = await jobs.list_tokens(client, Owner.user(), receive, restart=restart)
    assert_type(listing, jobs.ListingResult)
    assert_type(listing.problems, tuple[str, ...])


def rules() -> None:
    assert_type(jobs.older_than(SPAN) & ~jobs.named("prod-*") | jobs.inactive(), Rule)
    assert_type(jobs.all_of([jobs.never_expires(), jobs.has_scope("all.*")]), Rule)
    assert_type(jobs.any_of([jobs.created_by("ada"), jobs.can_create_tokens()]), Rule)
    assert_type(jobs.expires_within(SPAN), Rule)
    assert_type(jobs.not_updated_for(SPAN), Rule)
    assert_type(jobs.no_tokens(), Rule)
    assert_type(jobs.active(), Rule)
    assert_type(jobs.name_matches("prod-1", "prod-*"), bool)


async def rotations(client: AsyncClient, plan: Plan) -> None:
    sink = FileSink("{replaces}.token")
    rotation = await jobs.rotate(client, plan, sink=sink, expires=SPAN, journal="rotation.journal")
    assert_type(rotation, jobs.Rotation)
    assert_type(rotation.settings, jobs.RotationSettings)
    assert_type(rotation.tokens, tuple[jobs.RotatedToken, ...])
    assert_type(rotation.tokens[0].stage, jobs.RotationStage)
    assert_type(rotation.next_due_at, datetime | None)
    assert_type(await jobs.resume_rotation(client, "rotation.journal"), jobs.Rotation)
    assert_type(await jobs.cancel_rotation(client, "rotation.journal"), jobs.Rotation)
    assert_type(jobs.read_rotation("rotation.journal"), jobs.Rotation)
    tokens = [("user", "575ec7417ae143cd83dc4a95")]
    try:
        checks = await jobs.check_rotation(client, tokens, expires=SPAN)
    except jobs.RotationRefused as error:
        checks = error.checks
    assert_type(checks, tuple[jobs.RotationCheck, ...])


async def mistakes(client: AsyncClient, plan: Plan) -> None:
    await jobs.plan(client, Owner.user())  # type: ignore[call-arg]
    await jobs.plan(client, Owner.user(), select="expired")  # type: ignore[arg-type]
    await jobs.plan(client, "user", select=jobs.expired(), action="drop")  # type: ignore[arg-type]
    await jobs.apply(client, "plan.jsonl")  # type: ignore[arg-type]
    await jobs.apply(client, plan, True)  # type: ignore[call-arg]
    jobs.older_than(90)  # type: ignore[arg-type]
    jobs.expired() & "inactive"  # type: ignore[operator]
