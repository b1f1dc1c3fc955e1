"""A plan's lines: what they say as JSON, and the digest over all of them."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any, NotRequired, TypedDict, TypeVar, cast

import attrs

from losant_tokens import Owner
from losant_tokens.jobs._types import ACTIONS, Action, Counts, Entry, Header

T = TypeVar("T")

FORMAT = "losant-tokens plan"
VERSION = 1


class Line(TypedDict):
    """The members of a line about a token, in the order in which they are written; see `Entry`."""

    owner: str
    id: str
    name: str
    status: str | None
    lastUpdated: str | None
    creationDate: str | None
    expirationDate: str | None
    reason: str
    protected: NotRequired[str]


def json_line(value: object) -> bytes:
    """JSON on one line, for people to read: in UTF-8 wherever that can be."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON may carry and UTF-8 may not
        return json.dumps(value, separators=(",", ":")).encode()


def digest_of(header: dict[str, Any], entries: str) -> str:
    canonical = json.dumps(header, sort_keys=True).encode()
    return "sha256:" + hashlib.sha256(canonical + entries.encode()).hexdigest()


def first_line(header: dict[str, Any], digest: str) -> bytes:
    return json_line({**header, "digest": digest}) + b"\n"


def unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of a JSON object, each of which must occur once.

    Of two members with one name, a person may read the first and a parser the last.

    Raises:
        ValueError: A name occurs twice.
    """
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError(pairs)
    return members


def _datetime(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def text_of(time: datetime | None) -> str | None:
    """Return a time as the files show it: in UTC, if it has a year from 1 to 9999 there."""
    if time is None:
        return None
    try:
        return time.astimezone(UTC).isoformat()
    except OverflowError:
        return time.isoformat()


def header_json(header: Header) -> dict[str, Any]:
    """Return the header of a plan as JSON values, all but the digest."""
    return {"format": FORMAT, "version": VERSION, **header_members(header)}


def header_members(header: Header) -> dict[str, Any]:
    """Return the facts of a header under their names in plans and reports."""
    skew = header.clock_skew
    return {
        "created": text_of(header.created_at),
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
    }


def read_header(data: dict[str, Any]) -> Header:
    """Return the header that JSON values describe.

    Raises:
        ValueError: A member has a type or a value that no release writes.
        KeyError: A member is missing.
    """
    created = _checked(data["created"], str)
    skew = data["clockSkew"]
    return Header(
        created_at=aware(created),
        base_url=_checked(data["baseUrl"], str),
        action=_one_of_actions(data["action"]),
        rule=_checked(data["rule"], str),
        counts={
            Owner.parse(owner): _counts(_checked(counts, dict))
            for owner, counts in _checked(data["owners"], dict).items()
        },
        protected=_strings(data["protected"]),
        token_in_use=optional_string(data["tokenInUse"]),
        drifted=_checked(data["moved"], bool),
        owner_ids=read_owner_ids(data["ownerIds"]),
        account=optional_string(data["account"]),
        clock_skew=None if skew is None else _seconds(skew),
        incomplete=_strings(data["incomplete"]),
    )


def read_owner_ids(data: object) -> dict[Owner, tuple[str, ...]]:
    """Return the ids of owners that JSON values describe.

    Raises:
        ValueError: They are of another form.
    """
    return {Owner.parse(owner): _strings(ids) for owner, ids in _checked(data, dict).items()}


def aware(text: str) -> datetime:
    """Return the time that a string names.

    Raises:
        ValueError: It names none, or one without a time zone.
    """
    time = datetime.fromisoformat(text)
    if time.utcoffset() is None:
        raise ValueError(text)
    return time


def _checked(value: object, kind: type[T]) -> T:
    if type(value) is not kind:
        raise ValueError(value)
    return value


def optional_string(value: object) -> str | None:
    """Return a JSON value that may be a string or null.

    Raises:
        ValueError: It is neither.
    """
    return None if value is None else _checked(value, str)


def _strings(value: object) -> tuple[str, ...]:
    return tuple(_checked(item, str) for item in _checked(value, list))


def _one_of_actions(value: object) -> Action:
    for action in ACTIONS:
        if value == action:
            return action
    raise ValueError(value)


def _seconds(value: object) -> timedelta:
    if type(value) not in (int, float):
        raise ValueError(value)
    return timedelta(seconds=cast("float", value))


def _counts(data: dict[str, Any]) -> Counts:
    counts = Counts(**{name: _checked(value, int) for name, value in data.items()})
    if min(counts.listed, counts.selected, counts.protected) < 0:
        raise ValueError(data)
    return counts


def entry_json(entry: Entry) -> Line:
    said: Line = {
        "owner": str(entry.owner),
        "id": entry.id,
        "name": entry.name,
        "status": entry.status,
        "lastUpdated": text_of(entry.last_updated),
        "creationDate": text_of(entry.creation_date),
        "expirationDate": text_of(entry.expiration_date),
        "reason": entry.reason,
    }
    return said if entry.protected is None else {**said, "protected": entry.protected}


def read_entry(said: Line, owner: Owner) -> Entry:
    # In the order of the class: by their names, it would take twice as long.
    return Entry(
        owner,
        said["id"],
        said["name"],
        said["status"],
        _datetime(said["lastUpdated"]),
        _datetime(said["creationDate"]),
        _datetime(said["expirationDate"]),
        said["reason"],
        said.get("protected"),
    )


_MEMBERS = frozenset(Line.__required_keys__)
_OPTIONAL = frozenset(Line.__optional_keys__)


class LineCheck:
    """Checks each line of a plan, and that the header counts them right.

    Args:
        header: The header of the plan.
    """

    def __init__(self, header: Header) -> None:
        self._counts = header.counts
        self._owners = {str(owner): owner for owner in header.counts}
        self._found = {owner: [0, 0] for owner in header.counts}

    def take(self, lines: list[bytes]) -> None:
        """Check some lines.

        Raises:
            ValueError: A line is not one that a release writes, or about another owner.
            KeyError: It is about an owner that the header does not name.
        """
        for line in lines:
            data = _checked(json.loads(line, object_pairs_hook=unique_members), dict)
            if not _MEMBERS <= data.keys() <= _MEMBERS | _OPTIONAL:
                raise ValueError(data)
            owner = self._owners[_checked(data["owner"], str)]
            self._found[owner]["protected" in data] += 1
            _check_entry(cast("Line", data), owner)

    def problem(self) -> str | None:
        """Return in words that the header counts other lines than there are, or `None`."""
        for owner, (selected, protected) in self._found.items():
            counts = self._counts[owner]
            if (counts.selected, counts.protected) != (selected, protected):
                return (
                    f"it states {counts.selected} selected and {counts.protected} protected tokens "
                    f"of {owner}, and holds {selected} and {protected}"
                )
        return None


def _check_entry(data: Line, owner: Owner) -> None:
    entry = read_entry(data, owner)
    for text in (entry.id, entry.name, entry.reason):
        _checked(text, str)
    for optional in (entry.status, entry.protected):
        optional_string(optional)
    for time in (entry.last_updated, entry.creation_date, entry.expiration_date):
        if time is not None and time.utcoffset() is None:
            raise ValueError(time)
