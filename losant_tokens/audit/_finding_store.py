"""Keep the tokens and findings of an audit on disk, and return them in the order of severity.

The problem: an audit of many accounts has hundreds of thousands of tokens, and must rank all of
them before it can show the worst. The approach: a temporary SQLite database without a name. SQLite
creates its file with mode 0600, unlinks it at once, keeps a few megabytes in memory, and sorts on
disk. Nothing is left behind, even if the process is killed. The alternatives that were rejected:
lists in memory, which need 300 MB for 100,000 tokens; one file for each severity, which gives no
order within a severity, and cannot count equal names.

Names are compared by a hash of fixed size.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

import attrs

from losant_tokens import Owner
from losant_tokens.audit._checks import (
    AuditContext,
    Token,
    facts_of,
    findings_of,
    ordered,
    same_name_findings,
)
from losant_tokens.audit._finding import AuditedToken, Finding, TokenFindings
from losant_tokens.audit._rules import MANY, AuditRule
from losant_tokens.policy import Severity

_SEVERITIES = tuple(Severity)
_BITS = 8  # of a score, for the number of findings of one severity
_MAX_COUNT = (1 << _BITS) - 1
_CACHE = 4096  # KiB of the database in memory
_BATCH = 500  # rows

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
PRAGMA cache_size = -%d;
CREATE TABLE tokens (
    id INTEGER PRIMARY KEY, place INTEGER, number INTEGER, key TEXT, name BLOB, score INTEGER,
    facts TEXT
);
CREATE TABLE findings (token INTEGER, severity INTEGER, rule TEXT, data TEXT);
"""


@attrs.frozen
class Place:
    """The place of an owner in an audit.

    Attributes:
        account: The number of the account, from 0.
        owner: The number of the owner in the account, from 0.
        base_url: The base URL of the account.
    """

    account: int
    owner: int
    base_url: str


class Store:
    """The tokens and findings of an audit. Each method may be called in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # An empty name means a temporary file.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA % _CACHE)
        self._counts: list[tuple[int, str, Severity, int]] = []
        self._token_counts: list[tuple[int, Severity | None, int]] = []

    def close(self) -> None:
        """Close the database, which removes its file."""
        with self._lock:
            self._database.close()

    # --- Writing -----------------------------------------------------------------------------

    def add(self, tokens: Sequence[Token], context: AuditContext, place: Place) -> int:
        """Add tokens with their findings, except those about equal names; return the number."""
        rows = [(facts_of(token, context), findings_of(token, context)) for token in tokens]
        with self._lock:
            self._database.execute("BEGIN")
            for facts, findings in rows:
                self._insert(facts, findings, place)
            self._database.execute("COMMIT")
        return sum(len(findings) for _, findings in rows)

    def _insert(self, facts: AuditedToken, findings: Sequence[Finding], place: Place) -> None:
        row = self._database.execute(
            "INSERT INTO tokens (place, number, key, name, score, facts) VALUES (?, ?, ?, ?, ?, ?)",
            (
                place.account,
                place.owner,
                ascii(f"{place.base_url} {facts.id.lower()}"),
                _hash(facts.name),
                _score(findings),
                _facts_json(facts),
            ),
        ).lastrowid
        self._database.executemany(
            "INSERT INTO findings VALUES (?, ?, ?, ?)",
            ((row, *_finding_row(finding)) for finding in findings),
        )

    def discard(self, place: Place) -> None:
        """Remove the tokens of an owner, which are going to be listed again."""
        values = (place.account, place.owner)
        with self._lock:
            self._database.execute(
                "DELETE FROM findings WHERE token IN "
                "(SELECT id FROM tokens WHERE place = ? AND number = ?)",
                values,
            )
            self._database.execute("DELETE FROM tokens WHERE place = ? AND number = ?", values)

    def finish(self, rules: Sequence[AuditRule]) -> None:
        """Add the findings about equal names, and count each token once.

        Two accounts may have the same application. Then its tokens belong to the first of them.

        Args:
            rules: The rules to check.
        """
        with self._lock:
            self._database.execute("CREATE INDEX keys ON tokens (key, place, number)")
            self._database.execute(
                "DELETE FROM tokens WHERE EXISTS (SELECT 1 FROM tokens AS first WHERE "
                "first.key = tokens.key AND (first.place, first.number) < "
                "(tokens.place, tokens.number))"
            )
            self._database.execute(
                "DELETE FROM findings WHERE token NOT IN (SELECT id FROM tokens)"
            )
            self._database.execute("CREATE INDEX names ON tokens (place, number, name)")
            self._database.execute("BEGIN")
            for row, facts, count in self._equal_names():
                for finding in same_name_findings(_facts(facts), count, rules):
                    self._database.execute(
                        "INSERT INTO findings VALUES (?, ?, ?, ?)", (row, *_finding_row(finding))
                    )
                    self._database.execute(
                        "UPDATE tokens SET score = score + ? WHERE id = ?",
                        (_score([finding]), row),
                    )
            self._database.execute("COMMIT")
            self._database.execute("CREATE INDEX by_token ON findings (token)")
            self._database.execute("CREATE INDEX ranks ON tokens (score DESC, place, number, id)")
            self._count()

    def _equal_names(self) -> Iterator[tuple[int, str, int]]:
        """Yield each token whose name several tokens of its owner have, with their number."""
        rows = self._database.execute(
            "SELECT tokens.id, facts, total FROM tokens JOIN "
            "(SELECT place, number, name, COUNT(*) AS total FROM tokens "
            "GROUP BY place, number, name HAVING total >= ?) USING (place, number, name)",
            (MANY,),
        )
        # The caller updates scores meanwhile. No index has them yet, so no row of the cursor moves.
        while batch := rows.fetchmany(_BATCH):
            yield from batch

    # --- Reading -----------------------------------------------------------------------------

    def tokens(self) -> Iterator[TokenFindings]:
        """Yield each token with its findings, the worst first."""
        last: tuple[int, ...] = ()
        while rows := self._ranked(last):
            found = self._findings_of([row for *_, row, _ in rows])
            for *_, row, text in rows:
                facts = _facts(text)
                findings = [_finding(facts, *one) for one in found[row]]
                yield TokenFindings(facts, ordered(findings))
            last = tuple(rows[-1][:-1])

    def _ranked(self, last: tuple[int, ...]) -> list[tuple[Any, ...]]:
        """Return the next rows in the order of the ranks, after a position."""
        condition = "" if not last else "WHERE (-score, place, number, id) > (?, ?, ?, ?)"
        with self._lock:
            return self._database.execute(
                f"SELECT -score, place, number, id, facts FROM tokens {condition} "  # noqa: S608
                f"ORDER BY score DESC, place, number, id LIMIT {_BATCH}",
                last,
            ).fetchall()

    def _findings_of(self, rows: Sequence[int]) -> dict[int, list[tuple[int, str, str]]]:
        """Return the findings of tokens by their rows."""
        marks = ",".join("?" * len(rows))
        with self._lock:
            found = self._database.execute(
                f"SELECT token, severity, rule, data FROM findings WHERE token IN ({marks})",  # noqa: S608
                rows,
            ).fetchall()
        findings: dict[int, list[tuple[int, str, str]]] = {row: [] for row in rows}
        for row, *finding in found:
            findings[row].append((finding[0], finding[1], finding[2]))
        return findings

    def counts(self) -> list[tuple[int, str, Severity, int]]:
        """Return the number of findings of each rule in each account."""
        return self._counts

    def token_counts(self) -> list[tuple[int, Severity | None, int]]:
        """Return the number of tokens of each account by the severity of the worst finding."""
        return self._token_counts

    def _count(self) -> None:
        """Count findings and tokens, once for all formats."""
        rows = self._database.execute(
            "SELECT place, rule, severity, COUNT(*) FROM findings JOIN tokens "
            "ON tokens.id = findings.token GROUP BY place, rule, severity"
        )
        self._counts = [
            (place, rule, _SEVERITIES[rank], count) for place, rule, rank, count in rows
        ]
        worst = "(SELECT MAX(severity) FROM findings WHERE token = tokens.id)"
        rows = self._database.execute(
            f"SELECT place, {worst} AS worst, COUNT(*) FROM tokens GROUP BY place, worst"  # noqa: S608
        )
        self._token_counts = [
            (place, None if rank is None else _SEVERITIES[rank], count)
            for place, rank, count in rows
        ]


def _hash(name: str) -> bytes:
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _score(findings: Iterable[Finding]) -> int:
    """Return a number that is greater for a token that is worse.

    The worst finding counts most, then the number of such findings, then the next severity.
    """
    counts = dict.fromkeys(_SEVERITIES, 0)
    for finding in findings:
        counts[finding.severity] = min(counts[finding.severity] + 1, _MAX_COUNT)
    return sum(count << _BITS * rank for rank, count in enumerate(counts.values()))


def _finding_row(finding: Finding) -> tuple[int, str, str]:
    data = json.dumps([finding.message, finding.evidence])
    return _SEVERITIES.index(finding.severity), finding.rule, data


def _finding(token: AuditedToken, rank: int, rule: str, data: str) -> Finding:
    message, evidence = json.loads(data)
    return Finding(
        rule=rule, severity=_SEVERITIES[rank], message=message, token=token, evidence=evidence
    )


# --- Facts as JSON ---------------------------------------------------------------------------

_FIELDS = attrs.fields(AuditedToken)
_TIMES = frozenset({"creation_date", "last_updated", "expiration_date", "last_seen"})


def _facts_json(token: AuditedToken) -> str:
    values = [_plain(getattr(token, field.name)) for field in _FIELDS]
    return json.dumps(values)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Owner) else value


def _facts(text: str) -> AuditedToken:
    values = dict(zip((field.name for field in _FIELDS), json.loads(text), strict=True))
    values["owner"] = Owner.parse(values["owner"])
    values["scope"] = tuple(values["scope"])
    for name in _TIMES:
        if values[name] is not None:
            values[name] = datetime.fromisoformat(values[name])
    return AuditedToken(**values)
