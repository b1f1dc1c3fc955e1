"""The commands for jobs, as cyclopts knows them. What they do is imported late."""

# ruff: noqa: D417 -- the options that are shared say themselves what they are

from typing import Literal

from losant_tokens.cli import _help as texts
from losant_tokens.cli._commands import app
from losant_tokens.cli._connection import USUAL, Connection
from losant_tokens.cli._job_parameters import (
    A_DAY,
    AS_USUAL,
    HALF_A_YEAR,
    MINE,
    NO_GUARDS,
    NO_RULES,
    Action,
    Guards,
    How,
    MaxAge,
    OldEnough,
    Out,
    Owners,
    Patience,
    Plan,
    ReportFile,
    Rules,
    Span,
)
from losant_tokens.cli._parameters import AsJson, Flag, Quiet


@app.command(help_epilogue=texts.PLAN)
def plan(  # noqa: PLR0913 -- options
    *,
    rules: Rules = NO_RULES,
    owners: Owners = MINE,
    guards: Guards = NO_GUARDS,
    action: Action = "delete",
    out: Out = None,
    patience: Patience = None,
    json: AsJson = False,
    quiet: Quiet = False,
    connection: Connection = USUAL,
) -> int:
    """Plan what to do about many tokens; nothing is changed. Then: losant-tokens apply.

    Args:
        action: What to do to the tokens.
        json: Write what the plan says about itself as JSON.
    """
    from losant_tokens.cli.commands import jobs  # noqa: PLC0415

    making = jobs.select(rules, owners, guards, action, patience)
    return jobs.plan(making, out, connection, json=json, be_quiet=quiet)


@app.command(help_epilogue=texts.APPLY)
def apply(
    plan: Plan,
    /,
    *,
    resume: Flag = False,
    retry_failed: Flag = False,
    max_age: MaxAge = A_DAY,
    how: How = AS_USUAL,
    connection: Connection = USUAL,
) -> int:
    """Do what a plan says: shows it, asks, and accounts for each token.

    Args:
        resume: Carry on a job that was begun before.
        retry_failed: With --resume, try failed tokens again.
        max_age: How old the plan may be.
    """
    from losant_tokens.cli.commands import jobs  # noqa: PLC0415

    return jobs.apply(
        plan,
        how,
        connection,
        resume=resume,
        retry_failed=retry_failed,
        max_age=max_age,
    )


@app.command(help_epilogue=texts.CLEANUP)
def cleanup(
    *,
    rules: Rules = NO_RULES,
    owners: Owners = MINE,
    guards: Guards = NO_GUARDS,
    action: Action = "delete",
    out: Out = None,
    how: How = AS_USUAL,
    connection: Connection = USUAL,
) -> int:
    """Plan, show, ask and apply in one.

    Args:
        action: What to do to the tokens.
    """
    from losant_tokens.cli.commands import jobs  # noqa: PLC0415

    return jobs.in_one(
        "cleanup",
        jobs.select(rules, owners, guards, action, how.patience),
        out,
        how,
        guards,
        connection,
    )


@app.command(help_epilogue=texts.QUARANTINE)
def quarantine(
    *,
    rules: Rules = NO_RULES,
    owners: Owners = MINE,
    guards: Guards = NO_GUARDS,
    out: Out = None,
    how: How = AS_USUAL,
    connection: Connection = USUAL,
) -> int:
    """Deactivate tokens, to delete them later: a clean-up that can be taken back."""
    from losant_tokens.cli.commands import jobs  # noqa: PLC0415

    return jobs.in_one(
        "quarantine",
        jobs.select(rules, owners, guards, "deactivate", how.patience),
        out,
        how,
        guards,
        connection,
    )


@app.command(help_epilogue=texts.SWEEP)
def sweep(
    report: ReportFile,
    /,
    *,
    after: Span,
    guards: Guards = NO_GUARDS,
    out: Out = None,
    how: How = AS_USUAL,
    connection: Connection = USUAL,
) -> int:
    """Delete what a quarantine has deactivated, long enough ago, and nobody has changed since.

    Args:
        after: How long ago, such as 30d.
    """
    from losant_tokens.cli.commands import jobs  # noqa: PLC0415

    return jobs.in_one(
        "sweep",
        jobs.swept(report, after, guards, how.patience),
        out,
        how,
        guards,
        connection,
        report,
    )


@app.command(help_epilogue=texts.RESTORE)
def restore(
    report: ReportFile,
    /,
    *,
    guards: Guards = NO_GUARDS,
    out: Out = None,
    how: How = AS_USUAL,
    connection: Connection = USUAL,
) -> int:
    """Activate again what a quarantine has deactivated, and nobody has changed since."""
    from losant_tokens.cli.commands import jobs  # noqa: PLC0415

    return jobs.in_one(
        "restore", jobs.restored(report, guards, how.patience), out, how, guards, connection, report
    )


@app.command(help_epilogue=texts.PRUNE)
def prune(*, older_than: OldEnough = HALF_A_YEAR) -> int:
    """Remove plans and journals of complete jobs from the command's own folder.

    Args:
        older_than: Only of jobs that ended more than AGE ago, for example 90d.
    """
    from losant_tokens.cli._state_files import prune_own_folder  # noqa: PLC0415

    return prune_own_folder(older_than)


@app.command(help_epilogue=texts.COMPLETION)
def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Write a script that lets a shell complete this command.

    Args:
        shell: Which shell.
    """
    from losant_tokens.cli._tables import write  # noqa: PLC0415

    write(app.generate_completion(shell=shell, prog_name="losant-tokens"))
    return 0
