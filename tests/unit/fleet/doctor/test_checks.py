"""The checks of the doctor: what is a problem, how serious it is, and what to do."""

from datetime import UTC, datetime, timedelta

import pytest

from losant_tokens.fleet import Run, RunState, Work
from losant_tokens.fleet._doctor.checks import AccountFacts, Facts, find_problems, unreachable
from losant_tokens.policy import Severity
from tests.support.fleet_workers import NOW, worker


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def run(state: RunState, **others: object) -> Run:
    values: dict[str, object] = {
        "id": "r1",
        "account": "acme",
        "cleanup": "ci",
        "requested_by": "x",
        "requested_at": NOW,
        "changed_at": NOW,
        **others,
    }
    return Run(state=state, **values)  # type: ignore[arg-type]


def failed(count: int) -> Work:
    """Return the work of a phase in which tokens failed."""
    return Work(worker="a", version="1", started_at=NOW, outcomes={"failed": count})


def facts(**others: object) -> Facts:
    values = {"machine_time": NOW, "store_time": NOW, "workers": (worker(),), **others}
    return Facts(**values)  # type: ignore[arg-type]


def found(**others: object) -> list[str]:
    return [
        f"{one.severity} {one.check} {one.subject}: {one.message}"
        for one in find_problems(facts(**others))
    ]


def test_healthy_fleet() -> None:
    """A fleet whose workers, runs, clocks and tokens are in order has no problem."""
    assert (
        found(
            machine_time=NOW + timedelta(seconds=8),
            uncertainty=timedelta(seconds=4),
            workers=(
                worker("a", heartbeat_at=ago(seconds=3)),
                worker("b", state="released", heartbeat_at=ago(days=1)),
                worker("c", state="fenced", ended_at=ago(days=8)),
            ),
            pending={"a": 3, "b": 0},
            runs=(
                run("planning", changed_at=ago(minutes=59)),
                run("waiting", approve_by=NOW + timedelta(days=3)),
                run("waiting"),
                run("quarantined", sweep_due_at=ago(minutes=59)),
                run("failed", changed_at=ago(days=8)),
                run("done", changed_at=ago(days=8)),
            ),
            accounts=(
                AccountFacts(name="x"),
                AccountFacts(name="y", expires_at=NOW + timedelta(days=15)),
            ),
        )
        == []
    )


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        (
            {"workers": (), "pending": {"a": 1}},
            [
                "high orphans a: 1 task is in progress on a, which is not alive.",
                "info no-worker : No worker is alive, but no work is late.",
            ],
        ),
        (
            {
                "workers": (worker(state="released"),),
                "runs": (
                    run("planning", changed_at=ago(minutes=14)),
                    run("waiting", changed_at=ago(days=1)),
                    run("quarantined", changed_at=ago(days=1), sweep_due_at=ago(minutes=-5)),
                    run("quarantined", changed_at=ago(days=1)),
                ),
            },
            ["info no-worker : No worker is alive, but no work is late."],
        ),
        (
            {"workers": (), "runs": (run("approved", changed_at=ago(minutes=16)),)},
            ["high no-worker : No worker is alive, and work has been due for 16 min."],
        ),
        (
            {"workers": (), "runs": (run("quarantined", sweep_due_at=ago(minutes=16)),)},
            ["high no-worker : No worker is alive, and work has been due for 16 min."],
        ),
        (
            {"workers": (), "runs": (run("waiting", retry_at=ago(minutes=16)),)},
            ["high no-worker : No worker is alive, and work has been due for 16 min."],
        ),
        (
            {"workers": (), "ticks": (ago(minutes=1), ago(hours=3))},
            ["high no-worker : No worker is alive, and work has been due for 3 h."],
        ),
        (
            {"pending": {"b": 2, "": 1}},
            [
                "medium orphans : 1 task is in progress on no worker, which is not alive.",
                "medium orphans b: 2 tasks are in progress on b, which is not alive.",
            ],
        ),
        (
            {"workers": (worker(heartbeat_at=ago(seconds=6)),)},
            ["medium late-heartbeat a: The worker a on host-a sent its last heartbeat 6 s ago."],
        ),
        (
            {"workers": (worker(heartbeat_at=ago(hours=3)),)},
            ["high late-heartbeat a: The worker a on host-a sent its last heartbeat 3 h ago."],
        ),
        (
            {
                "workers": (
                    worker("a", version="1.1"),
                    worker("b", state="fenced", ended_at=ago(minutes=9)),
                    worker("c", state="fenced", ended_at=ago(days=2), orphans=("run 7", "run 8")),
                    worker("d", version="1.0"),
                )
            },
            [
                (
                    "medium fenced c: The worker c on host-c was silent, and lost its work 2 days "
                    "ago. It still held run 7, run 8."
                ),
                "low fenced b: The worker b on host-b was silent, and lost its work 9 min ago.",
                "low versions : The workers have different versions: 1.0 (1), 1.1 (1).",
            ],
        ),
        (
            {"machine_time": ago(seconds=9)},
            ["medium clock : The clocks of this machine and of the store differ by 9 s."],
        ),
        (
            {"machine_time": NOW + timedelta(minutes=5)},
            ["high clock : The clocks of this machine and of the store differ by 5 min."],
        ),
        (
            {"runs": (run("waiting", approve_by=NOW + timedelta(hours=5)),)},
            [
                (
                    "medium waiting r1: The plan of run r1 (ci for acme) waits for an approval, "
                    "and expires in 5 h."
                )
            ],
        ),
        (
            {"runs": (run("waiting", approve_by=ago(hours=5)),)},
            [
                (
                    "medium waiting r1: The plan of run r1 (ci for acme) waits for an approval, "
                    "and has expired."
                )
            ],
        ),
        (
            {"runs": (run("applying", changed_at=ago(hours=3), reason="It waits."),)},
            [
                (
                    "high stuck r1: Run r1 (ci for acme) has been applying for 3 h without "
                    "progress. It waits."
                )
            ],
        ),
        (
            {"runs": (run("planning", retry_at=NOW, reason="The API is down."),)},
            [
                (
                    "medium retrying r1: Run r1 (ci for acme) failed, and is retried at "
                    "2026-03-01 12:00 UTC. The API is down."
                )
            ],
        ),
        (
            {"runs": (run("quarantined", sweep_due_at=ago(days=3)),)},
            ["high stuck r1: The sweep of run r1 (ci for acme) has been due for 3 days."],
        ),
        (
            {"runs": (run("failed", reason="No such account."),)},
            ["high failed r1: Run r1 (ci for acme) failed. No such account."],
        ),
        (
            {
                "runs": (
                    run("done", id="r1", phase="apply", work={"apply": failed(1)}),
                    run("quarantined", id="r2", work={"apply": failed(2000)}),
                    run("done", id="r3", changed_at=ago(days=8), work={"apply": failed(1)}),
                    run("applying", id="r4", work={"apply": failed(1)}),
                )
            },
            [
                "medium failed-tokens r1: 1 token of run r1 (ci for acme) failed.",
                "medium failed-tokens r2: 2,000 tokens of run r2 (ci for acme) failed.",
            ],
        ),
        (
            {"unresolved": {"ci": "prod-* matches no account."}},
            [
                (
                    "high accounts ci: The accounts of the clean-up 'ci' cannot be found. prod-* "
                    "matches no account."
                )
            ],
        ),
        (
            {
                "accounts": (
                    AccountFacts(name="a", expires_at=NOW + timedelta(days=3)),
                    AccountFacts(name="b", expires_at=NOW),
                    AccountFacts(name="c", problem="No token for the account c."),
                )
            },
            [
                "high credential b: The token of b has expired.",
                "high credential c: No token for the account c.",
                "medium credential a: The token of a expires in 3 days.",
            ],
        ),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_problems(given: dict[str, object], problems: list[str]) -> None:
    """Each fact that needs a person is a problem, and the most serious ones come first."""
    assert found(**given) == problems
    assert all(one.remedy.endswith(".") for one in find_problems(facts(**given)))


def test_unreachable_store() -> None:
    """A store that cannot be reached is the most serious problem."""
    assert unreachable("The store is down.").severity is Severity.CRITICAL


def test_time_zone_of_the_retry() -> None:
    """The time of a retry is shown in UTC, as all times of a run are."""
    retry_at = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    (problem,) = find_problems(facts(runs=(run("sweeping", retry_at=retry_at),)))
    assert "2026-03-01 23:30 UTC" in problem.message


def test_remedy_of_failed_tokens() -> None:
    """A run is retried if its last phase has failed tokens; other tokens wait for the next run."""
    runs = (
        run("done", phase="apply", work={"apply": failed(1)}),
        run("done", phase="sweep", work={"apply": failed(1)}),
    )
    remedies = [one.remedy for one in find_problems(facts(runs=runs))]
    assert [remedy.rpartition(", ")[2] for remedy in remedies] == [
        "and retry the run.",
        "and correct the cause. The next run of the clean-up selects the tokens again.",
    ]
