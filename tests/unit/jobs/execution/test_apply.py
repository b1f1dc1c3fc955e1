"""Applying plans: the outcome of each token."""

import pickle
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from losant_tokens import ApiTokenPatch, Owner, errors, jobs
from losant_tokens._limits.adaptive_rate import AdaptiveRate
from losant_tokens.jobs import Outcome, Progress
from losant_tokens.jobs._execution.progress import Listener, ProgressReporter
from losant_tokens.jobs._throttle.adaptive_concurrency import AdaptiveConcurrency
from losant_tokens.jobs._throttle.circuit_breaker import CircuitBreaker
from losant_tokens.jobs._throttle.throttle import Throttle
from losant_tokens.jobs._token_progress import States
from losant_tokens.testing import FakeLosant
from tests.support.jobs import (
    USER,
    client_of,
    counts,
    fake_with,
    job_fails_with,
    on_virtual_time,
    outcomes,
    planned,
    sent,
)
from tests.support.plans import write_version_1

ONE = "*/me/tokens/*"  # the path of one token, and of no list


@pytest.mark.parametrize(("action", "status"), [("deactivate", "inactive"), ("activate", "active")])
async def test_status_is_changed(tmp_path: Path, action: str, status: str) -> None:
    """Tokens are deactivated or activated, with and without `verify`."""
    fake = FakeLosant()
    for number in range(20):
        fake.add_token(f"ci-{number}", status="active" if action == "deactivate" else "inactive")
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path, action=action)
        fake.clear_requests()
        report = await jobs.apply(client, plan, verify=False)

    assert {token.status for token in fake.tokens()} == {status}
    assert (counts(report), sent(fake, "GET")) == ({"done": 20}, [])


@pytest.mark.parametrize("owner", ["user", "oauth", "application", "instance"])
async def test_all_kinds_of_owners(tmp_path: Path, owner: str) -> None:
    """A job works for the tokens of each kind of owner."""
    fake = FakeLosant()
    whose = Owner.parse(owner if owner in {"user", "oauth"} else f"{owner}:{'a' * 24}")
    for number in range(3):
        fake.add_token(f"ci-{number}", owner=str(whose))
    async with client_of(fake) as client:
        for action in ("deactivate", "activate", "delete"):
            plan = await planned(
                client, tmp_path, owners=whose, action=action, path=tmp_path / action
            )
            assert counts(await jobs.apply(client, plan)) == {"done": 3}

    assert fake.tokens(str(whose)) == ()


async def test_changed_tokens_are_left_alone(tmp_path: Path) -> None:
    """A token with another name, status or time of change than in the plan is left alone."""
    fake = fake_with(5)
    tokens = {token.name: token for token in fake.tokens()}
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)
        for name, patch in (
            ("ci-0", ApiTokenPatch(name="ci-other")),
            ("ci-1", ApiTokenPatch(status="inactive")),
            ("ci-2", ApiTokenPatch(description="touched")),
        ):
            await client.user_api_token.patch(tokens[name].id, patch)
        await client.user_api_token.delete(tokens["ci-3"].id)
        fake.clear_requests()
        report = await jobs.apply(client, plan)

    assert outcomes(report) == [Outcome.CHANGED] * 3 + [Outcome.GONE, Outcome.DONE]
    assert sent(fake, "DELETE") == [tokens["ci-4"].id]


async def test_plan_of_version_1(tmp_path: Path) -> None:
    """A plan file of version 1 can be applied and resumed."""
    fake = fake_with(5)
    async with client_of(fake) as client:
        plan = write_version_1(await planned(client, tmp_path))
        fake.fail(path=ONE, method="DELETE", status=403, times=1)
        first = await jobs.apply(client, plan)
        report = await jobs.apply(client, plan, resume=True, retry_failed=True)

    assert (counts(first)["failed"], counts(report), fake.tokens()) == (1, {"done": 5}, ())


async def test_retried_tokens_are_of_this_run(tmp_path: Path) -> None:
    """A failed token that is retried counts for the run that retries it."""
    fake = fake_with(5)
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)
        fake.fail(path=ONE, method="DELETE", status=403, times=2)
        await jobs.apply(client, plan)
        report = await jobs.apply(client, plan, resume=True, retry_failed=True)

    assert (report.finished_before, counts(report)) == (3, {"done": 5})


async def test_without_verify(tmp_path: Path) -> None:
    """Without `verify`, one request is sent for each token, and a 404 means gone."""
    fake = fake_with(3)
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)
        await client.user_api_token.delete(fake.tokens()[1].id)
        fake.clear_requests()
        report = await jobs.apply(client, plan, verify=False)

    assert outcomes(report) == [Outcome.DONE, Outcome.GONE, Outcome.DONE]
    assert (sent(fake, "GET"), report.requests) == ([], 3)


async def test_protected_tokens_need_no_request(tmp_path: Path) -> None:
    """A protected token gets its outcome without a request."""
    fake = fake_with(3)
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path, protect=["ci-1"])
        fake.clear_requests()
        report = await jobs.apply(client, plan)

    assert outcomes(report) == [Outcome.DONE, Outcome.PROTECTED, Outcome.DONE]
    assert [token.name for token in fake.tokens()] == ["ci-1"]
    assert fake.tokens()[0].id not in {request.path[-24:] for request in fake.requests}


# --- Checks before the start -----------------------------------------------------------------


async def test_refused_plans(tmp_path: Path) -> None:
    """A plan for another base URL, an old one and an altered one are refused."""
    fake = fake_with(2)
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)
    fake.clear_requests()
    async with client_of(fake, base_url="https://other.example") as other:
        with pytest.raises(jobs.PlanRefused, match=r"was made for https://fake.example"):
            await jobs.apply(other, plan)
    async with client_of(fake) as client:
        with pytest.raises(jobs.PlanRefused, match=r"seconds? ago"):
            await jobs.apply(client, plan, max_age=timedelta(0))
        plan.path.write_bytes(plan.path.read_bytes().replace(b"ci-1", b"ci-2"))
        with pytest.raises(jobs.PlanRefused, match="was altered"):
            await jobs.apply(client, plan)

    assert (sent(fake, "DELETE"), len(fake.tokens())) == ([], 2)


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"rate": "fast"}, {"max_concurrency": 0}])
async def test_invalid_arguments(tmp_path: Path, wrong: dict[str, Any]) -> None:
    """An invalid argument is refused before the journal is started."""
    async with client_of(fake_with(1)) as client:
        plan = await planned(client, tmp_path)
        with pytest.raises(errors.ValidationError):
            await jobs.apply(client, plan, **wrong)

    assert not jobs.journal_path(plan).exists()


async def test_path_in_place_of_a_plan() -> None:
    """A path in place of a plan or a chunk is refused, and the error says how to read a plan."""
    path: Any = "plan.jsonl"
    async with client_of(fake_with(1)) as client:
        with pytest.raises(errors.ValidationError, match=r"must be a Plan.*jobs.Plan.read\(path\)"):
            await jobs.apply(client, path)
        with pytest.raises(errors.ValidationError, match=r"apply_chunk.chunk must be of type"):
            await jobs.apply_chunk(client, path)


async def test_plan_without_tokens(tmp_path: Path) -> None:
    """The job of an empty plan is complete."""
    async with client_of(fake_with(0, kept=2)) as client:
        plan = await planned(client, tmp_path)
        report = await jobs.apply(client, plan)

    assert (report.is_complete, report.total, report.requests) == (True, 0, 0)


# --- Resuming --------------------------------------------------------------------------------


async def test_finished_job_is_not_repeated(tmp_path: Path) -> None:
    """Resuming a complete job sends nothing, and returns the same report."""
    fake = fake_with(5)
    fake.fail(status=400, times=1, method="DELETE")
    async with client_of(fake, max_connections=1) as client:
        plan = await planned(client, tmp_path, protect=["ci-3"])
        first = await jobs.apply(client, plan)
        fake.clear_requests()
        with pytest.raises(jobs.JournalError, match="applied before"):
            await jobs.apply(client, plan)
        again = await jobs.apply(client, plan, resume=True)

    assert counts(first) == {"done": 3, "failed": 1, "protected": 1}
    assert list(first.results()) == list(again.results())
    assert (sent(fake, "GET"), sent(fake, "DELETE"), again.requests) == ([], [], 0)


async def test_report_of_a_finished_job_needs_no_api(tmp_path: Path) -> None:
    """A complete job returns its report even if the token was revoked and the plan is old."""
    fake = fake_with(3)
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)
        first = await jobs.apply(client, plan)
        fake.clear_requests()
        fake.fail(status=401, times=None)
        again = await jobs.apply(client, plan, resume=True, max_age=timedelta(seconds=-9))

    assert (counts(first), counts(again), fake.requests) == ({"done": 3}, {"done": 3}, ())


async def test_journal_path(tmp_path: Path) -> None:
    """The journal can be any file."""
    async with client_of(fake_with(1)) as client:
        plan = await planned(client, tmp_path)
        report = await jobs.apply(client, plan, journal=str(tmp_path / "other"))

    assert (report.journal, jobs.journal_path(plan).exists()) == (tmp_path / "other", False)


@pytest.mark.parametrize(
    ("action", "happened", "outcome"),
    [
        ("delete", "nothing", Outcome.DONE),
        ("delete", "it was done", Outcome.DONE),
        ("delete", "changed", Outcome.CHANGED),
        ("deactivate", "nothing", Outcome.DONE),
        ("deactivate", "it was done", Outcome.DONE),
        ("deactivate", "deleted", Outcome.GONE),
        ("deactivate", "changed", Outcome.CHANGED),
    ],
)
async def test_intended_token_is_verified(
    tmp_path: Path, action: str, happened: str, outcome: Outcome
) -> None:
    """A resumed job reads an intended token before it changes it."""
    from losant_tokens.jobs._execution.journal import Journal

    fake = fake_with(1)
    (token,) = fake.tokens()
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path, action=action)
        with Journal.open(plan, jobs.journal_path(plan), resume=False) as journal:
            journal.record_intent(0)
        if happened == "deleted" or (happened, action) == ("it was done", "delete"):
            await client.user_api_token.delete(token.id)
        elif happened == "it was done":
            await client.user_api_token.patch(token.id, ApiTokenPatch(status="inactive"))
        elif happened == "changed":
            await client.user_api_token.patch(token.id, ApiTokenPatch(name="other"))
        report = await jobs.apply(client, plan, resume=True, verify=False)

    assert outcomes(report) == [outcome]


async def test_token_with_unknown_status_is_not_deleted(tmp_path: Path) -> None:
    """A token that exists was not deleted, with any status."""
    import httpx

    from losant_tokens import AsyncClient
    from losant_tokens.jobs._execution.journal import Journal

    there = {"id": "5" * 24, "name": "ci-1"}
    methods = []

    def respond(request: httpx.Request) -> httpx.Response:
        methods.append(request.method)
        if request.url.path == "/me/tokens":
            return httpx.Response(200, json={"items": [there], "totalCount": 1})
        body = {"success": True} if request.method == "DELETE" else there
        return httpx.Response(200, json=body)

    transport = httpx.MockTransport(respond)
    async with AsyncClient("x", base_url="https://x.example", transport=transport) as client:
        plan = await planned(client, tmp_path)
        with Journal.open(plan, jobs.journal_path(plan), resume=False) as journal:
            journal.record_intent(0)
        report = await jobs.apply(client, plan, resume=True)

    assert (outcomes(report), methods[-1]) == ([Outcome.DONE], "DELETE")


# --- Lost responses --------------------------------------------------------------------------


@pytest.mark.sweep(sample=9)
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 408},
        {"kind": "drop"},
        {"kind": "truncate"},
        {"kind": "hang"},
        {"kind": "html"},
        {"kind": "garbage"},
        {"kind": "html", "status": 200},
    ],
    ids=str,
)
@pytest.mark.parametrize("action", ["delete", "deactivate"])
@pytest.mark.parametrize("times", [1, 5])
def test_lost_response(tmp_path: Path, fault: dict[str, Any], action: str, times: int) -> None:
    """A change whose response was lost is done."""
    fake = fake_with(8)

    async def job() -> jobs.Report:
        async with client_of(fake, timeout=2.0) as client:
            plan = await planned(client, tmp_path, action=action)
            method = "DELETE" if action == "delete" else "PATCH"
            fake.fail(**fault, times=times, after_acting=True, method=method)
            return await jobs.apply(client, plan)

    report = on_virtual_time(job)

    assert counts(report) == {"done": 8}
    assert len([t for t in fake.tokens() if t.status == "active"]) == 0


@pytest.mark.parametrize("action", ["delete", "deactivate"])
def test_all_responses_are_lost(tmp_path: Path, action: str) -> None:
    """A token is read after its last attempt, and is done if the action was carried out."""
    fake = fake_with(1)

    async def job() -> jobs.Report:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path, action=action)
            method = "DELETE" if action == "delete" else "PATCH"
            fake.fail(status=500, times=4, method=method)
            fake.fail(status=500, times=1, method=method, after_acting=True)
            return await jobs.apply(client, plan)

    report = on_virtual_time(job)

    assert (counts(report), report.retries) == ({"done": 1}, 4)


def test_lost_response_of_a_missing_token(tmp_path: Path) -> None:
    """A token that does not exist was not deactivated, even if an attempt may have arrived."""
    fake = fake_with(3)

    async def job() -> jobs.Report:
        async with client_of(fake, max_connections=1) as client:
            plan = await planned(client, tmp_path, action="deactivate")
            fake.fail(status=500, times=5, method="PATCH")
            fake.fail(status=404, method="GET", path=ONE)  # the read after all of these attempts
            fake.fail(status=500, times=1, method="PATCH")
            # This is the second attempt for the second token.
            fake.fail(status=404, times=1, method="PATCH")
            return await jobs.apply(client, plan, verify=False)

    assert counts(on_virtual_time(job)) == {"gone": 2, "done": 1}


def test_token_that_cannot_be_deleted(tmp_path: Path) -> None:
    """A token that the server cannot delete fails after five attempts, and the others are done."""
    fake = fake_with(20)
    stubborn = fake.tokens()[7]
    fake.fail(status=500, times=None, method="DELETE", path=f"*{stubborn.id}")

    async def job() -> jobs.Report:
        async with client_of(fake) as client:
            return await jobs.apply(client, await planned(client, tmp_path))

    report = on_virtual_time(job)

    assert counts(report) == {"done": 19, "failed": 1}
    assert sent(fake, "DELETE").count(stubborn.id) == 5
    (failed,) = [result for result in report.results() if result.outcome is Outcome.FAILED]
    assert (failed.entry.id, "500" in (failed.error or "")) == (stubborn.id, True)


def test_unknown_outcome_until_resumed(tmp_path: Path) -> None:
    """A token in doubt that cannot be read is unknown until a resumed job reads it."""
    fake = fake_with(1)

    async def job() -> tuple[jobs.Report, jobs.Report, jobs.Report]:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            fake.fail("garbage", after_acting=True, method="DELETE")
            fake.fail(status=418, times=2, method="GET", path=ONE)
            first = await jobs.apply(client, plan, verify=False)
            second = await jobs.apply(client, plan, verify=False, resume=True)
            return first, second, await jobs.apply(client, plan, verify=False, resume=True)

    first, second, third = on_virtual_time(job)

    assert [outcomes(r) for r in (first, second, third)] == [
        [Outcome.UNKNOWN],
        [Outcome.UNKNOWN],
        [Outcome.DONE],
    ]
    assert (first.is_complete, third.is_complete) == (False, True)


def test_refused_change_is_final(tmp_path: Path) -> None:
    """A token that the API refuses to change fails with the reason, without a read."""
    fake = fake_with(3)
    fake.fail(status=400, method="DELETE")
    fake.fail(status=418, method="GET", path="*/me/tokens/*", skip=2)

    async def job() -> jobs.Report:
        async with client_of(fake, max_connections=1) as client:
            return await jobs.apply(client, await planned(client, tmp_path))

    report = on_virtual_time(job)

    assert counts(report) == {"failed": 2, "done": 1}
    assert len(sent(fake, "DELETE")) == 2


# --- Errors that affect every token ----------------------------------------------------------


async def test_revoked_token(tmp_path: Path) -> None:
    """A 401 ends the job, and another token can resume it."""
    fake = fake_with(200)
    own = fake.add_token("own", scope=["all.User"])
    async with client_of(fake) as admin:
        plan = await planned(admin, tmp_path)
        fake.fail(status=401, times=None, method="DELETE", skip=50)
        fake.clear_requests()
        with job_fails_with(errors.Unauthorized) as caught:
            await jobs.apply(admin, plan)
        refused = [request for request in fake.requests if request.status == 401]
        fake.clear_faults()
        report = await jobs.apply(admin, plan, resume=True)

    assert len(refused) <= 10
    first = caught.value.report
    assert (counts(first), first.pending) == ({"done": 50}, 150)
    assert (counts(report), fake.tokens()) == ({"done": 200}, (own,))


async def test_token_without_scopes(tmp_path: Path) -> None:
    """A token without the scopes ends the job before a request is sent."""
    fake = fake_with(20)
    async with client_of(fake) as admin:
        plan = await planned(admin, tmp_path)
    fake.clear_requests()
    async with client_of(fake, scopes=["all.User.read"]) as other:
        with job_fails_with(errors.ScopeError):
            await jobs.apply(other, plan, verify=False)

    assert (sent(fake, "GET"), sent(fake, "DELETE")) == ([], [])


async def test_forbidden_tokens_do_not_stop_the_job(tmp_path: Path) -> None:
    """Forbidden tokens fail, and the others are done, if any token can be changed."""
    fake = fake_with(150)
    ids = sorted(token.id for token in fake.tokens())
    for token_id in ids[:140]:
        fake.fail(status=403, times=None, method="DELETE", path=f"*{token_id}")
    async with client_of(fake, max_connections=1) as client:
        plan = await planned(client, tmp_path)
        report = await jobs.apply(client, plan)

    assert counts(report) == {"done": 10, "failed": 140}


@pytest.mark.parametrize(("tokens", "asked"), [(60, 50), (20, 20)])
async def test_forbidden_credential_ends_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokens: int, asked: int
) -> None:
    """If every token is forbidden, the job ends with that error, and can be resumed."""
    monkeypatch.setattr("losant_tokens.jobs._execution.unconfirmed_results.MAX_FORBIDDEN", 50)
    fake = fake_with(tokens)
    async with client_of(fake, max_connections=1) as client:
        plan = await planned(client, tmp_path)
        fake.fail(status=403, times=None, method="DELETE")
        with job_fails_with(errors.Forbidden) as caught:
            await jobs.apply(client, plan)
        sent_before = len(sent(fake, "DELETE"))
        fake.clear_faults()
        again = await jobs.apply(client, plan, resume=True)

    assert (sent_before, counts(caught.value.report)) == (asked, {})
    assert counts(again) == {"done": tokens}


async def test_resumed_job_starts_with_other_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that ended because of 403s starts with the other tokens when it is resumed."""
    monkeypatch.setattr("losant_tokens.jobs._execution.unconfirmed_results.MAX_FORBIDDEN", 50)
    fake = fake_with(60)
    ids = sorted(token.id for token in fake.tokens())
    for token_id in ids[:50]:
        fake.fail(status=403, times=None, method="DELETE", path=f"*{token_id}")
    async with client_of(fake, max_connections=1) as client:
        plan = await planned(client, tmp_path)
        with job_fails_with(errors.Forbidden):
            await jobs.apply(client, plan)
        again = await jobs.apply(client, plan, resume=True)

    assert counts(again) == {"done": 10, "failed": 50}


async def test_few_forbidden_tokens_fail(tmp_path: Path) -> None:
    """If a plan has few tokens, and all are forbidden, they fail without an error."""
    fake = fake_with(3)
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)
        fake.fail(status=403, times=None, method="DELETE")
        report = await jobs.apply(client, plan)

    assert counts(report) == {"failed": 3}


async def test_retry_failed(tmp_path: Path) -> None:
    """`retry_failed` tries failed tokens again; `resume` alone does not."""
    fake = fake_with(5)
    async with client_of(fake, max_connections=1) as client:
        plan = await planned(client, tmp_path)
        fake.fail(status=400, times=2, method="DELETE")
        reports = [
            await jobs.apply(client, plan),
            await jobs.apply(client, plan, resume=True),
            await jobs.apply(client, plan, resume=True, retry_failed=True),
        ]

    assert [counts(report) for report in reports] == [
        {"done": 3, "failed": 2},
        {"done": 3, "failed": 2},
        {"done": 5},
    ]


async def test_forbidden_at_the_end(tmp_path: Path) -> None:
    """A few 403s at the end are recorded as failures."""
    fake = fake_with(20)
    fake.fail(status=403, times=None, method="DELETE", skip=17)
    async with client_of(fake, max_connections=1) as client:
        plan = await planned(client, tmp_path)
        report = await jobs.apply(client, plan)
        again = await jobs.apply(client, plan, resume=True)

    assert counts(report) == counts(again) == {"done": 17, "failed": 3}
    for each in (report, again):
        messages = [
            result.error or "" for result in each.results() if result.outcome is Outcome.FAILED
        ]
        assert ["403" in message for message in messages] == [True] * 3


def test_401_during_a_read_in_doubt(tmp_path: Path) -> None:
    """A 401 ends the job, even if it comes when a token in doubt is read."""
    fake = fake_with(1)

    async def job() -> None:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            fake.fail(status=500, times=None, method="DELETE")
            fake.fail(status=401, times=None, method="GET", path=ONE)
            await jobs.apply(client, plan, verify=False)

    with job_fails_with(errors.Unauthorized) as caught:
        on_virtual_time(job)

    assert {"unknown": 1} == counts(caught.value.report)


async def test_scope_that_is_not_needed(tmp_path: Path) -> None:
    """Without `verify`, the scope to read a token is not needed."""
    fake = fake_with(5)
    scopes = ["userApiTokens.get", "userApiToken.delete"]
    async with client_of(fake, scopes=scopes) as client:
        plan = await planned(client, tmp_path)
        with job_fails_with(errors.ScopeError, match=r"userApiToken\.get"):
            await jobs.apply(client, plan)
        report = await jobs.apply(client, plan, verify=False, resume=True)

    assert counts(report) == {"done": 5}


def test_service_that_fails_half_of_the_time(tmp_path: Path) -> None:
    """A job with many failures sends probes, and is complete in the end."""
    fake = fake_with(120)

    async def job() -> jobs.Report:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            fake.clear_requests()
            for skip in range(0, 400, 2):
                fake.fail(status=500, method="DELETE", skip=skip)
            return await jobs.apply(client, plan, verify=False, max_concurrency=4)

    report = on_virtual_time(job)

    assert {"done": 120} == counts(report)
    assert report.retries >= 60


def test_403_for_a_token_in_doubt(tmp_path: Path) -> None:
    """A token in doubt that must not be read is unknown, not failed."""
    fake = fake_with(1)

    async def job() -> list[jobs.Report]:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            fake.fail(status=500, times=None, method="DELETE")
            fake.fail(status=403, times=None, method="GET", path=ONE, skip=1)
            reports = [await jobs.apply(client, plan)]
            reports.append(await jobs.apply(client, plan, resume=True))
            fake.clear_faults()
            reports.append(await jobs.apply(client, plan, resume=True))
        return reports

    expected = [{"unknown": 1}, {"unknown": 1}, {"done": 1}]
    assert expected == [counts(report) for report in on_virtual_time(job)]


async def test_times_of_changes(tmp_path: Path) -> None:
    """The report has the time of each change by the API, even after a resumption."""
    fake = fake_with(5)
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path, action="deactivate")
        report = await jobs.apply(client, plan)
        again = await jobs.apply(client, plan, resume=True)

    expected = dict(enumerate(token.last_updated for token in fake.tokens()))
    assert report.changed_at == again.changed_at
    assert expected == report.changed_at
    assert (report.finished_before, again.finished_before) == (0, 5)


# --- Progress --------------------------------------------------------------------------------


def test_progress(tmp_path: Path) -> None:
    """Progress is reported several times a second, and at the end."""
    reports: list[Progress] = []
    fake = fake_with(200)
    fake.fail("latency", seconds=0.5, times=None, method="DELETE")

    async def job() -> jobs.Report:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            return await jobs.apply(client, plan, on_progress=reports.append)

    report = on_virtual_time(job)

    assert reports[0].finished == 0
    assert reports[0].remaining is None
    assert (reports[-1].finished, reports[-1].total, reports[-1].requests) == (200, 200, 400)
    assert reports[-1].remaining == 0
    assert len(reports) > 4 * reports[-1].elapsed
    assert [t.finished for t in reports] == sorted(t.finished for t in reports)
    assert max(t.concurrency for t in reports) == 10
    assert len(report.pace) >= int(report.seconds)


async def test_protected_tokens_are_no_progress(tmp_path: Path) -> None:
    """Tokens that the plan protects are not counted."""
    reports: list[Progress] = []
    fake = fake_with(10)
    names = [token.name for token in fake.tokens()]
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path, protect=names[:4])
        await jobs.apply(client, plan, on_progress=reports.append)

    last = reports[-1]
    assert (plan.header.total.protected, len(plan)) == (4, 10)
    assert (last.total, last.finished, last.counts[Outcome.PROTECTED]) == (6, 6, 0)


def test_tokens_per_second(tmp_path: Path) -> None:
    """The tokens per second are those of the last seconds, without those of earlier runs."""
    reports: list[Progress] = []
    fake = fake_with(200)
    fake.fail("latency", seconds=0.5, times=None, method="DELETE")

    async def job() -> None:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            await jobs.apply(client, plan, on_progress=reports.append)
            reports.append(reports[-1])
            await jobs.apply(client, plan, resume=True, on_progress=reports.append)

    on_virtual_time(job)

    assert reports[0].tokens_per_second == 0
    # Ten requests at once take half a second each.
    assert 10 < max(one.tokens_per_second for one in reports) < 25
    assert reports[-1].tokens_per_second == 0


async def test_error_of_a_listener(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An error of `on_progress` is logged once, and the job continues."""

    def listen(progress: Progress) -> None:
        raise BrokenPipeError("mine")

    fake = fake_with(10)
    fake.fail("latency", seconds=0.3, times=1)
    async with client_of(fake) as client:
        plan = await planned(client, tmp_path)
        report = await jobs.apply(client, plan, on_progress=listen)

    assert counts(report) == {"done": 10}
    assert [record.message for record in caplog.records] == [
        "on_progress failed; the job continues"
    ]


@pytest.mark.slow
def test_samples_of_a_long_job_are_merged() -> None:
    """The number of samples of a long job is limited, and their 429s add up."""

    async def job() -> ProgressReporter:
        throttle = Throttle(AdaptiveRate(), AdaptiveConcurrency(10), CircuitBreaker(300))
        reporter = ProgressReporter(10, 0, States.of(10), throttle, Listener(None))
        with anyio.move_on_after(3000):
            async with anyio.create_task_group() as group:
                group.start_soon(reporter.run)
                while True:
                    await anyio.sleep(1)
                    throttle.refused += 1
        return reporter

    reporter = on_virtual_time(job)

    assert 300 <= len(reporter.samples) <= 600
    assert sum(sample.refused for sample in reporter.samples) >= 2990
    assert USER == Owner.user()


def test_invalid_token(tmp_path: Path) -> None:
    """A 401 to the first request ends the job, also under trio."""
    fake = fake_with(20)

    async def job() -> None:
        async with client_of(fake) as client:
            plan = await planned(client, tmp_path)
            fake.fail(status=401, times=None)
            await jobs.apply(client, plan)

    with pytest.raises(errors.Unauthorized):
        on_virtual_time(job)


async def test_job_failed_pickles_with_its_report(tmp_path: Path) -> None:
    """A `JobFailed` keeps its message and its report when it is pickled."""
    async with client_of(fake_with(1)) as client:
        report = await jobs.apply(client, await planned(client, tmp_path))

    copy = pickle.loads(pickle.dumps(jobs.JobFailed("failed", report=report)))

    assert (str(copy), copy.report.counts) == ("failed", report.counts)
