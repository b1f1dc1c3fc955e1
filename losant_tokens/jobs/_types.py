"""The values of jobs: actions, tokens of a plan, the header of a plan, outcomes and progress."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Literal

from attrs import field, frozen

from losant_tokens import Owner
from losant_tokens import can_create_tokens as scopes_can_create_tokens
from losant_tokens._credentials.scope_check import PUBLISHED
from losant_tokens._utils.readable_enum import ReadableEnum

Action = Literal["delete", "deactivate", "activate", "rotate"]
ACTIONS: tuple[Action, ...] = ("delete", "deactivate", "activate", "rotate")


_MANY = 100  # Larger numbers have no decimal places.


class PlanWarning(UserWarning):
    """Warns of a fact about a plan that you should know before you apply it."""


class OwnTokenWarning(PlanWarning):
    """Warns that the token of the client may be among the selected tokens."""


class UnmatchedPatternWarning(PlanWarning):
    """Warns of a pattern that matches no token, because it may be misspelled."""


class LeftAloneWarning(PlanWarning):
    """Warns that `sweep` or `restore` leaves tokens alone, because somebody has changed them."""


class Outcome(ReadableEnum):
    """The outcome of a job for one token.

    DONE: The action was carried out.
    GONE: Somebody else had deleted the token before.
    CHANGED: The token has changed since it was planned, so it was left alone.
    PROTECTED: A guard protects the token, so it was left alone.
    FAILED: The API refused the action, or it failed too often.
    UNKNOWN: The action may have been carried out. A job that resumes finds out.
    """

    DONE = "done"
    GONE = "gone"
    CHANGED = "changed"
    PROTECTED = "protected"
    FAILED = "failed"
    UNKNOWN = "unknown"


# Without slots, attrs makes instances of a frozen class faster. A job makes one for each token.
@frozen(slots=False)
class Entry:
    """One token of a plan, as it was when the plan was made."""

    owner: Owner
    """The owner."""
    id: str
    """The id."""
    name: str
    """The name."""
    status: str | None
    """The status: `active`, `inactive`, or another one; `None` if it is unknown."""
    last_updated: datetime | None
    """The time of the last change. A token that has changed since is left alone."""
    creation_date: datetime | None
    """The time of creation."""
    expiration_date: datetime | None
    """The time of expiration; `None` if the token never expires."""
    reason: str
    """Why the rule selects the token, as a phrase."""
    protected: str | None = None
    """The guard that protects the token, as a phrase; `None` if none does."""
    scope: tuple[str, ...] | None = None
    """The scopes; `None` if they are unknown, as in a plan file of version 1."""
    creator_id: str | None = None
    """The id of the user or token that created the token; `None` if it is unknown."""
    creator_name: str | None = None
    """The name of the creator; `None` if it is unknown."""
    description: str | None = None
    """The description; `None` if there is none, or if it is unknown."""

    @property
    def can_create_tokens(self) -> bool | None:
        """Whether the token can create tokens; `None` if that is unknown."""
        return may_create_tokens(self.scope or ())


def may_create_tokens(scopes: Collection[str]) -> bool | None:
    """Return whether a token with these scopes can create tokens; `None` if that is unknown.

    Args:
        scopes: The scopes of the token. None at all mean that its scopes are unknown.
    """
    if scopes_can_create_tokens(scopes):
        return True
    return False if scopes and PUBLISHED.issuperset(scopes) else None


@frozen(kw_only=True)
class Counts:
    """The numbers of an owner's tokens in a listing and in its plan."""

    listed: int = 0
    """The number of all tokens of the owner."""
    selected: int = 0
    """The number of tokens that the action applies to."""
    protected: int = 0
    """The number of tokens that the rule selects, but a guard protects."""

    def __str__(self) -> str:
        listed = counted(self.listed, "token")
        return f"{listed} listed, {self.selected:,} selected, {self.protected:,} protected"

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            listed=self.listed + other.listed,
            selected=self.selected + other.selected,
            protected=self.protected + other.protected,
        )


@frozen
class PolicyReference:
    """The clean-up of a policy file that a plan was made by."""

    cleanup: str
    """The name of the clean-up."""
    digest: str
    """The SHA-256 of the policy file: `sha256:...`."""


@frozen(kw_only=True)
class Evidence:
    """The evidence of use that a plan was made with, from audit logs."""

    span: timedelta
    """How long ago a token may have changed something to be protected."""
    sources: tuple[str, ...]
    """The audit logs: `org:ID` or `instance:ID`."""
    until: datetime
    """The server's time when the audit logs were read."""
    protected: int = 0
    """The number of tokens that are protected because they were seen."""
    gaps: tuple[str, ...] = ()
    """Why the logs may not show all changes within the span, one sentence for each reason."""

    def __str__(self) -> str:
        days = counted(self.span / timedelta(days=1), "day")
        return f"{self.protected:,} protected: seen changing something within {days}"


@frozen(kw_only=True)
class Header:
    """The header of a plan: the owners, the rule, the action and the counts."""

    created_at: datetime
    """The time when planning began, by the server's clock if that is known."""
    base_url: str
    """The base URL of the API."""
    action: Action
    """The action."""
    rule: str
    """The rule that selected the tokens, as a phrase."""
    counts: Mapping[Owner, Counts] = field(hash=False)
    """The counts for each owner."""
    protected: tuple[str, ...] = ()
    """The ids and name patterns of tokens to protect."""
    token_in_use: str | None = None
    """The id of the token that the plan was made with. `None` if it is unknown. Then it may be
    among the selected tokens.
    """
    drifted: bool = False
    """Whether the tokens kept changing while they were listed. Then some may be missing."""
    owner_ids: Mapping[Owner, tuple[str, ...]] = field(factory=dict, hash=False)
    """The ids that the API gave for the owners of the listed tokens, sorted. They bind the plan to
    an account.
    """
    account: str | None = None
    """The account that the client's token claims; `None` if it claims none."""
    clock_skew: timedelta | None = None
    """This machine's time minus the server's; `None` if it is unknown."""
    incomplete: tuple[str, ...] = ()
    """Why tokens may be missing from the plan, one phrase for each reason. Empty if none is
    missing.
    """
    grace: timedelta | None = None
    """How long the deactivated tokens of this plan wait before `sweep` may delete them; `None` if
    the plan sets no grace period.
    """
    quarantines: tuple[str, ...] = ()
    """The ids of the quarantines whose tokens the plan deletes or activates."""
    cannot_apply: tuple[str, ...] = ()
    """Why the API is certain to refuse the plan to the token that it was made with, one phrase for
    each reason. Another token may apply it.
    """
    token_expires_at: datetime | None = None
    """When that token expires; `None` if it is unknown."""
    refused: tuple[str, ...] = ()
    """Why a guard refused the plan, one sentence for each reason. A refused plan cannot be applied.
    """
    seen: Evidence | None = None
    """The evidence of use that protects tokens; `None` if no audit log was read."""
    policy: PolicyReference | None = None
    """The clean-up of a policy file that the plan was made by; `None` if it was none."""

    @property
    def total(self) -> Counts:
        """The counts of all owners together."""
        return sum(self.counts.values(), Counts())


@frozen(kw_only=True)
class Result:
    """The outcome of a job for one token of its plan."""

    entry: Entry
    """The token."""
    outcome: Outcome | None
    """The outcome; `None` if the job has not reached the token."""
    error: str | None = None
    """The error; `None` if there was none."""


@frozen(kw_only=True)
class PaceSample:
    """The rate of a job at one time."""

    at: float
    """The time, in seconds since the start of the run."""
    per_second: float
    """The number of requests per second."""
    concurrency: int
    """The number of requests in flight."""
    refused: int = 0
    """The number of requests refused with 429 since the last sample."""


@frozen(kw_only=True)
class Progress:
    """The progress of a job.

    Tokens that the plan protects are not counted: nothing is sent for them.
    """

    total: int
    """The number of tokens that the plan selects."""
    counts: dict[Outcome, int] = field(hash=False)
    """The number of tokens with each outcome."""
    requests: int = 0
    """The number of requests sent, including those that only read."""
    retries: int = 0
    """The number of attempts that followed a failed one."""
    refused: int = 0
    """The number of requests refused with 429."""
    per_second: float = 0.0
    """The current number of requests per second."""
    tokens_per_second: float = 0.0
    """The number of tokens finished per second, over the last five seconds."""
    concurrency: int = 0
    """The number of requests in flight."""
    elapsed: float = 0.0
    """The time since the start of the run, in seconds."""
    remaining: float | None = None
    """The estimated time to the end, in seconds; `None` if it is unknown."""
    pause_reason: str | None = None
    """Why nothing is being sent; `None` if requests are being sent."""
    next_attempt_in: float | None = None
    """The time until the next request during a pause, in seconds; `None` if it is unknown or there
    is no pause.
    """
    gives_up_in: float | None = None
    """The time until the job gives up during a pause, in seconds; `None` if it is unknown or there
    is no pause.
    """

    @property
    def finished(self) -> int:
        """The number of tokens with a known outcome."""
        return count_finished(self.counts)


def counted(number: float, noun: str) -> str:
    """Return a number with its noun in the singular or plural: `1 token` or `1,000 tokens`."""
    is_exact = isinstance(number, int)
    text = f"{number:,.0f}" if is_exact or number >= _MANY else f"{number:.3g}"
    return f"{text} {noun}{'' if text == '1' else 's'}"


def count_finished(counts: Mapping[Outcome, int]) -> int:
    """Return the number of tokens with a known outcome."""
    return sum(counts.values()) - counts.get(Outcome.UNKNOWN, 0)
