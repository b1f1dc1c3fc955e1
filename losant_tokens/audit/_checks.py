"""Decide the findings about one token. This module is pure: it sends no request.

An expired token can do nothing, so only its existence is a finding, and not what it could do. A
fact that the API left out, or that cannot be read, leads to no finding that needs it.

The messages and the evidence have dates and not ages, so that they are the same tomorrow.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from attrs import field, frozen

from losant_tokens import ApiToken, Owner, UserOauthToken, can_create_tokens, published_scopes
from losant_tokens._api.published_scopes import DEPRECATED_GROUPS
from losant_tokens.audit._finding import AuditedToken, Evidence, Finding
from losant_tokens.audit._rules import MANY, RULES, AuditRule
from losant_tokens.jobs import Quarantine, Rule

Token = ApiToken | UserOauthToken

SOON = timedelta(days=30)
OLD = timedelta(days=365)
STALE_AFTER = timedelta(days=180)
"""The default of `stale_after`."""

_MAX_LISTED = 10  # scopes of a message
_MAX_LENGTH = 60  # characters of a scope; a published one is shorter


@frozen(kw_only=True)
class AuditContext:
    """Everything but the token that its findings depend on."""

    account: str
    """The name of the account."""
    owner: Owner
    """The owner of the token."""
    now: datetime
    """The time to compare dates with, with a time zone."""
    last_seen: Mapping[str, datetime] = field(factory=dict, hash=False)
    """When the audit logs last showed each token changing something, by token id in lower case."""
    changed_by: Mapping[str, str] = field(factory=dict, hash=False)
    """The person that last changed each token in the audit logs, by token id in lower case."""
    logs_read_since: datetime | None = None
    """The time since which audit logs were read; `None` if none was."""
    quarantines: Sequence[Quarantine] = ()
    """The quarantines of the account."""
    stale_after: timedelta = STALE_AFTER
    """How long a token must not have been updated or seen for `not-seen`."""
    rules: Sequence[AuditRule] = field(factory=lambda: RULES)
    """The rules to check. Default: all of `RULES`."""
    policy: Mapping[str, Rule] = field(factory=dict, hash=False)
    """The rules for tokens of the policy, by the ids of its rules among `rules`."""

    def seen(self, token: Token) -> datetime | None:
        """Return when an audit log last showed a token changing something; `None` if none did.

        Args:
            token: The token.
        """
        return self.last_seen.get(token.id.lower())


def facts_of(token: Token, context: AuditContext) -> AuditedToken:
    """Return the facts about a token."""
    return AuditedToken(
        account=context.account,
        owner=context.owner,
        id=token.id,
        name=token.name,
        status=token.status,
        scope=token.scope,
        creation_date=token.creation_date,
        last_updated=token.last_updated,
        expiration_date=token.expiration_date,
        creator_id=getattr(token, "creator_id", None),
        creator_name=getattr(token, "creator_name", None),
        description=token.description,
        last_seen=context.seen(token),
        changed_by=context.changed_by.get(token.id.lower()),
    )


def findings_of(token: Token, context: AuditContext, *, same_name: int = 1) -> tuple[Finding, ...]:
    """Return the findings about a token, the most severe first.

    Args:
        token: The token.
        context: Everything else that the findings depend on.
        same_name: The number of tokens of the owner that have the name, with this one.
    """
    facts = facts_of(token, context)
    found = []
    for rule in context.rules:
        if rule.id in context.policy:
            reason = context.policy[rule.id].reason(token, context.now)
            if reason is not None:
                found.append(_finding(rule, rule.title, facts, {"reason": reason}))
        elif rule.id == "same-name":
            found += same_name_findings(facts, same_name, context.rules)
        else:
            found += [
                _finding(rule, message, facts, evidence)
                for message, evidence in _CHECKS[rule.id](token, context)
            ]
    return ordered(found)


def same_name_findings(
    token: AuditedToken, count: int, rules: Sequence[AuditRule]
) -> tuple[Finding, ...]:
    """Return the finding that several tokens of an owner have one name, if it is a finding.

    Args:
        token: The facts about one of the tokens.
        count: The number of tokens that have the name.
        rules: The rules to check.
    """
    rule = next((one for one in rules if one.id == "same-name"), None)
    if rule is None or count < MANY or not token.name:
        return ()
    message = f"{count:,} tokens of this owner have this name."
    return (_finding(rule, message, token, {"tokens": count}),)


def ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings with the most severe first, and otherwise in the order of the rules."""
    return tuple(sorted(findings, key=lambda one: one.severity, reverse=True))


def _finding(rule: AuditRule, message: str, token: AuditedToken, evidence: Evidence) -> Finding:
    return Finding(
        rule=rule.id, severity=rule.severity, message=message, token=token, evidence=evidence
    )


# --- The checks ------------------------------------------------------------------------------

Found = Iterator[tuple[str, Evidence]]


def _is_expired(token: Token, context: AuditContext) -> bool:
    return token.is_expired(context.now) is True


def _can_create(token: Token, context: AuditContext) -> Found:
    if can_create_tokens(token.scope) and not _is_expired(token, context):
        yield "It can create tokens, even with more scopes than its own.", _scopes(token.scope)


def _all_scopes(token: Token, context: AuditContext) -> Found:
    broad = [scope for scope in token.scope if scope.startswith("all.")]
    if broad and not _is_expired(token, context):
        yield f"It has scopes for everything of a kind: {_listed(broad)}.", _scopes(broad)


def _never_expires(token: Token, _: AuditContext) -> Found:
    if token.never_expires:
        yield "It never expires.", {}


def _expires_soon(token: Token, context: AuditContext) -> datetime | None:
    """Return when an active token expires, if that is soon."""
    expires = token.expiration_date
    if expires is None or token.status != "active":
        return None
    return expires if timedelta(0) < expires - context.now <= SOON else None


def _expires_soon_in_use(token: Token, context: AuditContext) -> Found:
    expires, seen = _expires_soon(token, context), context.seen(token)
    if expires is not None and seen is not None:
        yield (
            f"It expires on {_day(expires)}, and was seen changing something on {_day(seen)}.",
            {"expirationDate": _time(expires), "lastSeen": _time(seen)},
        )


def _expires_soon_not_seen(token: Token, context: AuditContext) -> Found:
    expires = _expires_soon(token, context)
    if expires is not None and context.seen(token) is None:
        yield f"It expires on {_day(expires)}.", {"expirationDate": _time(expires)}


def _older_than_a_year(token: Token, context: AuditContext) -> Found:
    created = token.creation_date
    if created is not None and context.now - created > OLD and not _is_expired(token, context):
        yield f"It was created on {_day(created)}.", {"creationDate": _time(created)}


def _not_seen(token: Token, context: AuditContext) -> Found:
    updated, seen = token.last_updated, context.seen(token)
    if updated is None or context.now - updated <= context.stale_after:
        return
    if token.status != "active" or _is_expired(token, context):
        return
    if seen is not None and context.now - seen <= context.stale_after:
        return
    since = context.logs_read_since
    logs = (
        "no audit log was read"
        if since is None
        else "the audit logs do not show it changing anything"
    )
    yield f"It was last updated on {_day(updated)}, and {logs}.", {"lastUpdated": _time(updated)}


def _expired(token: Token, context: AuditContext) -> Found:
    if _is_expired(token, context) and token.expiration_date is not None:
        expired = token.expiration_date
        yield f"It expired on {_day(expired)}.", {"expirationDate": _time(expired)}


def _inactive(token: Token, context: AuditContext) -> Found:
    is_quarantined = any(one.holds(context.owner, token) for one in context.quarantines)
    if token.status == "inactive" and not is_quarantined and not _is_expired(token, context):
        yield "It is inactive, and in no quarantine of this machine.", {}


def _overdue(token: Token, context: AuditContext) -> Found:
    updated = token.last_updated
    for quarantine in context.quarantines:
        if quarantine.grace is None or updated is None:
            continue
        if context.now - updated > quarantine.grace and quarantine.holds(context.owner, token):
            grace = f"its grace period of {_days(quarantine.grace)} has ended"
            yield (
                f"It is in quarantine {quarantine.id} since {_day(updated)}, and {grace}.",
                {"quarantine": quarantine.id, "deactivated": _time(updated)},
            )
            return


def _deprecated_scope(token: Token, context: AuditContext) -> Found:
    found = [scope for scope in token.scope if scope in DEPRECATED_GROUPS]
    if found and not _is_expired(token, context):
        yield f"It has {_plural('deprecated scope', found)}.", _scopes(found)


def _unknown_scope(token: Token, context: AuditContext) -> Found:
    known = published_scopes() | DEPRECATED_GROUPS
    found = [scope for scope in token.scope if scope not in known]
    if found and not _is_expired(token, context):
        yield f"It has {_plural('unpublished scope', found)}.", _scopes(found)


def _creator_unknown(token: Token, _: AuditContext) -> Found:
    if isinstance(token, UserOauthToken):
        return  # The API never names the creator of an OAuth token: it is the user.
    unreadable = {"creator_id", "creator_name"} & token.unreadable
    if not (token.creator_id or token.creator_name or unreadable):
        yield "The API names no creator.", {}


_CHECKS: Mapping[str, Callable[[Token, AuditContext], Found]] = MappingProxyType(
    {
        "can-create-tokens": _can_create,
        "expires-soon-in-use": _expires_soon_in_use,
        "all-scopes": _all_scopes,
        "never-expires": _never_expires,
        "quarantine-overdue": _overdue,
        "unknown-scope": _unknown_scope,
        "expires-soon": _expires_soon_not_seen,
        "not-seen": _not_seen,
        "older-than-a-year": _older_than_a_year,
        "expired": _expired,
        "inactive": _inactive,
        "deprecated-scope": _deprecated_scope,
        "creator-unknown": _creator_unknown,
    }
)


def _scopes(scopes: Sequence[str]) -> Evidence:
    return {"scope": _listed(scopes)}


def _plural(noun: str, scopes: Sequence[str]) -> str:
    return f"{f'the {noun}' if len(scopes) == 1 else f'{noun}s:'} {_listed(scopes)}"


def _listed(scopes: Sequence[str]) -> str:
    """Return scopes as a string, shortened because a server may send any number of them."""
    more = len(scopes) - _MAX_LISTED
    listed = ", ".join(scope[:_MAX_LENGTH] for scope in scopes[:_MAX_LISTED])
    return f"{listed} and {more:,} more" if more > 0 else listed


def _day(time: datetime) -> str:
    return time.date().isoformat()


def _time(time: datetime) -> str:
    return time.isoformat()


def _days(span: timedelta) -> str:
    days = span / timedelta(days=1)
    return f"{days:g} day{'' if days == 1 else 's'}"
