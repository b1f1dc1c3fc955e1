"""`plan`, `apply`, `cleanup`, `quarantine`, `sweep` and `restore`."""

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from inspect import signature
from itertools import chain, count
from pathlib import Path
from shlex import quote
from typing import Any

import attrs

from losant_tokens import AsyncClient, Owner, jobs
from losant_tokens.cli._connection import Connection
from losant_tokens.cli._errors import (
    FAILED,
    INTERRUPTED,
    SOME_FAILED,
    CommandError,
    UsageError,
    complain,
    explained,
    is_quiet,
    quiet,
    say,
    say_stopped,
    warn,
)
from losant_tokens.cli._job_parameters import A_DAY, Action, Guards, How, Rules
from losant_tokens.cli._job_runner import Run, connecting, planned, service_url
from losant_tokens.cli._json import as_json
from losant_tokens.cli._output_checks import check_outputs
from losant_tokens.cli._parse import as_span
from losant_tokens.cli._prompt import agreed, need_terminal_or_yes
from losant_tokens.cli._render import DOING, VERBS, carry_on, result, show_plan, title, tokens
from losant_tokens.cli._state_files import journal_for, own_file
from losant_tokens.cli._tables import write, write_result
from losant_tokens.errors import LosantError
from losant_tokens.jobs import JobError, PlanRefused
from losant_tokens.jobs._plan.clock import MAX_SKEW
from losant_tokens.jobs._report.target import target_problem
from losant_tokens.jobs._report.values import summary

Making = Callable[[AsyncClient, Path], Awaitable[jobs.Plan]]

_SHOWN_ERRORS = 5


# --- What to plan ----------------------------------------------------------------------------


def select(
    rules: Rules,
    owners: tuple[Owner, ...],
    guards: Guards,
    action: Action,
    patience: float | None = None,
) -> Making:
    """Return a function that plans an action for the tokens that the rules select."""
    rule = rules.rule()
    if rule is None:
        raise UsageError(
            "nothing says which tokens: give a rule, such as --expired",
            "--except-named alone is none: it takes tokens out of what others select",
        )
    settings = _fitting(jobs.plan, guards, patience)
    return lambda client, path: jobs.plan(
        client, owners, select=rule, action=action, path=path, **settings
    )


def swept(report: Path, after: timedelta, guards: Guards, patience: float | None = None) -> Making:
    """Return a function that plans to delete the tokens that a quarantine has deactivated."""
    settings = _fitting(jobs.sweep, guards, patience)
    return lambda client, path: jobs.sweep(client, report, after=after, path=path, **settings)


def restored(report: Path, guards: Guards, patience: float | None = None) -> Making:
    """Return a function that plans to activate the tokens of a quarantine again."""
    settings = _fitting(jobs.restore, guards, patience)
    return lambda client, path: jobs.restore(client, report, path=path, **settings)


def _now(made: jobs.Plan) -> datetime:
    """Return the time for a first look at the age of a plan. The job asks the server for its own.

    A clock that was far ahead when the plan was made may still be so.
    """
    ahead = made.header.clock_skew or timedelta()
    return datetime.now(UTC) - (ahead if ahead > MAX_SKEW else timedelta())


def _fitting(
    function: Callable[..., object], guards: Guards, patience: float | None
) -> dict[str, Any]:
    """Return the settings that a function takes: a restore, for one, has no majority to guard."""
    known = signature(function).parameters
    settings = {name: value for name, value in guards.settings().items() if name in known}
    return settings if patience is None else {**settings, "patience": patience}


# --- Commands --------------------------------------------------------------------------------


def plan(
    making: Making, out: Path | None, connection: Connection, *, json: bool, be_quiet: bool
) -> int:
    """Plan, and show the plan."""
    with quiet(be_quiet):
        made = planned(making, out or own_file("plan"), connecting(connection))
        return _show(made, connection, json=json)


def _show(made: jobs.Plan, connection: Connection, *, json: bool) -> int:
    words = ("losant-tokens", "apply", str(made.path), *connection.options())
    say(f"Nothing was changed. To do it: {' '.join(map(quote, words))}")
    if json:
        data = {
            "plan": str(made.path),
            "action": made.header.action,
            "baseUrl": made.header.base_url,
            "rule": made.header.rule,
            "owners": {
                str(owner): attrs.asdict(counts) for owner, counts in made.header.counts.items()
            },
            "tokenInUse": made.header.token_in_use,
            "moved": made.header.drifted,
            "incomplete": list(made.header.incomplete),
        }
        write(as_json(data))
    elif not is_quiet():
        show_plan(made, sys.stdout)
    return 0


def apply(
    path: Path,
    how: How,
    connection: Connection,
    *,
    resume: bool,
    retry_failed: bool,
    max_age: timedelta,
) -> int:
    """Apply a plan, once that was agreed to."""
    need_terminal_or_yes("apply", yes=how.yes)
    if retry_failed and not resume:
        raise UsageError("--retry-failed goes with --resume: a job that begins has no failed token")
    with quiet(how.quiet):
        made = jobs.Plan.read(path)
        made.check(service_url(connection), max_age, _now(made))
        journal = journal_for(made, how.journal)
        check_outputs(how.report, inputs=[("the plan", path)], journal=journal, digest=made.digest)
        if not _agreed(made, how, resume=resume):
            return FAILED
        job = _Job(
            made,
            how,
            connection,
            journal,
            resume=resume,
            retry_failed=retry_failed,
            max_age=max_age,
        )
        return job.run()


def in_one(
    name: str,
    making: Making,
    out: Path | None,
    how: How,
    guards: Guards,
    connection: Connection,
    quarantine: Path | None = None,
) -> int:
    """Plan, ask, and apply.

    Args:
        name: The command.
        making: Makes the plan.
        out: The file of the plan. Default: one of the command's own.
        how: How it is applied.
        guards: What it may not do.
        connection: How to connect.
        quarantine: The report of the quarantine that it is about, if it is about one.
    """
    need_terminal_or_yes(name, yes=how.yes)
    inputs = [] if quarantine is None else [("the report of the quarantine", quarantine)]
    with quiet(how.quiet):
        check_outputs(how.report, inputs=inputs, journal=how.journal)
        made = planned(making, out or own_file(name), connecting(connection))
        journal = journal_for(made, how.journal)
        check_outputs(
            how.report,
            inputs=inputs,
            out=made.path,
            journal=journal,
            digest=made.digest,
        )
        job = _Job(made, how, connection, journal)
        if not len(made):
            _warn_of_own_token(made, guards)
        if not _agreed(made, how):
            words = ("losant-tokens", "apply", str(made.path), *job.options())
            say(f"The plan is kept; to apply it: {' '.join(map(quote, words))}")
            return FAILED
        code = job.run()
        if out is None and len(made) == 0:
            made.path.unlink(missing_ok=True)
            if how.journal is None:
                journal.unlink(missing_ok=True)
        return code


def _warn_of_own_token(made: jobs.Plan, guards: Guards) -> None:
    """Warn of a guard that cannot work, also on days on which there is nothing to do."""
    header = made.header
    if header.token_in_use is None and header.action != "activate" and not guards.protect:
        warn(
            "cannot determine which token is in use, so a job may select it one day: name it "
            "with --protect"
        )


def _agreed(made: jobs.Plan, how: How, *, resume: bool = False) -> bool:
    """Show the plan, and ask."""
    if len(made) == 0:
        say(f"{title(made)}: nothing to do. Rule: {made.header.rule}")
        return True
    if not is_quiet() or not how.yes:
        show_plan(made, sys.stderr)
    selected = made.header.total.selected
    if how.yes or not selected:
        return True
    for_good = " for good" if made.header.action == "delete" else ""
    verb = VERBS[made.header.action]
    what = f"what is left of {tokens(selected)}" if resume else tokens(selected)
    if agreed(f"{verb} {what}{for_good}?"):
        return True
    say("Nothing was changed.")
    return False


@attrs.frozen
class _Job:
    """A plan that is applied, with its settings."""

    plan: jobs.Plan
    how: How
    connection: Connection
    journal: Path
    resume: bool = False
    retry_failed: bool = False
    max_age: timedelta = A_DAY

    def options(self) -> tuple[str, ...]:
        """Return the options that it takes to carry on like this."""
        return (
            *self.how.options(),
            *([] if self.max_age == A_DAY else ["--max-age", as_span(self.max_age)]),
            *self.connection.options(),
        )

    def run(self) -> int:
        """Apply the plan, write the reports, and return the exit code."""
        run = Run(
            self.plan,
            DOING[self.plan.header.action],
            connecting(self.connection),
            max_concurrency=self.how.max_concurrency,
            settings={
                **self.how.settings(),
                "resume": self.resume,
                "retry_failed": self.retry_failed,
                "max_age": self.max_age,
                "journal": self.journal,
            },
        )
        # A signal while the report is written must not lose it, nor the totals.
        with run.signals.postponed():
            failure: BaseException | None = None
            try:
                report = run()
            except jobs.JobFailed as error:
                report, failure = error.report, error.__cause__
            are_saved = self._report(report)
            if isinstance(failure, LosantError):
                complain(problem := explained(failure))
                if isinstance(failure, PlanRefused):
                    return problem.exit_code
            if not report.is_complete:
                say_stopped(carry_on(self.plan, self.options()))
            elif report.counts[jobs.Outcome.FAILED]:
                options = ("--retry-failed", *self.options())
                say(carry_on(self.plan, options, "To try failed tokens again"))
            return _exit_code(report, run, failed=failure is not None or not are_saved)

    def _report(self, report: jobs.Report) -> bool:
        """Write the reports and print the totals; return whether all reports were written."""
        files = self._report_files()
        saved = [file for file in files if self._is_saved(report, file)]
        if self.how.json:
            data = summary(report)
            del data["pace"]
            write_result(as_json({**data, "reports": list(map(str, saved))}))
        elif not is_quiet():
            write_result(f"{result(report)}\n")
        complain_of_failures(report)
        for file in saved:
            say(f"Report: {file}")
            if self.plan.header.action == "deactivate" and file.suffix.lower() == ".json":
                say(f"To take it back: losant-tokens restore {quote(str(file))}")
                say(f"To delete them later: losant-tokens sweep {quote(str(file))} --after 30d")
        return len(saved) == len(files)

    def _report_files(self) -> tuple[Path, ...]:
        """Return where the report goes. A quarantine always has one as JSON, which others read."""
        files = self.how.report
        has_json = any(file.suffix.lower() == ".json" for file in files)
        if self.plan.header.action == "deactivate" and not has_json and len(self.plan):
            return (*files, _free(self.journal, self.plan))
        return files

    def _is_saved(self, report: jobs.Report, file: Path) -> bool:
        try:
            report.save(file)
        except JobError as error:
            problem = explained(error)
            words = ("losant-tokens", "apply", str(self.plan.path), "--resume", *self.options())
            problem.hint = (
                "the journal has all of it. To write the report again, with another --report: "
                + " ".join(map(quote, words))
            )
            complain(problem)
            return False
        return True


def _free(journal: Path, plan: jobs.Plan) -> Path:
    """Return the name of a report beside the journal that replaces nothing."""
    numbers = (f"-{number}" for number in count(2))
    return next(
        path
        for more in chain([""], numbers)
        if target_problem(
            path := journal.with_name(f"{plan.path.stem}.report{more}.json"), plan.digest
        )
        is None
    )


def _exit_code(report: jobs.Report, run: Run, *, failed: bool) -> int:
    if run.is_stopped and not report.is_complete:
        return INTERRUPTED
    if failed:
        return FAILED
    return SOME_FAILED if report.counts[jobs.Outcome.FAILED] or not report.is_complete else 0


def complain_of_failures(report: jobs.Report) -> None:
    """Print what failed, and why the job gave up."""
    shown = 0
    for one in report.results() if report.counts[jobs.Outcome.FAILED] else ():
        if one.outcome is jobs.Outcome.FAILED:
            shown += 1
            if shown <= _SHOWN_ERRORS:
                complain(CommandError(f"{one.entry.name} ({one.entry.id}): {one.error}"))
    if report.gave_up is not None:
        complain(CommandError(f"gave up: {report.gave_up}"))
