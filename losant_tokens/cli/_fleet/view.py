"""The runs of a fleet for people and as JSON."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from shlex import quote
from types import MappingProxyType
from typing import Any

from losant_tokens import fleet
from losant_tokens.cli._plans.action_words import VERBS
from losant_tokens.cli._terminal.console import fit_lines, print_status, write_output
from losant_tokens.cli._terminal.format import (
    escaped,
    format_count,
    format_datetime,
    format_number,
    format_size,
    relative_time,
)
from losant_tokens.cli._terminal.pager import write_paged
from losant_tokens.cli._terminal.tables import Cell, Row, format_table
from losant_tokens.cli._tokens.json import as_wire

_COLUMNS = ("RUN", "STATE", "ACCOUNT", "CLEAN-UP", "TOKENS", "STARTED", "OUTCOME")
_STYLES: Mapping[str, str] = MappingProxyType(
    {
        "waiting": "yellow",
        "approved": "cyan",
        "applying": "cyan",
        "sweeping": "cyan",
        "restoring": "cyan",
        "planning": "cyan",
        "done": "green",
        "restored": "green",
        "refused": "red",
        "failed": "red",
    }
)
# "24 minutes ago" is "24min ago" on a narrow terminal.
_SHORT_UNITS = {" minute": "min", " hour": "h", " day": "d", " month": "mo", " year": "y"}
_UNIT = re.compile(r"(?<=\d)( minute| hour| day| month| year)s?")
_LABEL_WIDTH = 14
PHASE_DONE: Mapping[str, str] = MappingProxyType(
    {"apply": "Applied", "sweep": "Swept", "restore": "Restored"}
)
_WORDS: Mapping[str, str] = MappingProxyType(
    {"deactivate": "deactivated", "delete": "deleted", "activate": "activated"}
)
_PARTICIPLES: Mapping[str, str] = MappingProxyType(
    {
        "approve": "approved",
        "reject": "rejected",
        "cancel": "cancelled",
        "restore": "restored",
        "retry": "retried",
    }
)
_DECIDED: Mapping[str, str] = MappingProxyType(
    {
        "approve": "Approved",
        "reject": "Rejected",
        "cancel": "Cancelled",
        "restore": "Restore",
        "retry": "Retried",
    }
)
_NEXT: Mapping[str, str] = MappingProxyType(
    {
        "planning": "A worker will make the plan, if one runs: losant-tokens fleet work",
        "approved": "A worker will apply the plan, if one runs: losant-tokens fleet work",
        "waiting": "To approve it: losant-tokens fleet approve {id}",
        "quarantined": "To activate its tokens again: losant-tokens fleet restore {id}",
        "failed": "To continue it: losant-tokens fleet retry {id}",
        "expired": "To plan it again: losant-tokens fleet plan {cleanup} --account {account}",
        "refused": "To plan it again: losant-tokens fleet plan {cleanup} --account {account}",
    }
)


# --- Words -----------------------------------------------------------------------------------


def selected_of_listed(plan: fleet.PlanSummary) -> str:
    """Return the numbers of a plan: `12 of 400`; a dash before it is made."""
    return f"{plan.selected:,} of {plan.listed:,}" if plan.digest else "-"


def outcome_words(run: fleet.Run, phase: fleet.Phase) -> list[str]:
    """Return how many tokens have each outcome in a phase, such as `12 deactivated`."""
    done = {
        "apply": _WORDS.get(run.plan.action, "changed"),
        "sweep": _WORDS["delete"],
        "restore": _WORDS["activate"],
    }
    return [
        f"{count:,} {done.get(phase, 'done') if outcome == 'done' else outcome}"
        for outcome, count in run.outcomes(phase).items()
        if count
    ]


def failed_tokens(run: fleet.Run) -> str:
    """Return how many tokens of a run failed, such as `3 tokens failed`; empty if none did."""
    return f"{format_count(run.failed_tokens)} failed" if run.failed_tokens else ""


def describe_outcome(run: fleet.Run, now: datetime) -> str:
    """Return the outcome of a run so far, in one line.

    Args:
        run: The run.
        now: The time.
    """
    phases: tuple[fleet.Phase, ...] = ("apply", "sweep", "restore")
    words = (word for phase in phases for word in outcome_words(run, phase))
    parts = [word for word in words if not word.endswith(" failed")]
    if run.warned_tokens:
        parts.append(f"{format_count(run.warned_tokens)} warned about")
    if run.state == "waiting" and run.approve_by is not None:
        parts.append(f"expires {relative_time(run.approve_by, now)}")
    if run.sweep_due_at is not None and run.state == "quarantined":
        parts.append(f"sweep {_due(run.sweep_due_at, now)}")
    sentences = [failed_tokens(run), ", ".join(parts), run.reason]
    if run.retry_at is not None:
        sentences.append(f"next attempt {_due(run.retry_at, now)}")
    return "; ".join(one.removesuffix(".") for one in sentences if one) or "-"


def _due(time: datetime, now: datetime) -> str:
    return "due" if time <= now else f"due {relative_time(time, now)}"


def question(run: fleet.Run, verb: str) -> str:
    """Return the question before a decision about a run.

    Args:
        run: The run.
        verb: What to do with it: `Approve`.
    """
    return f"{verb} run {run.id} ({run.cleanup}, {run.account})?"


def describe_for_decision(run: fleet.Run, verb: str, now: datetime) -> str:
    """Return the facts that a person needs before a decision about a run, in one line.

    Args:
        run: The run.
        verb: The decision, as a verb. For `approve` and `reject`, it is about the plan.
        now: The time.
    """
    if verb not in {"approve", "reject"}:
        outcome = describe_outcome(run, now)
        detail = "" if outcome == "-" else f": {outcome}"
        return f"Run {run.id} ({run.cleanup}, {run.account}) is {run.state}{detail}"
    plan = run.plan
    if not plan.digest:
        return f"Run {run.id} has no plan yet: {run.cleanup} for {run.account}."
    verb = VERBS.get(plan.action, plan.action)
    return (
        f"{verb} {plan.selected:,} of {format_count(plan.listed)} of {run.account} "
        f"({run.cleanup}): {plan.rule}"
    )


def describe_decision(run: fleet.Run, verb: str, before: fleet.Run, now: datetime) -> str:
    """Return the effect of a decision, in one line.

    Args:
        run: The run after the decision.
        verb: The decision, as a verb.
        before: The run before the decision.
        now: The time.
    """
    earlier = [one for one in before.decisions if one.kind == verb]
    if earlier and len(run.decisions) == len(before.decisions):
        made = f"{_past(earlier[-1].at, now)} by {earlier[-1].by}"
        return f"Run {run.id} for {run.account} was already {_PARTICIPLES[verb]}: {made}."
    follows = {
        "approve": f"{run.plan.action} {format_count(run.plan.selected)} of {run.account}",
        "restore": f"activate the unchanged tokens of {run.account}",
        "retry": f"continue the run for {run.account}",
    }
    if run.is_final or verb not in follows:
        return f"Run {run.id} for {run.account} is {run.state}."
    return f"Run {run.id} is {run.state}: a worker will {follows[verb]}."


def next_command(run: fleet.Run, options: Sequence[str] = ()) -> str | None:
    """Return the next step, as a sentence with a command; None if there is nothing to do.

    Args:
        run: The run.
        options: The options that select the store, as on the command line.
    """
    hint = _NEXT.get(run.state)
    if run.can_retry and run.state != "failed":
        hint = "To repeat the failed tokens: losant-tokens fleet retry {id}"
    if hint is None:
        return None
    values = {"id": run.id, "cleanup": quote(run.cleanup), "account": quote(run.account)}
    return " ".join((hint.format_map(values), *map(quote, options)))


# --- Tables ----------------------------------------------------------------------------------


def runs_table(runs: Sequence[fleet.Run], now: datetime) -> str:
    """Return runs as a table.

    Args:
        runs: The runs.
        now: The time.
    """
    return format_table(
        _COLUMNS,
        [_row(run, now) for run in runs],
        steps=(
            ("STARTED", len("59min ago")),
            ("TOKENS", len("TOKENS")),
            ("CLEAN-UP", 10),
            ("ACCOUNT", 10),
            ("CLEAN-UP", 8),
            ("ACCOUNT", 8),
        ),
        wrap="OUTCOME",
        keep=("RUN",),
        numbers=("TOKENS",),
    )


def show_runs(
    runs: Sequence[fleet.Run],
    options: Sequence[str] = (),
    *,
    has_more: bool = False,
    is_filtered: bool = True,
) -> None:
    """Write runs as a table, and what to do with those that wait.

    Args:
        runs: The runs.
        options: The options that select the store, as on the command line.
        has_more: Whether there are more runs.
        is_filtered: Whether the user asked for some of the runs only.
    """
    if not runs:
        plan = "losant-tokens fleet plan CLEANUP --account ACCOUNT"
        start = " ".join((f"There are no runs yet. To start one: {plan}", *map(quote, options)))
        print_status("There are no such runs." if is_filtered else start)
        return
    write_output(runs_table(runs, datetime.now(UTC)))
    if has_more:
        print_status(
            f"Showing the newest {format_number(len(runs), 'run')}. For more, see --limit."
        )
    waiting = sum(run.state == "waiting" for run in runs)
    if waiting:
        verb = "waits" if waiting == 1 else "wait"
        show = " ".join(("losant-tokens fleet show RUN", *map(quote, options)))
        print_status(f"{format_number(waiting, 'run')} {verb} for an approval: {show}")
    failed = sum(run.failed_tokens > 0 for run in runs)
    if failed:
        show = " ".join(("losant-tokens fleet show RUN --tokens", *map(quote, options)))
        print_status(f"Tokens failed in {format_number(failed, 'run')}: {show}")


def _row(run: fleet.Run, now: datetime) -> Row:
    return (
        run.id,
        Cell(run.state, _STYLES.get(run.state, "")),
        run.account,
        run.cleanup,
        Cell(selected_of_listed(run.plan), shorter=(f"{run.plan.selected:,}",)),
        past_cell(run.requested_at, now),
        Cell(describe_outcome(run, now), "yellow" if run.failed_tokens else ""),
    )


def _past(time: datetime, now: datetime) -> str:
    """Return a time of the past relative to now. Another clock may be a little ahead."""
    return relative_time(min(time, now), now)


def past_cell(time: datetime, now: datetime) -> Cell:
    """Return a cell with a time of the past, which has a short form."""
    text = _past(time, now)
    return Cell(text, shorter=(_UNIT.sub(lambda unit: _SHORT_UNITS[unit[1]], text),))


def show_run(run: fleet.Run, options: Sequence[str] = ()) -> None:
    """Write the facts about a run, and what to do next.

    Args:
        run: The run.
        options: The options that select the store, as on the command line.
    """
    now = datetime.now(UTC)
    lines = [_fact_line(name, value) for name, value in _facts(run, now)]
    fitting = fit_lines(lines, indent=" " * _LABEL_WIDTH)
    write_output("".join(f"{line}\n" for line in fitting))
    if hint := next_command(run, options):
        print_status(hint)


def _fact_line(name: str, value: str) -> str:
    label = f"{name}:" if name else ""
    return f"{label:<{_LABEL_WIDTH}}{escaped(value)}"


def _facts(run: fleet.Run, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield the facts about a run, each with its name."""
    yield "Run", run.id
    yield "State", run.state
    if run.failed_tokens:
        see = f"losant-tokens fleet show {run.id} --tokens"
        yield "Failed", f"{format_count(run.failed_tokens)}; to see the errors: {see}"
    if run.reason:
        yield "Reason", run.reason
    if run.retry_at is not None:
        yield "Next attempt", _time(run.retry_at, now)
    if run.webhook_failures:
        times = "once" if run.webhook_failures == 1 else f"{run.webhook_failures:,} times"
        yield "Webhook", f"could not be reached {times}"
    if run.warned_tokens:
        yield "Warned about", format_count(run.warned_tokens)
    yield "Account", run.account
    yield "Clean-up", run.cleanup
    yield "Started", f"{_time(run.requested_at, now)} by {run.requested_by}"
    yield from _plan_facts(run, now)
    for _, facts in sorted(_history(run, now), key=lambda event: event[0]):
        yield from facts
    if run.sweep_due_at is not None:
        yield "Sweep", _due(run.sweep_due_at, now) + f" ({format_datetime(run.sweep_due_at, '')})"


def _history(
    run: fleet.Run, now: datetime
) -> Iterator[tuple[datetime, tuple[tuple[str, str], ...]]]:
    """Yield the decisions about a run and the work on it, each with its time and its facts."""
    for decision in run.decisions:
        reason = f": {decision.reason}" if decision.reason else ""
        made = f"{_time(decision.at, now)} by {decision.by}{reason}"
        yield decision.at, ((_DECIDED[decision.kind], made),)
    for phase, name in PHASE_DONE.items():
        if (work := run.work.get(phase)) is not None:  # type: ignore[call-overload]  # its keys are phases
            outcomes = ", ".join(outcome_words(run, phase))  # type: ignore[arg-type]
            facts = (name, _work(work, now)), ("", outcomes or "no token yet")
            yield work.finished_at or work.started_at, facts


def _plan_facts(run: fleet.Run, now: datetime) -> Iterator[tuple[str, str]]:
    plan = run.plan
    if run.planned_at is None:
        return
    worker = f" by worker {run.work['plan'].worker}" if "plan" in run.work else ""
    yield "Planned", f"{_time(run.planned_at, now)}{worker}"
    yield "Action", plan.action
    yield "Rule", plan.rule
    yield "Owners", ", ".join(map(str, plan.owners))
    protected = f", {plan.protected:,} protected" if plan.protected else ""
    yield "Tokens", f"{selected_of_listed(plan)}{protected}"
    if plan.grace is not None:
        yield "Grace", format_number(plan.grace // timedelta(days=1), "day")
    yield "Digest", plan.digest
    for warning in plan.warnings:
        yield "Warning", warning
    if run.state == "waiting" and run.approve_by is not None:
        yield "Approve by", _time(run.approve_by, now)


def _time(time: datetime, now: datetime) -> str:
    return f"{format_datetime(time, '')} ({relative_time(time, now)})"


def _work(work: fleet.Work, now: datetime) -> str:
    """Return the worker and the time of a phase."""
    attempts = f", {format_number(work.attempts, 'attempt')}" if work.attempts > 1 else ""
    when = "running since " + _time(work.started_at, now)
    if work.finished_at is not None:
        when = _time(work.finished_at, now)
    return f"{when} by worker {work.worker}, version {work.version}{attempts}"


def show_results(results: Sequence[fleet.RunResult]) -> None:
    """Write the outcome for each token of a run."""
    if not results:
        print_status("No worker has changed a token of this run yet.")
        return
    rows: list[Row] = [
        (
            one.name,
            str(one.owner),
            one.id,
            one.phase,
            Cell("left" if one.outcome is None else one.outcome.value, _outcome_style(one)),
            one.error or "-",
        )
        for one in results
    ]
    headers = ("NAME", "OWNER", "ID", "PHASE", "OUTCOME", "ERROR")
    steps = (("NAME", 16), ("OWNER", 12))
    write_paged(format_table(headers, rows, steps=steps, wrap="ERROR", keep=("ID",)))


def _outcome_style(result: fleet.RunResult) -> str:
    return "red" if result.error else ""


# --- JSON ------------------------------------------------------------------------------------


def run_as_json(run: fleet.Run) -> dict[str, Any]:
    """Return a run as JSON values. Members that are unknown are `null`."""
    plan = run.plan
    return {
        "id": run.id,
        "state": run.state,
        "account": run.account,
        "cleanup": run.cleanup,
        "requestedBy": run.requested_by,
        "requestedAt": as_wire(run.requested_at),
        "changedAt": as_wire(run.changed_at),
        "phase": run.phase,
        "failedTokens": run.failed_tokens,
        "reason": run.reason or None,
        "retryAt": as_wire(run.retry_at),
        "webhookFailures": run.webhook_failures,
        "warnedTokens": run.warned_tokens,
        "plan": {
            "digest": plan.digest,
            "action": plan.action,
            "rule": plan.rule,
            "selected": plan.selected,
            "listed": plan.listed,
            "protected": plan.protected,
            "owners": list(map(str, plan.owners)),
            "graceHours": None if plan.grace is None else plan.grace / timedelta(hours=1),
            "warnings": list(plan.warnings),
        }
        if plan.digest
        else None,
        "plannedAt": as_wire(run.planned_at),
        "approveBy": as_wire(run.approve_by),
        "sweepDueAt": as_wire(run.sweep_due_at),
        "decisions": [
            {
                "kind": one.kind,
                "by": one.by,
                "at": as_wire(one.at),
                "digest": one.digest or None,
                "reason": one.reason or None,
            }
            for one in run.decisions
        ],
        "work": {phase: _work_as_json(work) for phase, work in run.work.items()},
    }


def _work_as_json(work: fleet.Work) -> dict[str, Any]:
    return {
        "worker": work.worker,
        "version": work.version,
        "startedAt": as_wire(work.started_at),
        "finishedAt": as_wire(work.finished_at),
        "attempts": work.attempts,
        "outcomes": dict(work.outcomes),
    }


def result_as_json(result: fleet.RunResult) -> dict[str, Any]:
    """Return the outcome for a token as JSON values."""
    return {
        "phase": result.phase,
        "owner": str(result.owner),
        "id": result.id,
        "name": result.name,
        "outcome": None if result.outcome is None else result.outcome.value,
        "error": result.error,
        "changedAt": as_wire(result.changed_at),
    }


# --- Removed runs ----------------------------------------------------------------------------


def prune_question(result: fleet.PruneResult) -> str:
    """Return the question before runs are removed."""
    its = "its plan, outcomes" if len(result.runs) == 1 else "their plans, outcomes"
    runs = format_number(len(result.runs), "finished run")
    return f"Remove {runs} with {its} and decisions, {format_size(result.size)}?"


def describe_pruned(result: fleet.PruneResult, *, is_dry_run: bool) -> str:
    """Return the number and the size of the removed runs, in one line.

    Args:
        result: The runs.
        is_dry_run: Whether they would be removed, but are not.
    """
    verb = "Would remove" if is_dry_run else "Removed"
    size = f", {format_size(result.size)}" if result.runs else ""
    return f"{verb} {format_number(len(result.runs), 'run')}{size}."


def pruned_as_json(result: fleet.PruneResult) -> dict[str, Any]:
    """Return the removed runs as JSON values."""
    return {"runs": [run_as_json(run) for run in result.runs], "bytes": result.size}
