"""A string that is not shown: its repr is `Secret('****')`, and `reveal()` returns its value."""

import hmac
from typing import Self, final

from losant_tokens.errors import ClientStateError

_MASK = "****"


@final
class Secret:
    """A secret string, such as a token or a password.

    It shows as `****` when it is printed, logged or formatted, and in the locals of a traceback. A
    pickle never holds the value, so an unpickled secret cannot be revealed. Two secrets are equal
    if their values are equal. The comparison takes constant time.

    Example:
        >>> print(Secret("hunter2"))
        ****
        >>> Secret("hunter2").reveal()
        'hunter2'
    """

    __slots__ = ("_is_lost", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._is_lost = False

    @classmethod
    def of(cls, text: "str | Secret") -> "Secret":
        """Return the argument itself if it is a secret, or else a new secret that holds it."""
        return text if isinstance(text, Secret) else cls(text)

    @classmethod
    def _unpickled(cls) -> Self:
        secret = cls("")
        secret._is_lost = True
        return secret

    def reveal(self) -> str:
        """Return the value.

        Do not assign it to a variable: tools that print the locals of a traceback would show it.

        Raises:
            ClientStateError: This secret was unpickled. A pickle never holds the value.
        """
        if self._is_lost:
            raise ClientStateError(
                "This secret was unpickled, and a pickle never holds the value. Read it again from "
                "where it is stored."
            )
        return self._text

    def __repr__(self) -> str:
        return f"Secret({_MASK!r})"

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return format(_MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        if self._is_lost or other._is_lost:
            return self is other
        return hmac.compare_digest(_bytes(self._text), _bytes(other._text))

    def __hash__(self) -> int:
        return id(self) if self._is_lost else hash((Secret, self._text))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return (Secret._unpickled, ())


def _bytes(text: str) -> bytes:
    # JSON may hold half of a surrogate pair, which cannot be encoded otherwise.
    return text.encode("utf-8", "surrogatepass")
