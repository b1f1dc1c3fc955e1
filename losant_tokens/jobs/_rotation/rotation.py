"""`Rotation`: the state of a rotation, which follows from the lines of its journal.

This module is pure: it reads no file and sends no request.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs

from losant_tokens import Owner
from losant_tokens._utils.readable_enum import ReadableEnum
from losant_tokens.jobs._plan.format import parse_timestamp, timestamp


class RotationStage(ReadableEnum):
    """How far the rotation of one token has come.

    PLANNED: Nothing was created.
    CREATING: A successor may have been created. A resumed rotation finds and deletes it.
    CREATED: A successor was created, and nobody has its secret yet.
    DELIVERING: The sink may have the secret of the successor.
    DELIVERED: The sink has the secret. Both tokens work until the overlap ends.
    REMOVING: The successor is to be deleted, because nobody has its secret.
    FAILED: There is no successor, and the old token was not changed.
    RETIRED: The old token is inactive or gone, and the successor is in use.
    LEFT: The successor is in use. The old token was left alone, because somebody has changed it.
    CANCELLED: The rotation was given up. The old token was not changed.
    """

    PLANNED = "planned"
    CREATING = "creating"
    CREATED = "created"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    REMOVING = "removing"
    FAILED = "failed"
    RETIRED = "retired"
    LEFT = "left"
    CANCELLED = "cancelled"


_SETTLED = frozenset({RotationStage.RETIRED, RotationStage.LEFT, RotationStage.CANCELLED})


@attrs.frozen(kw_only=True)
class RotatedToken:
    """One token of a rotation."""

    owner: Owner
    """The owner."""
    id: str
    """The id of the old token."""
    name: str
    """The name of both tokens."""
    last_updated: datetime | None = None
    """The time of the last change of the old token, when the rotation began."""
    expiration_date: datetime | None = None
    """When the old token expires; `None` if it never does."""
    owner_id: str | None = None
    """The id that the API gave for its owner; `None` if it gave none."""
    stage: RotationStage = RotationStage.PLANNED
    """How far its rotation has come."""
    successor_id: str | None = None
    """The id of the new token, if there is one."""
    successor_expires_at: datetime | None = None
    """When the new token expires."""
    delivered_at: datetime | None = None
    """When the sink had received the secret."""
    is_verified: bool = False
    """Whether a request with the new token succeeded."""
    uncertain_ids: tuple[str, ...] = ()
    """The ids of earlier successors whose secret the sink may have. They are deactivated together
    with the old token.
    """
    is_marked: bool = False
    """Whether the description of the successor still has the marker."""
    retirement: Path | None = None
    """The plan to deactivate the old token, once that has begun."""
    error: str | None = None
    """The last error."""

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to do for this token."""
        return self.stage in _SETTLED

    @property
    def needs_sink(self) -> bool:
        """Whether the secret of a successor has yet to be delivered."""
        return not self.is_settled and self.stage is not RotationStage.DELIVERED

    @property
    def retired_ids(self) -> tuple[str, ...]:
        """The ids of the tokens that are deactivated in the end."""
        return (self.id, *self.uncertain_ids)

    @property
    def successor_ids(self) -> tuple[str, ...]:
        """The ids of all its successors that may exist, as far as they are recorded."""
        return (*self.uncertain_ids, *(() if self.successor_id is None else (self.successor_id,)))


@attrs.frozen(kw_only=True)
class RotationSettings:
    """How tokens are rotated."""

    lifetime: timedelta | None
    """How long a successor lasts after its creation; `None` if `until` is set."""
    until: datetime | None
    """When a successor expires; `None` if `lifetime` is set."""
    overlap: timedelta
    """How long both tokens work after the delivery."""
    grace: timedelta
    """How long the deactivated old token waits before `sweep` may delete it."""
    allow_unverified: bool
    """Whether to deliver a successor that no request can verify."""

    def expires_at(self, now: datetime) -> datetime:
        """Return when a successor that is created now expires.

        Args:
            now: The server's time.
        """
        if self.lifetime is not None:
            return now + self.lifetime
        assert self.until is not None  # noqa: S101 -- one of the two is set
        return self.until


@attrs.frozen(kw_only=True)
class Rotation:
    """A rotation of one or more tokens, as its journal describes it."""

    id: str
    """The id."""
    path: Path
    """The journal."""
    created_at: datetime
    """When it began."""
    base_url: str
    """The base URL of the API."""
    account: str | None
    """The account that the client's token claimed; `None` if it claimed none."""
    settings: RotationSettings
    """How the tokens are rotated."""
    tokens: tuple[RotatedToken, ...]
    """The tokens, in the order in which they are rotated."""
    sink: str | None = None
    """The name of the class of the sink that it began with, such as `CommandSink`; `None` if an
    earlier release began it.
    """
    is_running: bool = False
    """Whether a process had the journal open when it was read."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do for any token."""
        return all(token.is_settled for token in self.tokens)

    @property
    def needs_sink(self) -> bool:
        """Whether the secret of a successor has yet to be delivered."""
        return any(token.needs_sink for token in self.tokens)

    @property
    def has_problems(self) -> bool:
        """Whether a token failed, was left alone, or has an error."""
        return any(
            token.error is not None or token.stage in {RotationStage.FAILED, RotationStage.LEFT}
            for token in self.tokens
        )

    @property
    def next_due_at(self) -> datetime | None:
        """When the next overlap ends; `None` if none is running."""
        times = (self.due_at(one) for one in self.tokens if _waits(one))
        return min((time for time in times if time is not None), default=None)

    def due_at(self, token: RotatedToken) -> datetime | None:
        """Return when the overlap of a token ends; `None` if its successor was not delivered.

        Args:
            token: One of the tokens of the rotation.
        """
        return None if token.delivered_at is None else token.delivered_at + self.settings.overlap

    def is_due(self, token: RotatedToken, now: datetime) -> bool:
        """Return whether the overlap of a token has ended, and its old token is still active.

        Args:
            token: One of the tokens of the rotation.
            now: The server's time.
        """
        due_at = self.due_at(token)
        if due_at is None or not _waits(token):
            return False
        # The server's time has no fractions, so it can be before a delivery that was just made.
        return not self.settings.overlap or due_at <= now


def _waits(token: RotatedToken) -> bool:
    return token.stage is RotationStage.DELIVERED


# --- Lines of the journal --------------------------------------------------------------------

Event = Mapping[str, Any]
"""One line of the journal about a token, without its number."""


def creating() -> Event:
    """Return the event before a successor is created."""
    return {"is": "creating"}


def created(token_id: str, expires_at: datetime | None) -> Event:
    """Return the event after a successor was created."""
    return {"is": "created", "id": token_id, "expires": timestamp(expires_at)}


def verified() -> Event:
    """Return the event after a request with the successor succeeded."""
    return {"is": "verified"}


def delivering() -> Event:
    """Return the event before the secret is passed to the sink."""
    return {"is": "delivering"}


def delivered(at: datetime) -> Event:
    """Return the event after the sink has received the secret."""
    return {"is": "delivered", "at": timestamp(at)}


def uncertain(error: str) -> Event:
    """Return the event for a delivery that may have succeeded: the successor is kept."""
    return {"is": "uncertain", "error": error}


def unmarked() -> Event:
    """Return the event after the marker was removed from the description of a successor."""
    return {"is": "unmarked"}


def removing(error: str) -> Event:
    """Return the event before a successor is deleted.

    Args:
        error: Why it is deleted.
    """
    return {"is": "removing", "error": error}


def failed(error: str) -> Event:
    """Return the event for a token that has no successor now."""
    return {"is": "failed", "error": error}


def retiring(plan: Path) -> Event:
    """Return the event before the plan to deactivate the old token is made."""
    return {"is": "retiring", "plan": str(plan)}


def retired() -> Event:
    """Return the event after the old token was deactivated, or was found to be gone."""
    return {"is": "retired"}


def left(error: str) -> Event:
    """Return the event for an old token that is left alone.

    Args:
        error: Why it is left alone.
    """
    return {"is": "left", "error": error}


def cancelled() -> Event:
    """Return the event for a token whose rotation is given up."""
    return {"is": "cancelled"}


def noted(error: str) -> Event:
    """Return the event for an error that changes no stage."""
    return {"is": "noted", "error": error}


_NO_SUCCESSOR: Mapping[str, Any] = MappingProxyType(
    {
        "successor_id": None,
        "successor_expires_at": None,
        "is_verified": False,
        "is_marked": False,
    }
)


def advanced(token: RotatedToken, event: Event) -> RotatedToken:
    """Return a token after an event.

    Raises:
        ValueError: No release writes such an event.
        KeyError: A member of the event is missing.
    """
    kind = event["is"]
    error = event.get("error")
    if error is not None and not isinstance(error, str):
        raise ValueError(event)
    if kind in _NOTES:
        return attrs.evolve(token, **_NOTES[kind], error=error or token.error)
    changes: dict[str, Any] = {"stage": _STAGES[kind], "error": error}
    if kind == "created":
        changes |= {
            "successor_id": str(event["id"]),
            "successor_expires_at": _time(event["expires"]),
            "is_marked": True,
        }
    elif kind == "delivered":
        changes["delivered_at"] = _time(event["at"])
    elif kind == "retiring":
        changes["retirement"] = Path(event["plan"])
    elif kind in {"uncertain", "failed", "creating"}:
        changes |= _NO_SUCCESSOR
    if kind == "uncertain":
        changes["uncertain_ids"] = token.successor_ids
    return attrs.evolve(token, **changes)


_NOTES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"verified": {"is_verified": True}, "unmarked": {"is_marked": False}, "noted": {}}
)
"""The events that change no stage, and the attributes that they change."""

_STAGES: Mapping[str, RotationStage] = MappingProxyType(
    {
        "creating": RotationStage.CREATING,
        "created": RotationStage.CREATED,
        "delivering": RotationStage.DELIVERING,
        "delivered": RotationStage.DELIVERED,
        "uncertain": RotationStage.FAILED,
        "removing": RotationStage.REMOVING,
        "failed": RotationStage.FAILED,
        "retiring": RotationStage.DELIVERED,
        "retired": RotationStage.RETIRED,
        "left": RotationStage.LEFT,
        "cancelled": RotationStage.CANCELLED,
    }
)


def _time(text: str | None) -> datetime | None:
    return None if text is None else parse_timestamp(text)


# --- The header and the tokens ---------------------------------------------------------------


def settings_json(settings: RotationSettings) -> dict[str, Any]:
    """Return settings as JSON values."""
    lifetime = settings.lifetime
    return {
        "lifetime": None if lifetime is None else lifetime.total_seconds(),
        "until": timestamp(settings.until),
        "overlap": settings.overlap.total_seconds(),
        "grace": settings.grace.total_seconds(),
        "allowUnverified": settings.allow_unverified,
    }


def parse_settings(data: Mapping[str, Any]) -> RotationSettings:
    """Return the settings that JSON values describe.

    Raises:
        KeyError: A member is missing.
        TypeError: A member has another type.
        ValueError: A member is not a timestamp.
    """
    lifetime = data["lifetime"]
    return RotationSettings(
        lifetime=None if lifetime is None else timedelta(seconds=lifetime),
        until=_time(data["until"]),
        overlap=timedelta(seconds=data["overlap"]),
        grace=timedelta(seconds=data["grace"]),
        allow_unverified=bool(data["allowUnverified"]),
    )


def token_json(token: RotatedToken) -> dict[str, Any]:
    """Return the old token as JSON values."""
    return {
        "owner": str(token.owner),
        "id": token.id,
        "name": token.name,
        "lastUpdated": timestamp(token.last_updated),
        "expirationDate": timestamp(token.expiration_date),
        "ownerId": token.owner_id,
    }


def parse_token(data: Mapping[str, Any]) -> RotatedToken:
    """Return the old token that JSON values describe.

    Raises:
        KeyError: A member is missing.
        ValueError: A member has another form.
    """
    return RotatedToken(
        owner=Owner.parse(data["owner"]),
        id=str(data["id"]),
        name=str(data["name"]),
        last_updated=_time(data["lastUpdated"]),
        expiration_date=_time(data["expirationDate"]),
        # Earlier journals do not have it.
        owner_id=data.get("ownerId"),
    )
