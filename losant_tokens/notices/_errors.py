"""The error and the warning of notices."""

from losant_tokens.errors import LosantError


class NoticeError(LosantError):
    """A ledger cannot be read or written, or another process uses it."""


class NoticeWarning(UserWarning):
    """No notice can be given about a token, because its expiration date cannot be read."""
