"""The error of a job that ended early. It has its own module because it holds the report."""

from functools import partial
from typing import Any

from losant_tokens.jobs._errors import JobError
from losant_tokens.jobs._report.report import Report


class JobFailed(JobError):  # noqa: N818 -- like the other errors of jobs
    """A job ended in an error. `__cause__` is that error."""

    report: Report
    """The report of what was done before the error."""

    def __init__(self, message: str, *, report: Report) -> None:
        super().__init__(message)
        self.report = report

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), report=self.report), self.args
