"""The values of fleets: runs, their states, and the people and workers behind them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from attrs import field, frozen

from losant_tokens import Owner, jobs

RunState = Literal[
    "planning",
    "waiting",
    "approved",
    "applying",
    "quarantined",
    "sweeping",
    "restoring",
    "done",
    "restored",
    "empty",
    "rejected",
    "expired",
    "cancelled",
    "refused",
    "failed",
]
"""The state of a run.

planning: A worker makes the plan, or will.
waiting: The plan waits for an approval.
approved: A worker will apply the plan.
applying: A worker applies the plan, or will continue to.
quarantined: The tokens are deactivated. They are deleted at the end of the grace period.
sweeping: A worker deletes the deactivated tokens, or will continue to.
restoring: A worker activates the deactivated tokens again, or will continue to.
done: The plan was carried out. `Run.failed_tokens` is the number of tokens that failed.
restored: The deactivated tokens are active again.
empty: The plan selects no token.
rejected: Somebody rejected the plan.
expired: Nobody approved the plan in time.
cancelled: Somebody cancelled the run. Tokens that it deactivated stay inactive.
refused: A guard refused the plan.
failed: The run stopped. It can be retried, and continues where it stopped.
"""

RUN_STATES: tuple[RunState, ...] = (
    "planning",
    "waiting",
    "approved",
    "applying",
    "quarantined",
    "sweeping",
    "restoring",
    "done",
    "restored",
    "empty",
    "rejected",
    "expired",
    "cancelled",
    "refused",
    "failed",
)
"""The states of runs, in the order in which a run can have them."""

FINAL_STATES: tuple[RunState, ...] = (
    "done",
    "restored",
    "empty",
    "rejected",
    "expired",
    "cancelled",
    "refused",
    "failed",
)
"""The states in which no worker does anything for a run until somebody decides it."""

_FAILED = jobs.Outcome.FAILED.value

Phase = Literal["plan", "apply", "sweep", "restore"]
DecisionKind = Literal["approve", "reject", "cancel", "restore", "retry"]


@frozen(kw_only=True)
class PlanSummary:
    """The numbers of a plan, and the digest that identifies its contents."""

    digest: str = ""
    """The digest of the plan: `sha256:...`; empty before the run is planned."""
    action: str = ""
    """`deactivate`, `delete` or `activate`; empty before the run is planned."""
    rule: str = ""
    """The rule that selected the tokens, as a phrase."""
    selected: int = 0
    """The number of tokens to change."""
    listed: int = 0
    """The number of all tokens of the owners."""
    protected: int = 0
    """The number of tokens that the rule selects, but a guard protects."""
    owners: tuple[Owner, ...] = ()
    """The owners of the tokens."""
    grace: timedelta | None = None
    """How long deactivated tokens wait before they are deleted; `None` if they are not."""
    warnings: tuple[str, ...] = ()
    """Facts about the plan that a person should know before an approval."""

    @property
    def id(self) -> str:
        """The first digits of the digest, as the command shows them."""
        return self.digest.removeprefix("sha256:")[:8]


@frozen(kw_only=True)
class Decision:
    """A decision about a run."""

    kind: DecisionKind
    """`approve`, `reject`, `cancel`, `restore` or `retry`."""
    by: str
    """The person or rule that decided. The name is recorded as given and not verified."""
    at: datetime
    """When the decision was made."""
    digest: str = ""
    """The digest of the plan that the decision is about; empty without a plan."""
    reason: str = ""
    """The reason; empty if none was given."""


@frozen(kw_only=True)
class Work:
    """The work of one phase of a run."""

    worker: str
    """The name of the worker that did the last part of the phase."""
    version: str
    """The version of losant-tokens of that worker."""
    started_at: datetime
    """When the first worker began the phase."""
    finished_at: datetime | None = None
    """When the phase was finished; `None` if it is not finished."""
    attempts: int = 1
    """The number of times that workers began the phase, or continued it after a failure."""
    outcomes: Mapping[str, int] = field(factory=dict, hash=False)
    """The number of tokens with each outcome, by the values of `jobs.Outcome`."""


@frozen(kw_only=True)
class Run:
    """One run of a clean-up for one account, from the plan to the end of its grace period."""

    id: str
    """The id."""
    state: RunState
    """The state, such as `waiting`."""
    account: str
    """The name of the account."""
    cleanup: str
    """The name of the clean-up in the policy file."""
    requested_by: str
    """The person that started the run, as given, or `schedule`."""
    requested_at: datetime
    """When the run was started."""
    changed_at: datetime
    """When the run last changed."""
    plan: PlanSummary = PlanSummary()
    """The plan. Before it is made, its numbers are zero and its digest is empty."""
    planned_at: datetime | None = None
    """When the plan was made; `None` before it is made."""
    approve_by: datetime | None = None
    """When the plan expires if nobody approves it; `None` before it is made."""
    decisions: tuple[Decision, ...] = ()
    """The decisions, from the first to the last."""
    work: Mapping[Phase, Work] = field(factory=dict, hash=False)
    """The work of each phase that has begun."""
    sweep_due_at: datetime | None = None
    """When the deactivated tokens are to be deleted; `None` if they are not."""
    phase: Phase = "plan"
    """The phase in which the run is, or in which it stopped."""
    reason: str = ""
    """Why the run was refused, failed or waits for a retry, or why a rule of the policy did not
    approve it; empty if there is no reason.
    """
    retry_at: datetime | None = None
    """When a worker tries again after a failure, or asks a webhook again; `None` if none will."""
    warned_tokens: int = 0
    """How many tokens the first step of the clean-up warned about in this run."""
    webhook_failures: int = 0
    """How many times the webhook that decides about the plan could not be reached."""

    @property
    def approval(self) -> Decision | None:
        """The approval; `None` if there is none."""
        return self._last("approve")

    def _last(self, kind: DecisionKind) -> Decision | None:
        return next((one for one in reversed(self.decisions) if one.kind == kind), None)

    @property
    def failed_tokens(self) -> int:
        """The number of tokens that could not be changed after all attempts, or were refused.

        After a restore, only its own failures count.
        """
        phases: tuple[Phase, ...] = ("restore",) if self.phase == "restore" else ("apply", "sweep")
        return sum(self.outcomes(phase).get(_FAILED, 0) for phase in phases)

    @property
    def can_retry(self) -> bool:
        """Whether `FleetClient.retry` can continue the run, or repeat its failed tokens."""
        if self.state == "failed":
            return True
        is_over = self.state in {"quarantined", "done", "restored"}
        return is_over and self.outcomes(retry_phase(self)).get(_FAILED, 0) > 0

    @property
    def is_final(self) -> bool:
        """Whether no worker does anything for the run until somebody decides it."""
        return self.state in FINAL_STATES

    def outcomes(self, phase: Phase) -> Mapping[str, int]:
        """Return the number of tokens with each outcome in a phase.

        Args:
            phase: The phase: `apply`, `sweep` or `restore`.
        """
        return self.work[phase].outcomes if phase in self.work else {}


def retry_phase(run: Run) -> Phase:
    """Return the phase that a retry of a run continues."""
    # The phase is the sweep if a worker began it too early, and left the run quarantined.
    return "apply" if run.state == "quarantined" else run.phase


@frozen(kw_only=True)
class RunResult:
    """The outcome of a phase of a run for one token."""

    phase: Phase
    """`apply`, `sweep` or `restore`."""
    owner: Owner
    """The owner of the token."""
    id: str
    """The id of the token."""
    name: str
    """The name of the token, as it was planned."""
    outcome: jobs.Outcome | None
    """The outcome; `None` if the token was not reached."""
    error: str | None = None
    """The error; `None` if there was none."""
    changed_at: datetime | None = None
    """When the token was changed, by the server's clock; `None` if that is unknown."""


@frozen(kw_only=True)
class PruneResult:
    """The runs that a prune removed from the store, or would remove."""

    runs: tuple[Run, ...]
    """The runs, the newest first."""
    size: int
    """The size of their records, plans and outcomes in the store, in bytes."""


@frozen(kw_only=True)
class RunReport:
    """The outcomes of a run for each token."""

    run: Run
    """The run."""
    results: tuple[RunResult, ...]
    """The outcomes, in the order of the phases and of the plans."""
