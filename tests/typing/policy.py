"""The types of policies."""

from datetime import timedelta
from pathlib import Path
from typing import assert_type

from losant_tokens import jobs, policy


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


def errors(error: policy.PolicyError) -> None:
    assert_type(error.mistakes, tuple[policy.Mistake, ...])
    assert_type(error.mistakes[0].line, int | None)
