"""The errors and warnings of policies."""

from collections.abc import Iterable
from typing import Any

from attrs import frozen

from losant_tokens.errors import LosantError


class PolicyWarning(UserWarning):
    """Warns that other users can change a policy file."""


class WarningError(LosantError):
    """A ledger of warnings cannot be read, locked or written."""


@frozen
class Mistake:
    """One mistake in a policy file."""

    path: str
    """The place in the file: `cleanups[2].select.older_than`. Empty for the whole file."""
    message: str
    """The mistake, and what to write instead."""
    line: int | None = None
    """The number of the line, from 1; `None` if it is unknown."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class PolicyError(LosantError):
    """A policy file or a snapshot has mistakes, or is something else."""

    file: str
    """The file."""
    mistakes: tuple[Mistake, ...]
    """The mistakes, in the order of the file."""

    def __init__(self, file: str, mistakes: Iterable[Mistake]) -> None:
        self.file = file
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.lines()))

    def lines(self) -> tuple[str, ...]:
        """Return each mistake as `policy.toml:14: cleanups[0].action: is required`."""
        return tuple(
            f"{self.file}{'' if one.line is None else f':{one.line}'}: {one}"
            for one in self.mistakes
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.file, self.mistakes)
