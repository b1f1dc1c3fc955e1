"""The HTML pages that show the runs of a fleet.

A page is read-only: it has links, and no form. Every string on it is escaped. The content security
policy allows its own style and its own script, which fetches the same page again. The address bar
of the page and its links are relative, so a web app can serve the pages below any path.
"""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from types import MappingProxyType
from urllib.parse import urlencode

from losant_tokens import __version__, jobs
from losant_tokens.fleet._types import RUN_STATES, Run, RunResult, RunState
from losant_tokens.jobs._report.page import escape_text as _text

REFRESH = 5
"""The number of seconds after which a page fetches itself again."""
MAX_TOKENS = 500
"""The number of tokens that the page of a run shows."""

_TILES: Mapping[str, tuple[RunState, ...]] = MappingProxyType(
    {
        "Waiting": ("waiting",),
        "In progress": ("planning", "approved", "applying", "sweeping", "restoring"),
        "Quarantined": ("quarantined",),
        "Done": ("done", "restored", "empty"),
        "Failed": ("failed", "refused"),
    }
)
_TILE_NOTES: Mapping[str, str] = MappingProxyType(
    {
        "Waiting": "for an approval",
        "In progress": "a worker has work for them",
        "Quarantined": "deleted at the end of the grace period",
        "Done": "or restored, or nothing to do",
        "Failed": "or refused by a guard",
    }
)
_PHASES = (("apply", "Applied"), ("sweep", "Swept"), ("restore", "Restored"))
_DECIDED = {
    "approve": "Approved",
    "reject": "Rejected",
    "cancel": "Cancelled",
    "restore": "Restore decided",
    "retry": "Retried",
}


def runs_page(
    runs: Sequence[Run],
    *,
    now: datetime,
    store: str = "",
    state: str | None = None,
    account: str | None = None,
    has_more: bool = False,
) -> str:
    """Return the page with all runs of a fleet.

    Args:
        runs: The runs, the newest first. The page filters them.
        now: The time, with a time zone.
        store: The store without its password, to be shown: `Fleet.store`. Default: none.
        state: Only show runs with this state. Default: all.
        account: Only show runs for this account. Default: all.
        has_more: Whether there are older runs than these.

    Returns:
        The page. Its links lead to `runs/ID`, and to itself with the parameters `state` and
        `account`.
    """
    of_account = [run for run in runs if account in (None, run.account)]
    shown = [run for run in of_account if state in (None, run.state)]
    counts = Counter[str](run.state for run in of_account)
    waiting = counts["waiting"]
    verb = "waits" if waiting == 1 else "wait"
    headline = f"{_number(waiting, 'run')} {verb} for an approval" if waiting else "Runs"
    tiles = "".join(
        _tile(name, sum(counts[one] for one in states), states[0], _TILE_NOTES[name])
        for name, states in _TILES.items()
    )
    if failed := [run.failed_tokens for run in of_account if run.failed_tokens]:
        note = f"in {_number(len(failed), 'run')}"
        tiles += _tile("Failed tokens", sum(failed), "failed", note)
    where = f"Fleet{f' at {store}' if store else ''}"
    summary = f"<h1>{_text(headline)}</h1><p class='where'>{_text(where)}"
    summary += f"{f', account {_text(account)}' if account is not None else ''}</p>"
    summary += f'<dl class="tiles">{tiles}</dl>'
    more = '<p class="where">Older runs are not shown.</p>' if has_more else ""
    content = (
        f'<section><h2 id="runs-title">{_number(len(shown), "run")}</h2>'
        f'<nav aria-label="Filters"><ul class="filters">'
        f"{_filters(counts, state, account)}</ul></nav>{_runs_table(shown, now)}{more}</section>"
    )
    return _page(headline, summary, content)


def run_page(
    run: Run,
    *,
    now: datetime,
    plan: jobs.PlanDocument | None = None,
    results: Iterable[RunResult] = (),
) -> str:
    """Return the page of one run: its plan, who decided, and the outcomes for its tokens.

    Args:
        run: The run.
        now: The time, with a time zone.
        plan: The plan, whose first 500 tokens are listed; `FleetClient.document` returns it.
            Default: none are listed.
        results: The outcomes for tokens, which `FleetClient.report` returns.

    Returns:
        The page. It links to the list of runs as `../`.
    """
    headline = f"{run.cleanup} for {run.account}: {run.state}"
    dot = f'<span class="dot" data-state="{_text(run.state)}"></span>'
    summary = (
        '<p class="back"><a href="../">All runs</a></p>'
        f"<h1>{dot}{_text(headline)}</h1>"
        f'<p class="where">Run <strong>{_text(run.id)}</strong></p>{_notices(run, now)}'
    )
    content = (
        _facts(run, now)
        + _next(run)
        + f"<section><h2>History</h2>{_events(run)}</section>"
        + ("" if plan is None else _tokens(plan, results))
    )
    return _page(headline, summary, content)


# --- The frame -------------------------------------------------------------------------------


def _page(title: str, summary: str, content: str) -> str:
    style = _read("losant_tokens.jobs._report", "page.css")
    style += _read("losant_tokens.fleet._page", "page.css")
    script = _read("losant_tokens.fleet._page", "page.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f'<noscript><meta http-equiv="refresh" content="{REFRESH}"></noscript>\n'
        f"<title>{_text(title)} - losant-tokens</title>\n<style>{style}</style>\n</head>\n"
        f'<body data-refresh="{REFRESH}">\n<a class="skip" href="#content">Skip to the content</a>'
        f'\n<header><div id="summary">{summary}</div><p id="status" role="status"></p></header>\n'
        f'<main id="content" tabindex="-1">{content}</main>\n'
        f"<footer>losant-tokens {_text(__version__)}. This page is read-only: decide with "
        f"<code>losant-tokens fleet</code>.</footer>\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _read(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


# --- The list --------------------------------------------------------------------------------


def _tile(name: str, count: int, state: str, note: str) -> str:
    return (
        f'<div class="tile"><dt><i class="dot" data-state="{state}"></i>{name}</dt>'
        f"<dd>{count:,}<small>{note}</small></dd></div>"
    )


def _filters(counts: Mapping[str, int], state: str | None, account: str | None) -> str:
    """Return the links that filter the list: one for each state that occurs."""
    others = {} if account is None else {"account": account}
    chips = [_chip("All", sum(counts.values()), others, is_current=state is None)]
    chips += [
        _chip(one, counts[one], {**others, "state": one}, is_current=state == one, state=one)
        for one in RUN_STATES
        if counts.get(one) or state == one
    ]
    if account is not None:
        rest = {} if state is None else {"state": state}
        chips.append(_chip("All accounts", None, rest, is_current=False))
    return "".join(chips)


def _chip(
    name: str,
    count: int | None,
    query: Mapping[str, str],
    *,
    is_current: bool,
    state: str | None = None,
) -> str:
    current = ' aria-current="page"' if is_current else ""
    dot = "" if state is None else f'<i class="dot" data-state="{state}"></i>'
    number = "" if count is None else f"<span>{count:,}</span>"
    return f'<li><a href="{_link(query)}"{current}>{dot}{name}{number}</a></li>'


def _link(query: Mapping[str, str]) -> str:
    return f"./{f'?{_text(urlencode(query))}' if query else ''}"


_RUN_COLUMNS = ("Run", "State", "Account", "Clean-up", "Tokens", "Outcome", "Started")


def _runs_table(runs: Sequence[Run], now: datetime) -> str:
    rows = [
        _row(
            (
                ("run", "Run", f'<a href="runs/{_text(run.id)}">{_text(run.id)}</a>'),
                ("state", "State", _state(run.state)),
                ("account", "Account", _account(run.account)),
                ("cleanup", "Clean-up", _text(run.cleanup)),
                ("tokens", "Tokens", _selected(run)),
                ("outcome", "Outcome", _outcome(run, now)),
                ("started", "Started", _when(run.requested_at, now, run.requested_by)),
            )
        )
        for run in runs
    ]
    return _table("runs", "runs-title", _RUN_COLUMNS, rows, "No run matches.")


def _account(name: str) -> str:
    return f'<a href="{_link({"account": name})}">{_text(name)}</a>'


def _state(state: str) -> str:
    return f'<span class="dot" data-state="{_text(state)}"></span>{_text(state)}'


def _selected(run: Run) -> str:
    return f"{run.plan.selected:,} of {run.plan.listed:,}" if run.plan.digest else ""


def _outcome(run: Run, now: datetime) -> str:
    words = (word for phase, _ in _PHASES for word in _outcome_words(run, phase))
    parts = [word for word in words if not word.endswith(" failed")]
    if run.warned_tokens:
        parts.append(f"{_number(run.warned_tokens, 'token')} warned about")
    if run.state == "waiting" and run.approve_by is not None:
        parts.append(f"expires {_relative(run.approve_by, now)}")
    if run.state == "quarantined" and run.sweep_due_at is not None:
        parts.append(f"sweep {_due(run.sweep_due_at, now)}")
    text = "; ".join(filter(None, (", ".join(parts), run.reason)))
    lines = f"<div>{_text(text)}</div>" if text else ""
    if run.failed_tokens:
        failed = f"{_number(run.failed_tokens, 'token')} failed"
        lines = f'<div class="error">{failed}</div>{lines}'
    if (approval := run.approval) is not None:
        lines += f"<small>approved by {_text(approval.by)}</small>"
    return lines


def _outcome_words(run: Run, phase: str) -> list[str]:
    past = {"deactivate": "deactivated", "delete": "deleted", "activate": "activated"}
    done = {"sweep": "deleted", "restore": "activated"}.get(
        phase, past.get(run.plan.action, "done")
    )
    work = next((one for name, one in run.work.items() if name == phase), None)
    if work is None:
        return []
    return [
        f"{count:,} {done if outcome == jobs.Outcome.DONE.value else outcome}"
        for outcome, count in work.outcomes.items()
        if count
    ]


Cells = Iterable[tuple[str, str, str]]


def _row(cells: Cells) -> str:
    """Return a row of a table: its cells, each with a class, a label and HTML."""
    parts = []
    for number, (key, label, html) in enumerate(cells):
        if number == 0:
            parts.append(f'<th role="rowheader" scope="row" class="col-{key}">{html}</th>')
            continue
        empty = "" if html else " empty"
        # The state has a dot and no label, as on the other pages.
        name = key if key == "state" else f"col-{key}"
        shown = f'<span class="label">{label}</span>{html}'
        parts.append(f'<td role="cell" class="{name}{empty}">{shown}</td>')
    return f'<tr role="row">{"".join(parts)}</tr>'


def _table(kind: str, title: str, columns: Sequence[str], rows: Sequence[str], empty: str) -> str:
    if not rows:
        return f'<p class="card none">{empty}</p>'
    heads = "".join(
        f'<th role="columnheader" scope="col" class="col-{re.sub("[^a-z]", "", name.lower())}">'
        f"{name}</th>"
        for name in columns
    )
    return (
        f'<div class="card frame" role="region" aria-label="Table" tabindex="0">'
        f'<table role="table" class="{kind}" aria-labelledby="{title}"><thead role="rowgroup">'
        f'<tr role="row">{heads}</tr></thead><tbody role="rowgroup">{"".join(rows)}</tbody>'
        "</table></div>"
    )


# --- One run ---------------------------------------------------------------------------------


def _notices(run: Run, now: datetime) -> str:
    notices = list(run.plan.warnings)
    if run.reason:
        again = f" Next attempt {_relative(run.retry_at, now)}." if run.retry_at else ""
        notices.insert(0, f"{run.reason}{again}")
    if run.failed_tokens:
        notices.insert(0, f"{_number(run.failed_tokens, 'token')} failed.")
    return "".join(
        f'<div class="notice" role="note"><p>{_text(notice)}</p></div>' for notice in notices
    )


def _facts(run: Run, now: datetime) -> str:
    plan = run.plan
    facts = [("State", run.state), ("Account", run.account), ("Clean-up", run.cleanup)]
    if plan.digest:
        facts += [
            ("Action", plan.action),
            ("Rule", plan.rule),
            ("Tokens", f"{_selected(run)}, {plan.protected:,} protected"),
            ("Owners", ", ".join(map(str, plan.owners))),
            ("Digest", plan.digest),
        ]
    if run.warned_tokens:
        facts.append(("Warned about", _number(run.warned_tokens, "token")))
    if run.webhook_failures:
        facts.append(("Failed attempts to reach the webhook", f"{run.webhook_failures:,}"))
    if plan.grace is not None:
        facts.append(("Grace period", _number(plan.grace // timedelta(days=1), "day")))
    if run.state == "waiting" and run.approve_by is not None:
        facts.append(("Approve by", f"{_time(run.approve_by)}, {_relative(run.approve_by, now)}"))
    if run.state == "quarantined" and run.sweep_due_at is not None:
        facts.append(("Sweep", f"{_time(run.sweep_due_at)}, {_due(run.sweep_due_at, now)}"))
    for phase, name in _PHASES:
        if words := _outcome_words(run, phase):
            facts.append((name, ", ".join(words)))
    items = "".join(_fact(name, value) for name, value in facts)
    return f'<section><h2>Facts</h2><dl class="card facts">{items}</dl></section>'


def _fact(name: str, value: str) -> str:
    if name != "Digest":
        return f"<div><dt>{name}</dt><dd>{_text(value)}</dd></div>"
    return f'<div class="long"><dt>{name}</dt><dd><code>{_text(value)}</code></dd></div>'


def _next(run: Run) -> str:
    commands: dict[str, tuple[str, tuple[str, ...]]] = {
        "waiting": ("To approve or reject the plan:", ("approve", "reject")),
        "quarantined": ("To activate the tokens again:", ("restore",)),
        "failed": ("To continue the run:", ("retry",)),
    }
    if run.can_retry and run.state != "failed":
        commands[run.state] = ("To repeat the failed tokens:", ("retry",))
    if run.state not in commands:
        return ""
    text, verbs = commands[run.state]
    lines = "".join(f"<code>losant-tokens fleet {verb} {_text(run.id)}</code>" for verb in verbs)
    return f'<section><h2>Next</h2><div class="card next"><p>{text}</p>{lines}</div></section>'


def _events(run: Run) -> str:
    """Return the events of a run, in the order of time."""
    events = [(run.requested_at, f"Started by {run.requested_by}")]
    for phase, work in run.work.items():
        name = "Planned" if phase == "plan" else dict(_PHASES)[phase]
        attempts = f", {_number(work.attempts, 'attempt')}" if work.attempts > 1 else ""
        who = f"by worker {work.worker}, version {work.version}{attempts}"
        if work.finished_at is None:
            events.append((work.started_at, f"{_ONGOING[phase]} {who}"))
        else:
            events.append((work.finished_at, f"{name} {who}"))
    for one in run.decisions:
        reason = f": {one.reason}" if one.reason else ""
        events.append((one.at, f"{_DECIDED[one.kind]} by {one.by}{reason}"))
    items = "".join(
        f"<li><time datetime='{time.astimezone(UTC).isoformat()}'>{_time(time)}</time>"
        f"<span>{_text(text)}</span></li>"
        for time, text in sorted(events)
    )
    return f'<ol class="card events">{items}</ol>'


_ONGOING = {
    "plan": "Being planned",
    "apply": "Being applied",
    "sweep": "Being swept",
    "restore": "Being restored",
}


def _tokens(plan: jobs.PlanDocument, results: Iterable[RunResult]) -> str:
    last = {one.id: one for one in results}
    rows = [
        _row(
            (
                ("name", "Name", _text(entry.name)),
                ("id", "Id", _text(entry.id)),
                ("owner", "Owner", _text(str(entry.owner))),
                ("reason", "Reason", _text(entry.reason)),
                ("outcome", "Outcome", _token_outcome(last.get(entry.id))),
            )
        )
        for entry in plan.entries[:MAX_TOKENS]
    ]
    total = len(plan.entries)
    more = ""
    if total > MAX_TOKENS:
        more = f'<p class="where">These are {MAX_TOKENS} of {total:,} tokens.</p>'
    table = _table(
        "list", "tokens-title", ("Name", "Id", "Owner", "Reason", "Outcome"), rows, "No token."
    )
    title = _number(total, "token")
    return f'<section><h2 id="tokens-title">{title} of the plan</h2>{table}{more}</section>'


def _token_outcome(result: RunResult | None) -> str:
    if result is None or result.outcome is None:
        return ""
    error = f'<small class="error">{_text(result.error)}</small>' if result.error else ""
    return f"{result.phase}: {result.outcome.value}{error}"


# --- Words -----------------------------------------------------------------------------------


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _time(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _when(time: datetime, now: datetime, by: str) -> str:
    return f"<div>{_relative(time, now)}</div><small>by {_text(by)}</small>"


def _due(time: datetime, now: datetime) -> str:
    return "due" if time <= now else f"due {_relative(time, now)}"


_UNITS = (
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
)


def _relative(time: datetime, now: datetime) -> str:
    """Return a time relative to now: `3 days ago`, `in 2 hours` or `just now`."""
    span = abs(time - now)
    unit, size = next(((unit, size) for unit, size in _UNITS if span >= size), ("minute", None))
    if size is None:
        return "just now" if time <= now else "in less than a minute"
    amount = _number(span // size, unit)
    return f"{amount} ago" if time <= now else f"in {amount}"
