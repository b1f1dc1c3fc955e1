"""Rules and clean-ups for tokens, in a file that people review and CI checks.

`load` reads a policy file. Its rules say which tokens are a problem, and how severe it is. Its
clean-ups say which tokens to change, with the guards of a plan. A mistake in the file is a
`PolicyError`, which has all mistakes of the file, each with its place.
"""

from typing import TYPE_CHECKING

from losant_tokens._utils.lazy_names import lazy_names

__all__ = [
    "Approval",
    "Cleanup",
    "EntryMatches",
    "Mistake",
    "Policy",
    "PolicyError",
    "PolicyRule",
    "PolicyTest",
    "PolicyTestResult",
    "PolicyWarning",
    "SampleToken",
    "Selection",
    "Severity",
    "Step",
    "WarnedToken",
    "WarningError",
    "WarningLedger",
    "WarningRecord",
    "WarningResult",
    "load",
    "match_tokens",
    "plan",
    "read_snapshot",
    "run_tests",
    "schema",
    "warn",
]

if TYPE_CHECKING:
    from losant_tokens.policy._approval import Approval
    from losant_tokens.policy._errors import Mistake, PolicyError, PolicyWarning, WarningError
    from losant_tokens.policy._evaluation import (
        EntryMatches,
        PolicyTestResult,
        match_tokens,
        read_snapshot,
        run_tests,
    )
    from losant_tokens.policy._file import load
    from losant_tokens.policy._plan import plan
    from losant_tokens.policy._schema import schema
    from losant_tokens.policy._selection import Selection
    from losant_tokens.policy._severity import Severity
    from losant_tokens.policy._types import (
        Cleanup,
        Policy,
        PolicyRule,
        PolicyTest,
        SampleToken,
        Step,
    )
    from losant_tokens.policy._warning_ledger import WarnedToken, WarningLedger, WarningRecord
    from losant_tokens.policy._warnings import WarningResult, warn
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "._approval": ("Approval",),
            "._errors": ("Mistake", "PolicyError", "PolicyWarning", "WarningError"),
            "._evaluation": (
                "EntryMatches",
                "PolicyTestResult",
                "match_tokens",
                "read_snapshot",
                "run_tests",
            ),
            "._file": ("load",),
            "._plan": ("plan",),
            "._schema": ("schema",),
            "._selection": ("Selection",),
            "._severity": ("Severity",),
            "._types": ("Cleanup", "Policy", "PolicyRule", "PolicyTest", "SampleToken", "Step"),
            "._warning_ledger": ("WarnedToken", "WarningLedger", "WarningRecord"),
            "._warnings": ("WarningResult", "warn"),
        },
    )
