"""The lines of a plan file as JSON, and the digest over all of them."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NotRequired, TypedDict, TypeVar, cast

import attrs

from losant_tokens import Owner
from losant_tokens._utils.validators import describe
from losant_tokens.jobs._errors import PlanRefused
from losant_tokens.jobs._evidence.log_source import LogSource
from losant_tokens.jobs._types import (
    ACTIONS,
    Action,
    Counts,
    Entry,
    Evidence,
    Header,
    PolicyReference,
)

T = TypeVar("T")

FORMAT = "losant-tokens plan"
_ID_LENGTH = 8  # hexadecimal digits
VERSION = 2
READABLE_VERSIONS = (1, 2)
"""The lines of version 1 have no scopes, creator or description."""


# `json.dumps` makes an encoder for each call, which takes a tenth of the time to write a plan.
_READABLE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


class Line(TypedDict):
    """The members of a line about a token, in the order in which they are written. See `Entry`."""

    owner: str
    id: str
    name: str
    status: str | None
    lastUpdated: str | None
    creationDate: str | None
    expirationDate: str | None
    reason: str
    protected: NotRequired[str]
    scope: NotRequired[Sequence[str]]
    creatorId: NotRequired[str]
    creatorName: NotRequired[str]
    description: NotRequired[str]


def json_line(value: object) -> bytes:
    """Return a value as one line of JSON in readable UTF-8, without a newline."""
    try:
        return _READABLE.encode(value).encode()
    except UnicodeEncodeError:
        # JSON can escape half of a surrogate pair, but UTF-8 cannot encode it.
        return json.dumps(value, separators=(",", ":")).encode()


def digest_of(header: dict[str, Any], entries_digest: str) -> str:
    """Return the digest of a plan.

    Args:
        header: The header as JSON values, without the digest.
        entries_digest: The SHA-256 of all other lines, in hexadecimal digits.
    """
    canonical = json.dumps(header, sort_keys=True).encode()
    return "sha256:" + hashlib.sha256(canonical + entries_digest.encode()).hexdigest()


def short_id(digest: str) -> str:
    """Return the short id of a plan: the first digits of its digest."""
    return digest.removeprefix("sha256:")[:_ID_LENGTH]


def first_line(header: dict[str, Any], digest: str) -> bytes:
    """Return the first line of a plan: the header with the digest."""
    return json_line({**header, "digest": digest}) + b"\n"


def unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of a JSON object, each of which must occur once.

    If two members have the same name, a person may read the first and a parser the last.

    Raises:
        ValueError: A name occurs twice.
    """
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError(pairs)
    return members


def timestamp(time: datetime | None) -> str | None:
    """Return a time as a timestamp in UTC, or with its own offset if it is too extreme for UTC."""
    if time is None:
        return None
    try:
        return time.astimezone(UTC).isoformat()
    except OverflowError:
        return time.isoformat()


def parse_timestamp(text: str) -> datetime:
    """Return the time of a timestamp.

    Raises:
        ValueError: The string is not a timestamp, or has no time zone.
    """
    time = datetime.fromisoformat(text)
    if time.utcoffset() is None:
        raise ValueError(text)
    return time


# --- The header ------------------------------------------------------------------------------


def header_json(header: Header) -> dict[str, Any]:
    """Return the header of a plan as JSON values, without the digest."""
    return {"format": FORMAT, "version": VERSION, **header_members(header)}


def header_members(header: Header) -> dict[str, Any]:
    """Return the attributes of a header under the names that they have in plans and reports."""
    skew = header.clock_skew
    return {
        "created": timestamp(header.created_at),
        "baseUrl": header.base_url,
        "action": header.action,
        "rule": header.rule,
        "owners": {str(owner): attrs.asdict(counts) for owner, counts in header.counts.items()},
        "protected": list(header.protected),
        "tokenInUse": header.token_in_use,
        "moved": header.drifted,
        "ownerIds": {str(owner): list(ids) for owner, ids in header.owner_ids.items()},
        "account": header.account,
        "clockSkew": None if skew is None else round(skew.total_seconds(), 3),
        "incomplete": list(header.incomplete),
        **_optional_members(header),
        **_seen_members(header),
        "cannotApply": list(header.cannot_apply),
        "tokenExpires": timestamp(header.token_expires_at),
        "refused": list(header.refused),
    }


def _optional_members(header: Header) -> dict[str, Any]:
    """Return the attributes of a header that only plans about quarantines or of policies have."""
    members: dict[str, Any] = {}
    if header.grace is not None:
        members["grace"] = round(header.grace.total_seconds())
    if header.quarantines:
        members["quarantines"] = list(header.quarantines)
    if header.policy is not None:
        members["policy"] = attrs.asdict(header.policy)
    return members


def _seen_members(header: Header) -> dict[str, Any]:
    """Return the evidence of use that only plans with audit logs have."""
    seen = header.seen
    if seen is None:
        return {}
    return {
        "seen": {
            "span": round(seen.span.total_seconds()),
            "sources": list(seen.sources),
            "until": timestamp(seen.until),
            "protected": seen.protected,
            "gaps": list(seen.gaps),
        }
    }


def parse_header(data: dict[str, Any]) -> Header:
    """Return the header that JSON values describe.

    Raises:
        ValueError: A member has a type or a value that no release writes.
        KeyError: A member is missing.
    """
    skew, expires = data["clockSkew"], data.get("tokenExpires")
    return Header(
        created_at=parse_timestamp(checked(data["created"], str)),
        base_url=checked(data["baseUrl"], str),
        action=_action(data["action"]),
        rule=checked(data["rule"], str),
        counts={
            Owner.parse(owner): _counts(checked(counts, dict))
            for owner, counts in checked(data["owners"], dict).items()
        },
        protected=_strings(data["protected"]),
        token_in_use=optional_string(data["tokenInUse"]),
        drifted=checked(data["moved"], bool),
        owner_ids=parse_owner_ids(data["ownerIds"]),
        account=optional_string(data["account"]),
        clock_skew=None if skew is None else _seconds(skew),
        incomplete=_strings(data["incomplete"]),
        grace=parse_grace(data.get("grace")),
        quarantines=_strings(data.get("quarantines", [])),
        # Version 1 has no such members.
        cannot_apply=_strings(data.get("cannotApply", [])),
        token_expires_at=None if expires is None else parse_timestamp(checked(expires, str)),
        refused=_strings(data.get("refused", [])),
        seen=_seen(data.get("seen")),
        policy=parse_policy(data.get("policy")),
    )


def _seen(data: object) -> Evidence | None:
    if data is None:
        return None
    members = checked(data, dict)
    for source in _strings(members["sources"]):
        LogSource.parse(source)
    span, protected = _seconds(members["span"]), checked(members["protected"], int)
    if span < timedelta(0) or protected < 0:
        raise ValueError(data)
    return Evidence(
        span=span,
        sources=_strings(members["sources"]),
        until=parse_timestamp(checked(members["until"], str)),
        protected=protected,
        gaps=_strings(members["gaps"]),
    )


def parse_policy(data: object) -> PolicyReference | None:
    """Return the clean-up of a policy that a JSON value describes.

    Raises:
        ValueError: The value has another form.
        KeyError: A member is missing.
    """
    if data is None:
        return None
    members = checked(data, dict)
    return PolicyReference(
        cleanup=checked(members["cleanup"], str), digest=checked(members["digest"], str)
    )


def parse_grace(seconds: object) -> timedelta | None:
    """Return the grace period that a JSON value describes.

    Raises:
        ValueError: The value is not a number of seconds.
    """
    if seconds is None:
        return None
    grace = _seconds(seconds)
    if grace < timedelta(0):
        raise ValueError(seconds)
    return grace


def parse_owner_ids(data: object) -> dict[Owner, tuple[str, ...]]:
    """Return the ids of owners that JSON values describe.

    Raises:
        ValueError: The values have another form.
    """
    return {Owner.parse(owner): _strings(ids) for owner, ids in checked(data, dict).items()}


def version_text(value: object) -> str:
    """Return the version of a format for a message. It may be any JSON value."""
    return str(value) if type(value) is int else describe(value)


@contextmanager
def refusing_values(kind: str) -> Iterator[None]:
    """Raise `PlanRefused` for each error that values of `to_json` can cause.

    Args:
        kind: What the values are expected to be, for the message: `the result of a chunk`.
    """
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise PlanRefused(
            f"The values are not {kind}. Pass the values that to_json returned."
        ) from None


def members_of(
    data: object, format_name: str, versions: Sequence[int], *, kind: str, advice: str
) -> dict[str, Any]:
    """Return the members of values of `to_json`, which have a format and a version.

    Args:
        data: The values.
        format_name: The format.
        versions: The versions that this release can read.
        kind: What the values are, for the message: `the result of a chunk`.
        advice: What to do about another version, as a sentence.

    Raises:
        PlanRefused: The values are of another version.
        ValueError: The values are not of the format.
        KeyError: They lack a format or a version.
    """
    members: dict[str, Any] = checked(data, dict)
    if members["format"] != format_name:
        raise ValueError(data)
    version = members["version"]
    if type(version) is not int or version not in versions:
        readable = " and ".join(map(str, versions))
        raise PlanRefused(
            f"The values are {kind} of version {version_text(version)}, but this release can only "
            f"read version{'' if len(versions) == 1 else 's'} {readable}. {advice}"
        )
    return members


def optional_string(value: object) -> str | None:
    """Return a JSON value that must be a string or null.

    Raises:
        ValueError: The value has another type.
    """
    return None if value is None else checked(value, str)


def checked(value: object, kind: type[T]) -> T:
    """Return a JSON value that must be of a type.

    Raises:
        ValueError: The value has another type.
    """
    if type(value) is not kind:
        raise ValueError(value)
    return value


def _strings(value: object) -> tuple[str, ...]:
    return tuple(checked(item, str) for item in checked(value, list))


def _action(value: object) -> Action:
    for action in ACTIONS:
        if value == action:
            return action
    raise ValueError(value)


def _seconds(value: object) -> timedelta:
    if type(value) not in (int, float):
        raise ValueError(value)
    return timedelta(seconds=cast("float", value))


def _counts(data: dict[str, Any]) -> Counts:
    counts = Counts(**{name: checked(value, int) for name, value in data.items()})
    if min(counts.listed, counts.selected, counts.protected) < 0:
        raise ValueError(data)
    return counts


# --- The lines about tokens ------------------------------------------------------------------


def entry_json(entry: Entry) -> Line:
    """Return a line about a token as JSON values."""
    line: Line = {
        "owner": str(entry.owner),
        "id": entry.id,
        "name": entry.name,
        "status": entry.status,
        "lastUpdated": timestamp(entry.last_updated),
        "creationDate": timestamp(entry.creation_date),
        "expirationDate": timestamp(entry.expiration_date),
        "reason": entry.reason,
    }
    if entry.protected is not None:
        line["protected"] = entry.protected
    if entry.scope is not None:
        line["scope"] = entry.scope
    if entry.creator_id is not None:
        line["creatorId"] = entry.creator_id
    if entry.creator_name is not None:
        line["creatorName"] = entry.creator_name
    if entry.description is not None:
        line["description"] = entry.description
    return line


def entry_of(line: Line, owner: Owner) -> Entry:
    """Return the token that a line describes, without checking the types of its members."""
    return Entry(
        owner=owner,
        id=line["id"],
        name=line["name"],
        status=line["status"],
        last_updated=_datetime(line["lastUpdated"]),
        creation_date=_datetime(line["creationDate"]),
        expiration_date=_datetime(line["expirationDate"]),
        reason=line["reason"],
        protected=line.get("protected"),
        scope=tuple(line["scope"]) if "scope" in line else None,
        creator_id=line.get("creatorId"),
        creator_name=line.get("creatorName"),
        description=line.get("description"),
    )


def _datetime(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


_REQUIRED = frozenset(Line.__required_keys__)
_OPTIONAL = frozenset(Line.__optional_keys__)
_OPTIONAL_STRINGS = _OPTIONAL - {"scope"}


class LineCheck:
    """Checks each line of a plan, and compares their number with the counts of the header.

    Args:
        header: The header of the plan.
    """

    def __init__(self, header: Header) -> None:
        self._counts = header.counts
        self._owners = {str(owner): owner for owner in header.counts}
        self._found = {owner: [0, 0] for owner in header.counts}

    def check(self, line: bytes) -> None:
        """Check a line.

        Raises:
            ValueError: No release writes such a line, or its owner is not in the header.
            KeyError: The header does not have the owner.
        """
        self.entry(json.loads(line, object_pairs_hook=unique_members))

    def entry(self, data: object) -> Entry:
        """Check the JSON values of a line, and return the token.

        Raises:
            ValueError: No release writes such a line, or its owner is not in the header.
            KeyError: The header does not have the owner.
        """
        data = checked(data, dict)
        if not _REQUIRED <= data.keys() <= _REQUIRED | _OPTIONAL:
            raise ValueError(data)
        owner = self._owners[checked(data["owner"], str)]
        self._found[owner]["protected" in data] += 1
        return _checked_entry(cast("Line", data), owner)

    def problem(self) -> str | None:
        """Return how the header and the lines differ in number; `None` if they do not."""
        for owner, (selected, protected) in self._found.items():
            counts = self._counts[owner]
            if (counts.selected, counts.protected) != (selected, protected):
                return (
                    f"it states {counts.selected} selected and {counts.protected} protected tokens "
                    f"of {owner}, and holds {selected} and {protected}"
                )
        return None


def _checked_entry(line: Line, owner: Owner) -> Entry:
    entry = entry_of(line, owner)
    for text in (entry.id, entry.name, entry.reason):
        checked(text, str)
    for optional in (entry.status, *map(line.get, _OPTIONAL_STRINGS)):
        optional_string(optional)
    if "scope" in line:
        _strings(line["scope"])
    for time in (entry.last_updated, entry.creation_date, entry.expiration_date):
        if time is not None and time.utcoffset() is None:
            raise ValueError(time)
    return entry
