"""Evaluate a policy: run its tests, and find the tokens of a snapshot that match."""

import json
import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from losant_tokens import ApiToken
from losant_tokens._api.codec import UnreadableError, make_converter
from losant_tokens.policy._errors import Mistake, PolicyError
from losant_tokens.policy._types import Cleanup, Policy, PolicyRule, PolicyTest, Token


@frozen(kw_only=True)
class PolicyTestResult:
    """The result of a test of a policy."""

    test: PolicyTest
    """The test."""
    matched: tuple[str, ...]
    """The names of the rules and clean-ups that match its token."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The names that are expected, but do not match."""
        return tuple(name for name in self.test.expect if name not in self.matched)

    @property
    def unexpected(self) -> tuple[str, ...]:
        """The names that match, but are not expected."""
        return tuple(name for name in self.matched if name not in self.test.expect)

    @property
    def passed(self) -> bool:
        """Whether exactly the expected rules and clean-ups match."""
        return not self.missing and not self.unexpected


@define(kw_only=True)
class EntryMatches:
    """The tokens that match a rule or a clean-up."""

    entry: PolicyRule | Cleanup
    """The rule or clean-up."""
    tokens: list[Token] = field(factory=list)
    """The tokens that match."""
    unknown: int = 0
    """The number of tokens for which it is unknown whether they match, because they lack a member
    that the selection needs. They are not selected.
    """

    @property
    def exceeds_max_changes(self) -> bool:
        """Whether a plan for these tokens would be refused, because they are too many."""
        return isinstance(self.entry, Cleanup) and len(self.tokens) > self.entry.max_changes


def run_tests(policy: Policy, now: datetime) -> tuple[PolicyTestResult, ...]:
    """Return the results of the tests of a policy.

    Args:
        policy: The policy.
        now: The time of the tests, with a time zone.
    """
    return tuple(
        PolicyTestResult(test=test, matched=policy.matching(test.token.at(now), now))
        for test in policy.tests
    )


def match_tokens(
    policy: Policy, tokens: Iterable[Token], now: datetime
) -> tuple[EntryMatches, ...]:
    """Return the tokens that match each rule and clean-up of a policy.

    Args:
        policy: The policy.
        tokens: The tokens.
        now: The time to compare the dates of the tokens with, with a time zone.
    """
    matches = tuple(EntryMatches(entry=entry) for entry in policy.entries)
    for token in tokens:
        for one in matches:
            if one.entry.matches(token, now):
                one.tokens.append(token)
            elif one.entry.rule().matches(token, now) is None:
                one.unknown += 1
    return matches


def read_snapshot(path: str | os.PathLike[str]) -> tuple[ApiToken, ...]:
    """Return the tokens of a snapshot, which `losant-tokens list --json` writes.

    Args:
        path: The file, in JSON: a list of tokens with the member names of the API.

    Raises:
        PolicyError: The file is not a snapshot. The error has all mistakes.
        OSError: The file cannot be read.
    """
    file = os.fspath(path)
    rows = _rows(Path(path).read_bytes(), file)
    converter = make_converter()
    tokens: list[ApiToken] = []
    mistakes: list[Mistake] = []
    for number, row in enumerate(rows):
        try:
            tokens.append(converter.structure(row, ApiToken))
        except UnreadableError as error:
            place = f"[{number}]{error.problem.path.removeprefix('$')}"
            mistakes.append(Mistake(place, error.problem.text))
    if mistakes:
        raise PolicyError(file, mistakes)
    return tuple(tokens)


def _rows(data: bytes, file: str) -> Sequence[Any]:
    try:
        rows = json.loads(data)
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list):
        raise PolicyError(file, [Mistake("", "is not a list of tokens in JSON")])
    return rows
