"""An audit in the text format of Prometheus, for the textfile collector of the node exporter.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/. The labels are the account,
the rule and the severity. There is no label with the name or the id of a token, because each value
of a label makes a time series that Prometheus keeps.
"""

from collections.abc import Iterable, Iterator, Mapping

from attrs import frozen

from losant_tokens.audit._audit_data import AuditData

_PREFIX = "losant_tokens_audit"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

Sample = tuple[Mapping[str, str], float]


@frozen
class _Metric:
    """A metric with its samples."""

    name: str
    help: str
    samples: Iterable[Sample]

    def lines(self) -> Iterator[str]:
        name = f"{_PREFIX}_{self.name}"
        yield f"# HELP {name} {self.help}\n"
        yield f"# TYPE {name} gauge\n"
        for labels, value in self.samples:
            pairs = ",".join(f'{label}="{_label(text)}"' for label, text in labels.items())
            yield f"{name}{f'{{{pairs}}}' if pairs else ''} {value:.15g}\n"


def prometheus_parts(audit: AuditData) -> Iterator[str]:
    """Return an audit as metrics."""
    for metric in _metrics(audit):
        yield from metric.lines()


def _metrics(audit: AuditData) -> Iterator[_Metric]:
    # A series that disappears would keep its last value in an alert, so zeros are written.
    findings = {
        (account.name, rule.id, rule.severity): 0
        for account in audit.accounts
        for rule in audit.rules
    }
    for account, rule, severity, count in audit.counts():
        findings[account.name, rule, severity] += count
    tokens = dict.fromkeys((account.name for account in audit.accounts), 0)
    for account, _, count in audit.counts_of_tokens():
        tokens[account.name] += count
    yield _Metric(
        "findings",
        "Number of findings by rule.",
        [
            ({"account": account, "rule": rule, "severity": severity.value}, count)
            for (account, rule, severity), count in findings.items()
        ],
    )
    yield _Metric(
        "tokens",
        "Number of tokens.",
        [({"account": account}, count) for account, count in tokens.items()],
    )
    yield _Metric(
        "complete",
        "Whether all tokens of the account were audited: 1 or 0.",
        [({"account": account.name}, float(not account.problems)) for account in audit.accounts],
    )
    yield _Metric(
        "timestamp_seconds",
        "Time of the audit, in seconds since the epoch.",
        [({}, round(audit.created_at.timestamp()))],
    )


def _label(text: str) -> str:
    """Return the value of a label. Half of a surrogate pair cannot be encoded."""
    return text.translate(_ESCAPES).encode("utf-8", "replace").decode()
