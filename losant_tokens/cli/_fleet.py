"""The fleet of a command: its store, and a client for it."""

from collections.abc import Awaitable, Callable, Iterable
from difflib import get_close_matches
from importlib.util import find_spec
from typing import TypeVar, cast

from losant_tokens import Secret, fleet
from losant_tokens.accounts import read_token_file
from losant_tokens.cli._errors import CommandError, UsageError
from losant_tokens.cli._event_loop import run_until_stopped
from losant_tokens.cli._fleet_options import STORE_VARIABLE, StoreOptions
from losant_tokens.errors import LosantError

T = TypeVar("T")


def open_fleet(options: StoreOptions) -> fleet.Fleet:
    """Return the fleet of the store that a command uses.

    Raises:
        CommandError: The extra is not installed, or the file with the URL cannot be read.
        ValidationError: The store is not valid.
    """
    if find_spec("dbos") is None:
        raise CommandError(
            "a fleet needs the extra [fleet], which is not installed",
            "install it: pip install 'losant-tokens[cli,fleet]'",
        )
    store = options.store
    if store is not None and store.startswith("@"):
        return fleet.Fleet(_read_url(store[1:]).reveal())
    return fleet.Fleet(store)


def _read_url(path: str) -> Secret:
    try:
        return read_token_file(path)
    except LosantError as error:
        problem = str(error).replace("The token file", "the file of --store")
        problem = problem.replace("replace the token", "change the password")
    raise CommandError(problem, f"the file holds the URL of the store; or set {STORE_VARIABLE}")


def run_with_fleet(
    work: Callable[[fleet.FleetClient], Awaitable[T]],
    options: StoreOptions,
    *,
    creates: bool = False,
) -> T:
    """Run a coroutine function with an open client of the fleet.

    Args:
        work: The coroutine function.
        options: The store.
        creates: Whether a store that was named, but does not exist, is created.

    Raises:
        CommandError: The extra is not installed.
        UsageError: The named file of a store does not exist.
        KeyboardInterrupt: A signal stopped the work.
        LosantError: As the work raises it.
    """
    app = open_fleet(options)
    if options.store is not None and not creates and app.path and not app.path.exists():
        raise UsageError(
            f"there is no store: {app.path} does not exist",
            "a worker creates it: losant-tokens fleet work",
        )

    async def run() -> T:
        async with app.client() as client:
            return await work(client)

    return run_until_stopped(run)


def known_states(names: Iterable[str]) -> tuple[fleet.RunState, ...]:
    """Return the states with these names.

    Raises:
        UsageError: There is no such state.
    """
    for name in names:
        if name not in fleet.RUN_STATES:
            close = get_close_matches(name, fleet.RUN_STATES, n=1)
            hint = f"did you mean {close[0]}?" if close else "see losant-tokens fleet runs --help"
            raise UsageError(f'Invalid value for --state: "{name}" is not a state', hint)
    return cast("tuple[fleet.RunState, ...]", tuple(names))
