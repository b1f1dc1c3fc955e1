"""A plan as values instead of a file, and chunks of it: for a database, or for a queue of your own.

The problem: a plan is a file on one machine, but the workers of a queue run on several, and a
database outlives a disk. The workers must apply exactly the reviewed tokens.

The approach: a document has the digest of the plan file, which covers the header and all tokens, so
`PlanDocument.from_json` detects any change. A chunk does not have all tokens, so it cannot prove
alone that it belongs to the plan. It has a digest of its own over its tokens, its place, the header
and the digest of the plan. Like the digest of a plan file, neither has a key: they detect
alterations, and no forgery. Somebody who can write to your database can write a plan.

The digests are of the JSON values and not of the parsed ones, because another release may write
members that this one does not know. Members of the header that are unknown are kept. A token with
an unknown member is refused, as in a plan file, because it could protect the token.

Rejected: a key for the digests, because each worker would need it, and anybody who can write to the
database could usually read it; a tree of hashes in the header of the plan, because plan files would
need another version, and a chunk is cut from a document that was checked as a whole.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import attrs

from losant_tokens._utils import validators
from losant_tokens.jobs._errors import PlanRefused
from losant_tokens.jobs._plan.format import (
    FORMAT,
    READABLE_VERSIONS,
    Line,
    LineCheck,
    checked,
    digest_of,
    entry_json,
    json_line,
    members_of,
    parse_header,
    refusing_values,
    short_id,
)
from losant_tokens.jobs._plan.plan import Plan, check_header
from losant_tokens.jobs._plan.planned_tokens import PlannedTokens
from losant_tokens.jobs._plan.reader import PlanEntries, refusing_unreadable
from losant_tokens.jobs._types import Counts, Entry, Header

if TYPE_CHECKING:
    from losant_tokens import Owner

DOCUMENT_FORMAT = "losant-tokens plan document"
CHUNK_FORMAT = "losant-tokens plan chunk"
VERSION = 1

Json = dict[str, Any]

_ADVICE = "Use the release that wrote them, or make a new plan."
_MEMBERS = tuple(Line.__annotations__)  # in the order in which a plan file has them


@attrs.frozen
class PlanDocument:
    """A plan as values instead of a file.

    `PlanDocument.of(plan)` reads it from a plan, and `PlanDocument.from_json(data)` from JSON.
    """

    header: Header
    """The header."""
    entries: tuple[Entry, ...] = attrs.field(repr=False)
    """The tokens."""
    digest: str
    """The digest of the content: the same as that of the plan file."""
    _values: Json = attrs.field(repr=False, eq=False)
    """The header as JSON values."""

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Return a plan as a document. The file is no longer needed then.

        This reads the file and takes about a second for 50,000 tokens, so call it in a thread:
        `await anyio.to_thread.run_sync(PlanDocument.of, plan)`.

        Args:
            plan: The plan.

        Raises:
            PlanRefused: The file is no longer this plan, or cannot be read.
        """
        with refusing_unreadable(plan.path):
            file = plan.open_file()
            try:
                entries = tuple(PlanEntries(file, plan.header.counts))
            finally:
                file.close()
        if _digest(file.header, map(entry_json, entries)) != plan.digest:
            raise PlanRefused(
                f"{plan.path} has a line that no release has written. Make a new plan."
            )
        return cls(plan.header, entries, plan.digest, file.header)

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Return the document that JSON values describe. Each token and the digest are checked.

        This takes about a second for 50,000 tokens, so call it in a thread:
        `await anyio.to_thread.run_sync(PlanDocument.from_json, data)`.

        Args:
            data: The values of `to_json`, after a way through JSON.

        Raises:
            PlanRefused: The values are not a document, were altered, or are of another version.
        """
        with refusing_values("a plan document of losant-tokens"):
            values = _members(data, DOCUMENT_FORMAT)
            header = _header(values["header"])
            entries, problem = _entries(header, values["tokens"])
            digest = checked(values["digest"], str)
            is_intact = digest == _digest(values["header"], values["tokens"])
        if not is_intact or problem:
            raise PlanRefused(_altered(f"The plan {short_id(digest)}", problem))
        return cls(header, entries, digest, values["header"])

    def to_json(self) -> Json:
        """Return the document as JSON values, for `from_json` of this or a later release.

        They hold no secret, but the names and ids of tokens are private.
        """
        return {
            "format": DOCUMENT_FORMAT,
            "version": VERSION,
            "digest": self.digest,
            "header": self._values,
            "tokens": [entry_json(entry) for entry in self.entries],
        }

    @property
    def id(self) -> str:
        """The first digits of the digest, as a short id of the plan."""
        return short_id(self.digest)

    def __len__(self) -> int:
        return len(self.entries)

    def chunks(self, size: int = 100) -> "tuple[PlanChunk, ...]":
        """Return the plan in parts of a number of tokens, in the order of the plan.

        Args:
            size: The number of tokens of each chunk but the last. Default: 100.

        Raises:
            ValidationError: `size` is not an integer of at least 1.
        """
        validators.check_argument(validators.integer(minimum=1), "chunks", "size", size)
        return tuple(
            PlanChunk(
                self.header, first, self.entries[first : first + size], self.digest, self._values
            )
            for first in range(0, len(self.entries), size)
        )

    def check(self, base_url: str, max_age: timedelta | None, now: datetime) -> None:
        """Refuse the plan if it must not be applied.

        Args:
            base_url: The base URL of the API.
            max_age: How old the plan may be; `None` for any age.
            now: The time: the server's, if it is known.

        Raises:
            ValidationError: `max_age` is not a `timedelta`.
            PlanRefused: A guard refused the plan, or it is for another base URL, too old, or from
                the future.
        """
        check_header(self.header, f"The plan {self.id}", base_url, max_age, now)


@attrs.frozen
class PlanChunk:
    """A part of a plan, which `apply_chunk` applies. `PlanDocument.chunks` returns all of them."""

    header: Header
    """The header of the whole plan."""
    first: int
    """The number of the first token in the plan, from 0."""
    entries: tuple[Entry, ...] = attrs.field(repr=False)
    """The tokens."""
    digest: str
    """The digest of the whole plan."""
    _values: Json = attrs.field(repr=False, eq=False)
    """The header as JSON values."""

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Return the chunk that JSON values describe. Each token and the digest are checked.

        Args:
            data: The values of `to_json`, after a way through JSON.

        Raises:
            PlanRefused: The values are not a chunk, were altered, or are of another version.
        """
        with refusing_values("a chunk of a plan of losant-tokens"):
            values = _members(data, CHUNK_FORMAT)
            header = _header(values["header"])
            entries, _ = _entries(header, values["tokens"])
            digest, first = checked(values["digest"], str), values["first"]
            is_intact = values["chunkDigest"] == _chunk_digest(
                digest, values["header"], first, values["tokens"]
            )
            total = header.total
            is_part = (
                type(first) is int
                and first >= 0
                and 0 < len(entries) <= total.selected + total.protected - first
            )
        if not is_intact or not is_part:
            raise PlanRefused(_altered(f"A chunk of the plan {short_id(digest)}"))
        return cls(header, first, entries, digest, values["header"])

    def to_json(self) -> Json:
        """Return the chunk as JSON values, for `from_json` of this or a later release.

        They hold no secret, but the names and ids of tokens are private.
        """
        lines = [entry_json(entry) for entry in self.entries]
        return {
            "format": CHUNK_FORMAT,
            "version": VERSION,
            "digest": self.digest,
            "header": self._values,
            "first": self.first,
            "tokens": lines,
            "chunkDigest": _chunk_digest(self.digest, self._values, self.first, lines),
        }

    def __len__(self) -> int:
        return len(self.entries)

    def __str__(self) -> str:
        first, last = self.first + 1, self.first + len(self.entries)
        tokens = f"token {first:,}" if first == last else f"tokens {first:,} to {last:,}"
        return f"The chunk of {tokens} of plan {short_id(self.digest)}"


def tokens_of(chunk: PlanChunk) -> PlannedTokens:
    """Return the tokens of a chunk, with a header that counts only these."""
    counts: dict[Owner, Counts] = {}
    for entry in chunk.entries:
        is_protected = entry.protected is not None
        counts[entry.owner] = counts.get(entry.owner, Counts()) + Counts(
            listed=1, selected=not is_protected, protected=is_protected
        )
    header = attrs.evolve(chunk.header, counts=counts)
    return PlannedTokens(str(chunk), header, lambda: iter(chunk.entries), has_account_check=False)


# --- Digests ---------------------------------------------------------------------------------


def _digest(header: Json, lines: Iterable[Mapping[str, Any]]) -> str:
    """Return the digest of a plan, as its file has it.

    Args:
        header: The header as JSON values.
        lines: The tokens as JSON values. Some databases do not keep the order of their members.
    """
    return digest_of(header, _hash(lines))


def _chunk_digest(digest: str, header: Json, first: int, lines: Iterable[Mapping[str, Any]]) -> str:
    place = {"plan": digest, "header": header, "first": first}
    return digest_of(place, _hash(lines))


def _hash(lines: Iterable[Mapping[str, Any]]) -> str:
    hashed = hashlib.sha256()
    for line in lines:
        members = {name: line[name] for name in _MEMBERS if name in line}
        hashed.update(json_line(members) + b"\n")
    return hashed.hexdigest()


# --- Reading ---------------------------------------------------------------------------------


def _members(data: object, format_name: str) -> Json:
    """Return the members of a JSON object of a format.

    Raises:
        PlanRefused: The values are of another version.
        ValueError: The values are not of the format.
    """
    kind = f"a {format_name.removeprefix('losant-tokens ')}"
    return members_of(data, format_name, (VERSION,), kind=kind, advice=_ADVICE)


def _header(data: object) -> Header:
    return parse_header(members_of(data, FORMAT, READABLE_VERSIONS, kind="a plan", advice=_ADVICE))


def _entries(header: Header, lines: object) -> tuple[tuple[Entry, ...], str | None]:
    """Return the tokens, and how their number differs from the header; `None` if it does not.

    Raises:
        ValueError: A value does not describe a token.
        KeyError: The owner of a token is not in the header.
    """
    check = LineCheck(header)
    return tuple(map(check.entry, checked(lines, list))), check.problem()


def _altered(subject: str, problem: str | None = None) -> str:
    detail = "" if problem is None else f": {problem}"
    return f"{subject} was altered since it was made{detail}. Make a new plan."
