"""`plan`, `apply`, `cleanup`, `quarantine`, `sweep` and `restore`."""

import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote

import attrs

from losant_tokens import AsyncClient, Owner, jobs
from losant_tokens.cli._errors import (
    FAILED,
    INTERRUPTED,
    SOME_FAILED,
    CommandError,
    UsageError,
    complain,
    explained,
    say,
)
from losant_tokens.cli._job_parameters import A_DAY, Action, Guards, How, Rules
from losant_tokens.cli._job_run import Run, planned, service_url
from losant_tokens.cli._job_view import DOING, VERBS, carry_on, result, show_plan, tokens
from losant_tokens.cli._json import as_json
from losant_tokens.cli._output import write
from losant_tokens.errors import JobError, LosantError
from losant_tokens.jobs._quarantine import Quarantine
from losant_tokens.jobs._report_files import ENDINGS
from losant_tokens.jobs._report_values import summary

Making = Callable[[AsyncClient, Path], Awaitable[jobs.Plan]]

_SHOWN_ERRORS = 5


# --- What to plan ----------------------------------------------------------------------------


def select(rules: Rules, owners: tuple[Owner, ...], guards: Guards, action: Action) -> Making:
    """Plans an action for what the rules select."""
    rule = rules.rule()
    if rule is None:
        raise UsageError(
            "nothing says which tokens: give a rule, such as --expired",
            "--except-named alone is none: it takes tokens out of what others select",
        )
    return lambda client, path: jobs.plan(
        client, owners, select=rule, action=action, path=path, **attrs.asdict(guards)
    )


def swept(report: Path, after: timedelta, guards: Guards) -> Making:
    """Plans to delete what a quarantine has deactivated."""
    return lambda client, path: jobs.sweep(
        client, report, after=after, path=path, **attrs.asdict(guards)
    )


def restored(report: Path, guards: Guards) -> Making:
    """Plans to activate again what a quarantine has deactivated."""
    return lambda client, path: jobs.restore(
        client, report, path=path, protect=guards.protect, max_changes=guards.max_changes
    )


# --- Commands --------------------------------------------------------------------------------


def plan(making: Making, out: Path | None, *, json: bool) -> int:
    """Plans, and shows the plan."""
    made = planned(making, out or _own_file("plan"))
    if json:
        said = {
            "plan": str(made.path),
            "action": made.header.action,
            "baseUrl": made.header.base_url,
            "rule": made.header.rule,
            "owners": {
                str(owner): attrs.asdict(counts) for owner, counts in made.header.counts.items()
            },
            "tokenInUse": made.header.token_in_use,
            "moved": made.header.moved,
        }
        write(as_json(said))
    else:
        show_plan(made, sys.stdout)
    say(f"Nothing was changed. To do it: losant-tokens apply {quote(str(made.path))}")
    return 0


def apply(path: Path, how: How, *, resume: bool, max_age: timedelta) -> int:
    """Applies a plan, once that was agreed to."""
    _must_be_possible("apply", how)
    made = jobs.Plan.read(path)
    made.check(service_url(), max_age, datetime.now(UTC))
    if not _agreed(made, how, resume=resume):
        return FAILED
    return _carried_out(made, how, resume=resume, max_age=max_age)


def in_one(
    name: str, making: Making, out: Path | None, how: How, quarantine: Path | None = None
) -> int:
    """Plans, asks, and applies.

    Args:
        name: The command.
        making: Makes the plan.
        out: Where it goes.
        how: How it is applied.
        quarantine: The report of the quarantine that it is about, if it is about one.
    """
    _must_be_possible(name, how)
    made = planned(making, out or _own_file(name))
    if quarantine is not None:
        _tell_of_others(made, quarantine)
    if not _agreed(made, how):
        say(f"The plan is kept; to apply it: losant-tokens apply {quote(str(made.path))}")
        return FAILED
    code = _carried_out(made, how)
    if out is None and len(made) == 0:
        made.path.unlink(missing_ok=True)
        jobs.journal_of(made).unlink(missing_ok=True)
    return code


def _tell_of_others(made: jobs.Plan, quarantine: Path) -> None:
    """Says how many tokens of a quarantine a plan leaves alone, so that nobody misses them."""
    alone = len(Quarantine.read(quarantine).changes) - len(made)
    if alone:
        say(
            f"Of the quarantine, {tokens(alone)} are left alone: active again, changed or deleted "
            f"since, or not long enough in it."
        )


def _must_be_possible(name: str, how: How) -> None:
    """Looks first: whoever cannot be asked, or given the report, need not wait for the plan."""
    if not how.yes and not sys.stdin.isatty():
        raise UsageError(f"without a terminal to ask on, {name} needs --yes")
    for file in how.report:
        if file.suffix.lower() not in ENDINGS:
            raise UsageError(f"a report ends in {', '.join(ENDINGS)}, but this does not: {file}")
        if file.is_dir():
            raise CommandError(f"{file} cannot be written: it is a folder")
        if not os.access(file.parent, os.W_OK):
            raise CommandError(f"{file} cannot be written: its folder is missing, or closed")


def _own_file(name: str) -> Path:
    """A new file among those that the user's programs keep to themselves."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(state) / "losant-tokens"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            f"{folder} cannot be made: {error.strerror}", "name a file for the plan: --out"
        ) from None
    return folder / f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.jsonl"


def _agreed(made: jobs.Plan, how: How, *, resume: bool = False) -> bool:
    """Shows what would be done, and asks whether it shall be."""
    show_plan(made, sys.stderr)
    selected = made.header.total.selected
    if how.yes or not selected:
        return True
    for_good = " for good" if made.header.action == "delete" else ""
    verb = VERBS[made.header.action]
    what = f"what is left of {tokens(selected)}" if resume else tokens(selected)
    sys.stderr.write(f"{verb} {what}{for_good}? [y/N] ")
    sys.stderr.flush()
    agreed = sys.stdin.readline().strip().lower() in {"y", "yes"}
    if not agreed:
        say("Nothing was changed.")
    return agreed


def _carried_out(
    made: jobs.Plan, how: How, *, resume: bool = False, max_age: timedelta = A_DAY
) -> int:
    """Applies a plan, and tells what came of it."""
    run = Run(
        made,
        DOING[made.header.action],
        resume=resume,
        verify=not how.no_verify,
        rate=how.rate,
        max_concurrency=how.max_concurrency,
        max_age=max_age,
        options=how.options(),
    )
    failure: LosantError | None = None
    try:
        report = run()
    except LosantError as error:
        if error.report is None:
            raise
        report, failure = error.report, error
    saved = _told(report, how)
    if failure is not None:
        complain(explained(failure))
    if not report.is_complete:
        say(carry_on(made, run.options))
    if run.stopped and not report.is_complete:
        return INTERRUPTED
    if failure is not None or not saved:
        return FAILED
    return SOME_FAILED if report.counts[jobs.Outcome.FAILED] or not report.is_complete else 0


def _told(report: jobs.Report, how: How) -> bool:
    """Tells what came of a plan, and writes the reports; says whether all of them were."""
    made = report.plan
    files = _report_files(made, how)
    saved = [file for file in files if _is_saved(report, file)]
    if how.json:
        said = summary(report)
        del said["pace"]
        write(as_json({**said, "reports": list(map(str, saved))}))
    else:
        sys.stdout.write(f"{result(report)}\n")
    tell(report)
    for file in saved:
        say(f"Report: {file}")
        if made.header.action == "deactivate" and file.suffix.lower() == ".json":
            say(f"To take it back: losant-tokens restore {quote(str(file))}")
            say(f"To delete them later: losant-tokens sweep {quote(str(file))} --after 30d")
    return len(saved) == len(files)


def _report_files(made: jobs.Plan, how: How) -> tuple[Path, ...]:
    """Where the report goes. A quarantine has one as JSON in any case: what follows goes by it."""
    for_programs = [file for file in how.report if file.suffix.lower() == ".json"]
    if made.header.action == "deactivate" and not for_programs:
        return (*how.report, made.path.with_suffix(".report.json"))
    return how.report


def _is_saved(report: jobs.Report, file: Path) -> bool:
    try:
        report.save(file)
    except JobError as error:  # what was done is done, and stands in the journal
        complain(explained(error))
        return False
    return True


def tell(report: jobs.Report) -> None:
    """Says what failed, and why it was given up."""
    shown = 0
    for one in report.results() if report.counts[jobs.Outcome.FAILED] else ():
        if one.outcome is jobs.Outcome.FAILED:
            shown += 1
            if shown <= _SHOWN_ERRORS:
                complain(CommandError(f"{one.entry.name} ({one.entry.id}): {one.error}"))
    if report.gave_up is not None:
        complain(CommandError(f"gave up: {report.gave_up}"))
