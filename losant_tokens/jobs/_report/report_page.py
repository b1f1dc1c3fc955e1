"""Describe a report as a page."""

from collections.abc import Iterable, Iterator, Sequence
from shlex import quote
from typing import TextIO

from losant_tokens.jobs._report.charts import format_duration
from losant_tokens.jobs._report.page import (
    Fact,
    Notice,
    Page,
    Row,
    State,
    Tile,
    account_fact,
    format_second,
    format_time,
    format_tokens,
    listing_facts,
    write_page,
)
from losant_tokens.jobs._report.report_data import ReportData
from losant_tokens.jobs._types import Outcome, PaceSample, Result

_DONE = {
    "delete": "deleted",
    "deactivate": "deactivated",
    "activate": "activated",
    "rotate": "rotated",
}
_PENDING = State("pending", "not started")
# The list begins with the tokens that need attention.
_STATES = (
    State("failed", "failed"),
    State("unknown", "unknown"),
    _PENDING,
    State("changed", "changed"),
    State("protected", "protected"),
    State("gone", "gone"),
    State("done", "done"),
)
_NUMBERS = {state.key: number for number, state in enumerate(_STATES)}
_LEFT_ALONE = (Outcome.CHANGED, Outcome.GONE, Outcome.PROTECTED)
_MAX_FAILURES = 12
"""The number of different errors to show above the list."""


def write_html(report: ReportData, file: TextIO) -> None:
    """Write a report as a page."""
    header = report.header
    owners = ", ".join(map(str, header.counts))
    page = Page(
        headline=_headline(report),
        where=(
            "",
            header.base_url,
            f", {owners}. Selected: ",
            header.rule,
            f". Ended {format_time(report.ended_at)}.",
        ),
        notices=tuple(_notices(report)),
        split=tuple(_counted(report)),
        tiles=tuple(_tiles(report)),
        facts_title="The run",
        facts=tuple(_facts(report)),
        failures=_failures(report.failures),
        state_name="Outcome",
        states=_STATES,
        rows=_rows(report),
        pace=report.pace,
        more_facts=tuple(_more_facts(report)),
        full_list="The .csv and .json reports list all tokens.",
    )
    write_page(page, file)


def _rows(report: ReportData) -> Iterator[Row]:
    for result, _ in report.results():
        yield _row(result)


def _row(result: Result) -> Row:
    key = _PENDING.key if result.outcome is None else result.outcome.value
    return Row(result.entry, _NUMBERS[key], result.error or result.entry.protected or "")


# --- The head --------------------------------------------------------------------------------


def _headline(report: ReportData) -> str:
    done, total = report.counts[Outcome.DONE], report.header.total.selected
    verb = _DONE[report.header.action]
    if done == total:
        return f"{format_tokens(done)} {verb}"
    return f"{done:,} of {format_tokens(total)} {verb}"


def _notices(report: ReportData) -> Iterable[Notice]:
    if report.is_complete:
        return
    if report.gave_up is not None:
        reason = f"The job gave up: {report.gave_up}. "
    elif report.pending:
        reason = "The job was stopped before it was complete. "
    else:
        reason = ""
    yield Notice(f"{reason}To continue:", _command_to_resume(report))


def _command_to_resume(report: ReportData) -> str:
    plan = report.plan_path
    words = ["losant-tokens", "apply", str(plan), "--resume"]
    if report.journal != plan.with_name(f"{plan.name}.journal"):
        words += ["--journal", str(report.journal)]
    return " ".join(map(quote, words))


def _counted(report: ReportData) -> Iterable[tuple[str, int]]:
    for state in reversed(_STATES):
        if state is _PENDING:
            yield state.key, report.pending
        else:
            yield state.key, report.counts[Outcome(state.key)]


def _tiles(report: ReportData) -> Iterable[Tile]:
    counts, seconds = report.counts, report.seconds
    left_alone = [(outcome.value, counts[outcome]) for outcome in _LEFT_ALONE]
    open_ = [("unknown", counts[Outcome.UNKNOWN]), (_PENDING.label, report.pending)]
    failed = counts[Outcome.FAILED]
    yield Tile(
        name=_DONE[report.header.action].capitalize(),
        value=counts[Outcome.DONE],
        note=f"of {report.header.total.listed:,} listed",
        key="done",
    )
    yield Tile(name="Left alone", value=_total(left_alone), note=_parts(left_alone), key="changed")
    note = "see the reasons below" if failed else "none"
    yield Tile(name="Failed", value=failed, note=note, key="failed")
    note = _parts(open_) if _total(open_) else "every token has an outcome"
    yield Tile(name="Open", value=_total(open_), note=note, key=_open_color(report))
    rate = report.requests / seconds if seconds > 0 else 0.0
    yield Tile(name="Time", value=format_duration(seconds), note=f"{rate:,.0f} requests per second")
    retries = "1 retry" if report.retries == 1 else f"{report.retries:,} retries"
    yield Tile(name="Requests", value=report.requests, note=retries)
    yield Tile(name="Rate limited", value=report.refused, note="requests refused with 429")
    peak = max((sample.per_second for sample in report.pace), default=0.0)
    yield Tile(name="Peak rate", value=f"{peak:,.0f}/s", note=_max_in_flight(report.pace))


def _open_color(report: ReportData) -> str:
    return "unknown" if report.counts[Outcome.UNKNOWN] else "pending"


def _total(counts: Iterable[tuple[str, int]]) -> int:
    return sum(count for _, count in counts)


def _parts(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts if count) or "none"


def _max_in_flight(pace: Sequence[PaceSample]) -> str:
    maximum = max((sample.concurrency for sample in pace), default=0)
    return f"up to {maximum:,} in flight"


def _failures(failures: Sequence[tuple[str, int]]) -> Sequence[tuple[str, int]]:
    """Return the most frequent errors, and the number of tokens with another one."""
    rest = failures[_MAX_FAILURES:]
    if not rest:
        return failures
    others = (f"{len(rest):,} other reasons: see the list", _total(rest))
    return [*failures[:_MAX_FAILURES], others]


# --- The plan and the run --------------------------------------------------------------------


def _facts(report: ReportData) -> Iterable[Fact]:
    header = report.header
    yield Fact("Action", header.action)
    yield Fact("Rule", header.rule)
    yield Fact("Account", account_fact(header))
    yield Fact("Started", format_second(report.started_at))
    yield Fact("Ended", format_second(report.ended_at))
    yield Fact("Duration", format_duration(report.seconds))
    if report.finished_before:
        verb = "was" if report.finished_before == 1 else "were"
        before = f"{format_tokens(report.finished_before)} {verb} finished in earlier runs"
        figures = "the time, the requests and the rate are those of the last run"
        yield Fact("Resumed", f"{before}; {figures}")
    yield Fact("Plan", f"{report.plan_path}, made {format_time(header.created_at)}")
    yield Fact("Digest of the plan", report.plan_digest, is_code=True)
    yield Fact("Journal", str(report.journal), is_code=True)


def _more_facts(report: ReportData) -> Iterable[Fact]:
    yield from listing_facts(report.header)
    for name, value in report.settings.items():
        yield Fact(name, "automatic" if value is None else str(value))
