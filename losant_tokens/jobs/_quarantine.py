"""Quarantine: tokens that a plan has deactivated are deleted later, or activated again.

Both start from the report of the run that deactivated the tokens. They leave alone a token that
anybody has touched since: it is active again, has another name, or was updated at another time than
by that run. That time is the one that the API stated in its answer to the run's own change. If the
report does not have it, nobody can know whether the token was touched, so it is left alone, too.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import anyio
import attrs

from losant_tokens import AsyncClient, Owner
from losant_tokens._resources.base import PAGE_SIZE
from losant_tokens._warnings import warn_caller
from losant_tokens.errors import ValidationError
from losant_tokens.jobs._errors import PlanRefused
from losant_tokens.jobs._files import open_regular, reason
from losant_tokens.jobs._name_patterns import protect_patterns
from losant_tokens.jobs._plan.account import other_claim
from losant_tokens.jobs._plan.format import optional_string, parse_owner_ids
from losant_tokens.jobs._plan.guards import Guards
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._plan.planner import (
    PATIENCE,
    ClockCheck,
    OnIncomplete,
    OnUnmatched,
    Settings,
    Wanted,
    make_plan,
)
from losant_tokens.jobs._report.report import Report
from losant_tokens.jobs._report.values import FORMAT, VERSION
from losant_tokens.jobs._rules import Rule, Token
from losant_tokens.jobs._types import Action, Outcome, PlanWarning

Source = Report | str | os.PathLike[str]
Key = tuple[str, str]


async def sweep(  # noqa: PLR0913 -- the guards of a plan
    client: AsyncClient,
    report: Source,
    *,
    after: timedelta,
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
    """Plan to delete the tokens that a run has deactivated, once that is long enough ago.

    It selects the tokens that the run has deactivated, that are still inactive, and that nobody
    has changed since. A `PlanWarning` says how many others there are, and why they are left alone.
    `apply` it with `verify`, which is the default for `delete`.

    Args:
        client: The client to list with.
        report: The report of the run, or its JSON file.
        after: How long ago the run must have deactivated a token.
        path: The file of the plan, as for `plan`, like all arguments below.
        protect: Ids and name patterns of tokens that are never touched.
        allow_majority: Whether more than half of an owner's tokens may be selected.
        max_changes: The largest number of tokens that may be selected.
        now: The time from which `after` is counted. Default: the server's time.
        clock_check: What to do if this machine's clock differs from the server's.
        unmatched: What to do about a pattern that matches no token.
        incomplete: What to do if tokens may be missing from the list.
        page_size: How many tokens to ask for at a time.
        patience: For how many seconds an outage of the service is waited out.

    Raises:
        ValidationError: An argument is invalid; nothing was listed.
        PlanRefused: The report is none, not that of a quarantine, or of another address or account.
        GuardRefused: A guard forbids the plan.
        LosantError: The tokens cannot be listed.
    """
    _check_span(after)
    quarantine = await Quarantine.load(report)
    days = after / timedelta(days=1)
    return await _planned(
        client,
        quarantine,
        "delete",
        f"quarantined more than {days:g} days ago and unchanged",
        after,
        Settings(
            path=path,
            guards=Guards(
                protect=protect_patterns("sweep", protect),
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


async def restore(  # noqa: PLR0913 -- the guards of a plan
    client: AsyncClient,
    report: Source,
    *,
    path: str | Path | None = None,
    protect: Iterable[str] = (),
    max_changes: int | None = None,
    unmatched: OnUnmatched = "warn",
    incomplete: OnIncomplete = "warn",
    page_size: int = PAGE_SIZE,
    patience: float = PATIENCE,
) -> Plan:
    """Plan to activate the tokens that a run has deactivated and that nobody has changed since.

    A `PlanWarning` says how many others there are, and why they are left alone.

    Args:
        client: The client to list with.
        report: The report of the run, or its JSON file.
        path: The file of the plan, as for `plan`, like all arguments below.
        protect: Ids and name patterns of tokens that are never touched.
        max_changes: The largest number of tokens that may be selected.
        unmatched: What to do about a pattern that matches no token.
        incomplete: What to do if tokens may be missing from the list.
        page_size: How many tokens to ask for at a time.
        patience: For how many seconds an outage of the service is waited out.

    Raises:
        ValidationError: An argument is invalid; nothing was listed.
        PlanRefused: The report is none, not that of a quarantine, or of another address or account.
        GuardRefused: A guard forbids the plan.
        LosantError: The tokens cannot be listed.
    """
    quarantine = await Quarantine.load(report)
    return await _planned(
        client,
        quarantine,
        "activate",
        "quarantined and unchanged",
        None,
        Settings(
            path=path,
            guards=Guards(
                protect=protect_patterns("restore", protect),
                allow_majority=True,  # they were active before, and all of them were agreed upon
                max_changes=max_changes,
            ),
            unmatched=unmatched,
            incomplete=incomplete,
            page_size=page_size,
            patience=patience,
        ),
    )


async def _planned(
    client: AsyncClient,
    quarantine: "Quarantine",
    action: Action,
    words: str,
    after: timedelta | None,
    settings: Settings,
) -> Plan:
    """Plan an action for the tokens of a quarantine, and warn of those that are left alone."""
    quarantine.check(client)
    review = Review(quarantine.changes, after)
    made = await make_plan(
        client,
        Wanted(
            owners=quarantine.owners,
            select=lambda owner: review.rule(owner, words),
            words=words,
            uses_time=after is not None,
            action=action,
            owner_ids=quarantine.owner_ids,
            source=quarantine.source,
        ),
        settings,
    )
    if left_alone := review.left_alone():
        warn_caller(left_alone, PlanWarning)
    return made


@attrs.frozen
class Change:
    """A token that was deactivated.

    Attributes:
        name: Its name then.
        changed: When it was last updated after that, as the API stated; `None` if it did not.
    """

    name: str
    changed: datetime | None

    def obstacle(self, token: Token) -> str | None:
        """Return why a token is not as the quarantine has left it; `None` if it is."""
        if token.status != "inactive":
            return "are active again"
        if token.name != self.name:
            return "have another name"
        if self.changed is None:
            return "have no time of change in the report, so they may have been changed since"
        if token.last_updated is None:
            return "have no readable time of change"
        if not is_same_time(token.last_updated, self.changed):
            return "were last changed at another time than by the quarantine"
        return None


def is_same_time(one: datetime, other: datetime) -> bool:
    """Return whether two times are the same, of which either may be cut to whole seconds."""
    if one == other:
        return True
    is_cut = not one.microsecond or not other.microsecond
    return is_cut and one.replace(microsecond=0) == other.replace(microsecond=0)


@attrs.define
class Review:
    """Compares the tokens of a quarantine with what is listed now.

    Attributes:
        changes: The tokens of the quarantine.
        after: How long ago they must have been deactivated, if that matters.
    """

    changes: Mapping[Key, Change]
    after: timedelta | None
    _obstacles: dict[Key, str | None] = attrs.field(factory=dict)

    def rule(self, owner: Owner, words: str) -> Rule:
        """Return the rule that selects the untouched tokens of an owner."""

        def answer(token: Token, now: datetime) -> bool:
            key = key_of(owner, token.id)
            change = self.changes.get(key)
            if change is None:
                return False
            obstacle = change.obstacle(token)
            if obstacle is None and not self._is_long_ago(token, now):
                obstacle = "were deactivated too short a time ago"
            self._obstacles[key] = obstacle
            return obstacle is None

        return Rule(
            words,
            answer,
            lambda token, _: f"quarantined on {_updated(token).date().isoformat()}",
            uses_time=self.after is not None,
        )

    def _is_long_ago(self, token: Token, now: datetime) -> bool:
        # The server's time comes in whole seconds, so it may lie before a change just made.
        return not self.after or now - _updated(token) > self.after

    def left_alone(self) -> str | None:
        """Return in words how many tokens are left alone, and why; `None` if none is."""
        missing = "are not listed any more"
        found = (self._obstacles.get(key, missing) for key in self.changes)
        why = Counter(obstacle for obstacle in found if obstacle is not None)
        if not why:
            return None
        parts = "; ".join(f"{count} {obstacle}" for obstacle, count in why.most_common())
        total = len(self.changes)
        return f"Of the {total} tokens in quarantine, {why.total()} are left alone: {parts}."


def key_of(owner: Owner, token_id: str) -> Key:
    """Return the key of a token, because two owners may have the same id. Case does not count."""
    return str(owner).lower(), token_id.lower()


@attrs.frozen
class Quarantine:
    """The tokens that a run has deactivated.

    Attributes:
        source: The name of the report, for messages.
        base_url: The address of the API.
        owners: The owners of the tokens.
        changes: The tokens.
        owner_ids: The ids that the API gave for the owners.
        account: The account that the token of the run claimed, if it did.
    """

    source: str
    base_url: str
    owners: tuple[Owner, ...]
    changes: Mapping[Key, Change] = attrs.field(repr=False)
    owner_ids: Mapping[Owner, tuple[str, ...]] = attrs.field(factory=dict)
    account: str | None = None

    @classmethod
    async def load(cls, report: Source) -> Self:
        """Return the quarantine of a report.

        Raises:
            PlanRefused: It is none.
        """
        if isinstance(report, Report):
            return await anyio.to_thread.run_sync(cls.of, report)
        return await anyio.to_thread.run_sync(cls.read, Path(report))

    @classmethod
    def of(cls, report: Report) -> Self:
        """Return the quarantine of a report in memory."""
        header = report.plan.header
        source = f"The report of {report.plan.path}"
        _check_action(source, header.action)
        changes = {
            key_of(result.entry.owner, result.entry.id): Change(
                result.entry.name, report.changed.get(number)
            )
            for number, result in enumerate(report.results())
            if result.outcome is Outcome.DONE
        }
        return cls(
            source, header.base_url, tuple(header.counts), changes, header.owner_ids, header.account
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the quarantine of a report that was saved as JSON.

        Raises:
            PlanRefused: It is none, or cannot be read.
        """
        try:
            with os.fdopen(open_regular(path), "rb") as file:
                data = json.loads(file.read())
            _check_format(path, data["format"], data["version"])
            plan = data["plan"]
            _check_action(str(path), plan["action"])
            changes = {
                key_of(Owner.parse(token["owner"]), token["id"]): _change(token)
                for token in data["tokens"]
                if token["outcome"] == Outcome.DONE.value
            }
            owners = tuple(map(Owner.parse, plan["owners"]))
            owner_ids = parse_owner_ids(plan.get("ownerIds", {}))
            account = optional_string(plan.get("account"))
            return cls(str(path), plan["baseUrl"], owners, changes, owner_ids, account)
        except OSError as error:
            raise PlanRefused(f"{path} cannot be read: {reason(error)}") from None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            raise PlanRefused(f"{path} is not a report of losant-tokens, as JSON") from None

    def check(self, client: AsyncClient) -> None:
        """Refuse a quarantine of another address or account.

        Raises:
            PlanRefused: It is.
        """
        if self.base_url != client.base_url:
            raise PlanRefused(
                f"{self.source} is about {self.base_url}, and this is {client.base_url}"
            )
        if problem := other_claim(self.owners, self.account, client.account):
            raise PlanRefused(f"{self.source} {problem}")


def _updated(token: Token) -> datetime:
    assert token.last_updated is not None  # noqa: S101 -- it is untouched
    return token.last_updated


def _check_action(source: str, action: object) -> None:
    if action != "deactivate":
        raise PlanRefused(
            f"{source} is of a plan to {action} tokens: nothing was put in quarantine"
        )


def _check_format(path: Path, format_: object, version: object) -> None:
    if format_ != FORMAT:
        raise ValueError
    if version != VERSION:
        raise PlanRefused(
            f"{path} is a report of version {version}, and this release knows version {VERSION} "
            f"alone"
        )


def _check_span(after: object) -> None:
    if not isinstance(after, timedelta) or after < timedelta(0):
        raise ValidationError(f"sweep.after must be a timedelta, and not negative: {after!r}")


def _change(token: dict[str, Any]) -> Change:
    changed, name = token["changed"], token["name"]
    if not isinstance(name, str):
        raise TypeError
    return Change(name, None if changed is None else _time(changed))


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:  # near year 1 or 9999: an unknown time, of this token alone
        return None
