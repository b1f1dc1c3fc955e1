"""Plan the second half of a quarantine: `sweep` and `restore`.

They start from the report of the job that deactivated the tokens. They leave a token alone if
anybody has changed it since: it is active again, has another name, or its last update is not the
change by that job. The report has the time of that change, from the API's response. If the report
lacks it, it is unknown whether the token was changed, so it is left alone.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import anyio

from losant_tokens import AsyncClient, Owner
from losant_tokens._utils import validators
from losant_tokens._utils.warn_caller import warn_caller
from losant_tokens.errors import ValidationError
from losant_tokens.jobs._errors import PlanRefused
from losant_tokens.jobs._name_patterns import NamePattern
from losant_tokens.jobs._plan.guard_refused import GuardRefused
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._plan.planner import make_plan
from losant_tokens.jobs._plan.settings import (
    PAGE_SIZE,
    PATIENCE,
    PROTECT_SEEN,
    ClockCheck,
    LogSources,
    OnIncomplete,
    OnLog,
    OnUnmatched,
    PlanSettings,
    Selection,
)
from losant_tokens.jobs._quarantine.comparison import QuarantineReview, Review, rule_of
from losant_tokens.jobs._quarantine.obstacles import Key
from losant_tokens.jobs._quarantine.quarantine import Quarantine, Source, load
from losant_tokens.jobs._report.report import Report
from losant_tokens.jobs._token_rules import Rule
from losant_tokens.jobs._types import (
    Action,
    LeftAloneWarning,
    PlanWarning,
    PolicyReference,
    counted,
)

OnReview = Callable[[tuple[QuarantineReview, ...]], None]
"""Receives the state of each quarantine before the plan is returned."""


async def sweep(  # noqa: PLR0913 -- the guards of a plan
    client: AsyncClient,
    report: Source | Iterable[Source],
    *,
    after: timedelta | None = None,
    select: Rule | None = None,
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
    seen_in: LogSources = (),
    protect_seen: timedelta = PROTECT_SEEN,
    on_log: OnLog | None = None,
    on_review: OnReview | None = None,
    policy: PolicyReference | None = None,
) -> Plan:
    """Plan to delete the tokens that a job has deactivated longer ago than `after`.

    The plan selects the tokens that the job deactivated, that are still inactive, and that nobody
    has changed since. A `LeftAloneWarning` counts the tokens that somebody has changed, and says
    how. Apply the plan with `verify`, which is the default.

    Args:
        client: The client that lists the tokens.
        report: The report of the job, the path of its JSON file, or a `Quarantine`; or several of
            them, for one plan.
        after: How long ago the job must have deactivated a token. Default: the grace period of the
            quarantine.
        select: A rule that tokens must match, too. Default: none.
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
        seen_in: The audit logs, as for `last_seen`, such as `org:ID`. A token that changed
            something within `protect_seen` is never touched. `apply` reads them again from the time
            of the plan on. Those of the owners that are instances are read as well. Default: no
            other one.
        protect_seen: How long ago a token may have changed something to be protected, before the
            server's time. A span of zero reads no log, and protects none. Default: 90 days.
        on_log: Called with a `LogProgress` while an audit log is read.
        on_review: Called with the state of each quarantine when the tokens have been listed.
        policy: The clean-up of a policy file that the plan is made by. The plan and the report
            record it. Default: none.

    Returns:
        The plan. Review it, and apply it with `apply`.

    Raises:
        ValidationError: An argument is invalid. Nothing was sent.
        PlanRefused: The report cannot be used: it is not a report, is not from a job that
            deactivated tokens, or is for another base URL or account.
        GuardRefused: A guard forbids the plan.
        EvidenceError: An audit log cannot be read as a whole, so it protects no token.
        LosantError: The tokens cannot be listed.
    """
    _check_after(after)
    optional_rule = validators.optional(validators.instance_of(Rule))
    validators.check_argument(optional_rule, "sweep", "select", select)
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
        seen_in=seen_in,
        protect_seen=protect_seen,
        on_log=on_log,
    )
    quarantines = await _load_all(report)
    reviews = [Review(one, _grace(one, after)) for one in quarantines]
    spans = {_grace(one, after) for one in quarantines}
    description = "quarantined for longer than the grace period and unchanged"
    if len(spans) == 1:
        days = spans.pop() / timedelta(days=1)
        description = f"quarantined more than {counted(days, 'day')} ago and unchanged"
    return await _plan_action(
        client, reviews, "delete", description, settings, on_review, select=select, policy=policy
    )


async def restore(  # noqa: PLR0913 -- the guards of a plan
    client: AsyncClient,
    report: Source,
    *,
    named: str | Iterable[str] = (),
    ids: str | Iterable[str] = (),
    path: str | Path | None = None,
    protect: Iterable[str] = (),
    max_changes: int | None = None,
    unmatched: OnUnmatched = "warn",
    incomplete: OnIncomplete = "warn",
    page_size: int = PAGE_SIZE,
    patience: float = PATIENCE,
    on_review: OnReview | None = None,
) -> Plan:
    """Plan to activate the tokens that a job has deactivated and that nobody has changed since.

    A `LeftAloneWarning` counts the tokens that somebody has changed, and says how. More than half
    of an owner's tokens may be selected, because they were active before.

    Args:
        client: The client that lists the tokens.
        report: The report of the job, the path of its JSON file, or a `Quarantine`.
        named: Restore only tokens whose name in the quarantine matches one of these patterns, or
            whose id is one of `ids`. Default: all tokens.
        ids: Restore only tokens with one of these ids, or a name that matches `named`.
        path: The file of the plan. Default: a temporary file, as for `plan`.
        protect: Ids and name patterns of tokens that are never touched. Default: none.
        max_changes: The maximum number of selected tokens. Default: no limit.
        unmatched: What to do about a pattern that matches no token, as for `plan`. `refuse` also
            refuses a pattern of `named` or an id of `ids` that is not in the quarantine.
            Default: `warn`.
        incomplete: What to do if tokens may be missing from the list: `warn`, or `refuse` the plan.
            Default: `warn`.
        page_size: The number of tokens on a page. It is halved if a page is too large.
            Default: 1000.
        patience: How long to wait for the end of an outage, in seconds. Default: 300.
        on_review: Called with the state of the quarantine when the tokens have been listed.

    Returns:
        The plan. Review it, and apply it with `apply`.

    Raises:
        ValidationError: An argument is invalid. Nothing was sent.
        PlanRefused: The report cannot be used: it is not a report, is not from a job that
            deactivated tokens, or is for another base URL or account.
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
    patterns = tuple(NamePattern.checked("restore", "named", text) for text in _as_tuple(named))
    chosen_ids = _as_tuple(ids)
    for token_id in chosen_ids:
        validators.check_argument(validators.string(min_length=1), "restore", "ids", token_id)
    quarantine = await load(report)
    chosen: set[Key] | None = None
    if patterns or chosen_ids:
        chosen, problems = _choose(quarantine, patterns, chosen_ids)
        _handle_unmatched(problems, unmatched)
    description = "quarantined and unchanged"
    if chosen is not None:
        description += f", {_choice(patterns, chosen_ids)}"
    reviews = [Review(quarantine, None, chosen)]
    return await _plan_action(client, reviews, "activate", description, settings, on_review)


def _as_tuple(values: str | Iterable[str]) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else tuple(dict.fromkeys(values))


def _choose(
    quarantine: Quarantine, patterns: Sequence[NamePattern], ids: Sequence[str]
) -> tuple[set[Key], list[str]]:
    """Return the keys of the chosen tokens, and a sentence for each pattern or id without one."""
    chosen: set[Key] = set()
    problems: list[str] = []
    for pattern in patterns:
        found = {key for key, one in quarantine.changes.items() if pattern.matches(one.name)}
        chosen |= found
        if not found:
            problems.append(f"No token in quarantine has a name that matches {pattern.text!r}.")
    for token_id in ids:
        found = {key for key in quarantine.changes if key[1] == token_id.lower()}
        chosen |= found
        if not found:
            problems.append(f"No token in quarantine has the id {token_id}.")
    return chosen, problems


def _handle_unmatched(problems: Sequence[str], unmatched: OnUnmatched) -> None:
    if unmatched == "refuse" and problems:
        raise GuardRefused(
            f"{' '.join(problems)} Correct it or leave it out, or pass unmatched='warn'."
        )
    if unmatched == "warn":
        for problem in problems:
            warn_caller(problem, PlanWarning)


def _choice(patterns: Sequence[NamePattern], ids: Sequence[str]) -> str:
    """Return the chosen tokens as a phrase."""
    parts = [f"named {pattern.text!r}" for pattern in patterns]
    if ids:
        parts.append(f"with one of {len(ids)} ids" if len(ids) > 1 else f"with the id {ids[0]}")
    return " or ".join(parts)


def _grace(quarantine: Quarantine, after: timedelta | None) -> timedelta:
    span = quarantine.grace if after is None else after
    if span is None:
        raise ValidationError(
            f"sweep.after must be a timedelta, because {quarantine.source} sets no grace period"
        )
    return span


async def _load_all(report: Source | Iterable[Source]) -> tuple[Quarantine, ...]:
    """Return the quarantines of reports, each once.

    Raises:
        PlanRefused: A file is not the report of a job that deactivated tokens.
    """
    if isinstance(report, Quarantine | Report | str | os.PathLike):
        return (await load(report),)
    loaded = [await load(one) for one in report]
    if not loaded:
        raise ValidationError("sweep.report must name at least one quarantine, but it is empty")
    return tuple(loaded)


async def _plan_action(
    client: AsyncClient,
    reviews: Sequence[Review],
    action: Action,
    description: str,
    settings: PlanSettings,
    on_review: OnReview | None,
    *,
    select: Rule | None = None,
    policy: PolicyReference | None = None,
) -> Plan:
    """Plan an action for the tokens of quarantines, and warn about tokens left alone."""
    quarantines = [review.quarantine for review in reviews]
    for quarantine in quarantines:
        quarantine.check(client)
        await anyio.to_thread.run_sync(quarantine.check_tokens)
    owners = dict.fromkeys(owner for one in quarantines for owner in one.owners)
    plan = await make_plan(
        client,
        Selection(
            rules={owner: rule_of(reviews, owner, description, select) for owner in owners},
            description=description,
            uses_time=action == "delete",
            action=action,
            owner_ids=_owner_ids(quarantines, owners),
            source=quarantines[0].source,
            quarantines=tuple(dict.fromkeys(one.id for one in quarantines if one.id)),
            policy=policy,
        ),
        settings,
    )
    for review in reviews:
        if left_alone := review.left_alone():
            warn_caller(left_alone, LeftAloneWarning)
    if on_review is not None:
        now = settings.now or plan.header.created_at
        on_review(tuple(review.result(now) for review in reviews))
    return plan


def _owner_ids(
    quarantines: Iterable[Quarantine], owners: Iterable[Owner]
) -> dict[Owner, tuple[str, ...]]:
    """Return the ids that the API must give for each owner in all quarantines.

    Raises:
        PlanRefused: The quarantines are of different accounts.
    """
    expected: dict[Owner, tuple[str, ...]] = {}
    for owner in owners:
        known = [(one, ids) for one in quarantines if (ids := set(one.owner_ids.get(owner, ())))]
        if not known:
            continue
        first, ids_of_first = known[0]
        for one, ids in known:
            if ids.isdisjoint(ids_of_first):
                raise PlanRefused(
                    f"{first.source} and {one.source} are of different accounts ({owner}). Plan "
                    f"each of them with a token of its account."
                )
        expected[owner] = tuple(sorted(set.intersection(*(ids for _, ids in known))))
    return expected


def _check_after(after: object) -> None:
    if after is not None and (not isinstance(after, timedelta) or after < timedelta(0)):
        raise ValidationError(
            f"sweep.after must be a timedelta that is not negative, but it is {after!r}"
        )
