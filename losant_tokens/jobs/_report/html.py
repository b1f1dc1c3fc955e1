"""A report to look at: one HTML file that needs no network, and lets no text of others out.

Names, reasons and errors are anybody's. They stand in the page as text, or as JSON in which no
tag can end; its script makes text nodes of them alone, and the page's own policy runs no script
but that one.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from shlex import quote
from typing import TextIO

from attrs import frozen

from losant_tokens.jobs._report.report import Report
from losant_tokens.jobs._report.values import separated
from losant_tokens.jobs._types import Outcome, PaceSample, Result

_DONE = {"delete": "deleted", "deactivate": "deactivated", "activate": "activated"}
_KINDS = [outcome.value for outcome in Outcome] + ["left"]
_LEFT_ALONE = (Outcome.CHANGED, Outcome.GONE, Outcome.PROTECTED)


def write_html(report: Report, file: TextIO) -> None:
    """Writes the page."""
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
        "charts": _charts(report.pace),
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
    file.write(_filled(before, values))
    lines = (f"\n{_json(_row(result))}" for result in report.results())
    file.writelines(separated(lines))
    file.write(_filled(after, values))


def _read(name: str) -> str:
    return files("losant_tokens.jobs._report").joinpath(name).read_text(encoding="utf-8")


def _filled(template: str, values: dict[str, str]) -> str:
    # In one go: what is put in is not looked at again.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], template)


def _json(value: object) -> str:
    """JSON in ASCII that can stand in a `<script>`: it has no `<` that could end it."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _row(result: Result) -> list[object]:
    entry = result.entry
    return [
        _KINDS.index("left" if result.outcome is None else result.outcome.value),
        entry.name,
        entry.id,
        str(entry.owner),
        entry.reason,
        result.error or entry.protected or "",
    ]


# --- The head --------------------------------------------------------------------------------


def _headline(report: Report) -> str:
    done, total = report.counts[Outcome.DONE], report.plan.header.total.selected
    verb = _DONE[report.plan.header.action]
    if done == total:
        return f"{done:,} {_tokens(done)} {verb}"
    return f"{done:,} of {total:,} {_tokens(total)} {verb}"


def _tokens(number: int) -> str:
    return "token" if number == 1 else "tokens"


def _where(report: Report) -> str:
    header = report.plan.header
    owners = ", ".join(map(str, header.counts))
    return (
        f"<strong>{escape(header.base_url)}</strong>, {escape(owners)}. "
        f"Selected: <strong>{escape(header.rule)}</strong>. Ended {_moment(report.ended_at)}."
    )


def _alert(report: Report) -> str:
    said = []
    if report.gave_up is not None:
        said.append(f"The run gave up: {report.gave_up}.")
    elif report.pending:
        said.append("The run was stopped before all was done.")
    if not report.is_complete:
        said.append(f"To carry it on: {_command_to_resume(report)}")
    return f'<p class="alert" role="alert">{escape(" ".join(said))}</p>' if said else ""


def _command_to_resume(report: Report) -> str:
    plan = report.plan.path
    words = ["losant-tokens", "apply", str(plan), "--resume"]
    if report.journal != plan.with_name(f"{plan.name}.journal"):
        words += ["--journal", str(report.journal)]
    return " ".join(map(quote, words))


def _split(report: Report) -> str:
    """The outcomes as parts of a whole."""
    return "".join(
        f'<i style="--c:var(--{kind});flex:{count} 0 0"></i>'
        for kind, count in _counted(report)
        if count
    )


def _counted(report: Report) -> Iterable[tuple[str, int]]:
    return zip(_KINDS, [*report.counts.values(), report.pending], strict=True)


def _tiles(report: Report) -> Iterable[str]:
    counts, seconds = report.counts, report.seconds
    alone = [(outcome.value, counts[outcome]) for outcome in _LEFT_ALONE]
    open_ = [("unknown", counts[Outcome.UNKNOWN]), ("not come to", report.pending)]
    header = report.plan.header
    yield _tile(
        _DONE[header.action].capitalize(),
        counts[Outcome.DONE],
        f"of {header.total.listed:,} listed",
        "done",
    )
    yield _tile("Left alone", sum(count for _, count in alone), _parts(alone), "changed")
    yield _tile("Failed", counts[Outcome.FAILED], "see the list for why", "failed")
    if any(count for _, count in open_):
        yield _tile("Open", sum(count for _, count in open_), _parts(open_), "unknown")
    else:
        yield _tile("Open", 0, "each has come to an end", "left")
    rate = report.requests / seconds if seconds > 0 else 0.0
    yield _tile("Time", _span(seconds), f"{rate:,.0f} requests per second")
    yield _tile("Requests", report.requests, f"{report.retries:,} were further tries")
    yield _tile("Refusals", report.refused, "answered with 429: too fast")
    peak = max((sample.per_second for sample in report.pace), default=0.0)
    yield _tile("Fastest", f"{peak:,.0f}/s", _most_at_once(report.pace))


def _tile(name: str, value: int | str, note: str, kind: str | None = None) -> str:
    dot = "" if kind is None else f'<i class="dot" style="--c:var(--{kind})"></i>'
    number = f"{value:,}" if isinstance(value, int) else value
    return (
        f'<div class="tile"><dt>{dot}{escape(name)}</dt>'
        f"<dd>{escape(number)}<small>{escape(note)}</small></dd></div>"
    )


def _parts(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts if count) or "none"


def _most_at_once(pace: Sequence[PaceSample]) -> str:
    most = max((sample.concurrency for sample in pace), default=0)
    return f"{most:,} at once, at the most"


def _span(seconds: float) -> str:
    if seconds < 60:  # noqa: PLR2004 -- a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


# --- The plan and the run --------------------------------------------------------------------


def _facts(report: Report) -> Iterable[str]:
    header = report.plan.header
    yield _fact("Plan", f"{report.plan.path}, made {_moment(header.created_at)}")
    yield _fact("Digest", report.plan.digest)
    for owner, counts in header.counts.items():
        yield _fact(
            f"Tokens of {owner}",
            f"{counts.listed:,} listed, {counts.selected:,} selected, "
            f"{counts.protected:,} protected",
        )
    yield _fact("Protected by request", ", ".join(header.protected) or "none")
    yield _fact("Token in use", header.token_in_use or "could not be told")
    if header.incomplete:
        yield _fact("Listing", f"tokens may be missing: {'; '.join(header.incomplete)}")
    elif header.drifted:
        yield _fact("Listing", "the tokens kept changing: some may have been left out")
    yield _fact("Begun", _moment(report.started_at))
    if report.finished_before:
        yield _fact(
            "Carried on",
            f"{report.finished_before:,} tokens were finished in earlier runs; the time, the "
            f"requests and the pace are those of the last run",
        )
    yield _fact("Journal", str(report.journal))
    for name, value in report.settings.items():
        yield _fact(name, "as found" if value is None else str(value))


def _fact(name: str, value: str) -> str:
    return f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"


# --- The charts ------------------------------------------------------------------------------

_WIDTH, _HEIGHT = 1000.0, 100.0
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600)
_MOST_TICKS = 6


@frozen
class _Panel:
    """One of the charts, which share their axis of time."""

    name: str
    value: Callable[[PaceSample], float]
    height: int
    as_bars: bool = False


_PANELS = (
    _Panel("Requests answered per second", lambda sample: sample.per_second, 150),
    _Panel("Concurrency", lambda sample: sample.concurrency, 84),
    _Panel("Refusals (429)", lambda sample: sample.refused, 60, as_bars=True),
)


def _charts(pace: Sequence[PaceSample]) -> str:
    if len(pace) < 2 or pace[-1].at <= 0:  # noqa: PLR2004 -- a line has two points
        return '<div class="charts none">The run was too short for a chart.</div>'
    end = pace[-1].at
    panels = "".join(_panel(panel, pace, end) for panel in _PANELS)
    times = "".join(f'<span style="left:{at / end:.2%}">{_tick(at)}</span>' for at in _ticks(end))
    return f'<div class="charts">{panels}<div class="times" aria-hidden="true">{times}</div></div>'


def _ticks(end: float) -> Iterable[float]:
    """Round moments along the axis of time, the last of them well before its end."""
    step = next((step for step in _STEPS if end / step <= _MOST_TICKS), end / _MOST_TICKS)
    at = 0.0
    while at <= end * 0.96:
        yield at
        at += step


def _tick(seconds: float) -> str:
    if seconds < 60:  # noqa: PLR2004 -- a minute
        return f"{seconds:g} s"
    if seconds >= 3600:  # noqa: PLR2004 -- an hour
        return f"{seconds / 3600:.3g} h"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def _panel(panel: _Panel, pace: Sequence[PaceSample], end: float) -> str:
    values = [panel.value(sample) for sample in pace]
    highest = max(values)
    top = highest or 1.0
    points = [
        (sample.at / end * _WIDTH, _HEIGHT - value / top * _HEIGHT)
        for sample, value in zip(pace, values, strict=True)
    ]
    drawn = _bars(points) if panel.as_bars else _line(points)
    total = f"{sum(values):,.0f} in all" if panel.as_bars else f"at most {highest:,.0f}"
    return (
        f'<figure class="panel"><figcaption><span>{escape(panel.name)}</span>'
        f'<output>{total}</output></figcaption><div class="plot" style="--h:{panel.height}px">'
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(panel.name)} over {_span(end)}: {total}">'
        f'<path class="grid" d="M0 0H{_WIDTH:g}M0 50H{_WIDTH:g}M0 100H{_WIDTH:g}"/>{drawn}</svg>'
        f'<i class="cursor" hidden></i></div></figure>'
    )


def _line(points: Sequence[tuple[float, float]]) -> str:
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    first, last = points[0][0], points[-1][0]
    return (
        f'<path class="area" d="M{first:.1f} {_HEIGHT:g}L{path}L{last:.1f} {_HEIGHT:g}Z"/>'
        f'<path class="trace" d="M{path}"/>'
    )


def _bars(points: Sequence[tuple[float, float]]) -> str:
    width = max(2.0, _WIDTH / len(points) * 0.6)
    bars = "".join(
        f"M{min(x, _WIDTH - width):.1f} {_HEIGHT:g}V{y:.1f}h{width:.1f}V{_HEIGHT:g}Z"
        for x, y in points
        if y < _HEIGHT
    )
    return f'<path class="bars" d="{bars}"/>'
