"""Quarantine: what a plan has deactivated is deleted later, or activated again.

Both go by the report of the run that deactivated the tokens, and leave alone what anybody has
touched since: a token that is not inactive any more, has another name, or was updated at another
time than by that run.
"""

import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import anyio
import attrs

from losant_tokens import AsyncClient, Owner
from losant_tokens.errors import PlanRefused, ValidationError
from losant_tokens.jobs._plan import Plan
from losant_tokens.jobs._planning import plan
from losant_tokens.jobs._report import Report
from losant_tokens.jobs._report_values import FORMAT, VERSION
from losant_tokens.jobs._selection import Rule, Token
from losant_tokens.jobs._values import Outcome

SKEW = timedelta(minutes=5)
"""How far this machine's clock may differ from the API's, where that has not said when it was."""

Source = Report | str | os.PathLike[str]


async def sweep(
    client: AsyncClient,
    report: Source,
    *,
    after: timedelta,
    path: str | Path | None = None,
    protect: Iterable[str] = (),
    allow_majority: bool = False,
    max_changes: int | None = None,
    now: datetime | None = None,
) -> Plan:
    """Plans to delete what a run has deactivated, once that was long enough ago.

    Selected are the tokens that the run has deactivated, that are inactive still, and that nobody
    has changed since. `apply` it with `verify`, which is the default for `delete`.

    Args:
        client: What to list with.
        report: The report of the run, or its JSON file.
        after: How long ago it must have deactivated a token.
        path: As for `plan`, like all below.
        protect: Ids and name globs of tokens that are never touched.
        allow_majority: Whether more than half of an owner's tokens may be selected.
        max_changes: How many tokens may be selected at the most.
        now: The moment to go by. Default: now.

    Raises:
        PlanRefused: It is no report, not that of a quarantine, or of another address.
        GuardRefused: It would do more than it may.
        LosantError: The tokens cannot be listed.
    """
    _check_span(after)
    quarantine = await Quarantine.load(report)
    quarantine.check(client.base_url)
    days = after / timedelta(days=1)
    return await plan(
        client,
        quarantine.owners,
        select=quarantine.rule(f"quarantined more than {days:g} days ago and unchanged", after),
        path=path,
        protect=protect,
        allow_majority=allow_majority,
        max_changes=max_changes,
        now=now,
    )


async def restore(
    client: AsyncClient,
    report: Source,
    *,
    path: str | Path | None = None,
    protect: Iterable[str] = (),
    max_changes: int | None = None,
) -> Plan:
    """Plans to activate again what a run has deactivated, and nobody has changed since.

    Args:
        client: What to list with.
        report: The report of the run, or its JSON file.
        path: As for `plan`, like all below.
        protect: Ids and name globs of tokens that are never touched.
        max_changes: How many tokens may be selected at the most.

    Raises:
        PlanRefused: It is no report, not that of a quarantine, or of another address.
        LosantError: The tokens cannot be listed.
    """
    quarantine = await Quarantine.load(report)
    quarantine.check(client.base_url)
    return await plan(
        client,
        quarantine.owners,
        select=quarantine.rule("quarantined and unchanged", None),
        action="activate",
        path=path,
        protect=protect,
        allow_majority=True,  # they were active before, and all of them were agreed upon
        max_changes=max_changes,
    )


@attrs.frozen
class Change:
    """One token that was deactivated: its name, and when the API may say that this was."""

    name: str
    earliest: datetime
    latest: datetime

    def is_untouched(self, token: Token) -> bool:
        """Whether a token still is as the quarantine has left it."""
        return (
            token.status == "inactive"
            and token.name == self.name
            and token.last_updated is not None
            and self.earliest <= token.last_updated <= self.latest
        )


@attrs.frozen
class Quarantine:
    """The tokens that a run has deactivated.

    Attributes:
        source: Where that is written.
        base_url: Where they are.
        owners: Whose they are.
        changes: They, by their ids.
    """

    source: str
    base_url: str
    owners: tuple[Owner, ...]
    changes: Mapping[str, Change] = attrs.field(repr=False)

    @classmethod
    async def load(cls, report: Source) -> Self:
        """The quarantine of a report.

        Raises:
            PlanRefused: It is none.
        """
        if isinstance(report, Report):
            return await anyio.to_thread.run_sync(cls.of, report)
        return await anyio.to_thread.run_sync(cls.read, Path(report))

    @classmethod
    def of(cls, report: Report) -> Self:
        """The quarantine of a report at hand."""
        header = report.plan.header
        source = f"The report of {report.plan.path}"
        _check_action(source, header.action)
        earliest, latest = report.begun - SKEW, report.ended + SKEW
        changes = {
            result.entry.id: Change(
                result.entry.name,
                report.changed.get(number, earliest),
                report.changed.get(number, latest),
            )
            for number, result in enumerate(report.results())
            if result.outcome is Outcome.DONE
        }
        return cls(source, header.base_url, tuple(header.counts), changes)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The quarantine of a report that was saved as JSON."""
        try:
            said = json.loads(path.read_bytes())
            _check_format(path, said["format"], said["version"])
            _check_action(str(path), said["plan"]["action"])
            earliest = _moment(said["run"]["begun"]) - SKEW
            latest = _moment(said["run"]["ended"]) + SKEW
            changes = {
                token["id"]: _change(token, earliest, latest)
                for token in said["tokens"]
                if token["outcome"] == Outcome.DONE.value
            }
            owners = tuple(map(Owner.parse, said["plan"]["owners"]))
            return cls(str(path), said["plan"]["baseUrl"], owners, changes)
        except OSError as error:
            raise PlanRefused(f"{path} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            raise PlanRefused(f"{path} is not a report of losant-tokens, as JSON") from None

    def check(self, base_url: str) -> None:
        """Refuses a quarantine that is somewhere else.

        Raises:
            PlanRefused: It is.
        """
        if self.base_url != base_url:
            raise PlanRefused(f"{self.source} is about {self.base_url}, and this is {base_url}")

    def rule(self, words: str, after: timedelta | None) -> Rule:
        """Selects what is untouched, and where so wanted, what has been so for long enough."""

        def answer(token: Token, now: datetime) -> bool:
            change = self.changes.get(token.id)
            if change is None or not change.is_untouched(token):
                return False
            return after is None or now - _updated(token) > after

        return Rule(
            words, answer, lambda token, _: f"quarantined on {_updated(token).date().isoformat()}"
        )


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


def _change(token: dict[str, Any], earliest: datetime, latest: datetime) -> Change:
    changed = token["changed"]
    if changed is not None:
        earliest = latest = _moment(changed)
    if not isinstance(token["name"], str):
        raise TypeError
    return Change(token["name"], earliest, latest)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
