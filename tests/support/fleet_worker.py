"""A worker of a drill, as a program: `python -P fleet_worker.py SETTINGS`, which is JSON.

It differs from `losant-tokens fleet work`: grace periods and leases can have seconds, and it can
kill or stop itself at points in the code. With points to kill at, the work is done in a child
process. If that is killed, the next one starts without importing everything again, which saves a
second.
"""

import functools
import importlib
import inspect
import json
import logging
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import attrs

from losant_tokens import accounts, fleet, policy
from losant_tokens.fleet._workers import lease, membership

if TYPE_CHECKING:
    from collections.abc import Callable


_UNTIL_STOPPED = 0.2  # seconds


def main() -> None:
    """Work until SIGTERM."""
    settings = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if settings["timing"]:
        timing = lease.Timing(**settings["timing"])
        vars(membership)["Timing"] = lambda: timing
    if settings["stop_at"]:
        disturb_at(settings["stop_at"], Path(settings["folder"]), signal.SIGSTOP)
    if settings["kill_at"]:
        sys.exit(supervise(settings))
    anyio.run(work, settings)


def supervise(settings: dict[str, Any]) -> int:
    """Do the work in child processes, until one is not killed. Return its exit code."""
    for point in settings["kill_at"]:
        disturb_at(point, Path(settings["folder"]), signal.SIGKILL)
    while True:
        child = os.fork()
        if not child:
            anyio.run(work, settings)
            sys.stdout.flush()
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # The child gets it, too.
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            return os.waitstatus_to_exitcode(status)


async def work(settings: dict[str, Any]) -> None:
    """Do the work of the fleet, until SIGTERM."""
    app = fleet.Fleet(settings["store"])
    app._interval = settings["interval"]
    app.accounts = accounts.load(settings["config"])
    loaded = policy.load(settings["policy"])
    grace = timedelta(seconds=settings["grace"])
    cleanups = [attrs.evolve(one, grace=one.grace and grace) for one in loaded.cleanups]
    app.policies = attrs.evolve(loaded, cleanups=tuple(cleanups))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_at_sigterm, tasks.cancel_scope)
        await app.work(name=settings["name"], on_ready=_print_ready, **settings["options"])


def _print_ready(name: str) -> None:
    print(f"ready: {name}", flush=True)  # noqa: T201 -- the drill waits for it


async def _cancel_at_sigterm(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
            return


def disturb_at(point: str, folder: Path, number: signal.Signals) -> None:
    """Replace a function by one that kills or stops this process, once in a drill.

    Args:
        point: The module, the function, `before` or `after` its call, and an argument that the
            call must have, if any. For example,
            `losant_tokens.fleet._store.run_table:Store.end_chunk:after:sweep`. With `#N` at its
            end, it is the call with that number.
        folder: The folder of the drill, in which a file marks the points that have been used.
        number: SIGKILL or SIGSTOP.
    """
    place, _, count = point.partition("#")
    left = int(count or 1)
    module_name, name, when, *required = place.split(":")
    *path, attribute = name.split(".")
    owner: Any = importlib.import_module(module_name)
    for part in path:
        owner = getattr(owner, part)
    function: Callable[..., Any] = getattr(owner, attribute)
    mark = folder / f"used-{point.replace(':', '-')}"

    def disturb(now: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if now == when and {*required} <= {*map(str, arguments)} and not mark.exists():
            left -= 1
            if left <= 0:
                mark.touch()
                os.kill(os.getpid(), number)
                # Another thread may get the signal, so this one is stopped a little later.
                time.sleep(_UNTIL_STOPPED)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def replacement(*args: Any, **kwargs: Any) -> Any:
            disturb("before", args)
            result = await function(*args, **kwargs)
            disturb("after", args)
            return result

    else:

        @functools.wraps(function)
        def replacement(*args: Any, **kwargs: Any) -> Any:
            disturb("before", args)
            result = function(*args, **kwargs)
            disturb("after", args)
            return result

    setattr(owner, attribute, replacement)


if __name__ == "__main__":
    main()
