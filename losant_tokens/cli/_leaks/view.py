"""The facts about a leaked secret, for people and as JSON."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TextIO

from attrs import define, evolve, field

from losant_tokens import AuditLog, InstanceAuditLog
from losant_tokens.cli._library_messages import with_options
from losant_tokens.cli._terminal.format import format_count, format_datetime, relative_time
from losant_tokens.cli._tokens.columns import not_ahead
from losant_tokens.cli._tokens.details import format_details
from losant_tokens.cli._tokens.json import as_wire
from losant_tokens.leaks import Check, Investigation, OwnedToken

_BY = {"id": "by its id", "times": "by its dates"}
_NO_EXPIRY = "unknown: the secret does not name a date, so perhaps never"
_WORKS = {"works": ("bold red", "yes"), "dead": ("green", "no"), "unknown": ("yellow", "unknown")}


@define
class Leak:
    """A leaked secret, and what was done about it.

    Attributes:
        found: What is known about the secret.
        account: The account, if one is selected.
        title: Its number, if there are several.
        actions: What its token changed last, or None if no audit log was read.
        after: Whether the API accepts it after the deactivation; None without a deactivation.
        not_listed: The lists that could not be read completely, with the reason.
        not_checked: The accounts whose API may accept the secret, with the reason why it did not
            say so. The secret may work although another API refuses it.
    """

    found: Investigation
    account: str | None = None
    title: str = ""
    actions: Sequence[AuditLog | InstanceAuditLog] | None = None
    after: Check | None = None
    not_listed: dict[str, str] = field(factory=dict)
    not_checked: dict[str, str] = field(factory=dict)

    def add_created(self, tokens: Iterable[OwnedToken]) -> None:
        """Add tokens that the leaked token created, each once."""
        known = {one.token.id for one in self.found.created}
        new = tuple(one for one in tokens if one.token.id not in known)
        self.found = evolve(self.found, created=(*self.found.created, *new))

    @property
    def state(self) -> str:
        """Whether the secret works now."""
        state = (self.after or self.found.check).state
        return "unknown" if state == "dead" and self.not_checked else state


def describe_leak(leak: Leak, file: TextIO) -> str:
    """Return what is known about a secret as lines.

    Args:
        leak: The secret.
        file: The destination. On a terminal, the lines fit its width.
    """
    return format_details(_details(leak), file)


def _details(leak: Leak) -> Iterable[tuple[str, str, Sequence[str]]]:
    found, claims = leak.found, leak.found.claims
    style, word = _WORKS[leak.state]
    yield "Secret", "bold", [leak.title]
    yield "Account", "", [leak.account or ""]
    yield "Fingerprint", "", [claims.fingerprint]
    yield "Works", style, [f"{word}: {with_options(found.check.reason)}"]
    yield "Token", "bold", list(_describe_match(leak))
    creates = claims.can_create_tokens
    yield (
        "Creates tokens",
        "" if creates is False else "yellow",
        ["unknown" if creates is None else "yes" if creates else "no"],
    )
    yield "Scopes", "", sorted(claims.scopes) if claims.scopes else ["unknown"]
    yield "Kind", "", ["OAuth token"] if claims.oauth else []
    yield "Issuer", "", [claims.issuer or ""]
    yield "Issued", "", [_time(claims.issued_at, found.now, is_past=True)]
    yield "Expires", "", [_time(claims.expires_at, found.now) or _NO_EXPIRY]
    if found.check.state != "works":
        yield "Claims", "dim", ["not confirmed: a forged secret can claim anything"]
    yield (
        "Not listed",
        "yellow",
        [f"{name}: {with_options(why)}" for name, why in _not_listed(leak).items()],
    )
    yield "Not checked", "yellow", [f"{name}: {why}" for name, why in leak.not_checked.items()]
    if leak.actions is not None:
        lines = [_describe_action(one) for one in leak.actions]
        yield "Last changes", "", lines or ["none in the audit logs, which record no reading"]


def describe_created(leak: Leak, file: TextIO) -> str:
    """Return the tokens that the token of a secret created, as lines.

    Args:
        leak: The secret.
        file: The destination. On a terminal, the lines fit its width.
    """
    tokens = leak.found.created
    title = f"{format_count(len(tokens))}, with those that these created"
    lines = [title, *map(_describe, tokens)] if tokens else ["no token that is listed"]
    return format_details([("Created", "yellow" if tokens else "", lines)], file)


def _describe_match(leak: Leak) -> Iterable[str]:
    match = leak.found.match
    if not match.candidates:
        yield "cannot determine: no list has a token with these claims"
        return
    if match.token is None:
        yield f"cannot determine: one of these {format_count(len(match.candidates))}"
    for one in match.candidates:
        note = "" if match.token is None or match.by is None else f", found {_BY[match.by]}"
        yield f"{_describe(one)}{note}"


def _describe(one: OwnedToken) -> str:
    return f"{one.token.id}  {one.token.name}  ({one.owner}, {one.token.status or 'unknown'})"


def _describe_action(one: AuditLog | InstanceAuditLog) -> str:
    target = next(
        (
            f"{kind or 'resource'} {name or id_}"
            for kind, name, id_ in (
                (one.secondary_target_type, one.secondary_target_name, one.secondary_target_id),
                (one.primary_target_type, one.primary_target_name, one.primary_target_id),
            )
            if name or id_
        ),
        "",
    )
    status = "" if one.response_status is None else f"{one.response_status}"
    parts = (
        format_datetime(one.creation_date, "unknown time"),
        f"{one.request_resource or '?'}.{one.request_action or '?'}",
        target,
        status,
    )
    return "  ".join(part for part in parts if part)


def _time(value: datetime | None, now: datetime, *, is_past: bool = False) -> str:
    if value is None:
        return ""
    shown = not_ahead(value, now) if is_past else value
    return f"{format_datetime(value, '')} ({relative_time(shown, now)})"


def as_json_values(leak: Leak) -> dict[str, Any]:
    """Return what is known about a secret as plain values, without the secret."""
    found, claims = leak.found, leak.found.claims
    token = found.match.token
    return {
        "fingerprint": claims.fingerprint,
        "account": leak.account,
        "state": leak.state,
        "reason": (leak.after or found.check).reason,
        "deactivated": leak.after is not None,
        "claims": {
            "issuer": claims.issuer,
            "scopes": None if claims.scopes is None else sorted(claims.scopes),
            "issuedAt": as_wire(claims.issued_at),
            "expiresAt": as_wire(claims.expires_at),
            "isOauthToken": claims.oauth,
        },
        "canCreateTokens": claims.can_create_tokens,
        "foundBy": found.match.by,
        "token": None if token is None else _as_wire(token),
        "candidates": [_as_wire(one) for one in found.match.candidates],
        "created": [_as_wire(one) for one in found.created],
        "notListed": _not_listed(leak),
        "notChecked": leak.not_checked,
        "actions": None if leak.actions is None else [as_wire(one) for one in leak.actions],
    }


def _as_wire(one: OwnedToken) -> dict[str, Any]:
    members: dict[str, Any] = as_wire(one.token)
    return {"owner": str(one.owner)} | members


def _not_listed(leak: Leak) -> dict[str, str]:
    owners = {str(owner): reason for owner, reason in leak.found.not_listed.items()}
    return owners | leak.not_listed
