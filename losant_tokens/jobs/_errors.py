"""The errors of jobs, below `LosantError`.

::

    LosantError
    └── JobError           a job cannot continue
        ├── GuardRefused   the plan would do more than its guards allow
        ├── PlanRefused    the plan was altered, is too old, or is for another account or base URL
        ├── EvidenceError  an audit log cannot show which tokens are in use
        ├── JournalError   the journal cannot be read or written
        ├── ChangeRefused  the caller of a job did not allow its next change
        ├── ChunkFailed    a chunk of a plan ended in an error; it has the result
        └── JobFailed      a job ended in an error; it has the report
"""

from functools import partial
from typing import TYPE_CHECKING, Any

from losant_tokens.errors import LosantError

if TYPE_CHECKING:
    from losant_tokens.jobs._plan.plan import Plan

# ruff: noqa: N818 -- "Refused" is the point of these names


class JobError(LosantError):
    """A job cannot continue. Its journal records what was done."""


class GuardRefused(JobError):
    """A plan would do more than its guards allow. The message says how to allow it."""

    plan: "Plan | None"
    """The plan that was refused, for review. It is in a temporary folder, which is removed with it,
    and it cannot be applied. `None` if the error is not about a plan, or if the plan could not be
    saved.
    """

    def __init__(self, message: str, *, plan: "Plan | None" = None) -> None:
        super().__init__(message)
        self.plan = plan

    def __reduce__(self) -> tuple[Any, ...]:
        plan = None if self.plan is None else self.plan.detached()
        return partial(type(self), plan=plan), self.args


class PlanRefused(JobError):
    """A plan cannot be read, was altered, is too old, or is for another account or base URL."""


class EvidenceError(JobError):
    """An audit log cannot be read, or not completely, so it shows nothing about tokens in use."""


class JournalError(JobError):
    """A journal cannot be read or written, or belongs to another plan or process."""


class ChangeRefused(JobError):
    """`may_change` returned False, so the job ended before its next change."""
