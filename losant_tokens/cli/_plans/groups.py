"""The tokens of a plan in groups with the same reason, and the facts that a reviewer needs."""

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from attrs import define, field, frozen

from losant_tokens.cli._terminal.format import ellipsis, escaped, format_count, format_date
from losant_tokens.jobs import Entry, Plan

KEEP = "keep"
CREATING = "Can create"

_MAX_EXAMPLES = 4
_MAX_NAMED = 4  # creators, scopes and families of names of a group
_MAX_NAME = 40  # terminal cells of a name
_MAX_FAMILIES = 1000
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)")
_SERIAL = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{8,}(?![0-9A-Za-z])|\d+")


@define
class _Dates:
    """The first and the last of some datetimes."""

    first: datetime | None = None
    last: datetime | None = None
    missing: int = 0

    def add(self, time: datetime | None) -> None:
        """Add a datetime; `None` counts as missing."""
        if time is None:
            self.missing += 1
            return
        self.first = time if self.first is None else min(self.first, time)
        self.last = time if self.last is None else max(self.last, time)

    def fact(self, label: str, without: str) -> tuple[str, str]:
        """Return the first and the last date with a label.

        Args:
            label: The label.
            without: The word for a token without such a date.
        """
        if self.first is None:
            return label, without
        span = _span(format_date(self.first, ""), format_date(self.last, ""))
        return label, f"{span}, {without} ({self.missing:,})" if self.missing else span


@define
class Group:
    """The tokens of one owner whose reasons differ only in their dates.

    Attributes:
        action: The action, or `keep` for tokens that a guard protects.
        owner: The owner.
        words: The parts of the reason between its dates.
        count: The number of tokens.
        creating: The number of tokens that can create tokens.
        unknown: The number of tokens of which that is unknown.
        creators: The number of tokens of each creator. The key `None` is an unknown one.
    """

    action: str
    owner: str
    words: Sequence[str]
    count: int = 0
    creating: int = 0
    unknown: int = 0
    creators: Counter[str | None] = field(factory=Counter)
    _first_dates: list[str] = field(factory=list)
    _last_dates: list[str] = field(factory=list)
    _examples: list[str] = field(factory=list)
    _families: Counter[str] = field(factory=Counter)
    _scopes: Counter[str] = field(factory=Counter)
    _creating_scopes: Counter[str] = field(factory=Counter)
    _created: _Dates = field(factory=_Dates)
    _expires: _Dates = field(factory=_Dates)

    def add(
        self, entry: Entry, dates: list[str], chance: random.Random, *, creates: bool | None
    ) -> None:
        """Add a token."""
        self.count += 1
        self.creating += creates is True
        self.unknown += creates is None
        self.creators[entry.creator_name or entry.creator_id] += 1
        scopes = entry.scope or ()
        self._scopes.update(scopes)
        if creates:
            self._creating_scopes[" ".join(scopes)] += 1
        self._first_dates = list(map(min, self._first_dates or dates, dates))
        self._last_dates = list(map(max, self._last_dates or dates, dates))
        self._created.add(entry.creation_date)
        self._expires.add(entry.expiration_date)
        family = _SERIAL.sub("*", entry.name)
        if family in self._families or len(self._families) < _MAX_FAMILIES:
            self._families[family] += 1
        # The examples come from the whole list, because neighbours are often alike.
        index = len(self._examples) if self.count <= _MAX_EXAMPLES else chance.randrange(self.count)
        if index < _MAX_EXAMPLES:
            self._examples[index : index + 1] = [entry.name]

    @property
    def reason(self) -> str:
        """The reason, with the first and the last date of each kind."""
        dates = map(_span, self._first_dates, self._last_dates)
        return "".join(_alternate(self.words, dates))

    def facts(self) -> Iterator[tuple[str, str]]:
        """Return the facts about the tokens, each with its label."""
        if self._families.total() > 1 and len(self._families) < self._families.total():
            yield "Names", _counted(self._families)
        examples = dict.fromkeys(map(_shortened, self._examples))
        more = ", ..." if self.count > _MAX_EXAMPLES else ""
        yield "Examples", ", ".join(examples) + more
        if self.action == KEEP:
            return
        yield self._created.fact("Created", "unknown")
        yield self._expires.fact("Expires", "never")
        if set(self.creators) != {None}:
            named = {name or "unknown": count for name, count in self.creators.items()}
            yield "Creators", _counted(Counter(named))
        if self._scopes:
            yield "Scopes", _counted(self._scopes)
        if self.creating:
            yield CREATING, f"{format_count(self.creating)}: {_counted(self._creating_scopes)}"


@frozen
class Review:
    """All groups of a plan.

    Attributes:
        groups: The groups: changes before tokens to keep, and the largest ones first.
        creators: The number of known creators of the tokens to change.
        creating: The number of tokens to change that can create tokens.
        unknown: The number of tokens to change of which that is unknown.
    """

    groups: Sequence[Group]
    creators: int
    creating: int
    unknown: int


def review(plan: Plan) -> Review:
    """Return the tokens of a plan in groups with the same owner and reason."""
    groups: dict[tuple[object, ...], Group] = {}
    creates: dict[tuple[str, ...] | None, bool | None] = {}
    chance = random.Random(0)  # noqa: S311 -- chooses examples, the same ones each time
    for entry in plan.entries():
        reason = entry.reason if entry.protected is None else entry.protected
        # The pattern has one group, so the words and the dates alternate.
        parts = _DATE.split(reason)
        words, dates = parts[::2], parts[1::2]
        key = (entry.protected is None, str(entry.owner), *words)
        if key not in groups:
            action = plan.header.action if entry.protected is None else KEEP
            groups[key] = Group(action, str(entry.owner), words)
        if entry.scope not in creates:
            creates[entry.scope] = entry.can_create_tokens
        groups[key].add(entry, dates, chance, creates=creates[entry.scope])
    changes = [group for group in groups.values() if group.action != KEEP]
    return Review(
        sorted(groups.values(), key=lambda group: (group.action == KEEP, -group.count)),
        creators=len({name for group in changes for name in group.creators} - {None}),
        creating=sum(group.creating for group in changes),
        unknown=sum(group.unknown for group in changes),
    )


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


def _alternate(words: Iterable[str], dates: Iterable[str]) -> Iterable[str]:
    remaining = iter(dates)
    for word in words:
        yield word
        yield next(remaining, "")


def _counted(numbers: Counter[str]) -> str:
    """Return the most frequent strings, each with its number."""
    parts = [f"{_shortened(text)} ({count:,})" for text, count in numbers.most_common(_MAX_NAMED)]
    more = len(numbers) - len(parts)
    return ", ".join([*parts, *([f"{more:,} more"] if more else [])])


def _shortened(name: str) -> str:
    return ellipsis(escaped(name), _MAX_NAME)
