"""Patterns for names: an exact name, or a glob. The one place that decides what a pattern matches.

Unicode writes some names in several ways: "é" is one code point or two. Both sides are normalised
(NFC), so a pattern that was typed on one system matches a name from another. A pattern always
matches the name that equals it, even if it looks like a glob that would not: `svc[prod]-1`.
"""

import re
from collections.abc import Iterable, Iterator
from fnmatch import translate
from unicodedata import normalize

from attrs import field, frozen

from losant_tokens import _validators as validators
from losant_tokens.errors import ValidationError

_GLOB = frozenset("*?[")


def normalised(name: str) -> str:
    """Return the name in Unicode's normal form C."""
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
        object.__setattr__(self, "_name", normalised(self.text))
        object.__setattr__(self, "_glob", re.compile(translate(self._name)))

    @classmethod
    def checked(cls, owner: str, name: str, text: object) -> "NamePattern":
        """Return the pattern of an argument.

        Raises:
            ValidationError: It is not a string, or blank.
        """
        validators.check_argument(validators.instance_of(str), owner, name, text)
        if not str(text).strip():
            raise ValidationError(
                f"{owner}.{name} must not be blank: such a pattern matches nothing"
            )
        return cls(str(text))

    def matches(self, name: str) -> bool:
        """Return whether the pattern is the name, or a glob that matches it. Case counts."""
        name = normalised(name)
        return name == self._name or self._glob.match(name) is not None

    @property
    def is_glob(self) -> bool:
        """Whether the pattern may match other names than the one that equals it."""
        return not _GLOB.isdisjoint(self.text)


def name_matches(name: str, pattern: str) -> bool:
    """Return whether a pattern matches a name, as in `named` and in the guards of a plan.

    Args:
        name: The name of a token.
        pattern: A name, or a glob. An equal name always matches; Unicode forms do not matter.
    """
    return NamePattern(pattern).matches(name)


def protect_patterns(owner: str, protect: str | Iterable[str]) -> tuple[NamePattern, ...]:
    """Return the patterns of tokens to protect, each once.

    Args:
        owner: The function whose argument it is, for error messages.
        protect: The patterns. A single string is one pattern.

    Raises:
        ValidationError: One of them is not a string, or blank.
    """
    given = (protect,) if isinstance(protect, str) else tuple(protect)
    return tuple(dict.fromkeys(NamePattern.checked(owner, "protect", text) for text in given))


class PatternSet:
    """Patterns for ids and names. Thousands of ids and names cost no more than one.

    Args:
        patterns: The patterns.
    """

    def __init__(self, patterns: Iterable[NamePattern]) -> None:
        listed = tuple(patterns)
        self._ids = {pattern.text.lower(): pattern for pattern in listed}
        self._names = {normalised(pattern.text): pattern for pattern in listed}
        self._globs = tuple(pattern for pattern in listed if pattern.is_glob)

    def matching(self, token_id: str, name: str) -> Iterator[NamePattern]:
        """Iterate over the patterns that match a token, some of them perhaps twice.

        Args:
            token_id: Its id. Case does not count.
            name: Its name.
        """
        for found in (self._ids.get(token_id.lower()), self._names.get(normalised(name))):
            if found is not None:
                yield found
        for pattern in self._globs:
            if pattern.matches(name):
                yield pattern
