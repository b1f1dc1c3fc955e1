"""`compare`: the differences between two audits, by token and by finding. This module is pure.

Only owners that both audits listed completely are compared: a token of another owner is neither new
nor gone.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from attrs import field, frozen

from losant_tokens.audit._finding import AuditedToken, Finding, TokenFindings
from losant_tokens.audit._formats.json import fact_members, finding_members, wire_time
from losant_tokens.audit._snapshot_reader import Snapshot
from losant_tokens.jobs import json_document
from losant_tokens.policy import Severity

Kind = Literal["new", "gone", "changed"]

# The facts that a person can change, with their names on the wire.
_FACTS: Mapping[str, str] = MappingProxyType(
    {
        "name": "name",
        "description": "description",
        "status": "status",
        "scope": "scope",
        "expirationDate": "expiration_date",
        "lastUpdated": "last_updated",
    }
)


@frozen(kw_only=True)
class Difference:
    """A token that differs between two audits."""

    kind: Kind
    """`new`, `gone` or `changed`."""
    token: AuditedToken
    """The token in the new audit, or in the old one if it is gone."""
    new_findings: tuple[Finding, ...] = ()
    """The findings that only the new audit has."""
    gone_findings: tuple[Finding, ...] = ()
    """The findings that only the old audit has."""
    changed_findings: tuple[Finding, ...] = ()
    """The findings with another severity, as the new audit has them. Other changes of a finding
    follow from `facts`, or from other tokens.
    """
    facts: Mapping[str, tuple[object, object]] = field(factory=dict, hash=False)
    """The facts that changed, by their names on the wire: the old and the new value."""
    by: str | None = None
    """The person that created, changed or deleted the token; `None` if it is not known."""
    worse_findings: tuple[Finding, ...] = ()
    """The findings in `changed_findings` that became more severe."""


@frozen(kw_only=True)
class AuditDiff:
    """The differences between two audits."""

    old: Snapshot
    """The old audit."""
    new: Snapshot
    """The new audit."""
    changes: tuple[Difference, ...]
    """The tokens that differ: new ones, then changed ones, then those that are gone."""
    same: int
    """The number of tokens that do not differ."""
    not_compared: tuple[tuple[str, str], ...] = ()
    """The accounts and owners that only one of the audits listed completely."""

    @property
    def worst_new(self) -> Severity | None:
        """The severity of the worst new finding; `None` without new findings.

        A finding that became more severe counts as new.
        """
        found = (
            finding.severity
            for change in self.changes
            for finding in (*change.new_findings, *change.worse_findings)
        )
        return max(found, default=None)

    def json_parts(self) -> Iterator[str]:
        """Return the differences as a JSON document, in parts. The reference has its members."""
        members: dict[str, object] = {
            "old": _source(self.old),
            "new": _source(self.new),
            "notCompared": [
                {"account": account, "owner": owner} for account, owner in self.not_compared
            ],
            "totals": {
                **{
                    kind: sum(change.kind == kind for change in self.changes)
                    for kind in ("new", "gone", "changed")
                },
                "same": self.same,
            },
        }
        return json_document(members, "tokens", map(_difference, self.changes))


def compare(old: Snapshot, new: Snapshot) -> AuditDiff:
    """Compare two audits.

    Args:
        old: The earlier audit, as `read` returns it.
        new: The later audit.
    """
    audited = old.audited & new.audited
    before = {key: one for key, one in old.tokens.items() if _place(one) in audited}
    after = {key: one for key, one in new.tokens.items() if _place(one) in audited}
    # A token whose owner is in only one of the audits by another name of the account still exists.
    fresh = [_new(one) for key, one in after.items() if key not in old.tokens]
    gone = [
        _gone(one, new.deleted_by.get(key)) for key, one in before.items() if key not in new.tokens
    ]
    changed, same = [], 0
    for key, one in after.items():
        if key in old.tokens:
            difference = _changed(old.tokens[key], one)
            changed += [difference] if difference is not None else []
            same += difference is None
    return AuditDiff(
        old=old,
        new=new,
        changes=(*fresh, *changed, *gone),
        same=same,
        not_compared=tuple(sorted(old.audited ^ new.audited)),
    )


def _place(one: TokenFindings) -> tuple[str, str]:
    return one.token.account, str(one.token.owner)


def _new(one: TokenFindings) -> Difference:
    token = one.token
    return Difference(
        kind="new",
        token=token,
        new_findings=one.findings,
        by=token.creator_name or token.creator_id,
    )


def _gone(one: TokenFindings, by: str | None) -> Difference:
    return Difference(
        kind="gone",
        token=one.token,
        gone_findings=one.findings,
        by=by,
    )


def _changed(old: TokenFindings, new: TokenFindings) -> Difference | None:
    """Return how a token differs; `None` if it does not."""
    before = {finding.fingerprint: finding for finding in old.findings}
    after = {finding.fingerprint: finding for finding in new.findings}
    facts = {
        wire: (_plain(getattr(old.token, name)), _plain(getattr(new.token, name)))
        for wire, name in _FACTS.items()
        if getattr(old.token, name) != getattr(new.token, name)
    }
    added = tuple(one for key, one in after.items() if key not in before)
    gone = tuple(one for key, one in before.items() if key not in after)
    both = [(before[key], one) for key, one in after.items() if key in before]
    changed = tuple(one for earlier, one in both if one.severity != earlier.severity)
    if not (facts or added or gone or changed):
        return None
    return Difference(
        kind="changed",
        token=new.token,
        new_findings=added,
        gone_findings=gone,
        changed_findings=changed,
        facts=facts,
        by=new.token.changed_by if facts else None,
        worse_findings=tuple(one for earlier, one in both if one.severity > earlier.severity),
    )


def _source(snapshot: Snapshot) -> dict[str, object]:
    return {
        "file": str(snapshot.path),
        "created": wire_time(snapshot.created_at),
        "tokens": len(snapshot.tokens),
    }


def _difference(change: Difference) -> dict[str, object]:
    return {
        "change": change.kind,
        "by": change.by,
        **fact_members(change.token),
        "facts": {name: {"old": old, "new": new} for name, (old, new) in change.facts.items()},
        "newFindings": list(map(finding_members, change.new_findings)),
        "changedFindings": list(map(finding_members, change.changed_findings)),
        "goneFindings": list(map(finding_members, change.gone_findings)),
    }


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return wire_time(value)
    return list(value) if isinstance(value, tuple) else value
