"""A text that must not be seen: it shows as `Secret('****')` and gives itself up to `reveal()`."""

import hmac
from typing import Self, final

from losant_tokens.errors import ClientStateError

_MASK = "****"


@final
class Secret:
    """A secret text, such as a token or a password.

    It shows as `Secret('****')` wherever it is printed, logged or formatted, and as locals of a
    traceback. A pickle of it never holds the text: what is unpickled cannot be revealed. Two
    secrets are equal when their texts are; comparing takes the same time wherever they differ.

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
        """The secret itself, or a secret made of a plain text."""
        return text if isinstance(text, Secret) else cls(text)

    @classmethod
    def _unpickled(cls) -> Self:
        secret = cls("")
        secret._is_lost = True
        return secret

    def reveal(self) -> str:
        """The text. Keep it out of names that a traceback could show.

        Raises:
            ClientStateError: This secret came out of a pickle, which never holds the text.
        """
        if self._is_lost:
            raise ClientStateError("This secret was pickled, and a pickle never holds its text.")
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
    return text.encode("utf-8", "surrogatepass")  # which JSON can bring
