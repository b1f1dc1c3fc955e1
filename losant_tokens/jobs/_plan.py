"""A plan: what a job will do, as a file that can be read, reviewed, and checked for changes.

JSON Lines. The first line is the header, with a digest over itself and all other lines; each
other line is one token with the reason for which it was selected. No line holds a secret; the
file is the owner's alone (mode 0600) all the same.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import attrs

from losant_tokens import Owner
from losant_tokens.errors import PlanRefused
from losant_tokens.jobs._values import ACTIONS, Action, Counts, Entry

FORMAT = "losant-tokens plan"
VERSION = 1


@attrs.frozen(kw_only=True)
class Header:
    """What a plan says about itself.

    Attributes:
        created: When the plan was begun.
        base_url: Where the tokens are.
        action: What is to be done to them.
        rule: Which tokens were selected, in words.
        counts: How many of each owner's tokens.
        protected: The ids and globs that were protected by request.
        token_in_use: The id of the token that the plan was made with; `None` where it could not
            be told, and so cannot be kept from being among those selected.
        moved: Whether the tokens kept changing while they were listed, so that some may have
            been left out.
    """

    created: datetime
    base_url: str
    action: Action
    rule: str
    counts: Mapping[Owner, Counts] = attrs.field(hash=False)
    protected: tuple[str, ...] = ()
    token_in_use: str | None = None
    moved: bool = False

    @property
    def total(self) -> Counts:
        """The counts of all owners together."""
        return sum(self.counts.values(), Counts())


@attrs.frozen
class Plan:
    """A plan that was made, or read.

    Attributes:
        path: Its file.
        header: What it says about itself.
        digest: What tells it from any other plan.
    """

    path: Path
    header: Header
    digest: str

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """The plan in a file, once it is certain that nobody has altered it.

        Raises:
            PlanRefused: It is no plan, was altered, or cannot be read.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                header = json.loads(file.readline())
                if not isinstance(header, dict) or header.get("format") != FORMAT:
                    raise PlanRefused(f"{path} is not a plan of losant-tokens")
                if header.get("version") != VERSION:
                    raise PlanRefused(
                        f"{path} is a plan of version {header.get('version')}, and this release "
                        f"knows version {VERSION} alone. Make the plan anew."
                    )
                digest = header.pop("digest", None)
                if digest != _digest(header, _hash_of(file)):
                    raise PlanRefused(f"{path} was altered since it was made. Make the plan anew.")
            return cls(path, _read_header(header), digest)
        except OSError as error:
            raise PlanRefused(f"{path} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
            raise PlanRefused(f"{path} is not a plan of losant-tokens") from None

    def entries(self) -> Iterator[Entry]:
        """The tokens of the plan, read one by one."""
        with self.path.open("rb") as file:
            file.readline()
            for line in file:
                yield _read_entry(json.loads(line))

    def __len__(self) -> int:
        total = self.header.total
        return total.selected + total.protected

    def check(self, base_url: str, max_age: timedelta, now: datetime) -> None:
        """Refuses the plan where it may not be applied.

        Raises:
            PlanRefused: It is for another address, or older than it may be.
        """
        if base_url != self.header.base_url:
            raise PlanRefused(
                f"{self.path} was made for {self.header.base_url}, and this is {base_url}"
            )
        age = now - self.header.created
        if age > max_age:
            raise PlanRefused(
                f"{self.path} was made {_hours(age)} ago, and may be {_hours(max_age)} old at the "
                f"most. Make the plan anew, or allow it to be older."
            )


def _hours(span: timedelta) -> str:
    return f"{span / timedelta(hours=1):.3g} hours"


class PlanWriter:
    """Writes a plan: its tokens first, as they come, and then the header that counts them.

    Until it is finished, there is only a file beside it whose name ends in `.part`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()
        self._marked = (0, hashlib.sha256())
        self._lines: list[bytes] = []

    def __enter__(self) -> Self:
        if self._path.exists():
            raise PlanRefused(f"{self._path} exists already. Give the plan another name.")
        try:
            self._file = open_private(self._part, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        except OSError as error:
            raise PlanRefused(f"{self._part} cannot be written: {error.strerror}") from None
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._opened().close()
        self._part.unlink(missing_ok=True)

    def add(self, entry: Entry) -> None:
        """Takes a token. It is written with the next `flush`."""
        self._lines.append(_json(_entry(entry)) + b"\n")

    def flush(self) -> None:
        """Writes what was taken."""
        data = b"".join(self._lines)
        self._lines.clear()
        self._hash.update(data)
        self._opened().write(data)

    def mark(self) -> None:
        """Remembers how far it is."""
        self.flush()
        self._marked = (self._opened().tell(), self._hash.copy())

    def back_to_mark(self) -> None:
        """Forgets what came since the mark."""
        self._lines.clear()
        position, hashed = self._marked
        self._hash = hashed.copy()
        self._opened().seek(position)
        self._opened().truncate()

    def finish(self, header: Header) -> Plan:
        """Puts the header before the tokens, and the file in its place."""
        self.flush()
        body = self._opened()
        said = _header(header)
        digest = _digest(said, self._hash.hexdigest())
        whole = self._path.with_name(self._path.name + ".new")
        with open_private(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
            file.write(_json({**said, "digest": digest}) + b"\n")
            body.seek(0)
            shutil.copyfileobj(body, file)
            file.flush()
            os.fsync(file.fileno())
        whole.replace(self._path)
        return Plan(self._path, header, digest)

    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise RuntimeError("A PlanWriter is used in a `with` block.")
        return self._file


def open_private(path: Path, flags: int) -> BinaryIO:
    """Opens a file that nobody else can read, however the umask is set."""
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "r+b" if flags & os.O_RDWR else "wb")


# --- JSON ------------------------------------------------------------------------------------


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _digest(header: dict[str, Any], entries: str) -> str:
    canonical = json.dumps(header, sort_keys=True).encode()
    return "sha256:" + hashlib.sha256(canonical + entries.encode()).hexdigest()


def _hash_of(file: BinaryIO) -> str:
    hashed = hashlib.sha256()
    while part := file.read(1 << 20):
        hashed.update(part)
    return hashed.hexdigest()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _header(header: Header) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "created": _text(header.created),
        "baseUrl": header.base_url,
        "action": header.action,
        "rule": header.rule,
        "owners": {str(owner): attrs.asdict(counts) for owner, counts in header.counts.items()},
        "protected": list(header.protected),
        "tokenInUse": header.token_in_use,
        "moved": header.moved,
    }


def _read_header(said: dict[str, Any]) -> Header:
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


def _entry(entry: Entry) -> dict[str, Any]:
    said = {
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


def _read_entry(said: dict[str, Any]) -> Entry:
    return Entry(
        owner=Owner.parse(said["owner"]),
        id=said["id"],
        name=said["name"],
        status=said["status"],
        last_updated=_moment(said["lastUpdated"]),
        creation_date=_moment(said["creationDate"]),
        expiration_date=_moment(said["expirationDate"]),
        reason=said["reason"],
        protected=said.get("protected"),
    )
