"""Bulk jobs for tens of thousands of tokens: plan a job, review the plan, apply it.

`plan` lists tokens, selects some with rules such as `expired() & named("ci-*")`, and writes a plan
to a file. `apply` carries out a plan, records each outcome in a journal, and returns a report. If a
job is interrupted, `apply(..., resume=True)` continues it. `sweep` and `restore` plan the second
half of a quarantine: they delete deactivated tokens, or activate them again. A `Ledger` remembers
quarantines. `apply_chunk` applies a part of a plan without a file, for a queue of your own.
"""

from typing import TYPE_CHECKING

from losant_tokens._utils.lazy_names import lazy_names

__all__ = [
    "MAX_CHUNK_AGE",
    "MAX_PLAN_AGE",
    "PREDICATES",
    "REPORT_SUFFIXES",
    "ChangeRefused",
    "ChunkFailed",
    "ChunkResult",
    "Counts",
    "Entry",
    "Evidence",
    "EvidenceError",
    "GuardRefused",
    "Header",
    "JobError",
    "JobFailed",
    "JobState",
    "JournalError",
    "LastSeen",
    "Ledger",
    "LeftAloneWarning",
    "ListingResult",
    "LogProgress",
    "LogSource",
    "Outcome",
    "OwnTokenWarning",
    "Pace",
    "PaceSample",
    "Plan",
    "PlanChunk",
    "PlanDocument",
    "PlanRefused",
    "PlanWarning",
    "PolicyReference",
    "Predicate",
    "Progress",
    "Quarantine",
    "QuarantineReview",
    "Report",
    "Result",
    "RotatedToken",
    "Rotation",
    "RotationCheck",
    "RotationRefused",
    "RotationSettings",
    "RotationStage",
    "Rule",
    "TokenOutcome",
    "TokenPage",
    "TokenPageRow",
    "UnmatchedPatternWarning",
    "active",
    "all_of",
    "any_of",
    "apply",
    "apply_chunk",
    "can_create_tokens",
    "cancel_rotation",
    "check_account",
    "check_report_path",
    "check_rotation",
    "created_by",
    "expired",
    "expires_within",
    "harmless_cell",
    "has_scope",
    "inactive",
    "job_report",
    "job_state",
    "journal_path",
    "json_document",
    "last_seen",
    "list_tokens",
    "name_matches",
    "named",
    "never_expires",
    "no_tokens",
    "not_updated_for",
    "older_than",
    "plan",
    "quarantines_of",
    "read_rotation",
    "restore",
    "resume_rotation",
    "review_quarantines",
    "rotate",
    "save_plan_page",
    "save_token_page",
    "seen_since_plan",
    "seen_within",
    "sweep",
]

if TYPE_CHECKING:
    from losant_tokens._complete_listing.listing import ListingResult
    from losant_tokens.jobs._errors import (
        ChangeRefused,
        EvidenceError,
        JobError,
        JournalError,
        PlanRefused,
    )
    from losant_tokens.jobs._evidence.last_seen import LastSeen, LogProgress, last_seen
    from losant_tokens.jobs._evidence.log_source import LogSource
    from losant_tokens.jobs._evidence.seen_within import seen_within
    from losant_tokens.jobs._execution.apply import apply
    from losant_tokens.jobs._execution.apply_chunk import MAX_CHUNK_AGE, apply_chunk
    from losant_tokens.jobs._execution.chunk_result import ChunkFailed, ChunkResult, TokenOutcome
    from losant_tokens.jobs._execution.job_failed import JobFailed
    from losant_tokens.jobs._execution.job_state import JobState, job_state
    from losant_tokens.jobs._execution.journal import journal_path
    from losant_tokens.jobs._execution.preflight import seen_since_plan
    from losant_tokens.jobs._execution.report_from_journal import job_report
    from losant_tokens.jobs._list_tokens import list_tokens
    from losant_tokens.jobs._name_patterns import name_matches
    from losant_tokens.jobs._plan.account_check import check_account
    from losant_tokens.jobs._plan.guard_refused import GuardRefused
    from losant_tokens.jobs._plan.plan import MAX_PLAN_AGE, Plan
    from losant_tokens.jobs._plan.plan_document import PlanChunk, PlanDocument
    from losant_tokens.jobs._plan.planner import plan
    from losant_tokens.jobs._predicate_table import PREDICATES, Predicate
    from losant_tokens.jobs._quarantine.comparison import QuarantineReview
    from losant_tokens.jobs._quarantine.ledger import Ledger
    from losant_tokens.jobs._quarantine.plans import restore, sweep
    from losant_tokens.jobs._quarantine.quarantine import Quarantine
    from losant_tokens.jobs._quarantine.reviews import quarantines_of, review_quarantines
    from losant_tokens.jobs._report.csv import harmless_cell
    from losant_tokens.jobs._report.json import json_document
    from losant_tokens.jobs._report.path_check import REPORT_SUFFIXES, check_report_path
    from losant_tokens.jobs._report.plan_page import save_plan_page
    from losant_tokens.jobs._report.report import Report
    from losant_tokens.jobs._report.token_list_page import TokenPage, TokenPageRow, save_token_page
    from losant_tokens.jobs._rotation.checks import RotationCheck
    from losant_tokens.jobs._rotation.preparation import RotationRefused, check_rotation
    from losant_tokens.jobs._rotation.rotate import cancel_rotation, resume_rotation, rotate
    from losant_tokens.jobs._rotation.rotation import (
        RotatedToken,
        Rotation,
        RotationSettings,
        RotationStage,
    )
    from losant_tokens.jobs._rotation.rotation_journal import read_rotation
    from losant_tokens.jobs._throttle.pace import Pace
    from losant_tokens.jobs._token_rules import (
        Rule,
        active,
        all_of,
        any_of,
        can_create_tokens,
        created_by,
        expired,
        expires_within,
        has_scope,
        inactive,
        named,
        never_expires,
        no_tokens,
        not_updated_for,
        older_than,
    )
    from losant_tokens.jobs._types import (
        Counts,
        Entry,
        Evidence,
        Header,
        LeftAloneWarning,
        Outcome,
        OwnTokenWarning,
        PaceSample,
        PlanWarning,
        PolicyReference,
        Progress,
        Result,
        UnmatchedPatternWarning,
    )
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            ".._complete_listing.listing": ("ListingResult",),
            "._errors": (
                "ChangeRefused",
                "EvidenceError",
                "JobError",
                "JournalError",
                "PlanRefused",
            ),
            "._evidence.last_seen": ("LastSeen", "LogProgress", "last_seen"),
            "._evidence.log_source": ("LogSource",),
            "._evidence.seen_within": ("seen_within",),
            "._execution.apply": ("apply",),
            "._execution.apply_chunk": ("MAX_CHUNK_AGE", "apply_chunk"),
            "._execution.chunk_result": ("ChunkFailed", "ChunkResult", "TokenOutcome"),
            "._execution.job_failed": ("JobFailed",),
            "._execution.job_state": ("JobState", "job_state"),
            "._execution.journal": ("journal_path",),
            "._execution.preflight": ("seen_since_plan",),
            "._execution.report_from_journal": ("job_report",),
            "._list_tokens": ("list_tokens",),
            "._name_patterns": ("name_matches",),
            "._plan.account_check": ("check_account",),
            "._plan.guard_refused": ("GuardRefused",),
            "._plan.plan": ("MAX_PLAN_AGE", "Plan"),
            "._plan.plan_document": ("PlanChunk", "PlanDocument"),
            "._plan.planner": ("plan",),
            "._predicate_table": ("PREDICATES", "Predicate"),
            "._quarantine.comparison": ("QuarantineReview",),
            "._quarantine.ledger": ("Ledger",),
            "._quarantine.plans": ("restore", "sweep"),
            "._quarantine.quarantine": ("Quarantine",),
            "._quarantine.reviews": ("quarantines_of", "review_quarantines"),
            "._report.csv": ("harmless_cell",),
            "._report.json": ("json_document",),
            "._report.path_check": ("REPORT_SUFFIXES", "check_report_path"),
            "._report.plan_page": ("save_plan_page",),
            "._report.report": ("Report",),
            "._report.token_list_page": ("TokenPage", "TokenPageRow", "save_token_page"),
            "._rotation.checks": ("RotationCheck",),
            "._rotation.preparation": ("RotationRefused", "check_rotation"),
            "._rotation.rotate": ("cancel_rotation", "resume_rotation", "rotate"),
            "._rotation.rotation": (
                "RotatedToken",
                "Rotation",
                "RotationSettings",
                "RotationStage",
            ),
            "._rotation.rotation_journal": ("read_rotation",),
            "._throttle.pace": ("Pace",),
            "._token_rules": (
                "Rule",
                "active",
                "all_of",
                "any_of",
                "can_create_tokens",
                "created_by",
                "expired",
                "expires_within",
                "has_scope",
                "inactive",
                "named",
                "never_expires",
                "no_tokens",
                "not_updated_for",
                "older_than",
            ),
            "._types": (
                "Counts",
                "Entry",
                "Evidence",
                "Header",
                "LeftAloneWarning",
                "Outcome",
                "OwnTokenWarning",
                "PaceSample",
                "PlanWarning",
                "PolicyReference",
                "Progress",
                "Result",
                "UnmatchedPatternWarning",
            ),
        },
    )
