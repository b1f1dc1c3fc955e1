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

from losant_tokens.errors import LosantError

# ruff: noqa: N818 -- "Refused" is the point of these names


class JobError(LosantError):
    """A job cannot continue. Its journal records what was done."""


class PlanRefused(JobError):
    """A plan cannot be read, was altered, is too old, or is for another account or base URL."""


class EvidenceError(JobError):
    """An audit log cannot be read, or not completely, so it shows nothing about tokens in use."""


class JournalError(JobError):
    """A journal cannot be read or written, or belongs to another plan or process."""


class ChangeRefused(JobError):
    """`may_change` returned False, so the job ended before its next change."""
