"""Patterns for names: exact names and globs.

Unicode can write a name in several ways: "é" is one code point or two. Both sides are normalized
(NFC), so a pattern that was typed on one system matches a name from another. A pattern always
matches an equal name, even if it would not match as a glob: `svc[prod]-1`.
"""

import re
from collections.abc import Iterable, Iterator
from fnmatch import translate
from unicodedata import normalize

from attrs import field, frozen

from losant_tokens._utils import validators
from losant_tokens.errors import ValidationError

_GLOB_CHARACTERS = frozenset("*?[")


def normalized(name: str) -> str:
    """Return the name in Unicode's normalization form C."""
    return name if name.isascii() else normalize("NFC", name)


@frozen
class NamePattern:
    """A pattern for names.

    Attributes:
        text: A name, or a glob: `*` is any string, `?` one character, `[ab]` one of them, `[!ab]`
            none of them.
    """

    text: str
    _name: str = field(init=False, repr=False, eq=False)
    _glob: re.Pattern[str] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_name", normalized(self.text))
        object.__setattr__(self, "_glob", re.compile(translate(self._name)))

    @classmethod
    def checked(cls, function: str, argument: str, text: object) -> "NamePattern":
        """Return the pattern that was passed as an argument.

        Args:
            function: The function that takes the argument, for the message.
            argument: The name of the argument, for the message.
            text: The argument.

        Raises:
            ValidationError: The argument is not a string, or is blank.
        """
        validators.check_argument(validators.instance_of(str), function, argument, text)
        if not str(text).strip():
            raise ValidationError(
                f"{function}.{argument} must not be blank, because a blank pattern matches nothing"
            )
        return cls(str(text))

    def matches(self, name: str) -> bool:
        """Return whether the pattern is equal to the name, or a glob that matches it.

        Case matters. Unicode forms do not.
        """
        name = normalized(name)
        return name == self._name or self._glob.match(name) is not None

    @property
    def is_glob(self) -> bool:
        """Whether the pattern may match names that are not equal to it."""
        return not _GLOB_CHARACTERS.isdisjoint(self.text)


def name_matches(name: str, pattern: str) -> bool:
    """Return whether a pattern matches a name, as in `named` and in `protect`.

    Args:
        name: The name of a token.
        pattern: A name, or a glob. An equal name always matches. Unicode forms do not matter.
    """
    return NamePattern(pattern).matches(name)


def protect_patterns(function: str, protect: str | Iterable[str]) -> tuple[NamePattern, ...]:
    """Return the patterns of the argument `protect`, each once.

    Args:
        function: The function that takes the argument, for the message.
        protect: The patterns. A string is one pattern.

    Raises:
        ValidationError: A pattern is not a string, or is blank.
    """
    texts = (protect,) if isinstance(protect, str) else tuple(protect)
    return tuple(dict.fromkeys(NamePattern.checked(function, "protect", text) for text in texts))


class PatternSet:
    """Patterns for ids and names.

    Ids and exact names are looked up in dicts, because each token is compared with all patterns:
    60,000 tokens and 1,000 ids would be 60 million comparisons.

    Args:
        patterns: The patterns.
    """

    def __init__(self, patterns: Iterable[NamePattern]) -> None:
        all_patterns = tuple(patterns)
        self._ids = {pattern.text.lower(): pattern for pattern in all_patterns}
        self._names = {normalized(pattern.text): pattern for pattern in all_patterns}
        self._globs = tuple(pattern for pattern in all_patterns if pattern.is_glob)

    def matching(self, token_id: str, name: str) -> Iterator[NamePattern]:
        """Iterate over the patterns that match a token. A pattern may occur twice.

        Args:
            token_id: The id of the token. Case does not matter.
            name: The name of the token.
        """
        for found in (self._ids.get(token_id.lower()), self._names.get(normalized(name))):
            if found is not None:
                yield found
        for pattern in self._globs:
            if pattern.matches(name):
                yield pattern
