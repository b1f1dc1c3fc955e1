"""`ReadableEnum`: the base class of public enumerations."""

from enum import Enum


class ReadableEnum(Enum):
    """An enumeration whose members print as their values, and have a short repr.

    `f"{Outcome.DONE}"` is `done`, and `repr(Outcome.DONE)` is `Outcome.DONE`. A member is not a
    string: `Outcome.DONE == "done"` is false, so that a misspelt string is not overlooked.
    """

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"
