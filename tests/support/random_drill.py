"""A random drill: workers of a fleet are killed, stopped and upgraded while they work.

    python -m tests.support.random_drill --minutes 10 --seed 7

It needs PostgreSQL. Three accounts get new stale tokens again and again. Runs are approved, then
swept or restored. Meanwhile, at random, workers are killed, stopped and continued, and
started with another version, and the store is down for some seconds. At the end, the requests that
arrived must equal the plans: nothing twice, nothing foreign, nothing forgotten.
"""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from attrs import define, field

from losant_tokens.fleet import DecisionRefused, FleetClient, Run, StoreError
from tests.support.fleet_accounts import KEPT, STALE, FleetAccount, fleet_accounts, problems
from tests.support.fleet_drill import STALE_CLEANUP, Drill, WorkerProcess, drill, environment_of
from tests.support.postgres import PostgresServer, running_postgres

T = TypeVar("T")
VERSIONS = ("1.0.0", "1.1.0", "2.0.0")
WORKERS = ("worker-1", "worker-2")
RESTORED = 0.3  # the share of runs that are restored
SETTLE = 300.0  # seconds in which all runs must end after the last disturbance
PAUSES = (0.5, 3.0, 6.0, 11.0, 16.0)  # seconds that a worker is stopped
OUTAGES = (1.0, 4.0, 15.0)  # seconds that the store is down


@define
class RandomDrill:
    """The state of a random drill."""

    fleet: Drill
    server: PostgresServer
    environments: dict[str, Path]
    """The Python of each version, by the version."""
    chance: random.Random
    tokens: int
    started: float = field(factory=time.monotonic)
    workers: dict[str, WorkerProcess] = field(factory=dict)
    planned: dict[str, tuple[FleetAccount, list[str]]] = field(factory=dict)
    """The account and the tokens of each run, by its id."""
    events: Counter[str] = field(factory=Counter)
    is_over: bool = False

    def say(self, text: str) -> None:
        """Print an event with its time."""
        print(f"{time.monotonic() - self.started:6.1f} s  {text}", flush=True)  # noqa: T201

    # --- The disturbances --------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start a worker with a random version."""
        version = self.chance.choice(list(self.environments))
        worker = self.fleet.worker(name, python=self.environments[version])
        self.workers[name] = worker.start(is_ready=False)
        self.say(f"{name} starts with version {version}")

    async def disturb(self, seconds: float) -> None:
        """Disturb the workers and the store for some time."""
        actions = (self.kill, self.kill, self.pause, self.pause, self.upgrade, self.store_down)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(self.chance.uniform(0.2, 3.0))
            await self.chance.choice(actions)(self.chance.choice(WORKERS))
            self.restart_ended()

    def restart_ended(self) -> None:
        """Start workers that ended, as a service manager does."""
        for name, worker in list(self.workers.items()):
            if worker.has_ended:
                self.events["ended by itself"] += 1
                self.start(name)

    async def kill(self, name: str) -> None:
        """Kill a worker, and start it again soon."""
        self.say(f"{name} is killed")
        self.events["killed"] += 1
        self.workers[name].kill()
        await asyncio.sleep(self.chance.choice((0, 0, 2, 13)))
        self.start(name)

    async def pause(self, name: str) -> None:
        """Stop a worker, and let it continue later, perhaps after its work was taken over."""
        seconds = self.chance.choice(PAUSES)
        self.say(f"{name} is stopped for {seconds} s")
        self.events["stopped"] += 1
        self.workers[name].send(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.workers[name].send(signal.SIGCONT)

    async def upgrade(self, name: str) -> None:
        """Stop a worker gracefully, and start it with another version."""
        self.say(f"{name} is replaced")
        self.events["replaced"] += 1
        await asyncio.to_thread(self.workers[name].stop)
        self.start(name)

    async def store_down(self, _: str) -> None:
        """Stop the store for some seconds."""
        seconds = self.chance.choice(OUTAGES)
        self.say(f"the store is down for {seconds} s")
        self.events["store down"] += 1
        await asyncio.to_thread(self.server.stop)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self.server.start)

    # --- The work ----------------------------------------------------------------------------

    async def work(self, client: FleetClient, account: FleetAccount) -> None:
        """Plan, approve and sweep or restore one run after the other."""
        wave = 0
        while not self.is_over:
            wave += 1
            ids = account.add_tokens(self.tokens, STALE, wave)
            account.add_tokens(self.tokens, KEPT, wave)
            plan = partial(client.plan, account.name, STALE_CLEANUP, by="drill", key=f"wave {wave}")
            run = await self.stubborn(plan)
            self.planned[run.id] = (account, ids)
            run = await self.reach(client, run, "waiting")
            assert run.plan.selected == len(ids), (run, len(ids))
            await self.stubborn(partial(client.approve, run.id, by="drill"))
            run = await self.reach(client, run, "quarantined", "sweeping", "done")
            if self.chance.random() < RESTORED:
                # At about the time of the sweep, so that they race.
                await asyncio.sleep(self.chance.uniform(0, 1.5 * self.fleet.grace))
                await self.restore(client, run)

    async def restore(self, client: FleetClient, run: Run) -> None:
        """Restore a run, unless its sweep was faster."""
        try:
            await self.stubborn(partial(client.restore, run.id, by="drill"))
        except DecisionRefused as error:
            self.events["restore refused"] += 1
            self.say(f"{run.account}: {error}")
        else:
            self.events["restored"] += 1

    async def reach(self, client: FleetClient, run: Run, *states: str) -> Run:
        """Wait until a run has one of some states.

        Raises:
            AssertionError: It ended in another state.
        """
        while run.state not in states:
            assert not run.is_final, f"{run.state}: {run.reason}"
            await asyncio.sleep(0.2)
            run = await self.stubborn(partial(client.run, run.id))
        return run

    async def stubborn(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call while the store is down."""
        while True:
            try:
                return await call()
            except StoreError:
                self.events["client saw the store down"] += 1
                await asyncio.sleep(0.2)

    # --- The end -----------------------------------------------------------------------------

    async def settle(self, client: FleetClient) -> dict[str, Run]:
        """Wait until all runs have ended, and return them.

        Raises:
            AssertionError: A run does not end.
        """
        end = time.monotonic() + SETTLE
        while True:
            self.restart_ended()
            runs = {}
            for id_ in self.planned:
                runs[id_] = await self.stubborn(partial(client.run, id_))
            left = [run for run in runs.values() if not run.is_final]
            if not left:
                return runs
            assert time.monotonic() < end, "\n".join(map(str, left))
            await asyncio.sleep(0.5)

    def compare(self, runs: dict[str, Run]) -> list[str]:
        """Return the differences between the requests and the plans."""
        found = []
        expected: dict[str, dict[str, list[str]]] = {one.name: {} for one in self.fleet.accounts}
        last = {"done": "delete", "restored": "activate"}
        for id_, (account, ids) in self.planned.items():
            if runs[id_].state not in last:
                found.append(f"{account.name}: {runs[id_].state}: {runs[id_].reason}")
                continue
            planned = ["deactivate", last[runs[id_].state]]
            changes = account.changes
            if any(changes.get(token) != planned for token in ids):
                found.append(f"{account.name}: differs from its plan: {runs[id_]}")
            expected[account.name].update(dict.fromkeys(ids, planned))
        for account in self.fleet.accounts:
            found += problems(account, expected[account.name])
        return found

    async def run(self, seconds: float) -> list[str]:
        """Run the drill, and return the differences between the requests and the plans."""
        for name in WORKERS:
            self.start(name)
        async with self.fleet.client() as client:
            async with asyncio.TaskGroup() as tasks:
                works = [
                    tasks.create_task(self.work(client, account)) for account in self.fleet.accounts
                ]
                await self.disturb(seconds)
                self.is_over = True
                self.say("no more disturbances")
                # The last waves still need live workers.
                while not all(work.done() for work in works):
                    self.restart_ended()
                    await asyncio.sleep(0.5)
            runs = await self.settle(client)
        states = Counter(run.state for run in runs.values())
        requests = sum(len(one.app.requests) for one in self.fleet.accounts)
        self.say(f"{len(runs)} runs: {dict(states)}; {requests:,} requests; {dict(self.events)}")
        return self.compare(runs)


def run_random_drill(*, seconds: float, seed: int, tokens: int, folder: Path) -> list[str]:
    """Run a random drill, and return what differs from the plans.

    Args:
        seconds: How long to disturb the workers and the store.
        seed: The seed of the random numbers. The times of the machine differ each time, though.
        tokens: The number of stale tokens of each run.
        folder: An empty folder.
    """
    environments = {version: environment_of(folder, version) for version in VERSIONS}
    names = ("acme", "bolt", "corp")
    with (
        running_postgres() as server,
        server.database() as url,
        fleet_accounts(*names, stale=0, latency=0.02) as accounts,
        drill(accounts, url, folder, grace=4.0) as fleet,
    ):
        chance = random.Random(seed)
        running = RandomDrill(fleet, server, environments, chance, tokens)
        found = asyncio.run(running.run(seconds))
        if found:
            running.say("\n".join(fleet.logs()))
        return found


def main() -> int:
    """Run a random drill from the command line."""
    parser = argparse.ArgumentParser(description="Disturb a fleet at random.")
    parser.add_argument("--minutes", type=float, default=10, help="how long; default: 10")
    parser.add_argument("--seed", type=int, default=0, help="the seed; default: 0")
    parser.add_argument("--tokens", type=int, default=150, help="tokens of a run; default: 150")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = run_random_drill(
            seconds=60 * options.minutes,
            seed=options.seed,
            tokens=options.tokens,
            folder=Path(folder),
        )
    print("\n".join(found[:50]) or "All requests equal the plans.")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
