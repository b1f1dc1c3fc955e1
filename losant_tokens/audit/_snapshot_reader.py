"""`read`: an audit that was saved as JSON. The file may come from anybody, so it is checked."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from attrs import field, frozen

from losant_tokens import Owner
from losant_tokens._utils.private_files import open_regular, reason
from losant_tokens.audit._finding import AuditedToken, Finding, TokenFindings
from losant_tokens.audit._formats.json import FORMAT, VERSION
from losant_tokens.errors import LosantError, ValidationError
from losant_tokens.policy import Severity

T = TypeVar("T")

_MAX_SIZE = 2 << 30  # bytes
_SEVERITIES: Mapping[str, Severity] = {one.value: one for one in Severity}


class AuditFileError(LosantError):
    """A file is not an audit, or cannot be read."""


@frozen(kw_only=True, eq=False)
class Snapshot:
    """An audit that was read from a file."""

    path: Path
    """The file."""
    created_at: datetime
    """When the audit was made."""
    audited: frozenset[tuple[str, str]] = field(repr=False)
    """The accounts and owners whose tokens were listed completely."""
    tokens: Mapping[tuple[str, str], TokenFindings] = field(repr=False)
    """The tokens with their findings, by the base URL and the id in lower case, because two APIs
    can have the same id.
    """
    deleted_by: Mapping[tuple[str, str], str] = field(factory=dict, repr=False)
    """The people that deleted tokens, by the same key, as audit logs showed it."""


def read(path: str | os.PathLike[str]) -> Snapshot:
    """Return an audit that was saved as JSON.

    Args:
        path: The file.

    Raises:
        AuditFileError: The file is not an audit, or cannot be read.
    """
    path = Path(path)
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            if os.fstat(file.fileno()).st_size > _MAX_SIZE:
                raise AuditFileError(f"{path} cannot be read: it is too large")
            data = json.load(
                file, object_pairs_hook=_unique_members, parse_constant=_refuse_constant
            )
    except OSError as error:
        raise AuditFileError(f"{path} cannot be read: {reason(error)}") from None
    except MemoryError:
        raise AuditFileError(f"{path} cannot be read: it is too large") from None
    except (ValueError, RecursionError):
        raise AuditFileError(f"{path} is not an audit: it is not valid JSON") from None
    try:
        return _snapshot(path, _Value(data, "the document"))
    except _WrongValueError as error:
        raise AuditFileError(f"{path} is not an audit of losant-tokens: {error}") from None


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError(pairs)
    return members


def _refuse_constant(text: str) -> None:
    raise ValueError(text)


def _snapshot(path: Path, data: "_Value") -> Snapshot:
    if data["format"].value != FORMAT:
        raise _WrongValueError(f'"format" is not "{FORMAT}"')
    version = data["version"].of(int)
    if version != VERSION:
        raise AuditFileError(
            f"{path} is an audit of version {str(version)[:20]}, but this release can only read "
            f"version {VERSION}. Use the release that wrote it."
        )
    urls = {
        account["name"].of(str): account["baseUrl"].of(str) for account in data["accounts"].items()
    }
    tokens: dict[tuple[str, str], TokenFindings] = {}
    raw = data["tokens"]
    for number, one in enumerate(raw.of(list)):
        found = _token(_Value(one, f"{raw.place}[{number}]"))
        tokens[urls.get(found.token.account, ""), found.token.id.lower()] = found
        raw.value[number] = None  # An audit of many tokens would be in memory twice.
    return Snapshot(
        path=path,
        created_at=data["created"].time(),
        audited=frozenset(
            (account["name"].of(str), owner["owner"].of(str))
            for account in data["accounts"].items()
            for owner in account["owners"].items()
            if owner["problem"].value is None and not owner["incomplete"].items()
        ),
        tokens=tokens,
        deleted_by={
            (account["baseUrl"].of(str), token_id.lower()): account["deletedBy"][token_id].of(str)
            for account in data["accounts"].items()
            for token_id in account["deletedBy"].of(dict)
        },
    )


def _token(data: "_Value") -> TokenFindings:
    token = AuditedToken(
        account=data["account"].word(),
        owner=data["owner"].convert(Owner.parse, "an owner"),
        id=data["id"].of(str),
        name=data["name"].of(str),
        status=data["status"].optional(str),
        scope=tuple(one.word() for one in data["scope"].items()),
        creation_date=data["creationDate"].optional_time(),
        last_updated=data["lastUpdated"].optional_time(),
        expiration_date=data["expirationDate"].optional_time(),
        creator_id=data["creatorId"].optional(str),
        creator_name=data["creatorName"].optional(str),
        description=data["description"].optional(str),
        last_seen=data["lastSeen"].optional_time(),
        changed_by=data["changedBy"].optional(str),
    )
    return TokenFindings(token, tuple(_finding(one, token) for one in data["findings"].items()))


def _finding(data: "_Value", token: AuditedToken) -> Finding:
    evidence = data["evidence"].of(dict)
    for name in evidence:
        data["evidence"][name].scalar()
    return Finding(
        rule=data["rule"].word(),
        severity=data["severity"].convert(_SEVERITIES.__getitem__, "a severity"),
        message=data["message"].word(),
        token=token,
        evidence=evidence,
    )


class _WrongValueError(Exception):
    """A value of the file has another type or form."""


@frozen
class _Value:
    """A value of a JSON document, with its place for messages."""

    value: Any
    place: str

    def __getitem__(self, name: str) -> "_Value":
        members = self.of(dict)
        place = name if self.place == "the document" else f"{self.place}.{name}"
        if name not in members:
            raise _WrongValueError(f"{place} is missing")
        return _Value(members[name], place)

    def items(self) -> "list[_Value]":
        """Return the items, each with its place, if the value is a list."""
        return [
            _Value(item, f"{self.place}[{number}]") for number, item in enumerate(self.of(list))
        ]

    def of(self, kind: type[T]) -> T:
        """Return the value if it has a type."""
        if type(self.value) is not kind:
            raise _WrongValueError(f"{self.place} is not {_KINDS[kind]}")
        return self.value

    def word(self) -> str:
        """Return the value if it is a string, as one that equal strings of the file share."""
        return sys.intern(self.of(str))

    def optional(self, kind: type[T]) -> T | None:
        """Return the value if it has a type or is null."""
        return None if self.value is None else self.of(kind)

    def scalar(self) -> str | int:
        """Return the value if it is a string or an integer."""
        return self.value if type(self.value) is int else self.of(str)

    def convert(self, parse: Callable[[str], T], kind: str) -> T:
        """Return the string of the value as another value."""
        text = self.of(str)
        try:
            return parse(text)
        except (ValueError, KeyError, ValidationError):
            raise _WrongValueError(f"{self.place} is not {kind}") from None

    def time(self) -> datetime:
        """Return the value as a time with a time zone."""
        time = self.convert(datetime.fromisoformat, "a time")
        if time.utcoffset() is None:
            raise _WrongValueError(f"{self.place} is a time without a time zone")
        return time

    def optional_time(self) -> datetime | None:
        """Return the value as a time, or `None`."""
        return None if self.value is None else self.time()


_KINDS: Mapping[type, str] = {
    int: "an integer",
    str: "a string",
    dict: "an object",
    list: "a list",
}
