"""`fleet demo`: a fleet of three fake accounts, from the plans to the sweep."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from losant_tokens.cli._errors import EXIT_ERROR
from losant_tokens.cli._options.fleet import StoreOptions
from losant_tokens.cli._terminal.console import print_status, write_output, write_summary
from losant_tokens.cli._terminal.format import format_count, format_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from losant_tokens import fleet
    from losant_tokens.cli._fleet.demo import DemoAccount, Proof, Snapshot

_NAMES = ("acme", "bolt", "corp")
_RESTORED = "corp"
_GRACE = 8.0  # seconds
_TIMEOUT = timedelta(minutes=3)
_KILL_AFTER = 10  # tokens


def run_fleet_demo(
    *,
    tokens: Annotated[
        int,
        Parameter(
            metavar="N",
            # With fewer, the plan of an account may be empty.
            validator=validators.Number(gte=100),
            help="Start with N tokens in each account.",
        ),
    ] = 200,
) -> int:
    """Watch a fleet of three fake accounts on this machine."""
    from losant_tokens.cli._fleet.connection import open_fleet
    from losant_tokens.cli._fleet.demo import demo_accounts, demo_worker

    with TemporaryDirectory() as name:
        folder = Path(name)
        store = StoreOptions(store=str(folder / "fleet.sqlite"))
        open_fleet(store)  # reports a missing extra before anything starts
        print_status(
            f"Starting {format_number(len(_NAMES), 'fake account')} with {format_count(tokens)} "
            f"each, and a worker on SQLite..."
        )
        with demo_accounts(_NAMES, tokens) as accounts:
            before = _read(accounts)
            with demo_worker("worker-1", accounts, folder, _GRACE) as worker:
                runs = _until_killed(store, accounts, before)
                worker.kill()
            print_status("worker-1 was killed (kill -9), in the middle of its work.")
            print_status("Starting worker-2...")
            with demo_worker("worker-2", accounts, folder, _GRACE):
                planned = _until_swept(store, runs)
            return _show_proof(accounts, before, _read(accounts), planned)


# --- The story -------------------------------------------------------------------------------


def _until_killed(
    store: StoreOptions,
    accounts: "tuple[DemoAccount, ...]",
    before: "Mapping[str, Snapshot]",
) -> "dict[str, str]":
    """Plan and approve, and wait until tokens change. Return the runs by their accounts."""
    from losant_tokens.cli._fleet.connection import run_with_fleet
    from losant_tokens.cli._fleet.demo import CLEANUP, wait_for_changes

    async def work(client: "fleet.FleetClient") -> "dict[str, str]":
        print_status(f"$ losant-tokens fleet plan {CLEANUP} --all-accounts --wait")
        runs = [await client.plan(one.name, CLEANUP, by="you") for one in accounts]
        runs = [await client.wait(run.id, state="waiting", timeout=_TIMEOUT) for run in runs]
        _show(runs)
        print_status("Nothing has changed yet. A person reviews the plans, and approves them.")
        print_status(f"$ losant-tokens fleet approve {' '.join(run.id for run in runs)} --yes")
        for run in runs:
            await client.approve(run.id, by="you", digest=run.plan.digest)
        await wait_for_changes(accounts, before, _KILL_AFTER)
        return {run.account: run.id for run in runs}

    return run_with_fleet(work, store)


def _until_swept(store: StoreOptions, runs: "Mapping[str, str]") -> "dict[str, set[str]]":
    """Wait until the runs end, and restore one. Return the planned tokens of each account."""
    from losant_tokens.cli._fleet.connection import run_with_fleet

    async def work(client: "fleet.FleetClient") -> "dict[str, set[str]]":
        wait = partial(client.wait, timeout=_TIMEOUT)
        missed = runs[_RESTORED]
        await wait(missed, state="quarantined")
        print_status(f"The tokens are inactive now. Somebody misses those of {_RESTORED}.")
        print_status(f"$ losant-tokens fleet restore {missed} --yes")
        await client.restore(missed, by="you")
        await wait(missed, state="restored")
        print_status(
            f"Waiting for the end of the grace period: {_GRACE:g} seconds here, and 30 days in the "
            f"policy file."
        )
        for run in runs.values():
            await wait(run, state=("done", "restored"))
        print_status("$ losant-tokens fleet runs")
        _show([await client.run(run) for run in runs.values()])
        return {
            account: {entry.id for entry in (await client.document(run)).entries}
            for account, run in runs.items()
        }

    return run_with_fleet(work, store)


def _show(runs: "Iterable[fleet.Run]") -> None:
    from losant_tokens.cli._fleet.view import runs_table

    write_output(runs_table(list(runs), datetime.now(UTC)))


# --- The proof -------------------------------------------------------------------------------


def _read(accounts: "tuple[DemoAccount, ...]") -> "dict[str, Snapshot]":
    """Read the tokens of all accounts from their servers."""
    from losant_tokens.cli._event_loop import run_until_stopped
    from losant_tokens.cli._fleet.demo import read_snapshot

    return {
        account.name: run_until_stopped(partial(read_snapshot, account)) for account in accounts
    }


def _show_proof(
    accounts: "tuple[DemoAccount, ...]",
    before: "Mapping[str, Snapshot]",
    after: "Mapping[str, Snapshot]",
    planned: "Mapping[str, set[str]]",
) -> int:
    """Compare the servers before and after, and return the exit code."""
    from losant_tokens.cli._fleet.demo import prove

    proofs = {
        name: prove(before[name], after[name], planned[name], is_restored=name == _RESTORED)
        for name in (account.name for account in accounts)
    }
    print_status("The fake accounts count all changes in their audit logs:")
    _write_proofs(proofs)
    if not all(proof.holds for proof in proofs.values()):
        write_summary("The changes differ from the plans. Please report this as a bug.")
        return EXIT_ERROR
    write_summary(
        "Each planned change was made once, although a worker was killed. No other token changed."
    )
    print_status("To set up a fleet for real accounts: docs/how-to/fleet.md")
    return 0


def _write_proofs(proofs: "Mapping[str, Proof]") -> None:
    from losant_tokens.cli._terminal.tables import write_table

    columns = ("TOKENS PLANNED", "CHANGES PLANNED", "CHANGES MADE", "OTHER TOKENS CHANGED")
    write_table(
        ("ACCOUNT", *columns),
        [
            (
                name,
                f"{proof.selected:,}",
                f"{proof.changes_planned:,}",
                f"{proof.changes_made:,}",
                f"{proof.wrong:,}",
            )
            for name, proof in proofs.items()
        ],
        numbers=columns,
    )
