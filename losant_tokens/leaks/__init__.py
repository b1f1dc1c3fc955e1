"""Respond to a leaked token: does it work, which token is it, and what did it create?

Start with `find_secrets` and `read_claims`, which send nothing, and continue with `investigate`.
"""

from losant_tokens.leaks._claims import Claims, read_claims
from losant_tokens.leaks._created_tokens import created_with
from losant_tokens.leaks._investigation import (
    Check,
    CreatedTokens,
    Investigation,
    check_secret,
    deactivate,
    investigate,
    list_created,
)
from losant_tokens.leaks._last_actions import latest_actions
from losant_tokens.leaks._matching import Match, OwnedToken, match_tokens
from losant_tokens.leaks._secrets import find_secrets

__all__ = [
    "Check",
    "Claims",
    "CreatedTokens",
    "Investigation",
    "Match",
    "OwnedToken",
    "check_secret",
    "created_with",
    "deactivate",
    "find_secrets",
    "investigate",
    "latest_actions",
    "list_created",
    "match_tokens",
    "read_claims",
]
