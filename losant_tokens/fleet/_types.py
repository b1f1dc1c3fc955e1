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
done: All of the plan was carried out.
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

Phase = Literal["plan", "apply", "sweep", "restore"]
DecisionKind = Literal["approve", "reject", "cancel", "restore", "retry"]


@frozen(kw_only=True)
class PlanSummary:
    """The numbers of a plan, and the digest that identifies its contents.

    Attributes:
        digest: The digest of the plan: `sha256:...`; empty before the run is planned.
        action: `deactivate`, `delete` or `activate`; empty before the run is planned.
        rule: The rule that selected the tokens, as a phrase.
        selected: The number of tokens to change.
        listed: The number of all tokens of the owners.
        protected: The number of tokens that the rule selects, but a guard protects.
        owners: The owners of the tokens.
        grace: How long deactivated tokens wait before they are deleted; `None` if they are not.
        warnings: Facts about the plan that a person should know before an approval.
    """

    digest: str = ""
    action: str = ""
    rule: str = ""
    selected: int = 0
    listed: int = 0
    protected: int = 0
    owners: tuple[Owner, ...] = ()
    grace: timedelta | None = None
    warnings: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The first digits of the digest, as the command shows them."""
        return self.digest.removeprefix("sha256:")[:8]


@frozen(kw_only=True)
class Decision:
    """A decision about a run.

    Attributes:
        kind: `approve`, `reject`, `cancel`, `restore` or `retry`.
        by: The person or the rule that decided, as it was given. It is not verified.
        at: The time.
        digest: The digest of the plan that the decision is about; empty without a plan.
        reason: The reason, as it was given; empty without one.
    """

    kind: DecisionKind
    by: str
    at: datetime
    digest: str = ""
    reason: str = ""


@frozen(kw_only=True)
class Work:
    """The work of one phase of a run.

    Attributes:
        worker: The name of the worker that did the last part of it.
        version: The version of losant-tokens of that worker.
        started_at: When the first worker began it.
        finished_at: When it was finished; `None` if it is not.
        attempts: How many times workers began it, or continued it after a failure.
        outcomes: The number of tokens with each outcome, by the values of `jobs.Outcome`.
    """

    worker: str
    version: str
    started_at: datetime
    finished_at: datetime | None = None
    attempts: int = 1
    outcomes: Mapping[str, int] = field(factory=dict, hash=False)


@frozen(kw_only=True)
class Run:
    """One run of a clean-up for one account, from the plan to the end of its grace period.

    Attributes:
        id: The id.
        state: The state.
        account: The name of the account.
        cleanup: The name of the clean-up in the policy file.
        requested_by: The person or the schedule that started the run, as it was given.
        requested_at: When the run was started.
        changed_at: When the run last changed.
        plan: The plan. Before it is made, its numbers are zero and its digest is empty.
        planned_at: When the plan was made; `None` before.
        approve_by: When the plan expires if nobody approves it; `None` before it is made.
        decisions: The decisions, in their order.
        work: The work of each phase that began.
        sweep_due_at: When the deactivated tokens are to be deleted; `None` if they are not.
        phase: The phase in which the run is, or in which it stopped.
        reason: Why the run was refused, failed or waits for a retry, or why a rule of the policy
            did not approve it; empty if there is no reason.
        retry_at: When a worker tries again after a failure; `None` if none will.
    """

    id: str
    state: RunState
    account: str
    cleanup: str
    requested_by: str
    requested_at: datetime
    changed_at: datetime
    plan: PlanSummary = PlanSummary()
    planned_at: datetime | None = None
    approve_by: datetime | None = None
    decisions: tuple[Decision, ...] = ()
    work: Mapping[Phase, Work] = field(factory=dict, hash=False)
    sweep_due_at: datetime | None = None
    phase: Phase = "plan"
    reason: str = ""
    retry_at: datetime | None = None

    @property
    def approval(self) -> Decision | None:
        """The approval; `None` if there is none."""
        return self._last("approve")

    def _last(self, kind: DecisionKind) -> Decision | None:
        return next((one for one in reversed(self.decisions) if one.kind == kind), None)

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


@frozen(kw_only=True)
class RunResult:
    """The outcome of a phase of a run for one token.

    Attributes:
        phase: `apply`, `sweep` or `restore`.
        owner: The owner of the token.
        id: The id of the token.
        name: The name of the token, as it was planned.
        outcome: The outcome; `None` if the token was not reached.
        error: The error; `None` if there was none.
        changed_at: When the token was changed, by the server's clock; `None` if that is unknown.
    """

    phase: Phase
    owner: Owner
    id: str
    name: str
    outcome: jobs.Outcome | None
    error: str | None = None
    changed_at: datetime | None = None


@frozen(kw_only=True)
class RunReport:
    """The outcomes of a run for each token.

    Attributes:
        run: The run.
        results: The outcomes, in the order of the phases and of the plans.
    """

    run: Run
    results: tuple[RunResult, ...]
