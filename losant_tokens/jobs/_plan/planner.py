"""Makes plans: lists all tokens first, decides about each of them, and keeps to the guards."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal

import anyio
import attrs

from losant_tokens import AsyncClient, Owner
from losant_tokens import _validators as validators
from losant_tokens._resources.base import PAGE_SIZE, Send
from losant_tokens._retry import ONCE
from losant_tokens._warnings import warn_caller
from losant_tokens.jobs._errors import GuardRefused, PlanRefused
from losant_tokens.jobs._name_patterns import protect_patterns
from losant_tokens.jobs._plan.account import other_account, owner_ids_of
from losant_tokens.jobs._plan.completeness import Page, Watch
from losant_tokens.jobs._plan.guards import Guards, Unmatched
from losant_tokens.jobs._plan.page_reader import Read, read_pages
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._plan.writer import PlanWriter
from losant_tokens.jobs._rules import Pattern, Rule, Token
from losant_tokens.jobs._throttle.throttle import reading
from losant_tokens.jobs._types import ACTIONS, Action, Counts, Entry, Header, PlanWarning

ClockCheck = Literal["enforce", "warn", "off"]
CLOCK_CHECKS: tuple[ClockCheck, ...] = ("enforce", "warn", "off")
OnUnmatched = Literal["warn", "refuse", "ignore"]
ON_UNMATCHED: tuple[OnUnmatched, ...] = ("warn", "refuse", "ignore")
OnIncomplete = Literal["warn", "refuse"]
ON_INCOMPLETE: tuple[OnIncomplete, ...] = ("warn", "refuse")

MAX_SKEW = timedelta(minutes=5)
"""How far this machine's clock may differ from the server's before rules about time are unsafe."""

PATIENCE = 300.0
"""For how many seconds an outage of the service is waited out."""

_LISTINGS = 4
_FLUSH_EVERY = 250  # tokens, which take some milliseconds to decide about
_MOST_OWNER_IDS = 100


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
    clock_check: ClockCheck = "warn",
    unmatched: OnUnmatched = "warn",
    incomplete: OnIncomplete = "warn",
    page_size: int = PAGE_SIZE,
    patience: float = PATIENCE,
) -> Plan:
    """List the tokens of the owners, and plan an action for those that a rule selects.

    Nothing is changed. The plan is written to a file while the tokens are listed, so a million
    tokens take hardly more memory than a thousand. A `PlanWarning` says what you should know
    before you apply the plan.

    Args:
        client: The client to list with. Its own token is never selected, if its id is known.
        owners: The owners of the tokens.
        select: The rule that selects tokens.
        action: The action: `delete`, `deactivate` or `activate`.
        path: The file of the plan. Default: a temporary file, which is removed with the plan and
            its report, unless a job that applies it is unfinished.
        protect: Ids and name patterns of tokens that are never touched. The name that equals a
            pattern always counts, even if the pattern looks like a glob.
        allow_majority: Whether more than half of an owner's tokens may be selected.
        max_changes: The largest number of tokens that may be selected.
        now: The time for rules about time, with a time zone; it is not compared with the server's.
            Default: the server's time, or this machine's if the server does not state its own.
        clock_check: What to do if this machine's clock is more than five minutes from the server's
            and a rule depends on the time. `warn`: select only tokens that the rule selects by both
            times, and warn. `enforce`: refuse the plan. `off`: use the server's time alone.
        unmatched: What to do about a pattern that matches no token. `warn`: warn. `refuse`: refuse
            a plan with a `protect` pattern, or one that excludes, that matches none. `ignore`:
            nothing.
        incomplete: What to do if tokens may be missing from the list: `warn`, or `refuse` the plan.
        page_size: How many tokens to ask for at a time. It is halved if a page is too large.
        patience: For how many seconds an outage of the service is waited out.

    Raises:
        ValidationError: An argument is invalid; nothing was listed.
        GuardRefused: A guard forbids the plan; there is no file.
        PlanRefused: The file exists already.
        JobError: The file cannot be written.
        LosantError: The tokens cannot be listed.
    """
    validators.check_argument(validators.instance_of(Rule), "plan", "select", select)
    return await make_plan(
        client,
        Wanted(
            owners=distinct(owners),
            select=lambda _: select,
            words=select.description,
            uses_time=select.uses_time,
            patterns=select.patterns,
            action=action,
        ),
        Settings(
            path=path,
            guards=Guards(
                protect=protect_patterns("plan", protect),
                allow_majority=allow_majority,
                max_changes=max_changes,
            ),
            now=now,
            clock_check=clock_check,
            unmatched=unmatched,
            incomplete=incomplete,
            page_size=page_size,
            patience=patience,
        ),
    )


def distinct(owners: Owner | Iterable[Owner]) -> tuple[Owner, ...]:
    """Return each owner once. Ids in capitals are the same."""
    given = (owners,) if isinstance(owners, Owner) else owners
    found: dict[str, Owner] = {}
    for owner in given:
        validators.check_argument(validators.instance_of(Owner), "plan", "owners", owner)
        found.setdefault(str(owner).lower(), owner)
    return tuple(found.values())


@attrs.frozen(kw_only=True)
class Wanted:
    """What a plan is to select, and what for.

    Attributes:
        owners: The owners of the tokens.
        select: Returns the rule for the tokens of an owner.
        words: The rules in words.
        uses_time: Whether a rule depends on the time.
        patterns: The parts of the rules that match by a pattern.
        action: The action.
        owner_ids: The ids that the API must give for the owners, if they are known.
        source: Where these ids come from.
    """

    owners: tuple[Owner, ...]
    select: Callable[[Owner], Rule]
    words: str
    uses_time: bool
    patterns: tuple[Pattern, ...] = ()
    action: Action = attrs.field(validator=validators.one_of(ACTIONS))
    owner_ids: Mapping[Owner, tuple[str, ...]] = attrs.field(factory=dict)
    source: str = ""


def _not_negative(instance: object, field: validators.Field, value: object) -> None:
    if value != 0:
        validators.positive_number(instance, field, value)


@attrs.frozen(kw_only=True)
class Settings:
    """How a plan is made: the arguments of `plan` under their names."""

    path: str | Path | None = None
    guards: Guards = attrs.field(factory=Guards)
    now: datetime | None = attrs.field(
        default=None, validator=validators.optional(validators.aware_datetime)
    )
    clock_check: ClockCheck = attrs.field(default="warn", validator=validators.one_of(CLOCK_CHECKS))
    unmatched: OnUnmatched = attrs.field(default="warn", validator=validators.one_of(ON_UNMATCHED))
    incomplete: OnIncomplete = attrs.field(
        default="warn", validator=validators.one_of(ON_INCOMPLETE)
    )
    page_size: int = attrs.field(default=PAGE_SIZE, validator=validators.integer(minimum=1))
    patience: float = attrs.field(default=PATIENCE, validator=_not_negative)

    def __attrs_post_init__(self) -> None:
        validators.check_argument(
            validators.optional(validators.integer(minimum=0)),
            "plan",
            "max_changes",
            self.guards.max_changes,
        )


async def make_plan(client: AsyncClient, wanted: Wanted, settings: Settings) -> Plan:
    """Make a plan; see `plan`."""
    planner = _Planner(client=client, wanted=wanted, settings=settings)
    path = None if settings.path is None else Path(settings.path)
    with await anyio.to_thread.run_sync(PlanWriter, path) as writer:
        await reading(partial(planner.take, writer), settings.patience)
        planner.check()
        header = planner.header()
        # The thread keeps its last result for some time, and so must not return the plan.
        made = writer.saved_plan(header, await anyio.to_thread.run_sync(writer.save, header))
    planner.warn()
    return made


@attrs.define
class _Planner:
    """Lists the tokens of one owner after the other, and counts."""

    client: AsyncClient
    wanted: Wanted
    settings: Settings
    local: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    now: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    created_at: datetime | None = None
    counts: dict[Owner, Counts] = attrs.field(factory=dict)
    owner_ids: dict[Owner, set[str]] = attrs.field(factory=dict)
    in_use: str | None = None
    drifted: bool = False
    incomplete: list[str] = attrs.field(factory=list)
    left_out: int = 0
    _matches: Unmatched = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._matches = Unmatched(self.settings.guards.protect, self.wanted.patterns)

    async def take(self, writer: PlanWriter, send: Send) -> None:
        """List the tokens of all owners into the plan."""
        for owner in self.wanted.owners:
            await self._take(owner, writer, send)

    async def _take(self, owner: Owner, writer: PlanWriter, send: Send) -> None:
        """List an owner's tokens into the plan, and repeat that while some may be missing.

        It is certain that none is if `Watch` proves it, or if two listings are the same.
        """
        await anyio.to_thread.run_sync(writer.savepoint)
        listing = await self._list(owner, writer, send)
        is_certain, repeats = listing.watch.is_whole, 1
        while not is_certain and repeats < _LISTINGS:
            before, repeats = listing.watch.digest, repeats + 1
            writer.rollback()
            listing = await self._list(owner, writer, send)
            is_certain = listing.watch.is_whole or listing.watch.digest == before
        self.drifted |= not is_certain
        problems = listing.watch.problems(stood_still=is_certain)
        self.incomplete += [f"{owner}: {problem}" for problem in problems]
        self.left_out += listing.left_out
        self.counts[owner] = listing.counts
        self.settings.guards.check(owner, listing.counts, self._selected())

    def _selected(self) -> int:
        return sum(counts.selected for counts in self.counts.values())

    # --- What it has come to -----------------------------------------------------------------

    def header(self) -> Header:
        """Return the header of the plan."""
        skew = self.client.clock_skew
        return Header(
            created_at=self.created_at or self.local,
            base_url=self.client.base_url,
            action=self.wanted.action,
            rule=self.wanted.words,
            counts=self.counts,
            protected=tuple(pattern.text for pattern in self.settings.guards.protect),
            token_in_use=self.in_use,
            drifted=self.drifted,
            owner_ids={
                owner: tuple(sorted(ids))
                for owner, ids in self.owner_ids.items()
                if len(ids) <= _MOST_OWNER_IDS
            },
            account=self.client.account,
            clock_skew=None if skew is None else timedelta(seconds=round(skew.total_seconds(), 3)),
            incomplete=self._missing(),
        )

    def check(self) -> None:
        """Refuse a plan that the settings do not allow.

        Raises:
            GuardRefused: A pattern matches nothing, or tokens may be missing.
        """
        guards = self._matches.guards()
        if self.settings.unmatched == "refuse" and guards and self._selected():
            raise GuardRefused(
                f"{' '.join(guards)} Correct it or leave it out, or pass unmatched='warn'."
            )
        if self.settings.incomplete == "refuse" and (missing := self._missing()):
            raise GuardRefused(f"Tokens may be missing from the plan: {'; '.join(missing)}.")

    def warn(self) -> None:
        """Warn of what one should know before applying the plan."""
        header = self.header()
        may_lock_out = header.action != "activate" and header.token_in_use is None
        if may_lock_out and header.total.selected:
            _warn(
                "Cannot determine which token this client uses, so it may be among those "
                "selected. Protect it by its id or its name: protect='name'."
            )
        if header.drifted:
            _warn(
                "The tokens kept changing while they were listed: some may have been left out. "
                "Plan again when this job is done."
            )
        problems = [problem for problem in header.incomplete if problem != _KEPT_CHANGING]
        if problems:
            _warn(
                f"The plan may be incomplete, because tokens may be missing: {'; '.join(problems)}."
            )
        if self.settings.unmatched != "ignore":
            for problem in (*self._matches.guards(), *self._matches.selecting()):
                _warn(f"{problem} Check its spelling.")
        self._warn_of_the_clock()

    def _missing(self) -> tuple[str, ...]:
        return (*([_KEPT_CHANGING] if self.drifted else []), *self.incomplete)

    def _warn_of_the_clock(self) -> None:
        if not self.wanted.uses_time or self.settings.clock_check == "off":
            return
        skew = self.client.clock_skew
        if skew is None and self.settings.now is None:
            _warn(
                "The server does not state its time, so rules about time rely on this machine's "
                "clock alone. Check that it is right."
            )
        elif self._is_skewed():
            was_used = (
                "The time that was given as now was used."
                if self.settings.now is not None
                else f"{self.left_out} tokens were left out, which the rule selects by one of the "
                f"two times alone."
            )
            _warn(
                f"This machine's clock is {skew_words(skew)} the server's. {was_used} Set the "
                f"clock, or rely on the server's time alone with clock_check='off'."
            )

    # --- One listing -------------------------------------------------------------------------

    async def _list(self, owner: Owner, writer: PlanWriter, send: Send) -> "_Listing":
        """List the tokens of an owner once, in the order of the ids."""
        tokens = self.client.tokens(owner)
        newest = partial(tokens.page, sort_field="id", sort_direction="desc", per_page=1)
        first: Page = await send(partial(newest, page=0, retry=ONCE))
        if self.created_at is None:
            self._set_the_clock()
        self._note_owner(owner, first)
        listing = _Listing(Watch(first), self.wanted.select(owner))

        async def take(read: Read) -> None:
            self._note_owner(owner, read.page)
            listing.watch.note_page(read.page, read.number)
            items: tuple[Token, ...] = read.page.items
            for number, token in enumerate(items[read.skip :], 1):
                if listing.watch.is_new(token) and (entry := self._decide(owner, token, listing)):
                    writer.add(entry)
                if number % _FLUSH_EVERY == 0:  # in a thread, so that others have the event loop
                    await anyio.to_thread.run_sync(writer.flush)
            await anyio.to_thread.run_sync(writer.flush)

        await read_pages(tokens, send, self.settings.page_size, take)
        return listing

    def _set_the_clock(self) -> None:
        """Take the time from the server, once it has answered.

        Raises:
            GuardRefused: This machine's clock is wrong, and that is to be enforced.
        """
        self.local = datetime.now(UTC)
        self.created_at = self.client.server_time() or self.local
        self.now = self.settings.now or self.created_at
        is_enforced = self.settings.clock_check == "enforce" and self.settings.now is None
        if is_enforced and self.wanted.uses_time and self._is_skewed():
            raise GuardRefused(
                f"This machine's clock is {skew_words(self.client.clock_skew)} the server's, and "
                f"the rule depends on the time. Set the clock, or pass clock_check='warn' to "
                f"select only what both times select, or clock_check='off' to use the server's."
            )

    def _is_skewed(self) -> bool:
        skew = self.client.clock_skew
        return skew is not None and abs(skew) > MAX_SKEW

    def _note_owner(self, owner: Owner, page: Page) -> None:
        """Note the ids that the API gives for an owner.

        Raises:
            PlanRefused: They are not those of the account that the plan must be about.
        """
        ids = self.owner_ids.setdefault(owner, set())
        found = owner_ids_of(page) - ids
        if not found:
            return
        if len(ids) <= _MOST_OWNER_IDS:
            ids |= found
        known = self.wanted.owner_ids.get(owner)
        if known and (problem := other_account(owner, known, found)):
            raise PlanRefused(f"{self.wanted.source} {problem}")

    def _decide(self, owner: Owner, token: Token, listing: "_Listing") -> Entry | None:
        """Return the line of the plan for a token, if it gets one."""
        self._matches.note(token)
        if self.client.uses_token(token.id):
            self.in_use = token.id
        reason = self._reason(token, listing)
        if reason is None or _is_done(self.wanted.action, token):
            return None
        protected = self.settings.guards.protection(self.client, token)
        if protected is None:
            listing.selected += 1
        else:
            listing.protected += 1
        return Entry(
            owner=owner,
            id=token.id,
            name=token.name,
            status=token.status,
            last_updated=token.last_updated,
            creation_date=token.creation_date,
            expiration_date=token.expiration_date,
            reason=reason,
            protected=protected,
        )

    def _reason(self, token: Token, listing: "_Listing") -> str | None:
        """Return why the rule selects a token; by both times, if the clock cannot be relied on."""
        reason = listing.rule.reason(token, self.now)
        if self.settings.now is not None or self.settings.clock_check == "off":
            return reason
        if not listing.rule.uses_time or not self._is_skewed():
            return reason
        is_selected = listing.rule.matches(token, self.local) is True
        if is_selected == (reason is not None):
            return reason
        listing.left_out += 1
        return None


_KEPT_CHANGING = "the tokens kept changing while they were listed"


@attrs.define
class _Listing:
    """One listing of the tokens of an owner, and what was decided about them."""

    watch: Watch
    rule: Rule
    selected: int = 0
    protected: int = 0
    left_out: int = 0

    @property
    def counts(self) -> Counts:
        return Counts(listed=self.watch.listed, selected=self.selected, protected=self.protected)


def _warn(message: str) -> None:
    warn_caller(message, PlanWarning)


def skew_words(skew: timedelta | None) -> str:
    """Return in words how far a clock is ahead of another, or behind it."""
    seconds = 0.0 if skew is None else skew.total_seconds()
    for unit, size in (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if abs(seconds) >= 2 * size:
            return f"{abs(seconds) / size:.3g} {unit} {'ahead of' if seconds > 0 else 'behind'}"
    return f"{abs(seconds):.3g} seconds {'ahead of' if seconds > 0 else 'behind'}"


def _is_done(action: Action, token: Token) -> bool:
    """Return whether a token already is as the action would leave it."""
    after = {"deactivate": "inactive", "activate": "active"}.get(action)
    return after is not None and token.status == after
