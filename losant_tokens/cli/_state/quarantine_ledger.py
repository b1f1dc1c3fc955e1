"""The quarantines that this machine knows: recorded in the state folder, or as report files."""

import warnings
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

from losant_tokens import AsyncClient, Owner, errors, jobs
from losant_tokens.cli._connections.clients import credentials, new_client
from losant_tokens.cli._errors import CommandError, UsageError
from losant_tokens.cli._event_loop import run_until_stopped
from losant_tokens.cli._id_prefixes import item_with_id
from losant_tokens.cli._library_messages import with_options
from losant_tokens.cli._options.common import ConnectionOptions
from losant_tokens.cli._state.files import (
    LEDGER,
    existing_journal,
    existing_state_folder,
    is_temporary,
    plan_files,
    state_folder,
)
from losant_tokens.cli._terminal.console import print_warning, transient_status

Choice = Callable[[AsyncClient], Awaitable[Sequence[jobs.Quarantine]]]
"""Chooses quarantines of the client's account."""

_LAST = "last"
_HEAD = 4096  # bytes of a plan, which have its action
_DEACTIVATES = b'"action":"deactivate"'
_HINT = "set XDG_STATE_HOME to a folder that you can write to"


# --- Recording -------------------------------------------------------------------------------


def record(report: jobs.Report) -> Path | None:
    """Record the report of a job that concerns a quarantine; return its file, if it does.

    Raises:
        CommandError: The state folder cannot be used.
        JobError: The report cannot be written.
    """
    header = report.plan.header
    if header.action != "deactivate" and not header.quarantines:
        return None
    return jobs.Ledger(state_folder(_HINT) / LEDGER).record(report)


def record_start(plan: jobs.Plan, journal: Path) -> None:
    """Record a job that concerns a quarantine before it changes anything.

    If this process is killed, its journal is found by that record.

    Raises:
        CommandError: The job cannot be recorded, so it must not start.
    """
    with suppress(jobs.JournalError):  # The job itself reports it, and changes nothing.
        try:
            record(jobs.job_report(plan, journal))
        except jobs.JournalError:
            raise
        except jobs.JobError as error:
            problem = str(error).rstrip(".")
            raise CommandError(f"{problem}. No token was changed", _HINT) from None
    if plan.header.action == "deactivate" and plan.header.total.selected:
        _warn_of_temporary_folder()


def _warn_of_temporary_folder() -> None:
    """Warn if a restart of the machine may remove the record of a quarantine."""
    folder = existing_state_folder()
    if folder is not None and is_temporary(folder):
        print_warning(
            f"The quarantine is recorded in {folder}, which a restart of this machine may remove. "
            "Set XDG_STATE_HOME to a folder that is kept."
        )


def ledger_folder() -> Path | None:
    """Return the folder of the ledger, or None without a state folder."""
    folder = existing_state_folder()
    return None if folder is None else folder / LEDGER


# --- Finding ---------------------------------------------------------------------------------


def recorded_quarantines() -> tuple[jobs.Quarantine, ...]:
    """Return all recorded quarantines, the newest first, and warn of unreadable files.

    Quarantines whose plan is in the state folder, and that an earlier release has applied, are
    recorded first.
    """
    folder = ledger_folder()
    if folder is None:
        return ()
    ledger = jobs.Ledger(folder)
    with printed_warnings():
        known = ledger.quarantines()
        missing = _missing(folder.parent, {one.id for one in known})
        for report in missing:
            ledger.record(report)
        return ledger.quarantines() if missing else known


def _missing(folder: Path, known: Collection[str]) -> list[jobs.Report]:
    """Return the reports of quarantines whose plan is in a folder, and whose id is not known."""
    found = []
    for path in plan_files(folder):
        with suppress(jobs.JobError, OSError):
            report = _unrecorded_report(path, known)
            if report is not None:
                found.append(report)
    return found


def _unrecorded_report(path: Path, known: Collection[str]) -> jobs.Report | None:
    """Return the report of a plan that has deactivated tokens, if its id is not known.

    Raises:
        JobError: The plan or its journal cannot be read.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    # Reading a plan takes long, and most plans delete tokens.
    if _DEACTIVATES not in head:
        return None
    plan = jobs.Plan.read(path)
    if plan.id in known:
        return None
    report = jobs.job_report(plan, existing_journal(plan))
    has_changed = report.counts[jobs.Outcome.DONE] or report.counts[jobs.Outcome.UNKNOWN]
    return report if has_changed else None


@contextmanager
def printed_warnings() -> Iterator[None]:
    """Print the warnings of the library during the block."""
    with warnings.catch_warnings():
        warnings.showwarning = _print_warning  # type: ignore[assignment]  # accepts fewer names
        warnings.simplefilter("always", jobs.PlanWarning)
        yield


def _print_warning(message: Warning | str, *_: object) -> None:
    print_warning(with_options(str(message)))


def find_quarantine(name: str) -> jobs.Quarantine:
    """Return a quarantine by its id, the beginning of its id, or its report file.

    Raises:
        UsageError: There is no such quarantine, or several ids begin like this.
        PlanRefused: The file is not the report of a quarantine.
    """
    if Path(name).exists():
        path = Path(name)
        read = jobs.Quarantine.read(path)
        # The ledger knows more: what later jobs did with its tokens.
        known = {one.id: one for one in recorded_quarantines() if one.total == read.total}
        return attrs.evolve(known.get(read.id, read), source=str(path))
    found = item_with_id(name, ((one, one.id, one.created_at) for one in recorded_quarantines()))
    if found is not None:
        return found
    raise UsageError(
        f"there is no quarantine and no file {name!r}",
        "to see the quarantines: losant-tokens quarantine list",
    )


# --- Choosing --------------------------------------------------------------------------------


def chosen_quarantine(name: str) -> tuple[Choice, Path | None]:
    """Return a function that returns a quarantine, and the file of its report if it is known.

    Args:
        name: An id, a file, or `last` for the newest quarantine of the client's account.

    Raises:
        UsageError: There is no such quarantine.
        PlanRefused: The file is not the report of a quarantine.
    """
    if name.lower() == _LAST:
        return _last, None
    quarantine = find_quarantine(name)

    async def choose(_: AsyncClient) -> Sequence[jobs.Quarantine]:
        return (quarantine,)

    return choose, Path(name) if Path(name).exists() else quarantine.path


async def _last(client: AsyncClient) -> Sequence[jobs.Quarantine]:
    found = await jobs.quarantines_of(client, recorded_quarantines())
    if not found:
        raise CommandError(
            f"no quarantine of this account at {client.base_url} is recorded",
            "name the JSON report of the quarantine",
        )
    return found[:1]


async def due_quarantines(client: AsyncClient) -> Sequence[jobs.Quarantine]:
    """Return the quarantines of the client's account that have a grace period and tokens left."""
    found = await jobs.quarantines_of(client, recorded_quarantines())
    waiting = [one for one in found if one.grace is not None and not one.is_settled]
    problems: dict[Owner, errors.LosantError] = {}
    for owner in dict.fromkeys(owner for one in waiting for owner in one.owners):
        try:
            await client.tokens(owner).page(page=0, per_page=1)
        except (errors.Forbidden, errors.NotFound, errors.ScopeError) as error:
            problems[owner] = error
    # One application that was deleted must not keep all others from being swept.
    for one in waiting:
        for owner in set(one.owners) & problems.keys():
            print_warning(
                f"quarantine {one.id} is not swept, because the tokens of {owner} cannot be "
                f"listed: {problems[owner]}"
            )
    return [one for one in waiting if not set(one.owners) & problems.keys()]


# --- Their states ----------------------------------------------------------------------------


def online_states(
    names: Sequence[str], connection: ConnectionOptions
) -> Sequence[jobs.QuarantineReview]:
    """Return the state of quarantines, compared with the API.

    Args:
        names: The names of the quarantines. Default: all of the client's account.
        connection: How to connect.

    Raises:
        UsageError: A name is unknown.
        CommandError: The environment has no token.
        PlanRefused: A named quarantine is for another base URL or account.
    """
    choices = [chosen_quarantine(name)[0] for name in names]

    async def run() -> Sequence[jobs.QuarantineReview]:
        async with unopened as client:
            found = [one for choose in choices for one in await choose(client)]
            for one in found:
                one.check(client)
            return await jobs.review_quarantines(client, found if names else recorded)

    recorded = () if names else recorded_quarantines()
    unopened = new_client(connection)  # Reading its token needs an event loop of its own.
    with transient_status("Listing the tokens..."):
        return run_until_stopped(run)


def offline_states(
    names: Sequence[str], connection: ConnectionOptions
) -> Sequence[jobs.Quarantine]:
    """Return quarantines as the files of this machine describe them.

    Without names, they are those for the same base URL, and of the same account if the token in the
    environment names it.

    Args:
        names: The names of the quarantines.
        connection: The connection options.

    Raises:
        UsageError: A name is unknown.
        CommandError: There is no `last` quarantine.
    """
    recorded = recorded_quarantines()
    mine = [one for one in recorded if _is_of(one, connection)]
    if not names:
        return mine
    found = []
    for name in names:
        if name.lower() == _LAST and not mine:
            raise CommandError("no quarantine of this account is recorded")
        found.append(mine[0] if name.lower() == _LAST else find_quarantine(name))
    return found


def _is_of(quarantine: jobs.Quarantine, connection: ConnectionOptions) -> bool:
    """Return whether nothing shows that a quarantine is for another base URL or account."""
    client = AsyncClient(**credentials(connection, required=False), **connection.settings())
    try:
        quarantine.check(client)
    except jobs.PlanRefused:
        return False
    return True
