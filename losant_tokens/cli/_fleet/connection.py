"""The fleet of a command: its store, and a client for it."""

from collections.abc import Awaitable, Callable, Iterable
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar, cast

from losant_tokens import Secret, fleet
from losant_tokens.accounts import read_token_file
from losant_tokens.cli._errors import CommandError, UsageError
from losant_tokens.cli._event_loop import run_until_stopped
from losant_tokens.cli._options.fleet import STORE_VARIABLE, StoreOptions
from losant_tokens.errors import LosantError

T = TypeVar("T")
_PLAN = "losant-tokens fleet plan CLEANUP --account ACCOUNT"


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
        creates: Whether a store that does not exist is created.

    Raises:
        CommandError: The extra is not installed, or there is no fleet yet.
        UsageError: The named file of a store does not exist.
        KeyboardInterrupt: A signal stopped the work.
        LosantError: As the work raises it.
    """
    app = open_fleet(options)
    if not creates:
        require_store(app, options)

    async def run() -> T:
        async with app.client() as client:
            return await work(client)

    return run_until_stopped(run)


def require_store(app: fleet.Fleet, options: StoreOptions) -> None:
    """Check that the store exists, so that a command that only reads does not create it.

    Raises:
        CommandError: There is no fleet yet.
        UsageError: The named file of a store does not exist.
    """
    if (path := _missing_store(app, options)) is not None:
        raise CommandError(
            f"there is no fleet yet: {path} does not exist", f"to start one: {_PLAN}"
        )


def notice_without_fleet(options: StoreOptions) -> str:
    """Return that there is no fleet yet, and how to start one; an empty string if there is one.

    Raises:
        CommandError: The extra is not installed.
        UsageError: The named file of a store does not exist.
    """
    path = _missing_store(open_fleet(options), options)
    if path is None:
        return ""
    return f"There is no fleet yet: {path} does not exist. To start one: {_PLAN}"


def _missing_store(app: fleet.Fleet, options: StoreOptions) -> Path | None:
    """Return the file of the store if it does not exist. A database always counts as existing."""
    if app.path is None:
        return None
    try:
        app.path.stat()
    except FileNotFoundError:
        is_missing = True
    except OSError:
        is_missing = False  # The store reports the reason when it is opened.
    else:
        is_missing = False
    if is_missing and options.store is not None:
        raise UsageError(
            f"there is no store: {app.path} does not exist",
            "a worker creates it: losant-tokens fleet work",
        )
    return app.path if is_missing else None


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
