"""Parse JSON that somebody else wrote: within limits, and the same with and without orjson.

A few kilobytes of gzip can hold millions of empty lists. Python needs about 80 bytes for each, so
a limit on bytes does not bound memory. The number of values is counted before they are made. The
count is cheap because it first takes every comma and bracket for a value, and looks more closely
only if that exceeds the limit. (Rejected: a parser in Python, which counts while it parses and is
30 times slower; a subprocess with a memory limit, which not every platform has.)

orjson is fast and used if it is installed, but it reads integers beyond 64 bits as floats, and it
refuses half a surrogate pair, NaN and infinity. The standard library reads those documents.
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
"""The deepest nesting that is read. Python's own limit depends on its version and on the caller."""

MAX_VALUES: Final = 1_000_000
"""The default for the number of values in a document: a thousand tokens have some 20,000."""

_STEP: Final = 64 * 1024  # characters, which take about a millisecond to parse
_LONG: Final = 16 * _STEP  # bytes: a longer document is parsed in steps
_PIECE: Final = 256 * 1024  # bytes that are counted in one step


@attrs.frozen
class ContentProblem:
    """A problem of a response and its place (`$.id`). It never holds a value.

    Attributes:
        problem: A phrase that fits after "the response".
        path: The place in the response, in the API's words.
        is_too_large: Whether fewer items would be read.
    """

    problem: str
    path: str = "$"
    is_too_large: bool = False


_NOT_JSON: Final = ContentProblem("is not JSON")
_TOO_DEEP: Final = ContentProblem(f"is nested more than {MAX_DEPTH} levels deep")


def parse(content: bytes, max_values: int = MAX_VALUES) -> object | ContentProblem:
    """Parse a document at once. Use it for small ones."""
    for fault in _survey(content, max_values):
        if fault is not None:
            return fault
    return _parse(content)


async def parse_in_steps(
    content: bytes, items: str, max_values: int = MAX_VALUES
) -> object | ContentProblem:
    """Parse a document in steps of about a millisecond, so that other tasks can run.

    Args:
        content: The document.
        items: The name of the member that makes long documents long. It is parsed item by item.
        max_values: The number of values above which the document is not parsed.
    """
    if len(content) <= _LONG:
        return parse(content, max_values)
    for fault in _survey(content, max_values):
        if fault is not None:
            return fault
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
    """Yield the problem of a document with its limits, or `None` after each piece without one."""
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
    survey = _Survey()
    for piece in _pieces(content):
        survey.add(piece)
        if survey.values > max_values:
            yield ContentProblem(f"holds more than {max_values:,} values", is_too_large=True)
        yield _TOO_DEEP if survey.depth > MAX_DEPTH else None


def _pieces(content: bytes) -> Iterator[bytes]:
    return (content[begin : begin + _PIECE] for begin in range(0, len(content), _PIECE))


def _count_values(content: bytes) -> int:
    """Return an upper bound of the number of values: those in strings count, too."""
    return content.count(b",") + content.count(b"[") + content.count(b"{")


def _seems_deep(content: bytes) -> bool:
    """Return whether the nesting is unusual. Brackets in strings may mislead it either way.

    Brackets are taken out in pairs, the innermost first: one round for each level. If
    strings hide levels from it, the parser's own limit refuses the document.
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
    """Counts the values and levels of a document, piece by piece, without those in strings.

    Attributes:
        values: The number of values so far.
        depth: The deepest level so far.
    """

    def __init__(self) -> None:
        self.values = 1
        self.depth = 0
        self._level = 0
        self._is_in_string = False
        self._half_an_escape = b""

    def add(self, piece: bytes) -> None:
        """Count the values and levels of the next piece."""
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
    try:
        import orjson  # noqa: PLC0415 -- an extra
    except ImportError:
        return None
    return orjson.loads


_orjson_loads: Final = _load_orjson()

# A run of 19 digits after one of these characters may be an integer beyond 64 bits.
_DIGITS: Final = bytes.maketrans(b"0123456789 \t\r\n:,[-", b"0000000000::::::::")
_MAY_BE_LONG: Final = b":" + 19 * b"0"


def _parse(content: bytes) -> object | ContentProblem:
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
    try:
        return json.loads(content)
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError | UnicodeError):
            raise
        return json.loads(content, parse_int=_integer)


def _integer(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:  # more digits than Python converts: as a float, it is infinite
        return float(digits)


_decoder: Final[Any] = json.JSONDecoder(parse_int=_integer)  # typeshed leaves `scan_once` out


def _scan(text: str, at: int) -> tuple[Any, int]:
    """Parse the value at a place; return it and the place after it."""
    try:
        found: tuple[Any, int] = _decoder.scan_once(text, at)
    except StopIteration:  # which no coroutine may raise
        raise ValueError from None
    return found


_BLANKS: Final = re.compile(r"[ \t\n\r]*")


def _skip(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    assert found is not None  # noqa: S101 -- it matches nothing, too
    return found.end()


def _expect(text: str, at: int, char: str) -> int:
    """Return the place after a character and the blanks around it."""
    at = _skip(text, at)
    if text[at : at + 1] != char:
        raise ValueError
    return _skip(text, at + 1)


async def _parse_object(text: str, items: str) -> object:
    """Parse an object, one member or item at a time.

    Raises:
        ValueError: It is not JSON.
        RecursionError: It is nested too deep.
    """
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        value, at = _scan(text, at)
        return _whole(value, text, at)
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
    return _whole(members, text, at + 1)


async def _parse_items(text: str, at: int) -> tuple[list[Any], int]:
    """Parse a list, item by item; return it and the place after it."""
    found: list[Any] = []
    at = _skip(text, at + 1)
    rest = at + _STEP
    while text[at : at + 1] != "]":
        if found:
            at = _expect(text, at, ",")
        item, at = _scan(text, at)
        found.append(item)
        at = _skip(text, at)
        if at >= rest:
            rest = at + _STEP
            await checkpoint()
    return found, at + 1


def _whole(value: object, text: str, at: int) -> object:
    if _skip(text, at) != len(text):
        raise ValueError
    return value
