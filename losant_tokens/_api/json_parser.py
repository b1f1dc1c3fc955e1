"""Parse JSON from a server, within limits, with the same result with and without orjson.

The problem: a few kilobytes of gzip can hold millions of empty lists. Python needs about 80 bytes
for each, so a limit on the size of a document does not bound memory. Deep nesting can exhaust the
stack of a parser.

The approach: a survey counts the values and levels of a document before it is parsed. The first
survey is cheap: it counts every comma and bracket as a value, including those in strings, and so
gives an upper bound. Only if that bound exceeds the limit, a second survey skips strings and counts
exactly.

Source: measured with small gzip bodies of empty lists. Memory grows by 1,500 MiB without the
limits, and by less than 150 MiB with them (`tests/integration/test_decompression_bombs.py`).

Rejected: a parser in Python that counts while it parses, because it is 30 times slower; a process
with a memory limit, because not every platform has one.

orjson is used if it is installed. It reads integers beyond 64 bits as floats, and it refuses half
of a surrogate pair, NaN and infinity. Documents with these are parsed by the standard library.
"""

import json
import re
from collections.abc import Callable, Iterator
from itertools import accumulate
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed leaves it out
from typing import Any, Final

import attrs
from anyio.lowlevel import checkpoint

MAX_DEPTH: Final = 100
"""The maximum depth of nesting. Python's own limit depends on its version and on the caller."""

MAX_VALUES: Final = 1_000_000
"""The default maximum number of values. A page of a thousand tokens has about 20,000."""

_STEP: Final = 64 * 1024  # characters that are parsed between two checkpoints, in about 1 ms
_LONG: Final = 16 * _STEP  # bytes; a longer document is parsed with checkpoints
_PIECE: Final = 256 * 1024  # bytes that are surveyed between two checkpoints


@attrs.frozen
class ContentProblem:
    """Why the content of a response cannot be read. It never holds a value of the response.

    Attributes:
        text: The problem, as a phrase that follows "the response".
        path: The place in the response, such as `$.id`.
        is_too_large: Whether a response with fewer items could be read.
    """

    text: str
    path: str = "$"
    is_too_large: bool = False


_NOT_JSON: Final = ContentProblem("is not JSON")
_TOO_DEEP: Final = ContentProblem(f"is nested more than {MAX_DEPTH} levels deep")


def parse(content: bytes, max_values: int = MAX_VALUES) -> object | ContentProblem:
    """Parse a small document, without checkpoints; return its values or its problem."""
    for problem in _survey(content, max_values):
        if problem is not None:
            return problem
    return _parse(content)


async def parse_in_steps(
    content: bytes, items: str, max_values: int = MAX_VALUES
) -> object | ContentProblem:
    """Parse a document with a checkpoint about every millisecond, so that other tasks can run.

    Args:
        content: The document.
        items: The name of the member that may hold a long list. It is parsed item by item.
        max_values: The maximum number of values.
    """
    if len(content) <= _LONG:
        return parse(content, max_values)
    for problem in _survey(content, max_values):
        if problem is not None:
            return problem
        await checkpoint()
    try:
        text = content.decode(json.detect_encoding(content), "surrogatepass")
        await checkpoint()
        return await _parse_object(text, items)
    except (ValueError, RecursionError):
        return _NOT_JSON


# --- The limits ------------------------------------------------------------------------------


_BRACKETS: Final = b"[]{}"
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in _BRACKETS)
_LEVELS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_USUAL_DEPTH: Final = 10


def _survey(content: bytes, max_values: int) -> Iterator[ContentProblem | None]:
    """Yield the problem of a document that exceeds a limit, or `None` after each piece."""
    if len(content) > max_values:
        bound = 1
        for piece in _pieces(content):
            bound += _count_values(piece)
            if bound > max_values:
                break
            yield None
        else:
            bound = 0
        if bound:
            yield from _exact_survey(content, max_values)
            return
    if _seems_deep(content):
        yield from _exact_survey(content, max_values)


def _exact_survey(content: bytes, max_values: int) -> Iterator[ContentProblem | None]:
    """Yield the same as `_survey`, but do not count commas and brackets in strings."""
    survey = _Survey()
    for piece in _pieces(content):
        survey.add(piece)
        if survey.values > max_values:
            yield ContentProblem(f"holds more than {max_values:,} values", is_too_large=True)
        yield _TOO_DEEP if survey.depth > MAX_DEPTH else None


def _pieces(content: bytes) -> Iterator[bytes]:
    return (content[begin : begin + _PIECE] for begin in range(0, len(content), _PIECE))


def _count_values(content: bytes) -> int:
    """Return an upper bound of the number of values; commas and brackets in strings count too."""
    return content.count(b",") + content.count(b"[") + content.count(b"{")


def _seems_deep(content: bytes) -> bool:
    """Return whether the nesting looks unusually deep, by a quick check.

    Each round removes the innermost pairs of brackets. Brackets in strings may lead to a wrong
    result. If it is `False` by mistake, the parser's own limit refuses the document.
    """
    brackets = content.translate(None, _NO_BRACKETS)
    if len(brackets) <= MAX_DEPTH:
        return False
    for _ in range(_USUAL_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return bool(brackets)


class _Survey:
    """Counts the values and levels of a document, piece by piece, and skips strings.

    Attributes:
        values: The number of values so far.
        depth: The maximum depth so far.
    """

    def __init__(self) -> None:
        self.values = 1
        self.depth = 0
        self._level = 0
        self._is_in_string = False
        self._half_an_escape = b""

    def add(self, piece: bytes) -> None:
        """Count the values and levels of the next piece."""
        # A backslash at the end belongs to an escape sequence that goes on in the next piece.
        piece = self._half_an_escape + piece
        backslashes = len(piece) - len(piece.rstrip(b"\\"))
        end = len(piece) - backslashes % 2
        piece, self._half_an_escape = piece[:end], piece[end:]
        parts = piece.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(parts[self._is_in_string :: 2])
        self._is_in_string ^= len(parts) % 2 == 0
        self.values += _count_values(outside)
        brackets = outside.translate(None, _NO_BRACKETS)
        levels = [*accumulate(map(_LEVELS.__getitem__, brackets), initial=self._level)]
        self.depth = max(self.depth, *levels)
        self._level = levels[-1]


# --- The parsers -----------------------------------------------------------------------------


def _load_orjson() -> Callable[[bytes], object] | None:
    """Return the parser of orjson, or `None` if it is not installed."""
    try:
        import orjson  # noqa: PLC0415 -- it is an extra
    except ImportError:
        return None
    return orjson.loads


_orjson_loads: Final = _load_orjson()

# A run of 19 digits after one of these characters may be an integer beyond 64 bits.
_DIGITS: Final = bytes.maketrans(b"0123456789 \t\r\n:,[-", b"0000000000::::::::")
_MAY_BE_LONG: Final = b":" + 19 * b"0"


def _parse(content: bytes) -> object | ContentProblem:
    """Parse a document that is within the limits."""
    if _orjson_loads is not None and _MAY_BE_LONG not in b":" + content.translate(_DIGITS):
        try:
            return _orjson_loads(content)
        except ValueError:
            pass
    try:
        return _loads(content)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _loads(content: bytes) -> object:
    """Parse a document with the standard library.

    Raises:
        ValueError: It is not JSON.
        RecursionError: It is nested too deeply.
    """
    try:
        return json.loads(content)
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError | UnicodeError):
            raise
        return json.loads(content, parse_int=_integer)


def _integer(digits: str) -> int | float:
    """Return an integer. One with more digits than Python converts becomes an infinite float."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


_decoder: Final[Any] = json.JSONDecoder(parse_int=_integer)  # typeshed does not know `scan_once`


def _scan(text: str, at: int) -> tuple[Any, int]:
    """Parse the value at a position; return it and the position after it.

    Raises:
        ValueError: There is no value.
    """
    try:
        found: tuple[Any, int] = _decoder.scan_once(text, at)
    except StopIteration:
        # A coroutine must not raise it.
        raise ValueError from None
    return found


_WHITESPACE: Final = re.compile(r"[ \t\n\r]*")


def _skip(text: str, at: int) -> int:
    """Return the position after any whitespace."""
    found = _WHITESPACE.match(text, at)
    assert found is not None  # noqa: S101 -- the pattern matches an empty string as well
    return found.end()


def _expect(text: str, at: int, char: str) -> int:
    """Return the position after a character and the whitespace around it.

    Raises:
        ValueError: There is another character.
    """
    at = _skip(text, at)
    if text[at : at + 1] != char:
        raise ValueError
    return _skip(text, at + 1)


async def _parse_object(text: str, items: str) -> object:
    """Parse an object, one member at a time, and the long list in it, one item at a time.

    Raises:
        ValueError: It is not JSON.
        RecursionError: It is nested too deeply.
    """
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        value, at = _scan(text, at)
        return _end(value, text, at)
    members: dict[str, Any] = {}
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}":
        if members:
            at = _expect(text, at, ",")
        if text[at : at + 1] != '"':
            raise ValueError
        name, at = scanstring(text, at + 1)
        at = _expect(text, at, ":")
        is_long = name == items and text[at : at + 1] == "["
        members[name], at = await _parse_items(text, at) if is_long else _scan(text, at)
        at = _skip(text, at)
    return _end(members, text, at + 1)


async def _parse_items(text: str, at: int) -> tuple[list[Any], int]:
    """Parse a list, one item at a time; return it and the position after it."""
    found: list[Any] = []
    at = _skip(text, at + 1)
    next_checkpoint = at + _STEP
    while text[at : at + 1] != "]":
        if found:
            at = _expect(text, at, ",")
        item, at = _scan(text, at)
        found.append(item)
        at = _skip(text, at)
        if at >= next_checkpoint:
            next_checkpoint = at + _STEP
            await checkpoint()
    return found, at + 1


def _end(value: object, text: str, at: int) -> object:
    """Return a value if the document ends after it.

    Raises:
        ValueError: There is more than the value.
    """
    if _skip(text, at) != len(text):
        raise ValueError
    return value
