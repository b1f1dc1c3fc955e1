"""The values that completion offers for each option and argument.

`SOURCES` is the one table: a name of an option, a metavar, or a command with its argument leads to
a function that returns values, or to patterns of files. To complete another value, add a row.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from losant_tokens.cli._completion.known_tokens import KnownToken, known_tokens
from losant_tokens.cli._terminal.format import escaped

if TYPE_CHECKING:
    from losant_tokens.fleet import Run

_SPECIAL = re.compile(r"([*?[])")


@frozen
class Value:
    """A value that can be inserted, with a description or `""`."""

    text: str
    description: str = ""


@frozen
class Request:
    """The word to complete, and its context.

    Attributes:
        typed: The part of the value that the user has typed.
        command: The command, such as `runs prune`.
        arguments: The values of the command's arguments so far.
        options: The options so far, with their values.
    """

    typed: str = ""
    command: str = ""
    arguments: tuple[str, ...] = ()
    options: Mapping[str, tuple[str, ...]] = field(factory=dict)

    def tokens(self) -> list[KnownToken]:
        """Return the tokens of the owners on the command line. The default is the user.

        With `--account`, there are none: reading its token may run a command that asks the user.
        """
        if "--account" in self.options:
            return []
        owners = dict.fromkeys(self.options.get("--owner") or ("user",))
        found = [token for owner in owners for token in known_tokens(owner)]
        return [token for token in found if token.name.isprintable()]


@frozen
class Files:
    """Files whose names match one of the patterns, and folders.

    Attributes:
        patterns: The patterns.
        values: Returns the values that are not files, such as `last`.
    """

    patterns: tuple[str, ...] = ("*",)
    values: Callable[[Request], Iterable[Value]] = lambda _: ()


Source = Callable[[Request], Iterable[Value]] | Files


def _owners(request: Request) -> Iterable[Value]:
    if request.typed.endswith(":"):
        return  # The user continues with an id.
    yield Value("user", "API tokens of the user")
    yield Value("oauth", "OAuth tokens of the user")
    yield Value("application:", "API tokens of an application, by its id")
    yield Value("instance:", "API tokens of an instance, by its id")


def _logs(request: Request) -> Iterable[Value]:
    if not request.typed.endswith(":"):
        yield Value("org:", "the audit log of an organization, by its id")
        yield Value("instance:", "the audit log of an instance, by its id")


def _scopes(_: Request) -> Iterable[Value]:
    from losant_tokens import published_scopes  # noqa: PLC0415 -- not all completions need it

    return map(Value, sorted(published_scopes()))


def _ids(request: Request) -> Iterable[Value]:
    for token in request.tokens():
        if token.id not in request.arguments:
            state = "" if token.status in {"", "active"} else f", {token.status}"
            yield Value(token.id, f"{escaped(token.name)}{state}")


def _names(request: Request) -> Iterable[Value]:
    names: dict[str, int] = {}
    for token in request.tokens():
        names[token.name] = names.get(token.name, 0) + 1
    for name, count in names.items():
        if name:
            yield Value(_SPECIAL.sub(r"[\1]", name), f"{count} tokens" if count > 1 else "")


def _names_and_ids(request: Request) -> Iterable[Value]:
    yield from _names(request)
    yield from _ids(request)


def _creators(request: Request) -> Iterable[Value]:
    creators = {token.creator for token in request.tokens() if token.creator.isprintable()}
    return (Value(_SPECIAL.sub(r"[\1]", name)) for name in sorted(creators - {""}))


def _accounts(request: Request) -> Iterable[Value]:
    from losant_tokens.accounts import AccountError, load  # noqa: PLC0415 -- imports cattrs

    try:
        config = load(next(iter(request.options.get("--config", ())), None))
    except AccountError:  # The command reports the mistake.
        return
    given = request.options.get("--account", ())
    yield from (Value(one.name, one.base_url) for one in config.values() if one.name not in given)


def _spans(request: Request) -> Iterable[Value]:
    yield from _durations(request)
    yield Value("off", "protect no token because it was seen")


def _durations(_: Request) -> Iterable[Value]:
    for text, description in (
        ("12h", "12 hours"),
        ("30d", "30 days"),
        ("90d", "90 days"),
        ("6mo", "6 months of 30 days"),
        ("1y", "365 days"),
    ):
        yield Value(text, description)


def _expiry(request: Request) -> Iterable[Value]:
    yield from _durations(request)
    yield Value("never", "without an expiration date")


def _audit_rules(_: Request) -> Iterable[Value]:
    from losant_tokens.audit import RULES  # noqa: PLC0415 -- not all completions need it

    return (Value(rule.id, f"{rule.severity}: {rule.title}") for rule in RULES)


def _faults(_: Request) -> Iterable[Value]:
    yield Value("503:2%", "2% of the requests fail with 503")
    yield Value("429:5%", "5% of the requests are refused with 429")
    yield Value("timeout:1%", "1% of the requests get no response")
    yield Value("reset:1%", "the connection ends at 1% of the requests")


def _columns(request: Request) -> Iterable[Value]:
    from losant_tokens.cli._tokens.columns import COLUMNS  # noqa: PLC0415 -- imports the client

    return _after_commas(request, COLUMNS)


def _sort_columns(_: Request) -> Iterable[Value]:
    from losant_tokens.cli._tokens.columns import COLUMNS  # noqa: PLC0415 -- imports the client

    yield from map(Value, COLUMNS)
    yield from (Value(f"{name}:desc", "in reverse order") for name in COLUMNS)


def _fields(request: Request) -> Iterable[Value]:
    from losant_tokens.cli._tokens.json import known_fields  # noqa: PLC0415 -- imports the client

    return _after_commas(request, known_fields())


def _after_commas(request: Request, names: Iterable[str]) -> Iterable[Value]:
    """Return the names that a list with commas can continue with."""
    before, comma, _ = request.typed.rpartition(",")
    given = before.split(",")
    return (Value(f"{before}{comma}{name}") for name in names if name not in given)


def _quarantines(_: Request) -> Iterable[Value]:
    """Return `last` and the ids of the recorded quarantines, the newest first."""
    from losant_tokens.cli._state.quarantine_ledger import ledger_folder  # noqa: PLC0415 -- imports jobs

    yield Value("last", "the newest quarantine")
    folder = ledger_folder()
    # The dates of the files are enough: reading the reports takes too long for a TAB.
    files = [] if folder is None else folder.glob("quarantine-*.json")
    dates = {path.stem.partition("-")[2]: path.stat().st_mtime for path in files}
    for id_, date in sorted(dates.items(), key=lambda item: -item[1]):
        yield Value(id_, f"{datetime.fromtimestamp(date, UTC):%Y-%m-%d %H:%M} UTC")


def _runs(_: Request) -> Iterable[Value]:
    """Return `last` and the plans in the state folder, the newest first."""
    from losant_tokens.cli._state import files as state  # noqa: PLC0415 -- imports jobs

    yield Value("last", "the newest run")
    folder = state.existing_state_folder()
    if folder is not None:
        yield from (Value(str(path)) for path in reversed(state.plan_files(folder)))


def _states(request: Request) -> Iterable[Value]:
    from losant_tokens.fleet import RUN_STATES  # noqa: PLC0415 -- imports jobs

    given = request.options.get("--state", ())
    return (Value(state) for state in RUN_STATES if state not in given)


def _fleet_runs(request: Request) -> Iterable[Value]:
    """Return the ids of the runs that a command of the fleet can be used with, the newest first."""
    verb = request.command.removeprefix("fleet ")
    for run in _runs_of_store(request, decision=None if verb == "show" else verb):
        if run.id not in request.arguments:
            yield Value(run.id, escaped(f"{run.state}, {run.cleanup} for {run.account}"))


def _fleet_accounts(request: Request) -> Iterable[Value]:
    """Return the accounts of the runs in the store, of which this machine may know none."""
    names = {run.account for run in _runs_of_store(request)}
    return map(Value, sorted(names))


def _fleet_cleanups(request: Request) -> Iterable[Value]:
    """Return the clean-ups of the runs in the store."""
    names = {run.cleanup for run in _runs_of_store(request)}
    return (Value(name) for name in sorted(names) if name.isprintable())


def _runs_of_store(request: Request, decision: Any = None) -> "tuple[Run, ...]":
    """Return the newest runs of the store on the command line. A TAB creates no store."""
    from losant_tokens import fleet  # noqa: PLC0415 -- imports jobs
    from losant_tokens.accounts import read_token_file  # noqa: PLC0415 -- imports cattrs
    from losant_tokens.errors import LosantError  # noqa: PLC0415 -- not all completions need it

    store = next(iter(request.options.get("--store", ())), None)
    try:
        if store is not None and store.startswith("@"):
            store = read_token_file(store[1:]).reveal()
        return fleet.recent_runs(store, decision=decision)
    except LosantError:  # The command reports it.
        return ()


def _cleanups(request: Request) -> Iterable[Value]:
    """Return the clean-ups of the policy file on the command line, or of the default one."""
    import tomllib  # noqa: PLC0415 -- not all completions need it

    # The option of `plan` with the file has another name, because --policy is the clean-up there.
    option = "--policy" if request.command == "fleet plan" else "--policy-file"
    path = Path((request.options.get(option) or ("policy.toml",))[-1])
    try:
        cleanups = tomllib.loads(path.read_text(encoding="utf-8")).get("cleanups", [])
        yield from [Value(str(one["name"])) for one in cleanups]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return  # The command reports the mistake.


_PLANS = Files(("*.jsonl",))


def _rotations(_: Request) -> Iterable[Value]:
    """Return `last` and the journals in the state folder, the newest first."""
    from losant_tokens.cli._state import files as state  # noqa: PLC0415 -- imports jobs

    yield Value("last", "the newest rotation")
    folder = state.existing_state_folder()
    files = [] if folder is None else (folder / state.ROTATIONS).glob("*.journal")
    yield from (Value(str(path)) for path in sorted(files, reverse=True))


_QUARANTINES = Files(("*.json",), _quarantines)

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        # A command and its argument.
        "apply FILE": _PLANS,
        "plan show FILE": _PLANS,
        "plan --policy": _cleanups,
        "rotate --plan": _PLANS,
        "policy check FILE": Files(("*.toml",)),
        "policy test FILE": Files(("*.toml",)),
        "audit diff NEW": Files(("*.json",)),
        "audit diff OLD": Files(("*.json",)),
        "fleet show RUN": _fleet_runs,
        "RUN...": _fleet_runs,
        "fleet prune --account": _fleet_accounts,
        "fleet prune --cleanup": _fleet_cleanups,
        "fleet report --account": _fleet_accounts,
        "fleet report --cleanup": _fleet_cleanups,
        "fleet runs --account": _fleet_accounts,
        "fleet runs --cleanup": _fleet_cleanups,
        # An option.
        "--config": Files(("*.toml",)),
        "--created-by": _creators,
        "--has-scope": _scopes,
        "--journal": Files(("*.journal",)),
        "--html": Files(("*.html",)),
        "--out": _PLANS,
        "--policy": Files(("*.toml",)),
        "--policy-file": Files(("*.toml",)),
        "--prometheus": Files(("*.prom",)),
        "--sarif": Files(("*.sarif",)),
        "--report": Files(("*.html", "*.csv", "*.json")),
        # A metavar.
        "ACCOUNT": _accounts,
        "AGE": _durations,
        "AGE|off": _spans,
        "CLEANUP": _cleanups,
        "COLUMN": _sort_columns,
        "COLUMNS": _columns,
        "DURATION": _durations,
        "FIELDS": _fields,
        "FILE": Files(),
        "GLOB": _names,
        "ID": _ids,
        "ID...": _ids,
        "ID|GLOB": _names_and_ids,
        "KIND:SHARE": _faults,
        "LOG": _logs,
        "NEW": _PLANS,
        "OLD": _PLANS,
        "OWNER": _owners,
        "QUARANTINE": _QUARANTINES,
        "QUARANTINE...": _QUARANTINES,
        "RULE": _audit_rules,
        "ROTATION": Files(("*.journal",), _rotations),
        "RUN": Files(("*.jsonl",), _runs),
        "SCOPE": _scopes,
        "STATE": _states,
        "STORE": Files(("*.sqlite",)),
        "WHEN": _expiry,
    }
)
NOTHING = frozenset(
    {
        "COMMAND",
        "DIGEST",
        "HOST",
        "N",
        "NAME",
        "NAME|@FILE",
        "OFFSET",
        "PORT",
        "SECONDS",
        "TEXT",
        "TIME",
    }
)
"""Metavars of values that only the user knows."""


def source_for(command: str, name: str, metavar: str) -> Source | None:
    """Return the source of an argument or an option, or None if there is none.

    Args:
        command: The command.
        name: The name of the argument or option.
        metavar: The metavar of the option, or `""`.
    """
    keys = (f"{command} {name}", name, metavar)
    return next((SOURCES[key] for key in keys if key in SOURCES), None)
