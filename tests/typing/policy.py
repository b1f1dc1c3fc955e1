"""The types of policies."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, assert_type

from losant_tokens import ApiToken, AsyncClient, Owner, jobs, policy, sinks


def contents() -> None:
    loaded = policy.load(Path("policy.toml"))
    assert_type(loaded, policy.Policy)
    for rule in loaded.rules:
        assert_type(rule.rule(), jobs.Rule)
        assert_type(rule.severity, policy.Severity)
        assert_type(rule.severity >= policy.Severity.HIGH, bool)
    for cleanup in loaded.cleanups:
        assert_type(cleanup.rule(), jobs.Rule)
        assert_type(cleanup.max_changes, int)
        assert_type(cleanup.grace, timedelta | None)
        assert_type(cleanup.steps, tuple[policy.Step, ...])
        assert_type(cleanup.steps[0].has_webhook, bool)
        assert_type(cleanup.is_for_fleets, bool)
        assert_type(cleanup.approval, policy.Approval)
        assert_type(cleanup.approval.auto_below, int | None)
        assert_type(cleanup.approve_within, timedelta)
        assert_type(cleanup.cron, str | None)
        assert_type(cleanup.select_accounts(["prod"]), tuple[str, ...])


def evaluation(loaded: policy.Policy, now: datetime) -> None:
    (result, *_) = policy.run_tests(loaded, now)
    assert_type(result, policy.PolicyTestResult)
    assert_type(result.passed, bool)
    tokens = policy.read_snapshot("tokens.json")
    assert_type(tokens, tuple[ApiToken, ...])
    assert_type(policy.match_tokens(loaded, tokens, now), tuple[policy.EntryMatches, ...])
    assert_type(loaded.matching(tokens[0], now), tuple[str, ...])
    assert_type(policy.schema(), dict[str, Any])


async def plans(client: AsyncClient, loaded: policy.Policy) -> None:
    cleanup = loaded.cleanup("expired")
    plan = await policy.plan(client, Owner.user(), cleanup, step="delete", max_changes=10)
    assert_type(plan, jobs.Plan)
    assert_type(plan.header.policy, jobs.PolicyReference | None)


async def warnings(client: AsyncClient, cleanup: policy.Cleanup, sink: sinks.SlackSink) -> None:
    ledger = policy.WarningLedger(Path("warnings.json"))
    result = await policy.warn(client, Owner.user(), cleanup, sink, ledger)
    assert_type(result, policy.WarningResult)
    assert_type(result.message, sinks.Message | None)
    assert_type(ledger.warned(cleanup), dict[str, policy.WarningRecord])


def errors(error: policy.PolicyError) -> None:
    assert_type(error.mistakes, tuple[policy.Mistake, ...])
    assert_type(error.mistakes[0].line, int | None)
