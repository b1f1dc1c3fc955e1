"""A worker of a drill, as a program: `python -P fleet_worker.py SETTINGS`, which is JSON.

It differs from `losant-tokens fleet work` in three ways: grace periods have seconds instead of
hours, leases are short, and it can kill itself at a point in the code.
"""

import functools
import importlib
import inspect
import json
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import attrs

from losant_tokens import accounts, fleet, policy

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Work until SIGTERM."""
    settings = json.loads(sys.argv[1])
    for point in settings["kill_at"]:
        kill_at(point, Path(settings["folder"]))
    anyio.run(work, settings)


async def work(settings: dict[str, Any]) -> None:
    """Do the work of the fleet, until SIGTERM."""
    app = fleet.Fleet(settings["store"])
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


def kill_at(point: str, folder: Path) -> None:
    """Replace a function by one that kills this process, once in a drill.

    Args:
        point: The module, the function, and `before` or `after` its call, such as
            `losant_tokens.fleet._steps:plan:after`.
        folder: The folder of the drill, in which a file marks the points that have been used.
    """
    module_name, name, when = point.split(":")
    *path, attribute = name.split(".")
    owner: Any = importlib.import_module(module_name)
    for part in path:
        owner = getattr(owner, part)
    function: Callable[..., Any] = getattr(owner, attribute)
    mark = folder / f"killed-{point.replace(':', '-')}"

    def kill(now: str) -> None:
        if now == when and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def replacement(*args: Any, **kwargs: Any) -> Any:
            kill("before")
            result = await function(*args, **kwargs)
            kill("after")
            return result

    else:

        @functools.wraps(function)
        def replacement(*args: Any, **kwargs: Any) -> Any:
            kill("before")
            result = function(*args, **kwargs)
            kill("after")
            return result

    setattr(owner, attribute, replacement)


if __name__ == "__main__":
    main()
