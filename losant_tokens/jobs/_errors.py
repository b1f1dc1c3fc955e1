"""The errors of jobs, below `LosantError`.

::

    LosantError
    └── JobError           a job cannot continue
        ├── GuardRefused   the plan would do more than its guards allow
        ├── PlanRefused    the plan was altered, is too old, or is for another account or address
        ├── JournalError   the journal cannot be read or written
        └── JobFailed      a job ended in an error; it has the report
"""

from losant_tokens.errors import LosantError

# ruff: noqa: N818 -- "Refused" is the point of these names


class JobError(LosantError):
    """A job cannot continue. Its journal records what was done."""


class GuardRefused(JobError):
    """A plan would do more than its guards allow. The message says how to allow it."""


class PlanRefused(JobError):
    """A plan cannot be read, was altered, is too old, or is for another account or address."""


class JournalError(JobError):
    """A journal cannot be read or written, or belongs to another plan or process."""
