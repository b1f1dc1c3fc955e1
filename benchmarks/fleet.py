"""The cost of a fleet, beside `jobs.apply`: CPU per token, many accounts, and an idle worker.

    python benchmarks/fleet.py --store postgresql://fleet@db.example.com/fleet

The server is the compiled one of the other benchmarks, so the client is the slower side. Without a
store, the fleet uses an SQLite file, and one worker.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from attrs import frozen
from measuring import served

from losant_tokens import AsyncClient, Owner, jobs
from losant_tokens.fleet import Fleet, FleetClient, Run

_TICK = os.sysconf("SC_CLK_TCK")
_TIMEOUT = timedelta(hours=1)
_POLICY = """
[[cleanups]]
name = "expired"
select = { expired = true }
protect = []
action = "delete"
max_changes = 1000000
"""
_BASELINE = "--baseline"


@frozen
class Usage:
    """What a process has used so far.

    Attributes:
        cpu: Seconds of CPU time.
        mib: The peak of its memory, in MiB.
    """

    cpu: float
    mib: float

    @classmethod
    def of(cls, pid: int) -> "Usage":
        """Read the usage of a process."""
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return cls((int(fields[11]) + int(fields[12])) / _TICK, int(peak.split()[1]) / 1024)


async def apply_baseline(url: str, tokens: int) -> None:
    """Apply a plan with `jobs.apply`, and print the CPU time per token in microseconds."""
    async with AsyncClient("token", base_url=f"{url}/{2 * tokens}") as client:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "plan.jsonl")
            plan = await jobs.plan(client, Owner.user(), select=jobs.expired(), path=path)
            cpu = time.process_time()
            report = await jobs.apply(client, plan, account_check="off")
        assert report.counts[jobs.Outcome.DONE] == tokens, report.counts
        print((time.process_time() - cpu) / tokens * 1e6)


@contextmanager
def workers(
    count: int, store: str, url: str, accounts: int, tokens: int
) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Run workers during the block.

    Args:
        count: The number of workers.
        store: The store.
        url: The server.
        accounts: The number of accounts.
        tokens: The number of tokens that the policy selects in each.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "policy.toml").write_text(_POLICY)
        config = folder / "config.toml"
        config.write_text(
            "".join(
                f'[accounts.a{number}]\nurl = "{url}/{2 * tokens}"\ntoken = {{ env = "TOKEN" }}\n'
                for number in range(accounts)
            )
        )
        started = [
            subprocess.Popen(
                [
                    *(sys.executable, "-W", "ignore", "-m", "losant_tokens", "fleet", "work"),
                    *(f"--policy={folder / 'policy.toml'}", f"--config={config}", "--quiet"),
                    f"--name=worker-{number}",
                ],
                env={
                    **os.environ,
                    "TOKEN": "token",
                    "LOSANT_TOKENS_FLEET": store,
                    "XDG_STATE_HOME": str(folder / str(number)),
                },
            )
            for number in range(count)
        ]
        try:
            yield started
        finally:
            for worker in started:
                worker.terminate()
            for worker in started:
                worker.wait()


async def planned(client: FleetClient, accounts: int) -> list[Run]:
    """Start a run for each account, and wait for the plans."""
    runs = [await client.plan(f"a{number}", "expired", by="bench") for number in range(accounts)]
    return [await client.wait(run.id, state="waiting", timeout=_TIMEOUT) for run in runs]


async def measure(store: str, url: str, count: int, accounts: int, tokens: int) -> None:
    """Apply a plan for each account, and print what the workers used."""
    with workers(count, store, url, accounts, tokens) as started:
        async with Fleet(store).client() as client:
            planning = time.perf_counter()
            runs = await planned(client, accounts)
            applying = time.perf_counter()
            before = [Usage.of(worker.pid) for worker in started]
            for run in runs:
                await client.approve(run.id, by="bench")
            for run in runs:
                done = await client.wait(run.id, state="done", timeout=_TIMEOUT)
                assert done.outcomes("apply") == {"done": tokens}, done
            seconds = time.perf_counter() - applying
            after = [Usage.of(worker.pid) for worker in started]
    cpu = sum(one.cpu for one in after) - sum(one.cpu for one in before)
    total = accounts * tokens
    print(f"  {accounts:,} x {tokens:,} tokens, {count} worker(s), {store.partition('://')[0]}")
    print(f"  planning {applying - planning:.1f} s, applying {seconds:.1f} s")
    print(f"  {total / seconds:,.0f} tokens per second, {cpu / total * 1e6:,.0f} us CPU per token")
    print(f"  peak memory of a worker {max(one.mib for one in after):.0f} MiB")


def measure_idle(store: str, url: str, seconds: float) -> None:
    """Print what one worker uses while it has nothing to do."""
    with workers(1, store, url, 1, 1) as (worker,):
        time.sleep(5)
        before, transactions = Usage.of(worker.pid), _transactions(store)
        time.sleep(seconds)
        after, later = Usage.of(worker.pid), _transactions(store)
    print(f"  CPU {(after.cpu - before.cpu) / seconds * 100:.1f}%, memory {after.mib:.0f} MiB")
    if transactions is not None and later is not None:
        print(f"  {(later - transactions) / seconds:.1f} transactions per second")


def _transactions(store: str) -> int | None:
    """Return the number of transactions of a PostgreSQL database so far."""
    if not store.startswith("postgresql"):
        return None
    import psycopg  # noqa: PLC0415 -- only for PostgreSQL

    with psycopg.connect(store) as connection:
        connection.execute("SELECT pg_stat_clear_snapshot()")
        row = connection.execute(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database "
            "WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])


def main() -> None:
    """Measure a fleet."""
    parser = argparse.ArgumentParser(description="Measure the cost of a fleet.")
    parser.add_argument("--store", help="a PostgreSQL URL; default: an SQLite file")
    parser.add_argument("--tokens", type=int, default=1000, help="per account; default: 1000")
    parser.add_argument("--accounts", type=int, default=100, help="default: 100")
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison; default: 3")
    parser.add_argument("--idle", type=float, default=30, help="seconds; default: 30")
    parser.add_argument(_BASELINE, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.baseline:
        url, tokens = options.baseline
        asyncio.run(apply_baseline(url, int(tokens)))
        return
    with tempfile.TemporaryDirectory() as folder, served() as url:
        store = options.store or str(Path(folder, "fleet.sqlite"))
        count = 2 if options.store else 1
        print("one account, one worker:")
        for _ in range(options.rounds):
            arguments = [sys.executable, "-W", "ignore", __file__, _BASELINE, url]
            found = subprocess.run(
                [*arguments, str(5 * options.tokens)], check=True, capture_output=True, text=True
            )
            print(f"  jobs.apply: {float(found.stdout):,.0f} us CPU per token")
            asyncio.run(measure(store, url, 1, 1, 5 * options.tokens))
        print("many accounts:")
        asyncio.run(measure(store, url, count, options.accounts, options.tokens))
        print("an idle worker:")
        measure_idle(store, url, options.idle)


main()
