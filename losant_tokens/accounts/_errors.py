"""The errors of accounts."""

from collections.abc import Iterable
from pathlib import Path

from losant_tokens.errors import AccountError


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
