"""What jobs speak of: what to do, to which tokens, and what came of it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Literal

from attrs import field, frozen

from losant_tokens import Owner

Action = Literal["delete", "deactivate", "activate"]
ACTIONS: tuple[Action, ...] = ("delete", "deactivate", "activate")


class PlanWarning(UserWarning):
    """A fact about a plan that you should know before you apply it."""


class Outcome(Enum):
    """What came of a token.

    DONE: The action was carried out.
    GONE: Somebody else had deleted it already.
    CHANGED: It is not as the plan saw it any more; it was left alone.
    PROTECTED: A guard forbids to touch it.
    FAILED: The action was refused, or failed too often.
    UNKNOWN: It may have been asked for, and no answer says so; `resume` finds out.
    """

    DONE = "done"
    GONE = "gone"
    CHANGED = "changed"
    PROTECTED = "protected"
    FAILED = "failed"
    UNKNOWN = "unknown"

    __hash__ = object.__hash__  # there is one of each; Enum would ask for the hash of its name


# Without slots, like tokens: so they are made in half the time.
@frozen(slots=False)
class Entry:
    """One token of a plan, as it was when the plan was made.

    Attributes:
        owner: Its owner.
        id: Its id.
        name: Its name.
        status: Its status.
        last_updated: When it was last changed. A token that has changed since is left alone.
        creation_date: When it was created.
        expiration_date: When it expires.
        reason: Why it was selected.
        protected: The guard that keeps it from being changed, or `None`.
    """

    owner: Owner
    id: str
    name: str
    status: str | None
    last_updated: datetime | None
    creation_date: datetime | None
    expiration_date: datetime | None
    reason: str
    protected: str | None = None


@frozen(kw_only=True)
class Counts:
    """How many tokens of an owner were listed, and how many of them are in the plan.

    Attributes:
        listed: All of the owner's tokens.
        selected: The tokens that the action is for.
        protected: The tokens that the rule selects, but a guard protects.
    """

    listed: int = 0
    selected: int = 0
    protected: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            listed=self.listed + other.listed,
            selected=self.selected + other.selected,
            protected=self.protected + other.protected,
        )


@frozen(kw_only=True)
class Header:
    """The facts about a plan as a whole.

    Attributes:
        created_at: When the plan was begun, by the server's clock if that is known.
        base_url: The address of the API.
        action: What is to be done to the tokens.
        rule: Which tokens were selected, in words.
        counts: How many of each owner's tokens.
        protected: The ids and globs that were protected by request.
        token_in_use: The id of the token that the plan was made with; `None` if it is unknown, so
            that it may be among the tokens selected.
        drifted: Whether the tokens kept changing while they were listed, so that some may have
            been left out.
        owner_ids: The API's ids of the owners of the tokens that were listed, sorted. They bind the
            plan to an account.
        account: The account that the client's token claimed for itself; `None` if unknown.
        clock_skew: This machine's time minus the server's; `None` if unknown.
        incomplete: Why tokens may be missing from the plan, in words; empty if none are.
    """

    created_at: datetime
    base_url: str
    action: Action
    rule: str
    counts: Mapping[Owner, Counts] = field(hash=False)
    protected: tuple[str, ...] = ()
    token_in_use: str | None = None
    drifted: bool = False
    owner_ids: Mapping[Owner, tuple[str, ...]] = field(factory=dict, hash=False)
    account: str | None = None
    clock_skew: timedelta | None = None
    incomplete: tuple[str, ...] = ()

    @property
    def total(self) -> Counts:
        """The counts of all owners together."""
        return sum(self.counts.values(), Counts())


@frozen(kw_only=True)
class Result:
    """What came of one token of a plan.

    Attributes:
        entry: The token.
        outcome: What came of it; `None` where it was not come to.
        error: What went wrong, for one that failed.
    """

    entry: Entry
    outcome: Outcome | None
    error: str | None = None


@frozen(kw_only=True)
class PaceSample:
    """How fast a job was at one moment.

    Attributes:
        at: Seconds since it began.
        per_second: Requests answered per second.
        concurrency: How many were let through at once.
        refused: How many were answered with 429 since the sample before.
    """

    at: float
    per_second: float
    concurrency: int
    refused: int = 0


@frozen(kw_only=True)
class Progress:
    """How far a job has come.

    Attributes:
        total: How many tokens the plan has.
        counts: How many came out how.
        requests: How many requests were sent, those that verify included.
        retries: How many of them were further tries.
        refused: How many were answered with 429.
        per_second: Requests per second, lately.
        concurrency: How many are let through at once.
        elapsed: Seconds since it began.
        remaining: An estimate of the seconds to go, where one can be made.
        pausing: Why nothing is being sent right now, if so.
    """

    total: int
    counts: dict[Outcome, int] = field(hash=False)
    requests: int = 0
    retries: int = 0
    refused: int = 0
    per_second: float = 0.0
    concurrency: int = 0
    elapsed: float = 0.0
    remaining: float | None = None
    pausing: str | None = None

    @property
    def settled(self) -> int:
        """The number of tokens with a known outcome."""
        return settled(self.counts)


def settled(counts: Mapping[Outcome, int]) -> int:
    """Return the number of tokens with a known outcome."""
    return sum(counts.values()) - counts.get(Outcome.UNKNOWN, 0)
