"""Compare the tokens of a quarantine with the tokens that the API lists now."""

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

import attrs

from losant_tokens import Owner
from losant_tokens.jobs._quarantine.obstacles import Key, Obstacle, key_of
from losant_tokens.jobs._quarantine.quarantine import RESTORED, SWEPT, Quarantine, later
from losant_tokens.jobs._token_rules import Rule, Token


@attrs.frozen(kw_only=True)
class QuarantineReview:
    """The tokens of a quarantine, compared with the tokens that the API lists.

    Each token is counted once, except `due`, which is a part of `waiting`.
    """

    quarantine: Quarantine
    """The quarantine."""
    reviewed_at: datetime
    """When the tokens were compared, by the server's clock if that is known."""
    waiting: int
    """The number of tokens that are still inactive, and that nobody has changed."""
    due: int
    """The number of waiting tokens whose grace period has ended."""
    next_due_at: datetime | None
    """When the grace period of the next waiting token ends; `None` if there is none."""
    all_due_at: datetime | None
    """When the grace period of the last waiting token ends; `None` if none is running."""
    swept: int
    """The number of tokens that a later sweep deleted."""
    restored: int
    """The number of tokens that a later restore activated again."""
    reactivated: int
    """The number of tokens that somebody else activated again."""
    changed: int
    """The number of tokens that are inactive, but were changed since, or may have been."""
    gone: int
    """The number of tokens that somebody else deleted."""
    unknown: int = 0
    """The number of tokens whose owner cannot be listed."""


@attrs.define
class Review:
    """Collects what the API lists about the tokens of a quarantine."""

    quarantine: Quarantine
    """The quarantine."""
    after: timedelta | None
    """How long ago a token must have been deactivated; `None` if that does not matter."""
    chosen: Collection[Key] | None = None
    """The keys of the only tokens to select; `None` for all tokens."""
    _obstacles: dict[Key, Obstacle | None] = attrs.field(factory=dict)
    _due_at: dict[Key, datetime] = attrs.field(factory=dict)

    def add(self, owner: Owner, token: Token, now: datetime) -> bool:
        """Compare a token, and return whether to select it.

        Args:
            owner: The owner of the token.
            token: The token as it is listed now.
            now: The time.
        """
        key = key_of(owner, token.id)
        change = self.quarantine.changes.get(key)
        if change is None:
            return False
        obstacle = self._obstacles[key] = change.obstacle(token)
        if obstacle is not None:
            return False
        is_due = True
        if self.after is not None:
            self._due_at[key] = later(updated(token), self.after)
            # The server's time has no fractions, so it can be before a change that was just made.
            is_due = not self.after or now > self._due_at[key]
        return is_due and (self.chosen is None or key in self.chosen)

    def left_alone(self) -> str | None:
        """Return how many tokens are left alone, and why, as a sentence; `None` if none is.

        Tokens that an earlier sweep or restore has finished, and tokens that were not chosen, are
        left out.
        """
        changes = self.quarantine.changes
        keys = changes if self.chosen is None else self.chosen
        expected = [key for key in keys if not self._is_finished(key)]
        found = (self._obstacles.get(key, Obstacle.GONE) for key in expected)
        reasons = Counter(obstacle for obstacle in found if obstacle is not None)
        if not reasons:
            return None
        count, total = reasons.total(), len(expected)
        parts = "; ".join(obstacle.phrase(number) for obstacle, number in reasons.most_common())
        return (
            f"Of the {total} token{'' if total == 1 else 's'} in quarantine, {count} "
            f"{'is' if count == 1 else 'are'} left alone: {parts}."
        )

    def _is_finished(self, key: Key) -> bool:
        """Return whether an earlier job has deleted or activated a token, and nothing undid that.

        A token that waits again is not finished.
        """
        is_waiting = key in self._obstacles and self._obstacles[key] is None
        return self.quarantine.results.get(key) in {SWEPT, RESTORED} and not is_waiting

    def result(self, now: datetime, unlisted: Collection[Owner] = ()) -> QuarantineReview:
        """Return the numbers of tokens.

        Args:
            now: The time.
            unlisted: The owners whose tokens could not be listed.
        """
        hidden = {str(owner).lower() for owner in unlisted}
        states = Counter(self._state(key, hidden) for key in self.quarantine.changes)
        waiting = [key for key in self.quarantine.changes if self._state(key, hidden) == "waiting"]
        running: list[datetime] = []
        if self.after:
            running = [self._due_at[key] for key in waiting if self._due_at[key] >= now]
        return QuarantineReview(
            quarantine=self.quarantine,
            reviewed_at=now,
            waiting=states["waiting"],
            due=0 if self.after is None else len(waiting) - len(running),
            next_due_at=min(running, default=None),
            all_due_at=max(running, default=None),
            swept=states[SWEPT],
            restored=states[RESTORED],
            reactivated=states["reactivated"],
            changed=states["changed"],
            gone=states["gone"],
            unknown=states["unknown"],
        )

    def _state(self, key: Key, hidden: Collection[str]) -> str:
        """Return the state of a token in one word."""
        if self._is_finished(key):
            return self.quarantine.results[key]
        if key[0] in hidden:
            return "unknown"
        obstacle = self._obstacles.get(key, Obstacle.GONE)
        if obstacle is None:
            return "waiting"
        return {Obstacle.ACTIVE: "reactivated", Obstacle.GONE: "gone"}.get(obstacle, "changed")


def rule_of(
    reviews: Iterable[Review], owner: Owner, description: str, narrower: Rule | None = None
) -> Rule:
    """Return the rule that selects the unchanged tokens of an owner.

    The reviews remember each token of their quarantines.

    Args:
        reviews: The reviews of the quarantines.
        owner: The owner.
        description: The rule as a phrase.
        narrower: A rule that tokens must match, too.
    """
    reviews = tuple(reviews)

    def match(token: Token, now: datetime) -> bool:
        # Each review sees the token, even after another one has selected it.
        selected = [review.add(owner, token, now) for review in reviews]
        return any(selected) and (narrower is None or narrower.matches(token, now) is True)

    return Rule(
        description,
        match,
        lambda token, _: f"quarantined on {updated(token).date().isoformat()}",
        uses_time=any(review.after is not None for review in reviews),
    )


def updated(token: Token) -> datetime:
    """Return the time of the last change of a token without an obstacle."""
    assert token.last_updated is not None  # noqa: S101 -- `Change.obstacle` has checked it
    return token.last_updated
