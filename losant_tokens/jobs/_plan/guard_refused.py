"""The error of a plan that its guards refuse. It has its own module because it holds the plan."""

from functools import partial
from typing import Any

from losant_tokens.jobs._errors import JobError
from losant_tokens.jobs._plan.plan import Plan


class GuardRefused(JobError):  # noqa: N818 -- like the other errors of jobs
    """A plan would do more than its guards allow. The message says how to allow it."""

    plan: Plan | None
    """The plan that was refused, for review. It is in a temporary folder, which is removed with it,
    and it cannot be applied. `None` if the error is not about a plan, or if the plan could not be
    saved.
    """

    def __init__(self, message: str, *, plan: Plan | None = None) -> None:
        super().__init__(message)
        self.plan = plan

    def __reduce__(self) -> tuple[Any, ...]:
        plan = None if self.plan is None else self.plan.detached()
        return partial(type(self), plan=plan), self.args
