"""Finding the tokens that expire soon.

A token is reported once for each threshold, such as 30 days, 7 days and 1 day before it expires,
and once after it expired. If several thresholds have passed since the last run, only the shortest
one counts: nobody needs two notices about one token at the same time.
"""

from collections.abc import Iterable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

from attrs import evolve, frozen

from losant_tokens._api.owner import Owner
from losant_tokens._client import AsyncClient
from losant_tokens._utils.warn_caller import warn_caller
from losant_tokens.errors import ValidationError
from losant_tokens.notices._errors import NoticeWarning

if TYPE_CHECKING:
    from losant_tokens._api.models import ApiToken, UserOauthToken
    from losant_tokens.jobs import LogSource, Rule

MAX_EXPIRED_AGE = timedelta(days=30)
"""Tokens that expired longer ago are not reported: they are a matter for a clean-up."""

_EVIDENCE_SPAN = timedelta(days=90)
_USER = Owner.user()
_EXPIRED = timedelta(0)


@frozen(kw_only=True)
class ExpiringToken:
    """A token that expires soon, or expired lately."""

    account: str = ""
    """A name for the account, to show; perhaps empty."""
    base_url: str
    """The base URL of the API."""
    owner: Owner
    """The owner of the token."""
    token_id: str
    """The id of the token."""
    name: str
    """The name of the token."""
    expires_at: datetime
    """When the token expires or expired."""
    remaining: timedelta
    """How long that is after the server's time; negative if the token has expired."""
    threshold: timedelta
    """The shortest span that the token expires within; 0 if it has expired."""
    creator: str | None = None
    """The name of its creator, or the id, or `None`."""
    last_seen: datetime | None = None
    """When it last changed something, by audit logs; `None` if that is not known."""

    @property
    def has_expired(self) -> bool:
        """Whether the token has expired."""
        return self.remaining <= _EXPIRED

    @property
    def key(self) -> str:
        """The installation of Losant, the token, and its expiration date."""
        expires = self.expires_at.astimezone(UTC)
        return f"{self.base_url} {self.token_id} {expires.isoformat()}"

    @property
    def notice_id(self) -> str:
        """The id of the notice. It is the same whenever this notice is delivered again."""
        notice = f"{self.key} {self.threshold.total_seconds():g}"
        return sha256(notice.encode("utf-8", "replace")).hexdigest()[:32]


async def find_expiring(
    client: AsyncClient,
    owners: Owner | Iterable[Owner] = _USER,
    *,
    within: timedelta | Iterable[timedelta],
    select: "Rule | None" = None,
    account: str = "",
) -> tuple[ExpiringToken, ...]:
    """Return the tokens that expire within a span, or expired in the last 30 days, by date.

    The server's time counts, or that of this machine if the server does not state its time.
    Inactive tokens are left out, because nobody can use them.

    A `NoticeWarning` names each token whose expiration date cannot be read. A
    `PaginationDriftWarning` means that a list changed while it was read.

    Args:
        client: The client.
        owners: The owners of the tokens: one or several. Default: the user.
        within: The thresholds: one span or several.
        select: The rule that selects tokens. Default: all tokens.
        account: A name for the account, for the message.

    Raises:
        ValidationError: `within` is empty, or a span is not positive.
        LosantError: A list cannot be read.
    """
    thresholds = _thresholds(within)
    found: list[ExpiringToken] = []
    for owner in dict.fromkeys((owners,) if isinstance(owners, Owner) else owners):
        listing = client.tokens(owner).iter()
        async with aclosing(listing):
            async for token in listing:
                now = client.server_time() or datetime.now(UTC)
                threshold = _threshold(token, now, thresholds)
                if threshold is None or not (select is None or select.matches(token, now)):
                    continue
                expires_at = cast("datetime", token.expiration_date)
                found.append(
                    ExpiringToken(
                        account=account,
                        base_url=client.base_url,
                        owner=owner,
                        token_id=token.id,
                        name=token.name,
                        expires_at=expires_at,
                        remaining=expires_at - now,
                        threshold=threshold,
                        creator=_creator(token),
                    )
                )
    return tuple(sorted(found, key=lambda one: (one.expires_at, one.token_id)))


async def with_last_seen(
    client: AsyncClient,
    tokens: Iterable[ExpiringToken],
    audit_logs: "Iterable[LogSource | str]",
) -> tuple[ExpiringToken, ...]:
    """Return the tokens with the time when each last changed something in the last 90 days.

    Args:
        client: The client. Its token may read the audit logs.
        tokens: The tokens.
        audit_logs: The audit logs: `org:ID`, `instance:ID`, or `LogSource` objects.

    Raises:
        ValidationError: An audit log has another form.
        EvidenceError: An audit log cannot be read.
    """
    # Imported here, because it is slow to import and audit logs are optional.
    from losant_tokens.jobs import last_seen  # noqa: PLC0415

    tokens, audit_logs = tuple(tokens), tuple(audit_logs)
    if not tokens or not audit_logs:
        return tokens
    ids = {one.token_id for one in tokens}
    seen: Mapping[str, datetime] = await last_seen(
        client, audit_logs, since=_EVIDENCE_SPAN, tokens=ids
    )
    return tuple(evolve(one, last_seen=seen.get(one.token_id)) for one in tokens)


def _thresholds(within: timedelta | Iterable[timedelta]) -> tuple[timedelta, ...]:
    """Return the thresholds, the shortest first.

    Raises:
        ValidationError: There is none, or one is not a positive span.
    """
    spans: tuple[Any, ...] = (within,) if isinstance(within, timedelta) else tuple(within)
    if not spans or not all(isinstance(span, timedelta) and span > _EXPIRED for span in spans):
        raise ValidationError(
            f"find_expiring.within must be a timedelta above 0, or several in a list, but it is "
            f"{within!r}"
        )
    return tuple(sorted(spans))


def _threshold(
    token: "ApiToken | UserOauthToken", now: datetime, thresholds: Iterable[timedelta]
) -> timedelta | None:
    """Return the shortest threshold that a token has reached; `None` if it needs no notice.

    It is 0 after the expiration.

    Args:
        token: The token.
        now: The server's time.
        thresholds: The thresholds, the shortest first.
    """
    if token.status == "inactive":
        return None
    if "expiration_date" in token.unreadable:
        warn_caller(
            f"The expiration date of token {token.id} cannot be read, so no notice about it can be "
            f"given.",
            NoticeWarning,
        )
        return None
    if token.expiration_date is None:
        return None
    remaining = token.expiration_date - now
    if remaining <= _EXPIRED:
        return _EXPIRED if remaining > -MAX_EXPIRED_AGE else None
    return next((span for span in thresholds if remaining <= span), None)


def _creator(token: "ApiToken | UserOauthToken") -> str | None:
    """Return the name of the creator, or the id; OAuth tokens have neither."""
    return getattr(token, "creator_name", None) or getattr(token, "creator_id", None)
