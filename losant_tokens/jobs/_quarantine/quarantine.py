"""`Quarantine`: the tokens that a job has deactivated, read from its report."""

import contextlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import anyio
import attrs

from losant_tokens import AsyncClient, Owner
from losant_tokens._utils.private_files import open_regular
from losant_tokens.jobs._errors import JobError, PlanRefused
from losant_tokens.jobs._execution.chunk_result import ChunkResult
from losant_tokens.jobs._plan import reader
from losant_tokens.jobs._plan.account_check import other_claim
from losant_tokens.jobs._plan.format import (
    optional_string,
    parse_grace,
    parse_owner_ids,
    parse_policy,
    parse_timestamp,
    short_id,
)
from losant_tokens.jobs._plan.plan import Plan
from losant_tokens.jobs._plan.plan_document import PlanDocument
from losant_tokens.jobs._quarantine.obstacles import Change, Key, key_of
from losant_tokens.jobs._report.report import Report
from losant_tokens.jobs._report.report_data import FORMAT, VERSION
from losant_tokens.jobs._token_rules import Token
from losant_tokens.jobs._types import Entry, Header, Outcome, PolicyReference, counted

SWEPT, RESTORED, FAILED = "swept", "restored", "failed"
"""The results of later sweeps and restores for a token."""


@attrs.frozen(kw_only=True)
class Quarantine:
    """The tokens that a job has deactivated.

    The numbers are from files: they count what jobs did. What somebody else did meanwhile is known
    only to the API: see `review_quarantines`.
    """

    id: str
    """The id: the same as that of the plan."""
    path: Path | None
    """The JSON report; `None` if the report was in memory."""
    created_at: datetime | None
    """When the plan was made, by the server's clock; `None` if the report lacks it."""
    base_url: str
    """The base URL of the API."""
    rule: str
    """The rule that selected the tokens, as a phrase."""
    owners: tuple[Owner, ...]
    """The owners of the tokens."""
    grace: timedelta | None
    """How long the tokens wait before `sweep` may delete them; `None` if it is not set."""
    failed: int = 0
    """The number of tokens that the job could not deactivate."""
    unfinished: int = 0
    """The number of tokens without a known outcome. A resumed job determines it."""
    plan: Path | None = attrs.field(default=None, repr=False)
    """The file of the plan; `None` if the report lacks it."""
    journal: Path | None = attrs.field(default=None, repr=False)
    """The file of the journal; `None` if the report lacks it."""
    account: str | None = attrs.field(default=None, repr=False)
    """The account that the token of the job claimed; `None` if it claimed none."""
    owner_ids: Mapping[Owner, tuple[str, ...]] = attrs.field(factory=dict, repr=False, hash=False)
    """The ids that the API gave for the owners."""
    source: str = attrs.field(default="", repr=False, eq=False)
    """The name of the report, for messages."""
    changes: Mapping[Key, Change] = attrs.field(factory=dict, repr=False, hash=False)
    """The deactivation of each token."""
    results: Mapping[Key, str] = attrs.field(factory=dict, repr=False, hash=False)
    """The results of later sweeps and restores."""
    policy: PolicyReference | None = attrs.field(default=None, repr=False)
    """The clean-up of a policy file that the plan was made by; `None` if it was none."""

    @property
    def total(self) -> int:
        """The number of tokens that the job deactivated."""
        return len(self.changes)

    @property
    def swept(self) -> int:
        """The number of tokens that later sweeps deleted."""
        return self._count(SWEPT)

    @property
    def restored(self) -> int:
        """The number of tokens that later restores activated again."""
        return self._count(RESTORED)

    @property
    def failed_later(self) -> int:
        """The number of tokens that the last sweep or restore could not change."""
        return self._count(FAILED)

    @property
    def waiting(self) -> int:
        """The number of tokens that no later job has deleted or activated."""
        return self.total - self.swept - self.restored

    @property
    def is_settled(self) -> bool:
        """Whether the job is complete, and later jobs deleted or activated all of its tokens."""
        return self.waiting == 0 and self.unfinished == 0

    @property
    def due_at(self) -> datetime | None:
        """When the grace period of the first waiting token ends; `None` if that is unknown."""
        return self._due(min)

    @property
    def all_due_at(self) -> datetime | None:
        """When the grace period of the last waiting token ends; `None` if that is unknown."""
        return self._due(max)

    def _due(self, choose: Callable[[list[datetime]], datetime]) -> datetime | None:
        times = [
            change.changed
            for key, change in self.changes.items()
            if change.changed is not None and self.results.get(key) not in {SWEPT, RESTORED}
        ]
        return later(choose(times), self.grace) if times and self.grace is not None else None

    def _count(self, result: str) -> int:
        return sum(one == result for one in self.results.values())

    @classmethod
    def of(cls, report: Report) -> Self:
        """Return the quarantine of a report in memory.

        Raises:
            PlanRefused: The report is not from a job that deactivated tokens.
        """
        header = report.plan.header
        source = f"The report of {report.plan.path}"
        _check_action(source, header.action)
        return cls(
            id=report.plan.id,
            path=None,
            created_at=header.created_at,
            base_url=header.base_url,
            rule=header.rule,
            owners=tuple(header.counts),
            grace=header.grace,
            failed=report.counts[Outcome.FAILED],
            unfinished=report.counts[Outcome.UNKNOWN] + report.pending,
            plan=report.plan.path,
            journal=report.journal,
            account=header.account,
            owner_ids=header.owner_ids,
            source=source,
            policy=header.policy,
            changes={
                key_of(result.entry.owner, result.entry.id): Change(
                    result.entry.name, report.changed_at.get(number)
                )
                for number, result in enumerate(report.results())
                if result.outcome is Outcome.DONE
            },
        )

    @classmethod
    def of_results(cls, plan: PlanDocument | Header, results: Iterable[ChunkResult]) -> Self:
        """Return the quarantine of the results of chunks.

        Tokens of the plan that no result has are counted as unfinished.

        Args:
            plan: The plan of the chunks. If you pass its header alone, the tokens of the results
                are not compared with those of the plan.
            results: The results of the chunks, one of each chunk.

        Raises:
            PlanRefused: The plan does not deactivate tokens, the results are of another plan, or
                two of them have the same token.
        """
        header = plan if isinstance(plan, Header) else plan.header
        results = tuple(results)
        digests = {result.digest for result in results}
        if isinstance(plan, PlanDocument):
            digests.add(plan.digest)
        if len(digests) > 1:
            raise PlanRefused(
                "The results are of different plans. Pass the results of the chunks of one plan."
            )
        digest = digests.pop() if digests else ""
        source = f"The plan {short_id(digest)}"
        _check_action(source, header.action)
        tokens = [token for result in results for token in result.results]
        outcomes = {key_of(token.owner, token.id): token for token in tokens}
        if len(outcomes) < len(tokens):
            raise PlanRefused(
                f"The results of the plan {short_id(digest)} have a token twice. Pass one result "
                f"of each chunk."
            )
        if isinstance(plan, PlanDocument):
            _check_planned(source, outcomes, plan.entries)
        known = sum(token.outcome not in {None, Outcome.UNKNOWN} for token in tokens)
        total = header.total
        return cls(
            id=short_id(digest),
            path=None,
            created_at=header.created_at,
            base_url=header.base_url,
            rule=header.rule,
            owners=tuple(header.counts),
            grace=header.grace,
            failed=sum(token.outcome is Outcome.FAILED for token in tokens),
            unfinished=total.selected + total.protected - known,
            account=header.account,
            owner_ids=header.owner_ids,
            source=source,
            policy=header.policy,
            changes={
                key: Change(token.name, token.changed_at)
                for key, token in outcomes.items()
                if token.outcome is Outcome.DONE
            },
        )

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Return the quarantine of a report that was saved as JSON.

        Args:
            path: The file.

        Raises:
            PlanRefused: The file is not the report of a job that deactivated tokens, or cannot be
                read.
        """
        path = Path(path)
        with refusing_unreadable(path):
            data = read_report(path)
            plan = data["plan"]
            _check_action(str(path), plan["action"])
            return cls(
                id=short_id(optional_string(plan.get("digest")) or ""),
                path=path,
                created_at=_optional_time(plan.get("created")),
                base_url=plan["baseUrl"],
                rule=optional_string(plan.get("rule")) or "",
                owners=tuple(map(Owner.parse, plan["owners"])),
                grace=parse_grace(plan.get("grace")),
                failed=_with_outcome(data["tokens"], (Outcome.FAILED.value,)),
                unfinished=_with_outcome(data["tokens"], (Outcome.UNKNOWN.value, None)),
                plan=_optional_path(plan.get("path")),
                journal=_optional_path(data.get("run", {}).get("journal")),
                account=optional_string(plan.get("account")),
                owner_ids=parse_owner_ids(plan.get("ownerIds", {})),
                source=str(path),
                policy=parse_policy(plan.get("policy")),
                changes={
                    key_of(Owner.parse(token["owner"]), token["id"]): _change(token)
                    for token in data["tokens"]
                    if token["outcome"] == Outcome.DONE.value
                },
            )

    def holds(self, owner: Owner, token: Token) -> bool:
        """Return whether a token still waits in this quarantine: inactive, and unchanged since.

        Args:
            owner: The owner of the token.
            token: The token as it is listed now.
        """
        key = key_of(owner, token.id)
        change = self.changes.get(key)
        return change is not None and change.obstacle(token) is None

    def check(self, client: AsyncClient) -> None:
        """Refuse a quarantine for another base URL or account.

        Args:
            client: The client that is to change the tokens.

        Raises:
            PlanRefused: The client uses another base URL, or a token of another account.
        """
        if self.base_url != client.base_url:
            raise PlanRefused(
                f"{self.source} is for {self.base_url}, but the client uses {client.base_url}. "
                f"Use a client for the same base URL."
            )
        if problem := other_claim(self.owners, self.account, client.account):
            raise PlanRefused(f"{self.source} {problem}")

    def check_tokens(self) -> None:
        """Refuse a report that was edited to contain tokens that its job cannot have deactivated.

        The digest of a plan covers its tokens, so they cannot be edited in both files. If the plan
        is gone, or another plan has its path, the report cannot be checked.

        Raises:
            PlanRefused: Some of the tokens are not in the plan.
        """
        if self.path is None or self.plan is None:
            return
        planned = _planned(self.plan, self.id)
        added = 0 if planned is None else len(self.changes.keys() - planned)
        if added:
            raise PlanRefused(
                f"{self.source} was altered: {added:,} of its tokens "
                f"{'is' if added == 1 else 'are'} not in its plan, {self.plan}. Use the report "
                f"that the job wrote."
            )


Source = Quarantine | Report | str | os.PathLike[str]


async def load(source: Source) -> Quarantine:
    """Return a quarantine from its report. A file is read in a thread.

    Raises:
        PlanRefused: The report is not from a job that deactivated tokens.
    """
    if isinstance(source, Quarantine):
        return source
    if isinstance(source, Report):
        return await anyio.to_thread.run_sync(Quarantine.of, source)
    return await anyio.to_thread.run_sync(Quarantine.read, source)


# --- Reading reports -------------------------------------------------------------------------


def refusing_unreadable(path: Path) -> AbstractContextManager[None]:
    """Raise `PlanRefused` for each error that the content of a report can cause.

    Args:
        path: The file, for the message.
    """
    return reader.refusing_unreadable(
        path,
        "a JSON report of losant-tokens. Pass the report of the job that deactivated the tokens.",
    )


def read_report(path: Path) -> dict[str, Any]:
    """Return the JSON values of a report.

    Raises:
        PlanRefused: The report is of another version.
        ValueError: The file is not a report.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        data: dict[str, Any] = json.loads(file.read())
    if data["format"] != FORMAT:
        raise ValueError(path)
    if data["version"] != VERSION:
        raise PlanRefused(
            f"{path} is a report of version {data['version']}, but this release can only read "
            f"version {VERSION}. Use the release that wrote it."
        )
    return data


def later(time: datetime, span: timedelta) -> datetime:
    """Return the time after a span; the last possible time if there is none so late."""
    try:
        return time + span
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _planned(path: Path, plan_id: str) -> set[Key] | None:
    """Return the keys of the tokens of a plan; `None` if the plan is gone or is another one."""
    with contextlib.suppress(JobError):
        plan = Plan.read(path)
        if plan.id == plan_id:
            return {key_of(entry.owner, entry.id) for entry in plan.entries()}
    return None


def _check_planned(source: str, keys: Collection[Key], entries: Iterable[Entry]) -> None:
    """Refuse tokens that are not in their plan."""
    added = len(set(keys) - {key_of(entry.owner, entry.id) for entry in entries})
    if added:
        raise PlanRefused(
            f"{source} does not have {counted(added, 'token')} of the results. Pass the results of "
            f"its chunks."
        )


def _check_action(source: str, action: object) -> None:
    if action != "deactivate":
        raise PlanRefused(
            f"{source} is from a job to {action} tokens, so it has no tokens in quarantine. Pass "
            f"the report of a job that deactivated tokens."
        )


def _with_outcome(tokens: Iterable[dict[str, Any]], outcomes: tuple[str | None, ...]) -> int:
    return sum(token["outcome"] in outcomes for token in tokens)


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


def _optional_time(text: object) -> datetime | None:
    return None if text is None else parse_timestamp(str(text))


def _optional_path(text: object) -> Path | None:
    return None if text is None else Path(str(text))
