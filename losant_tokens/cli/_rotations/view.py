"""Rotations for people and as JSON."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from shlex import quote
from typing import Any

from attrs import define, field

from losant_tokens import jobs
from losant_tokens.cli._library_messages import with_options
from losant_tokens.cli._terminal.console import (
    print_advice,
    print_status,
    print_warning,
    write_output,
)
from losant_tokens.cli._terminal.format import (
    describe_expiry,
    format_count,
    format_date,
    format_datetime,
    format_number,
)
from losant_tokens.cli._terminal.tables import Cell, Row, format_table
from losant_tokens.cli._tokens.json import as_wire
from losant_tokens.jobs import RotationStage

_MAX_PROBLEMS = 10
_MAX_SHOWN = 20
_COLUMNS = ("ROTATION", "BEGUN", "TOKENS", "STATE", "DUE", "STAGES")
_STYLES = {"complete": "green", "interrupted": "yellow", "running": "cyan"}


def sink_options(rotation: jobs.Rotation) -> tuple[str, ...]:
    """Return the option for the sink that a rotation began with, without its value."""
    options = {"CommandSink": ("--to-command", "COMMAND"), "FileSink": ("--to-file", "FILE")}
    return options.get(rotation.sink or "", ()) if rotation.needs_sink else ()


def resume_command(rotation: jobs.Rotation, *options: str) -> str:
    """Return the command that continues a rotation."""
    return " ".join(map(quote, ("losant-tokens", "rotate", "resume", rotation.id, *options)))


# --- Before the rotation ---------------------------------------------------------------------


def show_candidates(checks: Sequence[jobs.RotationCheck], now: datetime) -> None:
    """Print the tokens that are to be rotated to stderr, the token in use last."""
    shown = [one for one in checks if one.token is not None and one.problem is None]
    for check in sorted(shown, key=_use)[:_MAX_SHOWN]:
        token = check.token
        expiry = describe_expiry(token, now)
        notes = ["expires never" if expiry == "never" else expiry]
        if check.is_in_use:
            notes.append("the token in use, so it comes last")
        elif check.is_in_use is None:
            notes.append("perhaps the token in use, so it comes last")
        if not check.can_verify:
            notes.append("its successor cannot be verified")
        name = "" if token is None else f"{token.name!r}, "
        print_status(f"Rotate {name}{check.id} of {check.owner}: {'; '.join(notes)}.")
    if len(shown) > _MAX_SHOWN:
        print_status(f"And {len(shown) - _MAX_SHOWN:,} more.")


def _use(check: jobs.RotationCheck) -> int:
    """Return the place of a token in the order: tokens that may be in use come last."""
    return {False: 0, None: 1, True: 2}[check.is_in_use]


# --- During the rotation ---------------------------------------------------------------------

_STEPS = {
    RotationStage.CREATED: "created the successor {token.successor_id}",
    RotationStage.DELIVERED: "delivered the secret of {token.successor_id}",
    RotationStage.REMOVING: "deleting the successor {token.successor_id}",
    RotationStage.RETIRED: "deactivated the old token",
}


@define(eq=False)
class StepPrinter:
    """Prints each step of a rotation to stderr.

    Attributes:
        last: The last state, if there is one.
    """

    last: jobs.Rotation | None = None
    _stages: list[RotationStage] = field(factory=list)

    def __call__(self, rotation: jobs.Rotation) -> None:
        """Print the steps since the last state."""
        stages = [token.stage for token in rotation.tokens]
        before = self._stages or [RotationStage.PLANNED] * len(stages)
        for token, earlier, now in zip(rotation.tokens, before, stages, strict=True):
            if now is not earlier and now in _STEPS:
                print_status(f"{token.name} ({token.id}): {_STEPS[now].format(token=token)}.")
        self.last, self._stages = rotation, stages


# --- After the rotation ----------------------------------------------------------------------


def show_outcome(rotation: jobs.Rotation, options: Sequence[str] = ()) -> None:
    """Print what became of the tokens, and what to do next, to stderr.

    Args:
        rotation: The state of the rotation.
        options: The options to resume it with.
    """
    print_status(f"Rotation {rotation.id}: {', '.join(_stage_counts(rotation))}.")
    problems = [token for token in rotation.tokens if token.error is not None]
    for token in problems[:_MAX_PROBLEMS]:
        print_warning(f"{token.name} ({token.id}): {with_options(str(token.error))}")
    if len(problems) > _MAX_PROBLEMS:
        more = f"{len(problems) - _MAX_PROBLEMS:,}"
        print_warning(f"{more} more have a problem: losant-tokens rotate list --json")
    for token in rotation.tokens:
        for token_id in _uncertain_ids(token):
            end = "another is delivered" if token.needs_sink else "the old token is deactivated"
            print_advice(f"{token_id} may have been delivered, so it is kept until {end}.")
    if any(token.stage is RotationStage.RETIRED for token in rotation.tokens):
        print_status("The old tokens are in quarantine: losant-tokens quarantine list")
    unfinished = [token for token in rotation.tokens if token.needs_sink]
    if unfinished:
        print_advice(f"To continue: {resume_command(rotation, *options)}")
    elif (due := rotation.next_due_at) is not None:
        print_status(
            f"To deactivate the old token{'s' if len(rotation.tokens) > 1 else ''} from "
            f"{format_datetime(due, '')}: {resume_command(rotation)}"
        )


def _uncertain_ids(token: jobs.RotatedToken) -> tuple[str, ...]:
    """Return the ids of the successors that may have been delivered."""
    if token.is_settled:
        return ()
    is_delivering = token.stage is RotationStage.DELIVERING
    return token.successor_ids if is_delivering else token.uncertain_ids


def _stage_counts(rotation: jobs.Rotation) -> list[str]:
    counts = Counter(token.stage for token in rotation.tokens)
    return [f"{count:,} {stage.value}" for stage, count in counts.items()]


def show_kept(rotation: jobs.Rotation) -> None:
    """Print the successors of a cancelled rotation that still work."""
    for token in rotation.tokens:
        for token_id in token.successor_ids:
            if token.stage is RotationStage.CANCELLED:
                print_advice(
                    f"{token_id} was kept, because its secret was delivered, or may have been. To "
                    f"delete it: losant-tokens delete {token_id} --owner {token.owner}"
                )


# --- The list --------------------------------------------------------------------------------


def show_rotations(rotations: Sequence[jobs.Rotation]) -> None:
    """Write rotations as a table, with the commands that continue them."""
    if not rotations:
        print_status("There are no rotations in the state folder.")
        return
    table = format_table(
        _COLUMNS,
        [_row(rotation) for rotation in rotations],
        steps=(("BEGUN", len("01-31")), ("DUE", len("01-31"))),
        wrap="STAGES",
        numbers=("TOKENS",),
    )
    write_output(table)
    for rotation in rotations:
        is_due = any(rotation.is_due(token, now()) for token in rotation.tokens)
        if (rotation.needs_sink or is_due) and not rotation.is_running:
            command = resume_command(rotation, *sink_options(rotation))
            print_status(f"To continue {rotation.id}: {command}")


def state_of(rotation: jobs.Rotation) -> str:
    """Return the state of a rotation in one word."""
    if rotation.is_running:
        return "running"
    if rotation.is_complete:
        return "complete"
    return "interrupted" if rotation.needs_sink else "overlap"


def _row(rotation: jobs.Rotation) -> Row:
    begun, due = format_date(rotation.created_at, "?"), format_date(rotation.next_due_at, "-")
    state = state_of(rotation)
    return (
        rotation.id[:8],
        Cell(begun, shorter=(begun[len("2026-") :],)),
        f"{len(rotation.tokens):,}",
        Cell(state, _STYLES.get(state, "")),
        Cell(due, shorter=(due[len("2026-") :] or due,)),
        ", ".join(_stage_counts(rotation)),
    )


def as_json_values(rotation: jobs.Rotation) -> dict[str, Any]:
    """Return a rotation as JSON values. It never has a secret."""
    settings = rotation.settings
    return {
        "id": rotation.id,
        "state": state_of(rotation),
        "begunAt": as_wire(rotation.created_at),
        "baseUrl": rotation.base_url,
        "overlap": round(settings.overlap.total_seconds()),
        "grace": round(settings.grace.total_seconds()),
        "nextDueAt": as_wire(rotation.next_due_at),
        "journal": str(rotation.path),
        "tokens": [_token_values(rotation, token) for token in rotation.tokens],
    }


def _token_values(rotation: jobs.Rotation, token: jobs.RotatedToken) -> dict[str, Any]:
    return {
        "owner": str(token.owner),
        "id": token.id,
        "name": token.name,
        "stage": token.stage.value,
        "successorId": token.successor_id,
        "successorExpiresAt": as_wire(token.successor_expires_at),
        "isVerified": token.is_verified,
        "deliveredAt": as_wire(token.delivered_at),
        "dueAt": None if token.delivered_at is None else as_wire(rotation.due_at(token)),
        "uncertainIds": list(token.uncertain_ids),
        "error": token.error,
    }


def now() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


def question(checks: Sequence[jobs.RotationCheck]) -> str:
    """Return the question whether to rotate tokens."""
    unverified = sum(not check.can_verify for check in checks)
    text = f"Rotate {format_count(len(checks))}?"
    if unverified:
        text = (
            f"{format_number(unverified, 'successor')} cannot be verified, because "
            f"{'its' if unverified == 1 else 'their'} scopes allow no request for that. {text}"
        )
    return text
