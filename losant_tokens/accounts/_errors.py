"""The errors of accounts."""

from collections.abc import Iterable
from pathlib import Path

from losant_tokens.errors import LosantError


class AccountError(LosantError):
    """The base class of the errors of accounts. No message holds a token."""


class ConfigError(AccountError):
    """The configuration file cannot be used, or does not have the account.

    Attributes:
        path: The file.
        mistakes: All mistakes in the file, each with its place: `accounts.prod.url: ...`.
    """

    def __init__(
        self, message: str, *, path: Path | None = None, mistakes: Iterable[str] = ()
    ) -> None:
        super().__init__(message)
        self.path = path
        self.mistakes = tuple(mistakes)


class TokenUnavailable(AccountError):  # noqa: N818 -- named after the state, as in `errors`
    """The token of an account cannot be read from the place that the configuration names."""
