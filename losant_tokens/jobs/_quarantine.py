"""Quarantine: deactivate tokens with a plan, and later delete them or activate them again.

`sweep` and `restore` start from the report of the job that deactivated the tokens. They leave a
token alone if anybody has changed it since: it is active again, has another name, or its last
update is not the change by that job. The report has the time of that change, from the API's
response. If the report lacks it, it is unknown whether the token was changed, so it is left alone.
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
from losant_tokens._warn_caller import warn_caller
from losant_tokens.errors import ValidationError
from losant_tokens.jobs._errors import PlanRefused
from losant_tokens.jobs._plan.account_check import other_claim
from losant_tokens.jobs._plan.format import optional_string, parse_owner_ids
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._plan.planner import make_plan
from losant_tokens.jobs._plan.settings import (
    PAGE_SIZE,
    PATIENCE,
    ClockCheck,
    OnIncomplete,
    OnUnmatched,
    PlanSettings,
    Selection,
)
from losant_tokens.jobs._private_files import open_regular, reason
from losant_tokens.jobs._report.report import Report
from losant_tokens.jobs._report.report_data import FORMAT, VERSION
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
    """Plan to delete the tokens that a job has deactivated longer ago than `after`.

    The plan selects the tokens that the job deactivated, that are still inactive, and that nobody
    has changed since. A `PlanWarning` counts the tokens that are left alone, and why. Apply the
    plan with `verify`, which is the default.

    Args:
        client: The client that lists the tokens.
        report: The report of the job, or the path of its JSON file.
        after: How long ago the job must have deactivated a token.
        path: The file of the plan. Default: a temporary file, as for `plan`.
        protect: Ids and name patterns of tokens that are never touched. Default: none.
        allow_majority: Whether more than half of an owner's tokens may be selected. Default: False.
        max_changes: The maximum number of selected tokens. Default: no limit.
        now: The time to count `after` back from, with a time zone. Default: the server's time.
        clock_check: What to do if this machine's clock differs from the server's, as for `plan`.
            Default: `warn`.
        unmatched: What to do about a pattern that matches no token, as for `plan`. Default: `warn`.
        incomplete: What to do if tokens may be missing from the list: `warn`, or `refuse` the plan.
            Default: `warn`.
        page_size: The number of tokens on a page. It is halved if a page is too large.
            Default: 1000.
        patience: How long to wait for the end of an outage, in seconds. Default: 300.

    Returns:
        The plan. Review it, and apply it with `apply`.

    Raises:
        ValidationError: An argument is invalid. Nothing was sent.
        PlanRefused: The report cannot be used: it is not a report, is not from a job that
            deactivated tokens, or is for another address or account.
        GuardRefused: A guard forbids the plan.
        LosantError: The tokens cannot be listed.
    """
    _check_after(after)
    settings = PlanSettings(
        "sweep",
        path=path,
        protect=protect,
        allow_majority=allow_majority,
        max_changes=max_changes,
        now=now,
        clock_check=clock_check,
        unmatched=unmatched,
        incomplete=incomplete,
        page_size=page_size,
        patience=patience,
    )
    days = after / timedelta(days=1)
    description = f"quarantined more than {days:g} days ago and unchanged"
    return await _plan_action(client, report, "delete", description, after, settings)


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
    """Plan to activate the tokens that a job has deactivated and that nobody has changed since.

    A `PlanWarning` counts the tokens that are left alone, and why. More than half of an owner's
    tokens may be selected, because they were active before.

    Args:
        client: The client that lists the tokens.
        report: The report of the job, or the path of its JSON file.
        path: The file of the plan. Default: a temporary file, as for `plan`.
        protect: Ids and name patterns of tokens that are never touched. Default: none.
        max_changes: The maximum number of selected tokens. Default: no limit.
        unmatched: What to do about a pattern that matches no token, as for `plan`. Default: `warn`.
        incomplete: What to do if tokens may be missing from the list: `warn`, or `refuse` the plan.
            Default: `warn`.
        page_size: The number of tokens on a page. It is halved if a page is too large.
            Default: 1000.
        patience: How long to wait for the end of an outage, in seconds. Default: 300.

    Returns:
        The plan. Review it, and apply it with `apply`.

    Raises:
        ValidationError: An argument is invalid. Nothing was sent.
        PlanRefused: The report cannot be used: it is not a report, is not from a job that
            deactivated tokens, or is for another address or account.
        GuardRefused: A guard forbids the plan.
        LosantError: The tokens cannot be listed.
    """
    settings = PlanSettings(
        "restore",
        path=path,
        protect=protect,
        allow_majority=True,
        max_changes=max_changes,
        unmatched=unmatched,
        incomplete=incomplete,
        page_size=page_size,
        patience=patience,
    )
    description = "quarantined and unchanged"
    return await _plan_action(client, report, "activate", description, None, settings)


async def _plan_action(
    client: AsyncClient,
    report: Source,
    action: Action,
    description: str,
    after: timedelta | None,
    settings: PlanSettings,
) -> Plan:
    """Plan an action for the tokens of a quarantine, and warn about tokens left alone."""
    quarantine = await Quarantine.load(report)
    quarantine.check(client)
    review = Review(quarantine.changes, after)
    plan = await make_plan(
        client,
        Selection(
            rules={owner: review.rule(owner, description) for owner in quarantine.owners},
            description=description,
            uses_time=after is not None,
            action=action,
            owner_ids=quarantine.owner_ids,
            source=quarantine.source,
        ),
        settings,
    )
    if left_alone := review.left_alone():
        warn_caller(left_alone, PlanWarning)
    return plan


# --- Comparing -------------------------------------------------------------------------------


@attrs.frozen
class Change:
    """The deactivation of a token.

    Attributes:
        name: The name of the token at that time.
        changed: The time of the change, as the API stated it; `None` if it did not.
    """

    name: str
    changed: datetime | None

    def obstacle(self, token: Token) -> str | None:
        """Return how a token differs from its state after the change; `None` if it does not.

        Args:
            token: The token as it is listed now.
        """
        if token.status != "inactive":
            return "are active again"
        if token.name != self.name:
            return "have another name"
        if self.changed is None:
            return "have no time of change in the report, so they may have been changed since"
        if token.last_updated is None:
            return "have no readable time of change"
        if not is_same_time(token.last_updated, self.changed):
            return "were last changed by something other than the quarantine"
        return None


def is_same_time(one: datetime, other: datetime) -> bool:
    """Return whether two times are the same. Either may lack the fraction of a second."""
    if one == other:
        return True
    has_no_fraction = not one.microsecond or not other.microsecond
    return has_no_fraction and one.replace(microsecond=0) == other.replace(microsecond=0)


@attrs.define
class Review:
    """Compares the tokens of a quarantine with the tokens that are listed now.

    Attributes:
        changes: The tokens of the quarantine.
        after: How long ago they must have been deactivated; `None` if that does not matter.
    """

    changes: Mapping[Key, Change]
    after: timedelta | None
    _obstacles: dict[Key, str | None] = attrs.field(factory=dict)

    def rule(self, owner: Owner, description: str) -> Rule:
        """Return the rule that selects the unchanged tokens of an owner.

        The rule remembers for `left_alone` why it does not select a token of the quarantine.

        Args:
            owner: The owner.
            description: The rule as a phrase.
        """

        def match(token: Token, now: datetime) -> bool:
            key = key_of(owner, token.id)
            change = self.changes.get(key)
            if change is None:
                return False
            obstacle = change.obstacle(token)
            if obstacle is None and not self._is_long_ago(token, now):
                obstacle = "were deactivated too recently"
            self._obstacles[key] = obstacle
            return obstacle is None

        return Rule(
            description,
            match,
            lambda token, _: f"quarantined on {_updated(token).date().isoformat()}",
            uses_time=self.after is not None,
        )

    def _is_long_ago(self, token: Token, now: datetime) -> bool:
        # The server's time has no fractions, so it can be before a change that was just made.
        return not self.after or now - _updated(token) > self.after

    def left_alone(self) -> str | None:
        """Return how many tokens are left alone, and why, as a sentence; `None` if none is."""
        missing = "are no longer listed"
        found = (self._obstacles.get(key, missing) for key in self.changes)
        reasons = Counter(obstacle for obstacle in found if obstacle is not None)
        if not reasons:
            return None
        parts = "; ".join(f"{count} {obstacle}" for obstacle, count in reasons.most_common())
        return (
            f"Of the {len(self.changes)} tokens in quarantine, {reasons.total()} are left alone: "
            f"{parts}."
        )


def key_of(owner: Owner, token_id: str) -> Key:
    """Return the key of a token. Two owners may have the same id. Case does not matter."""
    return str(owner).lower(), token_id.lower()


# --- Reading the report ----------------------------------------------------------------------


@attrs.frozen
class Quarantine:
    """The tokens that a job has deactivated.

    Attributes:
        source: The name of the report, for messages.
        base_url: The address of the API.
        owners: The owners of the tokens.
        changes: The tokens.
        owner_ids: The ids that the API gave for the owners.
        account: The account that the token of the job claimed; `None` if it claimed none.
    """

    source: str
    base_url: str
    owners: tuple[Owner, ...]
    changes: Mapping[Key, Change] = attrs.field(repr=False)
    owner_ids: Mapping[Owner, tuple[str, ...]] = attrs.field(factory=dict)
    account: str | None = None

    @classmethod
    async def load(cls, report: Source) -> Self:
        """Load the quarantine from a report, in a thread.

        Raises:
            PlanRefused: The report is not from a quarantine.
        """
        if isinstance(report, Report):
            return await anyio.to_thread.run_sync(cls.of, report)
        return await anyio.to_thread.run_sync(cls.read, Path(report))

    @classmethod
    def of(cls, report: Report) -> Self:
        """Return the quarantine of a report in memory.

        Raises:
            PlanRefused: The report is not from a quarantine.
        """
        header = report.plan.header
        source = f"The report of {report.plan.path}"
        _check_action(source, header.action)
        changes = {
            key_of(result.entry.owner, result.entry.id): Change(
                result.entry.name, report.changed_at.get(number)
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
            PlanRefused: The file is not the report of a quarantine, or cannot be read.
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
            raise PlanRefused(
                f"{path} is not a JSON report of losant-tokens. Pass the report of the job that "
                f"deactivated the tokens."
            ) from None

    def check(self, client: AsyncClient) -> None:
        """Refuse a quarantine of another address or account.

        Raises:
            PlanRefused: The client uses another address, or a token of another account.
        """
        if self.base_url != client.base_url:
            raise PlanRefused(
                f"{self.source} is for {self.base_url}, but the client uses {client.base_url}. "
                f"Use a client for the same address."
            )
        if problem := other_claim(self.owners, self.account, client.account):
            raise PlanRefused(f"{self.source} {problem}")


def _updated(token: Token) -> datetime:
    assert token.last_updated is not None  # noqa: S101 -- `obstacle` has checked it
    return token.last_updated


def _check_action(source: str, action: object) -> None:
    if action != "deactivate":
        raise PlanRefused(
            f"{source} is from a job to {action} tokens, so it has no tokens in quarantine. Pass "
            f"the report of a job that deactivated tokens."
        )


def _check_format(path: Path, format_: object, version: object) -> None:
    if format_ != FORMAT:
        raise ValueError
    if version != VERSION:
        raise PlanRefused(
            f"{path} is a report of version {version}, but this release can only read version "
            f"{VERSION}. Use the release that wrote it."
        )


def _check_after(after: object) -> None:
    if not isinstance(after, timedelta) or after < timedelta(0):
        raise ValidationError(
            f"sweep.after must be a timedelta that is not negative, but it is {after!r}"
        )


def _change(token: dict[str, Any]) -> Change:
    changed, name = token["changed"], token["name"]
    if not isinstance(name, str):
        raise TypeError
    return Change(name, None if changed is None else _time(changed))


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:
        # The year in UTC is before 1 or after 9999. Treat the time of this token as unknown.
        return None
