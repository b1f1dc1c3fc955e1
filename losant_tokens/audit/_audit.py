"""`run`: list the tokens of many accounts, and decide the findings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Self

import anyio
import attrs

from losant_tokens import AsyncClient, Owner, accounts, jobs
from losant_tokens._utils import validators
from losant_tokens.audit._audit_data import AuditedAccount, AuditedOwner
from losant_tokens.audit._change_authors import token_changes
from losant_tokens.audit._checks import STALE_AFTER, AuditContext, Token
from losant_tokens.audit._finding_store import Place, Store
from losant_tokens.audit._result import Audit
from losant_tokens.audit._rules import AuditRule, enabled_rules, rules_of
from losant_tokens.errors import (
    LosantError,
    ServerError,
    TokenExpired,
    TooManyRequests,
    TransportError,
    Unauthorized,
)
from losant_tokens.policy import Policy

_PAGE_SIZE = 1000
_PATIENCE = 300.0  # seconds
_SHARED_FAILURES = (Unauthorized, TokenExpired, TransportError, ServerError, TooManyRequests)


def _as_owners(owners: Owner | Iterable[Owner]) -> tuple[Owner, ...]:
    return (owners,) if isinstance(owners, Owner) else tuple(owners)


def _as_names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(names)


@attrs.frozen(kw_only=True)
class Target:
    """An account to audit."""

    name: str
    """The name of the account."""
    client: AbstractAsyncContextManager[AsyncClient] = attrs.field(repr=False)
    """The client of the account. One that is not open yet is opened for the audit, and closed at
    its end. One that is open stays open.
    """
    owners: tuple[Owner, ...] = attrs.field(
        converter=_as_owners, validator=validators.tuple_of(validators.instance_of(Owner))
    )
    """The owners of the tokens: one or several."""
    discover: tuple[str, ...] = attrs.field(default=(), converter=_as_names)
    """The lists that name more owners, as for `losant_tokens.accounts.discover_owners`."""
    audit_logs: tuple[str, ...] = attrs.field(default=(), converter=_as_names)
    """The audit logs that show which tokens are in use: `org:ID` and `instance:ID`."""

    @classmethod
    def for_account(cls, account: accounts.Account | str) -> Self:
        """Return an account of the configuration file as a target.

        Args:
            account: The account, or its name. Its token is read when its audit starts.

        Raises:
            ConfigError: The configuration file cannot be used, or does not have the account.
        """
        if not isinstance(account, accounts.Account):
            account = accounts.find(account)
        return cls(
            name=account.name,
            client=AsyncClient.for_account(account),
            owners=account.owners,
            discover=account.discover,
            audit_logs=account.audit_logs,
        )


@attrs.frozen(kw_only=True)
class AuditProgress:
    """The progress of an audit."""

    accounts: int
    """The number of accounts."""
    finished: int = 0
    """The number of accounts that are finished, audited or not."""
    tokens: int = 0
    """The number of tokens so far."""
    findings: int = 0
    """The number of findings so far."""


async def run(  # noqa: PLR0913 -- settings, all by keyword
    targets: Target | Iterable[Target],
    *,
    policy: Policy | None = None,
    only: Iterable[str] = (),
    ignore: Iterable[str] = (),
    quarantines: Iterable[jobs.Quarantine] = (),
    stale_after: timedelta = STALE_AFTER,
    now: datetime | None = None,
    max_accounts: int = 4,
    page_size: int = _PAGE_SIZE,
    patience: float = _PATIENCE,
    on_progress: Callable[[AuditProgress], None] | None = None,
) -> Audit:
    """List all tokens of the accounts, and return the audit with its findings.

    Nothing is changed. The tokens are kept in a temporary file, so memory hardly grows with their
    number. An account or an owner that cannot be listed is noted in the audit, and the others are
    audited. Close the audit, or use it in a `with` block.

    Args:
        targets: The accounts: one or several.
        policy: A policy, whose rules are checked as well. Default: none.
        only: The ids of the only rules to check. Default: all.
        ignore: The ids of rules not to check. Default: none.
        quarantines: The quarantines to look for tokens that are overdue, such as those of a
            `losant_tokens.jobs.Ledger`. Default: none.
        stale_after: How long a token must not have been updated, or seen in an audit log, for the
            finding `not-seen`. Default: 180 days.
        now: The time to compare dates with, with a time zone. Default: the time of each server, or
            of this machine if the server does not state its own.
        max_accounts: The maximum number of accounts at the same time. Default: 4.
        page_size: The number of tokens on a page. Default: 1000.
        patience: How long to wait for the end of an outage, in seconds. Default: 300.
        on_progress: Called after each page and each account.

    Raises:
        ValidationError: An argument is invalid. Nothing was sent.
    """
    validators.check_argument(validators.optional(validators.aware_datetime), "run", "now", now)
    for name, value in (("max_accounts", max_accounts), ("page_size", page_size)):
        validators.check_argument(validators.integer(minimum=1), "run", name, value)
    checked = (targets,) if isinstance(targets, Target) else tuple(targets)
    for target in checked:
        validators.check_argument(validators.instance_of(Target), "run", "targets", target)
    rules = enabled_rules(policy, only, ignore)
    store = Store()
    try:
        auditor = _Auditor(
            store=store,
            rules=rules,
            policy=_policy_rules(policy, rules),
            quarantines=tuple(quarantines),
            stale_after=stale_after,
            now=now,
            page_size=page_size,
            patience=patience,
            on_progress=on_progress or (lambda _: None),
            progress=AuditProgress(accounts=len(checked)),
        )
        results = await _run_all(auditor, checked, max_accounts)
        await anyio.to_thread.run_sync(store.finish, rules)
        return Audit(
            created_at=now or datetime.now(UTC), accounts=results, rules=rules, store=store
        )
    except BaseException:
        store.close()
        raise


def _policy_rules(policy: Policy | None, rules: Sequence[AuditRule]) -> Mapping[str, jobs.Rule]:
    if policy is None:
        return {}
    enabled = {rule.id for rule in rules}
    pairs = zip(rules_of(policy), policy.rules, strict=True)
    return {one.id: rule.rule() for one, rule in pairs if one.id in enabled}


async def _run_all(
    auditor: "_Auditor", targets: Sequence[Target], max_accounts: int
) -> tuple[AuditedAccount, ...]:
    """Audit several accounts at the same time, and return the results in the order of targets."""
    results: dict[int, AuditedAccount] = {}
    pending = iter(enumerate(targets))

    async def work() -> None:
        for number, target in pending:
            results[number] = await auditor.audit(number, target)

    try:
        async with anyio.create_task_group() as group:
            for _ in range(min(max_accounts, len(targets))):
                group.start_soon(work)
    except ExceptionGroup as several:
        # A single error, such as a full disk, can be reported in one line.
        raise several.exceptions[0] from None
    return tuple(results[number] for number in range(len(targets)))


@attrs.define(kw_only=True)
class _Auditor:
    """Audits accounts into a store."""

    store: Store
    rules: Sequence[AuditRule]
    policy: Mapping[str, jobs.Rule]
    quarantines: Sequence[jobs.Quarantine]
    stale_after: timedelta
    now: datetime | None
    page_size: int
    patience: float
    on_progress: Callable[[AuditProgress], None]
    progress: AuditProgress

    async def audit(self, number: int, target: Target) -> AuditedAccount:
        """Audit an account, and return its result. A failure of the account is part of it.

        Args:
            number: The number of the account in the audit, from 0.
            target: The account.
        """
        account = AuditedAccount(name=target.name, audit_logs=target.audit_logs)
        try:
            async with _opened(target.client) as client:
                account = attrs.evolve(account, base_url=client.base_url)
                owners, problem = await _owners(target, client)
                account = attrs.evolve(account, problem=problem)
                context, account = await self._read_logs(target, client, account)
                results = await self._audit_owners(number, client, owners, context)
                account = attrs.evolve(account, owners=results)
        except LosantError as error:
            account = attrs.evolve(account, problem=str(error))
        self._report(finished=1)
        return account

    async def _read_logs(
        self, target: Target, client: AsyncClient, account: AuditedAccount
    ) -> tuple[AuditContext, AuditedAccount]:
        """Return the context of an account, and the account with the result of its logs."""
        context = AuditContext(
            account=target.name,
            owner=Owner.user(),
            now=self.now or datetime.now(UTC),
            quarantines=[one for one in self.quarantines if one.base_url == client.base_url],
            stale_after=self.stale_after,
            rules=self.rules,
            policy=self.policy,
        )
        if not target.audit_logs:
            return context, account
        since = self.stale_after if self.now is None else self.now - self.stale_after
        try:
            seen = await jobs.last_seen(
                client, target.audit_logs, since=since, patience=self.patience
            )
            changes = await token_changes(client, seen)
        except LosantError as error:
            return context, attrs.evolve(account, audit_log_problem=str(error))
        context = attrs.evolve(
            context,
            last_seen=seen,
            changed_by=changes.changed_by,
            logs_read_since=context.now - self.stale_after,
        )
        account = attrs.evolve(account, audit_log_gaps=seen.gaps, deleted_by=changes.deleted_by)
        return context, account

    async def _audit_owners(
        self, account: int, client: AsyncClient, owners: Sequence[Owner], context: AuditContext
    ) -> tuple[AuditedOwner, ...]:
        """Audit one owner after the other.

        After a failure that all owners share, such as a refused token or an outage that outlasts
        the patience, the others are not listed.

        Args:
            account: The number of the account in the audit, from 0.
            client: The client of the account.
            owners: The owners.
            context: The context of the account.
        """
        results: list[AuditedOwner] = []
        shared: str | None = None
        for number, owner in enumerate(owners):
            if shared is not None:
                results.append(AuditedOwner(owner=owner, problem=shared))
                continue
            place = Place(account, number, client.base_url)
            try:
                result = await self._audit_owner(client, attrs.evolve(context, owner=owner), place)
            except LosantError as error:
                await anyio.to_thread.run_sync(self.store.discard, place)
                result = AuditedOwner(owner=owner, problem=str(error))
                if isinstance(error, _SHARED_FAILURES):
                    shared = result.problem
            results.append(result)
        return tuple(results)

    async def _audit_owner(
        self, client: AsyncClient, context: AuditContext, place: Place
    ) -> AuditedOwner:
        received = found = 0

        async def receive(tokens: Sequence[Token]) -> None:
            nonlocal received, found
            now = self.now or client.server_time() or context.now
            new = await anyio.to_thread.run_sync(
                self.store.add, tokens, attrs.evolve(context, now=now), place
            )
            received, found = received + len(tokens), found + new
            self._report(tokens=len(tokens), findings=new)

        async def restart() -> None:
            nonlocal received, found
            await anyio.to_thread.run_sync(self.store.discard, place)
            self._report(tokens=-received, findings=-found)
            received = found = 0

        listing = await jobs.list_tokens(
            client,
            context.owner,
            receive,
            restart=restart,
            page_size=self.page_size,
            patience=self.patience,
        )
        return AuditedOwner(owner=context.owner, tokens=listing.listed, incomplete=listing.problems)

    def _report(self, *, finished: int = 0, tokens: int = 0, findings: int = 0) -> None:
        before = self.progress
        self.progress = AuditProgress(
            accounts=before.accounts,
            finished=before.finished + finished,
            tokens=before.tokens + tokens,
            findings=before.findings + findings,
        )
        self.on_progress(self.progress)


def _opened(
    client: AbstractAsyncContextManager[AsyncClient],
) -> AbstractAsyncContextManager[AsyncClient]:
    """Return a context manager that opens and closes a client, unless it is open."""
    if isinstance(client, AsyncClient) and client.is_open:
        return nullcontext(client)
    return client


async def _owners(target: Target, client: AsyncClient) -> tuple[tuple[Owner, ...], str | None]:
    """Return the owners of an account, and why some of them are not known, if so."""
    found = await accounts.discover_owners(client, target.discover)
    problems = [f"the list of {name}: {problem}" for name, problem in found.problems.items()]
    unknown = f"not all owners are known: {'; '.join(problems)}" if problems else None
    return tuple(dict.fromkeys((*target.owners, *found))), unknown
