"""The audit logs that a command reads, and what it shows meanwhile."""

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Any

from losant_tokens import AsyncClient, Owner
from losant_tokens.cli._connections.clients import selected_account
from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._options.common import ConnectionOptions
from losant_tokens.cli._options.jobs import EvidenceOptions
from losant_tokens.cli._terminal.console import print_warning, update_status
from losant_tokens.jobs import LastSeen, LogProgress, last_seen

DEFAULT_SPAN = timedelta(days=90)


def known_logs(owners: Iterable[Owner], connection: ConnectionOptions) -> tuple[str, ...]:
    """Return the audit logs of the account and of the owners that are instances.

    Raises:
        ConfigError: The configuration file cannot be used, or does not have the account.
        CommandError: There is no token at all.
    """
    account = selected_account(connection)
    logs = () if account is None else account.audit_logs
    return (*logs, *(str(owner) for owner in owners if owner.kind == "instance"))


def required_logs(owners: Iterable[Owner], connection: ConnectionOptions) -> tuple[str, ...]:
    """Return the audit logs for the column `seen`.

    Raises:
        UsageError: There is none.
    """
    logs = known_logs(owners, connection)
    if not logs:
        raise UsageError("the column seen needs an audit log", "pass --seen-in org:ID")
    return logs


def evidence_settings(
    options: EvidenceOptions,
    connection: ConnectionOptions,
    owners: Iterable[Owner],
    *,
    by_default: bool = True,
) -> dict[str, Any]:
    """Return the arguments of `jobs.plan` or `jobs.sweep` about audit logs.

    Args:
        options: The options of the command.
        connection: The connection, whose account may name audit logs.
        owners: The owners of the tokens.
        by_default: Whether tokens are protected without an option, if an audit log is known.

    Raises:
        UsageError: No audit log is known for the tokens of an owner, but one is needed.
        ConfigError: The configuration file cannot be used, or does not have the account.
        CommandError: There is no token at all.
    """
    span = options.protect_seen
    if span == timedelta(0):
        if options.seen_in:
            raise UsageError("--seen-in has no effect with --protect-seen off")
        return {"protect_seen": timedelta(0)}
    if span is None and not options.seen_in and not by_default:
        return {}
    owners = tuple(owners)
    logs = options.seen_in or known_logs((), connection)
    if not logs and all(owner.kind == "instance" for owner in owners):
        logs = known_logs(owners, connection)
    elif not logs and span is not None:
        # The log of an instance is read anyway, but it need not show the tokens of other owners.
        raise UsageError("--protect-seen needs an audit log", "pass --seen-in org:ID")
    return {"seen_in": logs, "protect_seen": span or DEFAULT_SPAN, "on_log": show_progress}


def show_progress(progress: LogProgress) -> None:
    """Show how much of an audit log was read."""
    total = "" if progress.total is None else f" of {max(progress.total, progress.entries):,}"
    # Short, so that it fits on a narrow terminal.
    update_status(f"Reading {progress.source}: {progress.entries:,}{total}")


async def read_last_seen(
    client: AsyncClient, logs: Sequence[str], tokens: Collection[str]
) -> LastSeen:
    """Return when tokens last changed something, and print why the logs may not show it.

    Raises:
        EvidenceError: An audit log cannot be read as a whole.
    """
    seen = await last_seen(client, logs, tokens=tokens, on_progress=show_progress)
    for gap in seen.gaps:
        print_warning(gap)
    return seen
