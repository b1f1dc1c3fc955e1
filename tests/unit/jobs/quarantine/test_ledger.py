"""The ledger: what became of the tokens of each quarantine, after any crash."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from losant_tokens import AsyncClient, jobs
from losant_tokens.jobs import JobError, Ledger, Outcome, PlanWarning
from losant_tokens.jobs._quarantine import ledger as ledger_module
from losant_tokens.testing import FakeLosant
from tests.support.quarantines import by_name, quarantined
from tests.support.reports import NOW, report

pytestmark = pytest.mark.filterwarnings("ignore::losant_tokens.jobs.PlanWarning")

DAY = timedelta(days=1)
NO_TIME = timedelta()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "state" / "quarantines")


async def test_quarantine_is_recorded(client: AsyncClient, tmp_path: Path, ledger: Ledger) -> None:
    """A recorded quarantine has its id, time, rule, grace period and tokens, in a private file."""
    made = await quarantined(client, tmp_path, grace=DAY)

    path = ledger.record(made)
    (found,) = ledger.quarantines()

    assert path is not None
    assert 0o600 == path.stat().st_mode & 0o777
    assert 0o700 == path.parent.stat().st_mode & 0o777
    assert (made.plan.id, made.plan.header.created_at) == (found.id, found.created_at)
    assert ("named 'ci-*'", DAY, path) == (found.rule, found.grace, found.path)
    assert (10, 10, 0, 0) == (found.total, found.waiting, found.failed, found.unfinished)
    assert (made.plan.path, made.journal) == (found.plan, found.journal)


async def test_sweeps_and_restores_are_recorded(
    client: AsyncClient, fake: FakeLosant, tmp_path: Path, ledger: Ledger
) -> None:
    """Tokens that were swept or restored no longer wait, and are not missed by the next sweep."""
    ledger.record(await quarantined(client, tmp_path))
    (quarantine,) = ledger.quarantines()
    restore = await jobs.restore(client, quarantine, named="ci-[01]", path=tmp_path / "r")
    ledger.record(await jobs.apply(client, restore))
    fake.fail(status=400, path=f"*/{by_name(fake, 'ci-2').id}", method="DELETE", times=None)
    (quarantine,) = ledger.quarantines()
    sweep = await jobs.sweep(client, quarantine, after=NO_TIME, path=tmp_path / "s")
    ledger.record(await jobs.apply(client, sweep))

    (found,) = ledger.quarantines()
    (review,) = await jobs.review_quarantines(client, [found])

    assert (10, 7, 2, 1, 1) == (
        found.total, found.swept, found.restored, found.failed_later, found.waiting
    )  # fmt: skip
    assert (1, 7, 2, 0, 0) == (
        review.waiting, review.swept, review.restored, review.reactivated, review.gone
    )  # fmt: skip
    assert not found.is_settled


async def test_killed_quarantine(client: AsyncClient, tmp_path: Path, ledger: Ledger) -> None:
    """If a job is killed after it was recorded, its journal shows which tokens it deactivated."""
    made = await quarantined(client, tmp_path)
    made.journal.rename(tmp_path / "away")
    ledger.record(jobs.job_report(made.plan))
    assert () == ledger.quarantines()  # nothing was changed

    lines = (tmp_path / "away").read_bytes().splitlines(keepends=True)
    made.journal.write_bytes(b"".join(lines[:-4]))  # a kill loses at least the end of the journal
    (found,) = ledger.quarantines()

    assert 0 < found.total < 10
    assert 10 == found.total + found.unfinished
    made.journal.write_bytes(b"".join(lines))
    assert (10, 0) == (ledger.quarantines()[0].total, ledger.quarantines()[0].unfinished)


async def test_killed_sweep(client: AsyncClient, tmp_path: Path, ledger: Ledger) -> None:
    """If a sweep is killed after it was recorded, its journal shows which tokens it deleted."""
    ledger.record(await quarantined(client, tmp_path))
    sweep = await jobs.sweep(client, ledger.quarantines()[0], after=NO_TIME, path=tmp_path / "s")
    ledger.record(jobs.job_report(sweep))
    assert 0 == ledger.quarantines()[0].swept

    await jobs.apply(client, sweep)

    assert 10 == ledger.quarantines()[0].swept


@pytest.mark.parametrize("lost", ["plan", "journal"])
async def test_killed_job_without_its_files(
    client: AsyncClient, tmp_path: Path, ledger: Ledger, lost: str
) -> None:
    """If the plan or the journal of a killed job is lost, its report counts as it was recorded."""
    made = await quarantined(client, tmp_path)
    states = jobs.job_report(made.plan, tmp_path / "none")
    ledger.record(states)
    if lost == "plan":
        made.plan.path.unlink()
    else:
        (tmp_path / "none").write_text("no journal")

    assert (0, 10) == (ledger.quarantines()[0].total, ledger.quarantines()[0].unfinished)


async def test_replaced_plan_of_a_killed_job(
    client: AsyncClient, tmp_path: Path, ledger: Ledger
) -> None:
    """A plan that replaced that of a killed job says nothing about the job."""
    made = await quarantined(client, tmp_path)
    ledger.record(jobs.job_report(made.plan, tmp_path / "none"))
    other = report(tmp_path, [Outcome.DONE], action="deactivate")
    made.plan.path.write_bytes(other.plan.path.read_bytes())

    assert 10 == ledger.quarantines()[0].unfinished


def test_other_jobs_are_not_recorded(tmp_path: Path, ledger: Ledger) -> None:
    """Jobs without a token, and jobs about no quarantine, are not recorded."""
    assert ledger.record(report(tmp_path, [Outcome.DONE], action="delete")) is None
    assert ledger.record(report(tmp_path, [], action="deactivate")) is None
    assert () == ledger.quarantines()
    assert not ledger.folder.exists()


def test_quarantine_without_deactivated_tokens(tmp_path: Path, ledger: Ledger) -> None:
    """A quarantine that deactivated nothing is not listed."""
    ledger.record(report(tmp_path, [Outcome.GONE, Outcome.FAILED], action="deactivate"))

    assert () == ledger.quarantines()


def test_newest_first(tmp_path: Path, ledger: Ledger) -> None:
    """The newest quarantine comes first."""
    for day in (1, 3, 2):
        made = report(
            tmp_path,
            [Outcome.DONE],
            action="deactivate",
            header={"created_at": NOW + day * DAY},
        )
        ledger.record(made)

    times = [one.created_at for one in ledger.quarantines()]
    assert [NOW + day * DAY for day in (3, 2, 1)] == times


def test_unreadable_files(tmp_path: Path, ledger: Ledger) -> None:
    """A file that cannot be read is a warning, and the others are listed."""
    ledger.record(report(tmp_path, [Outcome.DONE], action="deactivate"))
    (ledger.folder / "quarantine-x.json").write_text("{")
    (ledger.folder / "sweep-x.json").write_text("[]")

    with pytest.warns(PlanWarning) as caught:
        found = ledger.quarantines()

    assert 1 == len(found)
    assert {"quarantine-x.json", "sweep-x.json"} == {
        Path(str(one.message).split(" is not")[0]).name for one in caught
    }


async def test_files_of_other_users(
    client: AsyncClient, tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of another user is named in a warning, and its content is not used."""
    ledger.record(await quarantined(client, tmp_path))
    (mine,) = ledger.quarantines()
    sweep = await jobs.sweep(client, mine, after=NO_TIME, path=tmp_path / "s")
    recorded = ledger.record(await jobs.apply(client, sweep))
    assert recorded is not None
    foreign = recorded.stat().st_ino
    monkeypatch.setattr(ledger_module, "is_own", lambda found: found.st_ino != foreign)

    with pytest.warns(PlanWarning, match="is not used, because it belongs to another user") as seen:
        (found,) = ledger.quarantines()
    monkeypatch.setattr(ledger_module, "is_own", lambda _: False)

    assert 1 == len(seen)
    assert 10 == found.waiting
    assert () == ledger.quarantines()


def test_folder_cannot_be_created(tmp_path: Path) -> None:
    """A ledger that cannot be written is an error."""
    (tmp_path / "file").write_text("")

    with pytest.raises(JobError, match=r"file/ledger cannot be created: Not a directory"):
        Ledger(tmp_path / "file" / "ledger").record(
            report(tmp_path, [Outcome.DONE], action="deactivate")
        )


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    """A ledger without a folder has no quarantines."""
    (tmp_path / "file").write_text("")

    assert () == Ledger(tmp_path / "file").quarantines()
    assert () == Ledger(tmp_path / "none").quarantines()


def test_end_of_time(tmp_path: Path) -> None:
    """A grace period that ends after the year 9999 ends with it."""
    made = report(
        tmp_path,
        [Outcome.DONE],
        action="deactivate",
        changed={0: NOW},
        header={"grace": timedelta.max},
    )

    assert datetime.max.replace(tzinfo=UTC) == jobs.Quarantine.of(made).due_at


# --- Pruning ---------------------------------------------------------------------------------


async def swept(client: AsyncClient, folder: Path, ledger: Ledger, *, number: int) -> None:
    """Record a quarantine of ten tokens, and a sweep that deletes a number of them."""
    ledger.record(await quarantined(client, folder))
    sweep = await jobs.sweep(
        client,
        ledger.quarantines()[0],
        after=NO_TIME,
        path=folder / "sweep",
        protect=[f"ci-{one}" for one in range(number, 10)],
    )
    ledger.record(await jobs.apply(client, sweep))


def age(folder: Path) -> None:
    """Make files 200 days old."""
    for path in folder.iterdir():
        os.utime(path, times=(time.time() - 200 * 86_400,) * 2)


def long_ago() -> datetime:
    return datetime.now(UTC) - 180 * DAY


async def test_settled_quarantines_are_pruned(
    client: AsyncClient, tmp_path: Path, ledger: Ledger
) -> None:
    """The reports of a settled quarantine are removed when they are old, and not before."""
    await swept(client, tmp_path, ledger, number=10)
    assert [] == ledger.prune(long_ago())
    age(ledger.folder)

    removed = ledger.prune(long_ago())

    assert 2 == len(removed)
    assert [] == list(ledger.folder.iterdir())


async def test_waiting_quarantines_are_kept(
    client: AsyncClient, tmp_path: Path, ledger: Ledger
) -> None:
    """A quarantine with a waiting token is kept with the reports of its sweeps, forever."""
    await swept(client, tmp_path, ledger, number=9)
    age(ledger.folder)

    assert [] == ledger.prune(long_ago())


async def test_quarantine_that_changed_nothing_is_pruned(
    client: AsyncClient, tmp_path: Path, ledger: Ledger
) -> None:
    """A record of a job that did not start is removed when it is old."""
    made = await quarantined(client, tmp_path)
    made.journal.unlink()
    ledger.record(jobs.job_report(made.plan))
    age(ledger.folder)

    assert 1 == len(ledger.prune(long_ago()))


async def test_file_that_cannot_be_removed(
    client: AsyncClient, tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that cannot be removed is not listed as removed."""
    await swept(client, tmp_path, ledger, number=10)
    age(ledger.folder)

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)

    assert [] == ledger.prune(long_ago())


def test_broken_link_is_kept(ledger: Ledger) -> None:
    """A file without a date is kept."""
    ledger.folder.mkdir(parents=True)
    (ledger.folder / "sweep-x.json").symlink_to("none")
    (ledger.folder / "sweep-y.json").write_text("{}")
    os.utime(ledger.folder / "sweep-y.json", times=(0, 0))

    assert [] == ledger.prune(long_ago())


# --- Reports from journals -------------------------------------------------------------------


async def test_job_report(client: AsyncClient, tmp_path: Path) -> None:
    """The report from a plan and a journal has the outcomes and times of the job's own report."""
    made = await quarantined(client, tmp_path)

    read = jobs.job_report(made.plan)

    assert (made.counts, made.changed_at) == (read.counts, read.changed_at)
    assert (10, read.journal) == (read.finished_before, made.journal)
    saved = json.loads(read.save(tmp_path / "r.json").read_text())
    assert made.started_at == datetime.fromisoformat(saved["run"]["begun"])


async def test_job_report_of_another_file(client: AsyncClient, tmp_path: Path) -> None:
    """A journal that cannot be read is an error."""
    made = await quarantined(client, tmp_path)
    (tmp_path / "file").write_text("")

    with pytest.raises(jobs.JournalError, match="cannot be read: Not a directory"):
        await anyio.to_thread.run_sync(jobs.job_report, made.plan, tmp_path / "file" / "journal")
