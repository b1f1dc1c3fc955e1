"""Make text safe to show: without secrets, without control characters, and short.

The problem: the output of a command, or the response of a webhook, may repeat the secret that it
received, in whole or in part: cut at the edge of a buffer, wrapped in lines, or in base64.

The approach: every piece of `_PIECE` characters that also occurs in the secret, or in its base64,
is replaced. So a part of the secret is replaced as well, unless it is too short to be of use.

Rejected: replacing only the whole secret, because a part of it would remain; showing no output at
all, because it says why a command failed.
"""

import base64
import re
from collections.abc import Iterable
from itertools import groupby

from losant_tokens._utils.secret import Secret

_PIECE = 8  # characters
_MASK = "****"
_MAX_LENGTH = 500  # characters of output in a message
_JWT = re.compile(r"eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?", re.ASCII)
_MIN_SECRET_LENGTH = 4  # shorter strings are not hidden, because that would garble a message
_URL_SAFE = str.maketrans("+/", "-_")


def redacted(text: str, secrets: Iterable[Secret]) -> str:
    """Return a text without secrets, parts of secrets, and strings that look like a token."""
    pieces = frozenset[str]().union(*map(_pieces, secrets))
    hidden = bytearray(len(text))
    for size in {len(piece) for piece in pieces}:
        for start in range(len(text) - size + 1):
            if text[start : start + size] in pieces:
                hidden[start : start + size] = b"\1" * size
    runs = groupby(range(len(text)), key=hidden.__getitem__)
    shown = "".join(
        _MASK if is_hidden else "".join(text[at] for at in run) for is_hidden, run in runs
    )
    return _JWT.sub(_MASK, shown)


def _pieces(secret: Secret) -> frozenset[str]:
    """Return the pieces of a secret, and of its base64, that may not be shown."""
    if not secret.reveal():
        return frozenset()
    size = min(_PIECE, len(secret.reveal()))
    return frozenset(
        form[start : start + size]
        for form in (secret.reveal(), *_encoded(secret))
        for start in range(len(form) - size + 1)
    )


def _encoded(secret: Secret) -> Iterable[str]:
    """Return a secret in base64, after 0, 1 or 2 other bytes, because base64 joins three bytes."""
    for offset in range(3):
        data = b"\0" * offset + secret.reveal().encode("utf-8", "replace")
        encoded = base64.b64encode(data[: len(data) // 3 * 3]).decode()
        # The first group also depends on the other bytes.
        form = encoded[4:] if offset else encoded
        yield from (form, form.translate(_URL_SAFE))


def redacted_json(value: object, secrets: Iterable[Secret]) -> object:
    """Return a JSON value without secrets that a server may repeat in it.

    These are whole secrets, and all strings that look like an access token. It takes less time than
    `redacted`, because a server repeats a secret as it was sent, and many errors may arrive.

    Args:
        value: The value.
        secrets: The secrets of the request.
    """
    plain = [secret.reveal() for secret in secrets]
    return _redact(value, [text for text in plain if len(text) >= _MIN_SECRET_LENGTH])


def _redact(value: object, secrets: list[str]) -> object:
    match value:
        case str():
            for secret in secrets:
                value = value.replace(secret, _MASK)
            return _JWT.sub(_MASK, value)
        case dict():
            return {
                _redact(name, secrets): _redact(member, secrets) for name, member in value.items()
            }
        case list():
            return [_redact(item, secrets) for item in value]
        case _:
            return value


def printable(text: str) -> str:
    r"""Return a string with escapes such as `\x1b` for invisible and control characters."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def end_of(output: str) -> str:
    """Return the end of an output in one line, or an empty string."""
    line = printable(" ".join(output.split()))
    return line if len(line) <= _MAX_LENGTH else f"...{line[-_MAX_LENGTH:]}"


def for_environment(value: str) -> str:
    """Return a string that an environment variable can hold: without NUL and half surrogates."""
    return value.replace("\0", "").encode("utf-8", "replace").decode()
