"""Recognition of secrets in a configuration file, so that a file with a token in it is refused."""

import math
import re
from collections import Counter
from itertools import pairwise

_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?")
# Words of 32 characters and more. A path or a reference, such as op://vault/item, has a "/" or a
# ":" earlier.
_WORD = re.compile(r"[A-Za-z0-9_+=~-]{32,}")
_MIN_ENTROPY = 4.0  # bits per character; random base64 has more than 4.2 at 32 characters
_MIN_ALTERNATIONS = 0.25  # per character; random base64 has 0.6
_PASSWORD_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE)


def looks_secret(text: str) -> bool:
    """Return whether a string contains an access token, a password in a URL, or a random key.

    A random key is a word of at least 32 characters with capital letters, small letters and digits,
    which alternate often and have a high entropy. Ids and UUIDs have one kind of letters, and in
    names, most letters follow another of their kind.
    """
    if _JWT.search(text) or _PASSWORD_IN_URL.search(text):
        return True
    return any(_is_random(word) for word in _WORD.findall(text))


def without_secrets(text: str) -> str:
    """Return a string with `****` in place of each part that looks like a secret."""
    text = _PASSWORD_IN_URL.sub("****@", _JWT.sub("****", text))
    return _WORD.sub(lambda found: "****" if _is_random(found[0]) else found[0], text)


def _is_random(word: str) -> bool:
    kinds = [_kind(character) for character in word if character.isalnum()]
    alternations = sum(one != other for one, other in pairwise(kinds))
    if len(set(kinds)) < 3 or alternations < _MIN_ALTERNATIONS * len(word):  # noqa: PLR2004
        return False
    counts = Counter(word).values()
    entropy = -sum(n / len(word) * math.log2(n / len(word)) for n in counts)
    return entropy >= _MIN_ENTROPY


def _kind(character: str) -> int:
    return 2 if character.isdigit() else character.isupper()
