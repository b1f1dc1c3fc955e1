"""The data of an audit, from which every format is written."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Self

import attrs

from losant_tokens import Owner
from losant_tokens.audit._finding import Finding, TokenFindings
from losant_tokens.audit._finding_store import Store
from losant_tokens.audit._rules import AuditRule
from losant_tokens.policy import Severity


@attrs.frozen(kw_only=True)
class AuditedOwner:
    """An owner in an audit."""

    owner: Owner
    """The owner."""
    tokens: int = 0
    """The number of tokens."""
    problem: str | None = None
    """Why the tokens could not be listed; `None` if they were."""
    incomplete: tuple[str, ...] = ()
    """Why tokens may be missing, one phrase for each reason."""


@attrs.frozen(kw_only=True)
class AuditedAccount:
    """An account in an audit."""

    name: str
    """The name."""
    base_url: str | None = None
    """The base URL of the API; `None` if the account could not be used at all."""
    owners: tuple[AuditedOwner, ...] = ()
    """The owners, with their results."""
    problem: str | None = None
    """Why the account, or a part of it, was not audited; `None` if all of it was."""
    audit_logs: tuple[str, ...] = ()
    """The audit logs that were read."""
    audit_log_problem: str | None = None
    """Why the audit logs could not be read; `None` if they were."""
    audit_log_gaps: tuple[str, ...] = ()
    """Why the audit logs may not show all changes, one sentence for each reason."""
    deleted_by: Mapping[str, str] = attrs.field(factory=dict, repr=False, hash=False)
    """The people that deleted tokens in the audit logs, by token id in lower case."""

    @property
    def problems(self) -> tuple[str, ...]:
        """The parts of the account that were not audited, one sentence for each reason."""
        found = [f"{one.owner}: {one.problem}" for one in self.owners if one.problem is not None]
        found += [f"{one.owner}: {reason}" for one in self.owners for reason in one.incomplete]
        if self.problem is not None:
            found.insert(0, self.problem)
        if self.audit_log_problem is not None:
            found.append(f"the audit logs could not be read: {self.audit_log_problem}")
        return tuple(dict.fromkeys(found))

    @property
    def is_audited(self) -> bool:
        """Whether the tokens of at least one owner were listed."""
        return any(one.problem is None for one in self.owners)


@attrs.frozen(kw_only=True, eq=False)
class AuditData:
    """The accounts of an audit, and the findings, whose tokens are in a temporary file."""

    created_at: datetime
    """When it was made."""
    accounts: tuple[AuditedAccount, ...]
    """The accounts, with their results."""
    rules: tuple[AuditRule, ...] = attrs.field(repr=False)
    """The rules that were checked."""
    _store: Store = attrs.field(repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary file. The tokens and findings can no longer be read."""
        self._store.close()

    def tokens(self) -> Iterator[TokenFindings]:
        """Yield each token with its findings, the worst token first."""
        return self._store.tokens()

    def findings(self) -> Iterator[Finding]:
        """Yield each finding: token by token, the worst token first."""
        return (finding for one in self.tokens() for finding in one.findings)

    @property
    def is_complete(self) -> bool:
        """Whether all accounts and owners were audited completely."""
        return not any(account.problems for account in self.accounts)

    @property
    def token_count(self) -> int:
        """The number of tokens. A token that two accounts list is counted once."""
        return sum(count for _, _, count in self._store.token_counts())

    @property
    def tokens_by_severity(self) -> Mapping[Severity, int]:
        """The number of tokens by the severity of their worst finding, the most severe first."""
        counts = dict.fromkeys(reversed(Severity), 0)
        for _, severity, count in self._store.token_counts():
            if severity is not None:
                counts[severity] += count
        return counts

    @property
    def findings_by_rule(self) -> Mapping[str, int]:
        """The number of findings of each rule that was checked, in the order of the rules."""
        counts = dict.fromkeys((rule.id for rule in self.rules), 0)
        for _, rule, _, count in self._store.counts():
            counts[rule] += count
        return counts

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding; `None` without findings."""
        found = self.tokens_by_severity
        return max((severity for severity, count in found.items() if count), default=None)

    def counts(self) -> list[tuple[AuditedAccount, str, Severity, int]]:
        """Return the number of findings by account, rule and severity, without zeros."""
        return [
            (self.accounts[place], rule, severity, count)
            for place, rule, severity, count in self._store.counts()
        ]

    def counts_of_tokens(self) -> list[tuple[AuditedAccount, Severity | None, int]]:
        """Return the number of tokens by account and worst severity, without zeros."""
        return [
            (self.accounts[place], severity, count)
            for place, severity, count in self._store.token_counts()
        ]
