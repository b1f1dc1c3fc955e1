"""The error of sinks."""

from functools import partial
from typing import Any

from losant_tokens.errors import LosantError


class SinkError(LosantError):
    """A sink could not deliver. The message never holds the secret or the URL of a webhook."""

    ambiguous: bool
    """Whether the receiver may have what was delivered."""
    is_reported: bool
    """Whether the receiver itself reported the failure, as a command does whose exit code is not 0.
    """

    is_temporary: bool
    """Whether a later delivery may succeed: the receiver could not be reached, was not available,
    or had too many requests.
    """

    def __init__(
        self,
        message: str,
        *,
        ambiguous: bool = True,
        is_reported: bool = False,
        is_temporary: bool = False,
    ) -> None:
        super().__init__(message)
        self.ambiguous = ambiguous
        self.is_reported = is_reported
        self.is_temporary = is_temporary

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild = partial(
            type(self),
            ambiguous=self.ambiguous,
            is_reported=self.is_reported,
            is_temporary=self.is_temporary,
        )
        return rebuild, self.args
