"""The worker of `fleet demo`, in a process of its own.

Its grace period is a number of seconds, which a policy file cannot express. Otherwise it is what
`losant-tokens fleet work` runs. It stops when its standard input closes, so it never outlives the
demo.
"""

import os
import sys
from datetime import timedelta
from functools import partial

import anyio
import anyio.to_thread
import attrs


def main() -> None:
    """Work until the standard input closes.

    The arguments are the store, the configuration file, the policy file, the name of the worker,
    and the grace period in seconds.
    """
    store, config, policy_file, name, grace = sys.argv[1:]
    anyio.run(_work, store, config, policy_file, name, timedelta(seconds=float(grace)))


async def _work(store: str, config: str, policy_file: str, name: str, grace: timedelta) -> None:
    from losant_tokens import accounts, fleet, policy  # noqa: PLC0415 -- slow

    app = fleet.Fleet(store)
    app.accounts = accounts.load(config)
    loaded = policy.load(policy_file)
    shortened = [attrs.evolve(cleanup, grace=grace) for cleanup in loaded.cleanups]
    app.policies = attrs.evolve(loaded, cleanups=tuple(shortened))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_at_end_of_input, tasks.cancel_scope)
        await app.work(name=name, on_ready=partial(print, flush=True))


async def _cancel_at_end_of_input(scope: anyio.CancelScope) -> None:
    # Nobody writes to it, so the reading ends when the demo closes it.
    await anyio.to_thread.run_sync(os.read, 0, 1, abandon_on_cancel=True)
    scope.cancel()
