"""Rotate tokens: choose them, ask for confirmation, run the rotation, and find earlier ones."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import frozen

from losant_tokens import AsyncClient, Owner, Secret, jobs, parse_duration
from losant_tokens.cli._connections.clients import credentials, job_client_factory, new_client
from losant_tokens.cli._errors import EXIT_SOME_FAILED, BlockedError, UsageError
from losant_tokens.cli._event_loop import run_until_stopped
from losant_tokens.cli._id_prefixes import item_with_id
from losant_tokens.cli._options.common import ConnectionOptions
from losant_tokens.cli._options.jobs import RuleOptions, SafetyOptions
from losant_tokens.cli._options.parse import read_expiry, read_token_ids
from losant_tokens.cli._options.rotations import SinkOptions
from losant_tokens.cli._plans.planning import make_plan, selection_planner
from losant_tokens.cli._rotations import view
from losant_tokens.cli._signals.stop_signals import GRACE, StopSignals
from losant_tokens.cli._state.files import (
    LEDGER,
    ROTATIONS,
    existing_state_folder,
    new_plan_path,
    state_folder,
)
from losant_tokens.cli._terminal.console import (
    confirm,
    print_status,
    print_warning,
    transient_status,
    write_output,
)
from losant_tokens.cli._terminal.format import format_count, format_number
from losant_tokens.cli._terminal.streams import output_problem
from losant_tokens.cli._tokens.json import as_json
from losant_tokens.sinks import FileSink, Sink, StdoutSink, TokenSecret

_SUFFIX = ".journal"
_OF_A_PLAN = ".jsonl.journal"  # The journal of a deactivation, beside that of its rotation.
_HINT = "set XDG_STATE_HOME to a folder that you can write to"
_HELP = "see losant-tokens rotate --help"
_LAST = "last"


# --- Finding ---------------------------------------------------------------------------------


def all_rotations() -> list[jobs.Rotation]:
    """Return the rotations in the state folder, the newest first, and warn of unreadable files."""
    folder = existing_state_folder()
    files = [] if folder is None else sorted((folder / ROTATIONS).glob(f"*{_SUFFIX}"), reverse=True)
    found = []
    for path in files:
        if path.name.endswith(_OF_A_PLAN):
            continue
        try:
            found.append(jobs.read_rotation(path))
        except jobs.JournalError as error:
            print_warning(str(error))
    return found


def find_rotation(name: str) -> jobs.Rotation:
    """Return a rotation by its id, the beginning of its id, its journal, or `last`.

    Raises:
        UsageError: There is no such rotation, or several ids begin like this.
        JournalError: The file is not the journal of a rotation.
    """
    if Path(name).is_file():
        return jobs.read_rotation(name)
    rotations = all_rotations()
    if name.lower() == _LAST and rotations:
        return rotations[0]
    found = item_with_id(name, ((one, one.id, one.created_at) for one in rotations))
    if found is not None:
        return found
    raise UsageError(
        f"there is no rotation and no file {name!r}",
        "to see the rotations: losant-tokens rotate list",
    )


def due_rotations() -> list[jobs.Rotation]:
    """Return the rotations with old tokens whose overlap has ended."""
    now = _now()
    rotations = all_rotations()
    return [one for one in rotations if any(one.is_due(token, now) for token in one.tokens)]


def report_interrupted() -> None:
    """Print how many rotations wait for somebody to resume them with a sink."""
    waiting = [one for one in all_rotations() if one.needs_sink and not one.is_running]
    if waiting:
        verb = "is" if len(waiting) == 1 else "are"
        print_status(
            f"{format_number(len(waiting), 'rotation')} {verb} interrupted: "
            f"losant-tokens rotate list"
        )


def _now() -> datetime:
    return datetime.now(UTC)


def _new_journal() -> Path:
    """Return the path of the journal of a new rotation."""
    folder = state_folder(_HINT) / ROTATIONS
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"rotation-{_now():%Y%m%dT%H%M%S.%fZ}{_SUFFIX}"


def _ledger() -> jobs.Ledger:
    return jobs.Ledger(state_folder(_HINT) / LEDGER)


# --- Choosing --------------------------------------------------------------------------------


def read_expiry_of_successors(text: str | None) -> timedelta | datetime:
    """Return how long successors last, or when they expire.

    Raises:
        UsageError: It is missing, or in the past.
    """
    if text is None:
        raise UsageError("rotate needs --expires", "pass a time from now, such as 90d, or a date")
    try:
        return parse_duration(text)
    except ValueError:
        pass
    try:
        found = read_expiry(text, _now())
    except ValueError as error:
        raise UsageError(str(error)) from None
    assert found is not None  # noqa: S101 -- the option refuses `never`
    return found


def chosen_tokens(
    ids: Sequence[str],
    plan: Path | None,
    rules: RuleOptions,
    owners: tuple[Owner, ...],
    safety: SafetyOptions,
    connection: ConnectionOptions,
) -> jobs.Plan | list[tuple[Owner, str]]:
    """Return the tokens to rotate: ids, a plan, or a new plan by rules.

    Raises:
        UsageError: The options name no tokens, or name them in several ways.
        PlanRefused: The file is not a plan.
        GuardRefused: A guard refuses the selection.
    """
    has_rules = rules.rule() is not None
    if (bool(ids), plan is not None, has_rules).count(True) != 1:
        raise UsageError("name tokens by their ids, by --plan, or by selection options", _HELP)
    if plan is not None:
        return jobs.Plan.read(plan)
    if ids:
        if len(owners) > 1:
            raise UsageError("tokens that are named by their ids have one --owner")
        return [(owners[0], token_id) for token_id in read_token_ids(ids)]
    planner = selection_planner(rules, owners, safety, "rotate")
    made = make_plan(planner, new_plan_path("plan"), job_client_factory(connection))
    # A rule may select the successors as well, because they have the names of the old tokens.
    running = _running_tokens(with_successors=True)
    chosen = [(one.owner, one.id) for one in made.entries() if one.protected is None]
    free = [(owner, id_) for owner, id_ in chosen if (owner, id_.lower()) not in running]
    if left_out := len(chosen) - len(free):
        verb = "is" if left_out == 1 else "are"
        print_status(f"{format_count(left_out)} {verb} left out: part of an unfinished rotation.")
    return free


def chosen_sink(
    options: SinkOptions, connection: ConnectionOptions, *, count: int, json: bool
) -> Sink[TokenSecret]:
    """Return the sink for a number of secrets.

    Raises:
        UsageError: The sink cannot take this number of secrets.
        SinkError: The sink cannot be used.
    """
    token = credentials(connection).get("token")
    sink = options.sink(() if token is None else (Secret.of(token),))
    if isinstance(sink, FileSink) and count > 1 and not sink.is_per_token:
        raise UsageError(
            "--to-file needs a file for each token",
            "put {replaces}, the id of the old token, into its name",
        )
    if sink is not None:
        return sink
    if count > 1:
        raise UsageError(
            "the secrets of several tokens cannot go to stdout",
            "pass --to-command COMMAND or --to-file FILE",
        )
    if json:
        raise UsageError("with --json, pass --to-command COMMAND or --to-file FILE")
    if (problem := output_problem()) is not None:
        raise UsageError(f"the secret cannot be written to standard output: {problem}")
    return StdoutSink(format=options.format)


def require_same_sink(rotation: jobs.Rotation, chosen: SinkOptions) -> None:
    """Refuse to resume a rotation without a sink if it began with a command or a file.

    Its secrets would go to stdout, and not to the store that the users read. After the overlap, the
    users would be locked out.

    Raises:
        UsageError: It began with a command or a file, and none is chosen.
    """
    options = view.sink_options(rotation)
    if options and chosen.to_command is None and chosen.to_file is None:
        raise UsageError(
            f"rotation {rotation.id} needs {options[0]}, because its secrets do not go to stdout",
            f"pass the same {' '.join(options)} as before",
        )


@frozen
class Decision:
    """The decision about a rotation before it starts.

    Attributes:
        is_confirmed: Whether to start it.
        allow_unverified: Whether tokens whose successors cannot be verified are rotated, too.
    """

    is_confirmed: bool
    allow_unverified: bool = False


def checked_candidates(
    tokens: jobs.Plan | list[tuple[Owner, str]],
    expires: timedelta | datetime,
    overlap: timedelta,
    connection: ConnectionOptions,
) -> tuple[jobs.RotationCheck, ...]:
    """Read the tokens to rotate, show them, and return their checks.

    Raises:
        BlockedError: Some of the tokens cannot be rotated.
    """
    client = new_client(connection)

    async def check() -> tuple[jobs.RotationCheck, ...]:
        async with client:
            return await jobs.check_rotation(client, tokens, expires=expires, overlap=overlap)

    with transient_status("Reading the tokens..."):
        checks = run_until_stopped(check)
    _refuse_running(checks)
    view.show_candidates(checks, view.now())
    problems = [check.problem for check in checks if check.problem is not None]
    if problems:
        raise BlockedError(f"{' '.join(problems[:10])} Nothing was created")
    return checks


def decide(checks: Sequence[jobs.RotationCheck], *, allow_unverified: bool, yes: bool) -> Decision:
    """Ask whether to rotate tokens, unless the user has confirmed it with an option.

    Raises:
        BlockedError: A successor cannot be verified, and the user has confirmed only the rest.
    """
    unverifiable = [check.id for check in checks if not check.can_verify]
    if unverifiable and not allow_unverified and yes:
        raise BlockedError(
            f"the scopes of {', '.join(unverifiable[:10])} allow no request to verify a successor. "
            f"Nothing was created",
            "pass --allow-unverified to rotate them without that check",
        )
    if yes or confirm(view.question(checks)):
        return Decision(is_confirmed=True, allow_unverified=allow_unverified or bool(unverifiable))
    print_status("Nothing was changed.")
    return Decision(is_confirmed=False)


def _refuse_running(checks: Sequence[jobs.RotationCheck]) -> None:
    """Refuse to rotate tokens that an unfinished rotation of this machine already replaces."""
    running = _running_tokens()
    for check in checks:
        if (rotation := running.get((check.owner, check.id.lower()))) is not None:
            raise BlockedError(
                f"{check.id} is being rotated already, by rotation {rotation.id}",
                f"to continue: {view.resume_command(rotation)}",
            )


def _running_tokens(*, with_successors: bool = False) -> dict[tuple[Owner, str], jobs.Rotation]:
    """Return the tokens of unfinished rotations, with their rotations.

    Args:
        with_successors: Whether to return the successors, too.
    """
    return {
        (token.owner, token_id.lower()): rotation
        for rotation in all_rotations()
        for token in rotation.tokens
        for token_id in (token.id, *(token.successor_ids if with_successors else ()))
        if not token.is_settled
    }


# --- Running ---------------------------------------------------------------------------------


@frozen
class Rotator:
    """Runs a rotation, and shows its steps and its outcome.

    Attributes:
        connection: How to connect.
        json: Whether to write the outcome as JSON.
        options: The options to resume the rotation with.
    """

    connection: ConnectionOptions
    json: bool
    options: tuple[str, ...] = ()

    def start(
        self,
        tokens: jobs.Plan | list[tuple[Owner, str]],
        sink: Sink[TokenSecret],
        expires: timedelta | datetime,
        overlap: timedelta,
        grace: timedelta,
        *,
        allow_unverified: bool,
    ) -> int:
        """Rotate tokens, and return the exit code."""
        journal, ledger = _new_journal(), _ledger()

        async def work(client: AsyncClient, printer: view.StepPrinter) -> jobs.Rotation:
            return await jobs.rotate(
                client,
                tokens,
                sink=sink,
                expires=expires,
                overlap=overlap,
                grace=grace,
                allow_unverified=allow_unverified,
                journal=journal,
                ledger=ledger,
                make_client=self._make_client(client),
                on_step=printer,
            )

        return self._run(work, journal)

    def resume(self, rotation: jobs.Rotation, sink: Sink[TokenSecret] | None) -> int:
        """Continue a rotation, and return the exit code."""
        ledger = _ledger()

        async def work(client: AsyncClient, printer: view.StepPrinter) -> jobs.Rotation:
            return await jobs.resume_rotation(
                client,
                rotation.path,
                sink=sink,
                ledger=ledger,
                make_client=self._make_client(client),
                on_step=printer,
            )

        return self._run(work, rotation.path)

    def cancel(self, rotation: jobs.Rotation) -> int:
        """Give up a rotation, and return the exit code."""

        async def work(client: AsyncClient, _: view.StepPrinter) -> jobs.Rotation:
            return await jobs.cancel_rotation(client, rotation.path)

        code = self._run(work, rotation.path)
        view.show_kept(jobs.read_rotation(rotation.path))
        return code

    def _make_client(self, client: AsyncClient) -> Callable[[Secret], AsyncClient]:
        settings = self.connection.settings() | {"scope_check": "off"}
        return lambda secret: AsyncClient(secret, base_url=client.base_url, **settings)

    def _run(
        self,
        work: Callable[[AsyncClient, view.StepPrinter], Awaitable[jobs.Rotation]],
        journal: Path,
    ) -> int:
        client, printer, signals = new_client(self.connection), view.StepPrinter(), StopSignals()

        async def run() -> jobs.Rotation:
            async with client:
                return await work(client, printer)

        is_finished = False
        # The first signal gives the token that is being rotated some seconds.
        try:
            with signals.postponed():
                rotation = run_until_stopped(run, signals=signals, grace=GRACE)
                is_finished = True
        finally:
            if not is_finished and journal.exists():
                view.show_outcome(jobs.read_rotation(journal), self.options)
        if self.json:
            write_output(as_json(view.as_json_values(rotation)))
        view.show_outcome(rotation, self.options)
        return EXIT_SOME_FAILED if rotation.has_problems else 0


def confirm_cancel(rotation: jobs.Rotation) -> bool:
    """Ask whether to give up a rotation."""
    if confirm(f"Give up the rotation {rotation.id}? No old token is changed."):
        return True
    print_status("Nothing was changed.")
    return False
