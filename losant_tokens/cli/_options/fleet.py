"""The options of the fleet commands."""

import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from attrs import frozen
from cyclopts import Group, Parameter

from losant_tokens.cli._options.common import ConfigFile, Json, Quiet, Yes, age, flag, repeatable
from losant_tokens.cli._options.value_checks import existing_file

STORE_GROUP = Group("Store", sort_key=4)
STORE_VARIABLE = "LOSANT_TOKENS_FLEET"
BY_VARIABLE = "LOSANT_TOKENS_BY"


def _safe_store(_: object, store: str | None) -> None:
    """Check that a store on the command line holds no password.

    Raises:
        ValueError: It does, or it is empty.
    """
    if store is None:
        return
    if not store or store == "@":
        raise ValueError("a store cannot be an empty string")
    if "://" not in store:
        return
    try:
        has_password = urlsplit(store).password is not None or "password=" in store
    except ValueError:
        raise ValueError("it is not a URL such as postgresql://db.example.com/fleet") from None
    if has_password:
        # The value is not repeated, because it holds the password.
        raise ValueError(
            "it holds a password, which other users can see in the list of processes: give @FILE, "
            f"or set {STORE_VARIABLE} or PGPASSFILE"
        )


@Parameter(name="*", group=STORE_GROUP)
@frozen(kw_only=True)
class StoreOptions:
    """The store of the fleet."""

    store: Annotated[
        str | None,
        Parameter(
            metavar="STORE",
            validator=_safe_store,
            show_default=lambda _: "LOSANT_TOKENS_FLEET, or a file",
            help="Use this store of the fleet.",
        ),
    ] = None

    def arguments(self) -> tuple[str, ...]:
        """Return the options that differ from the default, as on the command line."""
        return () if self.store is None else ("--store", self.store)


DEFAULT_STORE = StoreOptions()

By = Annotated[
    str | None,
    Parameter(
        metavar="NAME",
        show_default=lambda _: "you@host",
        help="Record NAME as the person who does this.",
    ),
]
Reason = Annotated[
    str, Parameter(metavar="TEXT", show_default=False, help="Record TEXT as the reason.")
]


@Parameter(name="*")
@frozen(kw_only=True)
class DecisionOptions:
    """The options of a decision about runs."""

    by: By = None

    reason: Reason = ""

    yes: Yes = False

    json: Annotated[Json, Parameter(help="Write the runs as JSON.")] = False

    quiet: Quiet = False


DEFAULT_DECISION = DecisionOptions()
RunName = Annotated[str, Parameter(name="RUN", help="Show this run.")]
RunNames = Annotated[tuple[str, ...], Parameter(name="RUN...", help="Use these runs.")]
CleanupName = Annotated[str, Parameter(name="CLEANUP", help="Plan this clean-up.")]
PolicyFile = Annotated[
    Path | None,
    Parameter(
        name="--policy",
        metavar="FILE",
        validator=existing_file,
        show_default=lambda _: "policy.toml",
        help="Read the clean-ups from FILE.",
    ),
]
FleetConfig = Annotated[ConfigFile, Parameter(show_default=False)]
States = Annotated[
    tuple[str, ...], repeatable("STATE", "Show runs in STATE; repeat for more.", name="--state")
]
Account = Annotated[str | None, Parameter(metavar="ACCOUNT", help="Show only the runs of ACCOUNT.")]
CleanupFilter = Annotated[
    str | None, Parameter(metavar="CLEANUP", help="Show only the runs of CLEANUP.")
]
Since = Annotated[timedelta | None, age("Show only runs that were started within AGE.")]
AllAccounts = Annotated[bool, flag("Use all accounts that the clean-up applies to.")]


def person(by: str | None) -> str:
    """Return the name to record: the option, the variable, or the user and the machine."""
    return by or os.environ.get(BY_VARIABLE) or f"{_user()}@{socket.gethostname()}"


def _user() -> str:
    import getpass  # noqa: PLC0415 -- only if nobody is named

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # A container may have no entry for the user.
        return f"uid {os.getuid()}"
