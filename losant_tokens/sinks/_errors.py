"""The error of sinks."""

from functools import partial
from typing import Any

from losant_tokens.errors import LosantError


class SinkError(LosantError):
    """A sink could not deliver. The message never holds the secret or the URL of a webhook.

    Attributes:
        ambiguous: Whether the receiver may have what was delivered.
    """

    def __init__(self, message: str, *, ambiguous: bool = True) -> None:
        super().__init__(message)
        self.ambiguous = ambiguous

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), ambiguous=self.ambiguous), self.args
