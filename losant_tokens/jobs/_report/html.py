"""Write a report as one HTML file, which needs no network.

The problem: names, reasons and errors come from users, so they may be an attack. The approach: the
page has them only as escaped text, or as JSON without a `<`. Its script makes text nodes from them,
and the content security policy of the page allows only that script.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from shlex import quote
from typing import TextIO

from losant_tokens.jobs._report.charts import draw_charts, format_duration
from losant_tokens.jobs._report.report_data import ReportData, separate
from losant_tokens.jobs._types import Outcome, PaceSample, Result

_DONE = {"delete": "deleted", "deactivate": "deactivated", "activate": "activated"}
_KINDS = [outcome.value for outcome in Outcome] + ["pending"]
_LEFT_ALONE = (Outcome.CHANGED, Outcome.GONE, Outcome.PROTECTED)


def write_html(report: ReportData, file: TextIO) -> None:
    """Write the page."""
    script = _read("page.js")
    hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    values = {
        "script_hash": f"sha256-{hashed}",
        "title": escape(f"{_headline(report)} - losant-tokens"),
        "headline": escape(_headline(report)),
        "where": _where(report),
        "alert": _alert(report),
        "split": _split(report),
        "tiles": "".join(_tiles(report)),
        "charts": draw_charts(report.pace),
        "facts": "".join(_facts(report)),
        "pace": _json(
            [
                [round(one.at, 2), round(one.per_second, 1), one.concurrency, one.refused]
                for one in report.pace
            ]
        ),
        "script": script,
    }
    before, after = _read("page.html").split("{{rows}}")
    file.write(_fill(before, values))
    lines = (f"\n{_json(_row(result))}" for result, _ in report.results())
    file.writelines(separate(lines))
    file.write(_fill(after, values))


def _read(name: str) -> str:
    return files("losant_tokens.jobs._report").joinpath(name).read_text(encoding="utf-8")


def _fill(template: str, values: dict[str, str]) -> str:
    # One pass, so placeholders in the values are not replaced.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], template)


def _json(value: object) -> str:
    """Return a value as ASCII JSON without a `<`, which could end a `<script>`."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _row(result: Result) -> list[object]:
    entry = result.entry
    return [
        _KINDS.index("pending" if result.outcome is None else result.outcome.value),
        entry.name,
        entry.id,
        str(entry.owner),
        entry.reason,
        result.error or entry.protected or "",
    ]


# --- The head --------------------------------------------------------------------------------


def _headline(report: ReportData) -> str:
    done, total = report.counts[Outcome.DONE], report.header.total.selected
    verb = _DONE[report.header.action]
    if done == total:
        return f"{done:,} {_tokens(done)} {verb}"
    return f"{done:,} of {total:,} {_tokens(total)} {verb}"


def _tokens(number: int) -> str:
    return "token" if number == 1 else "tokens"


def _where(report: ReportData) -> str:
    header = report.header
    owners = ", ".join(map(str, header.counts))
    return (
        f"<strong>{escape(header.base_url)}</strong>, {escape(owners)}. "
        f"Selected: <strong>{escape(header.rule)}</strong>. Ended {_format_time(report.ended_at)}."
    )


def _alert(report: ReportData) -> str:
    sentences = []
    if report.gave_up is not None:
        sentences.append(f"The job gave up: {report.gave_up}.")
    elif report.pending:
        sentences.append("The job was stopped before it was complete.")
    if not report.is_complete:
        sentences.append(f"To continue: {_command_to_resume(report)}")
    text = escape(" ".join(sentences))
    return f'<p class="alert" role="alert">{text}</p>' if sentences else ""


def _command_to_resume(report: ReportData) -> str:
    plan = report.plan_path
    words = ["losant-tokens", "apply", str(plan), "--resume"]
    if report.journal != plan.with_name(f"{plan.name}.journal"):
        words += ["--journal", str(report.journal)]
    return " ".join(map(quote, words))


def _split(report: ReportData) -> str:
    """Return a bar of all tokens, divided by outcome."""
    return "".join(
        f'<i style="--c:var(--{kind});flex:{count} 0 0"></i>'
        for kind, count in _counted(report)
        if count
    )


def _counted(report: ReportData) -> Iterable[tuple[str, int]]:
    return zip(_KINDS, [*report.counts.values(), report.pending], strict=True)


def _tiles(report: ReportData) -> Iterable[str]:
    counts, seconds = report.counts, report.seconds
    left_alone = [(outcome.value, counts[outcome]) for outcome in _LEFT_ALONE]
    open_ = [("unknown", counts[Outcome.UNKNOWN]), ("not started", report.pending)]
    header = report.header
    yield _tile(
        _DONE[header.action].capitalize(),
        counts[Outcome.DONE],
        f"of {header.total.listed:,} listed",
        "done",
    )
    yield _tile("Left alone", sum(count for _, count in left_alone), _parts(left_alone), "changed")
    yield _tile("Failed", counts[Outcome.FAILED], "see the reasons below", "failed")
    if any(count for _, count in open_):
        yield _tile("Open", sum(count for _, count in open_), _parts(open_), "unknown")
    else:
        yield _tile("Open", 0, "every token has an outcome", "pending")
    rate = report.requests / seconds if seconds > 0 else 0.0
    yield _tile("Time", format_duration(seconds), f"{rate:,.0f} requests per second")
    yield _tile("Requests", report.requests, f"{report.retries:,} retries")
    yield _tile("Rate limited", report.refused, "requests refused with 429")
    peak = max((sample.per_second for sample in report.pace), default=0.0)
    yield _tile("Peak rate", f"{peak:,.0f}/s", _max_in_flight(report.pace))


def _tile(name: str, value: int | str, note: str, kind: str | None = None) -> str:
    dot = "" if kind is None else f'<i class="dot" style="--c:var(--{kind})"></i>'
    number = f"{value:,}" if isinstance(value, int) else value
    return (
        f'<div class="tile"><dt>{dot}{escape(name)}</dt>'
        f"<dd>{escape(number)}<small>{escape(note)}</small></dd></div>"
    )


def _parts(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts if count) or "none"


def _max_in_flight(pace: Sequence[PaceSample]) -> str:
    maximum = max((sample.concurrency for sample in pace), default=0)
    return f"up to {maximum:,} in flight"


def _format_time(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


# --- The plan and the run --------------------------------------------------------------------


def _facts(report: ReportData) -> Iterable[str]:
    header = report.header
    yield _fact("Plan", f"{report.plan_path}, made {_format_time(header.created_at)}")
    yield _fact("Digest", report.plan_digest)
    for owner, counts in header.counts.items():
        yield _fact(
            f"Tokens of {owner}",
            f"{counts.listed:,} listed, {counts.selected:,} selected, "
            f"{counts.protected:,} protected",
        )
    yield _fact("Protected tokens", ", ".join(header.protected) or "none")
    yield _fact("Token in use", header.token_in_use or "unknown")
    if header.incomplete:
        yield _fact("Listing", f"tokens may be missing: {'; '.join(header.incomplete)}")
    elif header.drifted:
        yield _fact("Listing", "the tokens kept changing, so some may be missing")
    yield _fact("Started", _format_time(report.started_at))
    if report.finished_before:
        yield _fact(
            "Resumed",
            f"{report.finished_before:,} tokens were finished in earlier runs; the time, the "
            f"requests and the rate are those of the last run",
        )
    yield _fact("Journal", str(report.journal))
    for name, value in report.settings.items():
        yield _fact(name, "automatic" if value is None else str(value))


def _fact(name: str, value: str) -> str:
    return f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
