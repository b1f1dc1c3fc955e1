"""Makes plans: lists everything first, decides token by token, and holds the guards up."""

import tempfile
import warnings
from collections.abc import Iterable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from uuid import uuid4

import anyio
import attrs

from losant_tokens import AsyncClient, Owner
from losant_tokens import _limits as limits
from losant_tokens._resources import Send
from losant_tokens._retry import ONCE
from losant_tokens.errors import GuardRefused
from losant_tokens.jobs._plan import Plan
from losant_tokens.jobs._plan_writer import PlanWriter
from losant_tokens.jobs._requests import reading
from losant_tokens.jobs._selection import Rule, Token
from losant_tokens.jobs._values import ACTIONS, Action, Counts, Entry, Header
from losant_tokens.jobs._watch import Watch

_LISTINGS = 4
_FLUSH_EVERY = 250  # tokens, about which is decided in some milliseconds


class PlanWarning(UserWarning):
    """Something about a plan that one should know before applying it."""


@attrs.frozen(kw_only=True)
class Guards:
    """What a plan may not do.

    Args:
        protect: Ids and name globs of tokens that are never touched.
        allow_majority: Whether more than half of an owner's tokens may be selected.
        max_changes: How many tokens may be selected at the most.
    """

    protect: tuple[str, ...] = ()
    allow_majority: bool = False
    max_changes: int | None = None

    def protection(self, client: AsyncClient, token: Token) -> str | None:
        """Why a token may not be touched, or `None`."""
        if client.uses_token(token.id):
            return "the token in use"
        for pattern in self.protect:
            if token.id.lower() == pattern.lower() or fnmatchcase(token.name, pattern):
                return f"protected by {pattern!r}"
        return None

    def check(self, owner: Owner, counts: Counts, selected: int) -> None:
        """Refuses a plan that has become too large.

        Raises:
            GuardRefused: It would do more than it may.
        """
        if self.max_changes is not None and selected > self.max_changes:
            raise GuardRefused(
                f"More than {self.max_changes} tokens were selected, and no more may be changed. "
                f"Select fewer, or allow more changes (--max-changes)."
            )
        if not self.allow_majority and counts.selected * 2 > counts.listed:
            raise GuardRefused(
                f"{counts.selected} of the {counts.listed} tokens of {owner} were selected, which "
                f"is more than half. Select fewer, or allow it (--allow-majority)."
            )


async def plan(  # noqa: PLR0913 -- what to select, and its guards
    client: AsyncClient,
    owners: Owner | Iterable[Owner],
    *,
    select: Rule,
    action: Action = "delete",
    path: str | Path | None = None,
    protect: Iterable[str] = (),
    allow_majority: bool = False,
    max_changes: int | None = None,
    now: datetime | None = None,
) -> Plan:
    """Lists the tokens of the owners, and plans what to do about those that a rule selects.

    Nothing is changed. The plan is written to a file as it is made, so a million tokens take no
    more memory than a thousand.

    Args:
        client: What to list with. Its own token is never selected, where it says which it is.
        owners: Whose tokens.
        select: Which of them.
        action: What to do to them: `delete`, `deactivate` or `activate`.
        path: The file of the plan. Default: one of its own among the temporary files.
        protect: Ids and name globs of tokens that are never touched.
        allow_majority: Whether more than half of an owner's tokens may be selected.
        max_changes: How many tokens may be selected at the most.
        now: The moment that the rule goes by, with its time zone. Default: now.

    Raises:
        ValidationError: An argument cannot be right; nothing was listed.
        GuardRefused: It would do more than it may; there is no plan.
        PlanRefused: The file exists already.
        JobError: It cannot be written.
        LosantError: The tokens cannot be listed.
    """
    limits.check(limits.one_of(ACTIONS), "plan", "action", action)
    limits.check(limits.instance_of(Rule), "plan", "select", select)
    limits.check(limits.optional(limits.moment), "plan", "now", now)
    limits.check(limits.optional(limits.whole(least=0)), "plan", "max_changes", max_changes)
    planner = _Planner(
        client=client,
        action=action,
        select=select,
        guards=Guards(
            protect=_patterns(protect), allow_majority=allow_majority, max_changes=max_changes
        ),
        now=now or datetime.now(UTC),
    )
    wanted = _distinct((owners,) if isinstance(owners, Owner) else owners)
    with PlanWriter(Path(path) if path is not None else _anywhere()) as writer:
        await reading(partial(planner.take, wanted, writer))
        made = await anyio.to_thread.run_sync(writer.finish, planner.header())
    _warn(made.header)
    return made


def _distinct(owners: Iterable[Owner]) -> tuple[Owner, ...]:
    """Each owner once: ids are the same in capitals."""
    distinct: dict[str, Owner] = {}
    for owner in owners:
        limits.check(limits.instance_of(Owner), "plan", "owners", owner)
        distinct.setdefault(str(owner).lower(), owner)
    return tuple(distinct.values())


def _patterns(protect: Iterable[str]) -> tuple[str, ...]:
    patterns = (protect,) if isinstance(protect, str) else tuple(protect)
    for pattern in patterns:
        limits.check(limits.instance_of(str), "plan", "protect", pattern)
    return patterns


def _anywhere() -> Path:
    return Path(tempfile.gettempdir()) / f"losant-tokens-{uuid4().hex}.jsonl"


def _warn(header: Header) -> None:
    may_lock_out = header.action != "activate" and header.token_in_use is None
    if may_lock_out and header.total.selected:
        warnings.warn(
            "It cannot be told which of the tokens is the one in use, so it may be among those "
            "selected. Name it with protect (--protect).",
            PlanWarning,
            stacklevel=3,
        )
    if header.moved:
        warnings.warn(
            "The tokens kept changing while they were listed: some may have been left out. "
            "Plan again when this job is done.",
            PlanWarning,
            stacklevel=3,
        )


@attrs.define
class _Planner:
    """Lists owner after owner, and keeps count."""

    client: AsyncClient
    action: Action
    select: Rule
    guards: Guards
    now: datetime
    created: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    counts: dict[Owner, Counts] = attrs.field(factory=dict)
    in_use: str | None = None
    moved: bool = False

    async def take(self, owners: Iterable[Owner], writer: PlanWriter, send: Send) -> None:
        """Lists the tokens of all owners into the plan."""
        for owner in owners:
            await self._take(owner, writer, send)

    async def _take(self, owner: Owner, writer: PlanWriter, send: Send) -> None:
        """Lists an owner's tokens into the plan; again where some may have been left out.

        That none was is certain by what `Watch` saw, or where two listings were the same.
        """
        await anyio.to_thread.run_sync(writer.mark)
        counts, before, moved = Counts(), "", True
        for _ in range(_LISTINGS):
            writer.back_to_mark()
            counts, watch = await self._list(owner, writer, send)
            moved = not watch.is_whole and watch.digest != before
            if not moved:
                break
            before = watch.digest
        self.moved |= moved
        self.counts[owner] = counts
        self.guards.check(owner, counts, self._selected())

    def header(self) -> Header:
        """What the plan has come to."""
        return Header(
            created=self.created,
            base_url=self.client.base_url,
            action=self.action,
            rule=self.select.words,
            counts=self.counts,
            protected=self.guards.protect,
            token_in_use=self.in_use,
            moved=self.moved,
        )

    def _selected(self) -> int:
        return sum(counts.selected for counts in self.counts.values())

    async def _list(self, owner: Owner, writer: PlanWriter, send: Send) -> tuple[Counts, Watch]:
        """One listing, in the order of the ids."""
        tokens = self.client.tokens(owner)
        newest = partial(tokens.page, sort_field="id", sort_direction="desc", per_page=1)
        watch = Watch(await send(partial(newest, page=0, retry=ONCE)))
        listed = selected = protected = 0
        async for token in tokens.iter_by(send, sort_field="id", retry=ONCE):
            if not watch.is_new(token):
                continue
            listed += 1
            if entry := self._decide(owner, token):
                writer.add(entry)
                selected += entry.protected is None
                protected += entry.protected is not None
            if listed % _FLUSH_EVERY == 0:  # in a thread, so that others have the event loop
                await anyio.to_thread.run_sync(writer.flush)
        return Counts(listed=listed, selected=selected, protected=protected), watch

    def _decide(self, owner: Owner, token: Token) -> Entry | None:
        """The line of the plan for a token, if it gets one."""
        if self.client.uses_token(token.id):
            self.in_use = token.id
        reason = self.select.why(token, self.now)
        if reason is None or _is_done(self.action, token):
            return None
        return Entry(
            owner=owner,
            id=token.id,
            name=token.name,
            status=token.status,
            last_updated=token.last_updated,
            creation_date=token.creation_date,
            expiration_date=token.expiration_date,
            reason=reason,
            protected=self.guards.protection(self.client, token),
        )


def _is_done(action: Action, token: Token) -> bool:
    """Whether there is nothing to do about a token: it is as the action would leave it."""
    after = {"deactivate": "inactive", "activate": "active"}.get(action)
    return after is not None and token.status == after
