"""`seen_within`: the rule for tokens that an audit log shows in use."""

from datetime import datetime, timedelta

from losant_tokens.errors import ValidationError
from losant_tokens.jobs._evidence.last_seen import LastSeen, seen_reason
from losant_tokens.jobs._token_rules import Match, Rule, Token, checked_span, format_days

MAX_EVIDENCE_AGE = timedelta(hours=1)
"""How old evidence may be that shows a token as not seen."""


def seen_within(span: timedelta, seen: LastSeen) -> Rule:
    """Return the rule for tokens that were seen changing something within the span.

    The result is unknown for a token that was not seen, if the evidence is more than an hour old,
    or if a log begins later than the span and the token. So neither the rule nor its opposite
    selects the token.

    A token that was not seen may be in use, because audit logs record no reading. To protect tokens
    that were seen, pass `seen_in` to `plan`.

    Args:
        span: The span before the time of the plan.
        seen: The evidence, from `last_seen`.

    Raises:
        ValidationError: The span is not a `timedelta`, is negative, or `seen` is not a `LastSeen`.
    """
    limit = checked_span("seen_within", span)
    if not isinstance(seen, LastSeen):
        raise ValidationError(
            f"seen_within.seen must be the result of last_seen, not {type(seen).__name__}"
        )

    def match(token: Token, now: datetime) -> Match:
        time = seen.get(token.id)
        if time is not None and now - time <= limit:
            return True
        is_fresh = seen.until is not None and now - seen.until <= MAX_EVIDENCE_AGE
        return False if is_fresh and _covers(token, now) else None

    def _covers(token: Token, now: datetime) -> bool:
        """Return whether the logs cover the span, or the whole life of the token."""
        if seen.begins is None:
            return False
        start = seen.begins if seen.since is None else max(seen.begins, seen.since)
        created = token.creation_date
        return now - start >= limit or (created is not None and created >= start)

    return Rule(
        f"seen within {format_days(limit)}",
        match,
        lambda token, _: str(seen_reason(seen, token.id)),
        uses_time=True,
    )
