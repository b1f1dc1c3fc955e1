"""The errors of accounts."""

from collections.abc import Iterable
from pathlib import Path

from losant_tokens.errors import AccountError


class ConfigError(AccountError):
    """The configuration file cannot be used, or does not have the account."""

    path: Path | None
    """The file."""
    mistakes: tuple[str, ...]
    """All mistakes in the file, each with its place, such as `accounts.prod.url`."""

    def __init__(
        self, message: str, *, path: Path | None = None, mistakes: Iterable[str] = ()
    ) -> None:
        super().__init__(message)
        self.path = path
        self.mistakes = tuple(mistakes)
