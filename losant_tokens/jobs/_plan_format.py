"""A plan's lines: what they say as JSON, and the digest over all of them."""

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import IO, Any, NotRequired, TypedDict

import attrs

from losant_tokens import Owner
from losant_tokens.jobs._values import ACTIONS, Counts, Entry, Header

FORMAT = "losant-tokens plan"
VERSION = 1


class Line(TypedDict):
    """What a line says about a token, in the order of `_LINE`; all that it says is in `Entry`."""

    owner: str
    id: str
    name: str
    status: str | None
    lastUpdated: str | None
    creationDate: str | None
    expirationDate: str | None
    reason: str
    protected: NotRequired[str]


# A line as it is written here, where no text has what JSON writes as an escape, or forbids.
_PLAIN = r'[^"\\\x00-\x1f]*'
_TEXT, _OR_NULL = f'"{_PLAIN}"', f'(?:"{_PLAIN}"|null)'
_LINE = re.compile(
    f'^{{"owner":"({_PLAIN})","id":"({_PLAIN})"'
    f',"name":{_TEXT},"status":{_OR_NULL},"lastUpdated":{_OR_NULL}'
    f',"creationDate":{_OR_NULL},"expirationDate":{_OR_NULL},"reason":{_TEXT}'
    f'(,"protected":{_TEXT})?}}\n',
    re.MULTILINE,
)


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


def hash_of(file: IO[bytes]) -> str:
    hashed = hashlib.sha256()
    while part := file.read(1 << 20):
        hashed.update(part)
    return hashed.hexdigest()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def header_json(header: Header) -> dict[str, Any]:
    return {"format": FORMAT, "version": VERSION, **header_members(header)}


def header_members(header: Header) -> dict[str, Any]:
    """What a header says, as it stands in a plan and in a report."""
    return {
        "created": _text(header.created),
        "baseUrl": header.base_url,
        "action": header.action,
        "rule": header.rule,
        "owners": {str(owner): attrs.asdict(counts) for owner, counts in header.counts.items()},
        "protected": list(header.protected),
        "tokenInUse": header.token_in_use,
        "moved": header.moved,
    }


def read_header(said: dict[str, Any]) -> Header:
    if said["action"] not in ACTIONS:
        raise ValueError
    return Header(
        created=datetime.fromisoformat(said["created"]),
        base_url=said["baseUrl"],
        action=said["action"],
        rule=said["rule"],
        counts={Owner.parse(owner): Counts(**counts) for owner, counts in said["owners"].items()},
        protected=tuple(said["protected"]),
        token_in_use=said["tokenInUse"],
        moved=said["moved"],
    )


def entry_json(entry: Entry) -> Line:
    said: Line = {
        "owner": str(entry.owner),
        "id": entry.id,
        "name": entry.name,
        "status": entry.status,
        "lastUpdated": _text(entry.last_updated),
        "creationDate": _text(entry.creation_date),
        "expirationDate": _text(entry.expiration_date),
        "reason": entry.reason,
    }
    return said if entry.protected is None else {**said, "protected": entry.protected}


def read_heads(lines: list[bytes]) -> list[tuple[str, str, str]]:
    """Of each line, the owner, the id, and the guard that protects the token: empty without one.

    To read all that JSON says takes three times as long. That is done where any of these lines is
    not just as it is written here, or says something with escapes.
    """
    heads = _LINE.findall(b"".join(lines).decode(errors="surrogatepass"))  # as json does
    if len(heads) == len(lines):
        return heads
    said: list[Line] = [json.loads(line) for line in lines]
    return [(line["owner"], line["id"], "guard" if "protected" in line else "") for line in said]


def read_entry(said: Line, owner: Owner) -> Entry:
    # In the order of the class: by their names, it would take twice as long.
    return Entry(
        owner,
        said["id"],
        said["name"],
        said["status"],
        _moment(said["lastUpdated"]),
        _moment(said["creationDate"]),
        _moment(said["expirationDate"]),
        said["reason"],
        said.get("protected"),
    )
