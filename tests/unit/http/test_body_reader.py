"""Read the body of a response: decompressed, and within limits."""

import gzip
import zlib
from functools import cache

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens._api.json_parser import ContentProblem
from losant_tokens._http.body_reader import DEFAULT_MAX_RESPONSE_SIZE, BodyReader


def collect(encoding: str, *parts: bytes, limit: int = DEFAULT_MAX_RESPONSE_SIZE) -> bytes | str:
    """Return the body of these parts, or its problem."""
    reader = BodyReader(encoding, limit)
    for part in parts:
        problem = reader.feed(part)
        while problem is None and reader.has_more:
            problem = reader.feed(b"")
        if problem:
            return problem.text
    problem = reader.end()
    return problem.text if problem else reader.content()


PLAIN = b'{"id":"575ec7417ae143cd83dc4a95"}'
GZIPPED = gzip.compress(PLAIN)
NO_GZIP = "is not valid gzip"
CUT_SHORT = "is compressed with gzip, but the end is missing"


@pytest.mark.parametrize(
    ("encoding", "parts", "expected"),
    [
        ("", [], b""),
        ("", [PLAIN], PLAIN),
        ("", [PLAIN[:5], b"", PLAIN[5:]], PLAIN),
        ("identity", [PLAIN], PLAIN),
        (" Identity ", [PLAIN], PLAIN),
        ("gzip", [GZIPPED], PLAIN),
        ("GZIP", [GZIPPED], PLAIN),
        (" gzip ", [GZIPPED[:3], GZIPPED[3:]], PLAIN),
        ("gzip", [bytes([byte]) for byte in GZIPPED], PLAIN),
        ("gzip", [], b""),
        ("gzip", [gzip.compress(b"")], b""),
        ("x-gzip", [GZIPPED], PLAIN),
        ("identity, gzip", [GZIPPED], PLAIN),
        ("gzip, ", [GZIPPED], PLAIN),
        ("gzip", [GZIPPED + GZIPPED], PLAIN * 2),
        ("gzip", [GZIPPED, GZIPPED[:5], GZIPPED[5:]], PLAIN * 2),
        ("gzip", [gzip.compress(b""), GZIPPED], PLAIN),
        ("gzip", [GZIPPED[:-1]], CUT_SHORT),
        ("gzip", [GZIPPED[:-8]], CUT_SHORT),
        ("gzip", [GZIPPED[:5]], CUT_SHORT),
        ("gzip", [GZIPPED + GZIPPED[:-1]], CUT_SHORT),
        ("gzip", [GZIPPED + b"x"], CUT_SHORT),
        ("gzip", [GZIPPED + b"{}"], NO_GZIP),
        ("gzip", [GZIPPED, b"junk"], NO_GZIP),
        ("gzip", [GZIPPED + b"\0\0"], NO_GZIP),
        ("gzip", [PLAIN], NO_GZIP),
        ("gzip", [zlib.compress(PLAIN)], NO_GZIP),
        ("gzip", [GZIPPED[:-8] + b"\x00" * 8], NO_GZIP),
        ("gzip", [GZIPPED[:10] + b"\xff" * 8], NO_GZIP),
        ("deflate", [b"x"], "is encoded with 'deflate', which was not requested"),
        ("br", [b""], "is encoded with 'br', which was not requested"),
        ("gzip, gzip", [b"x"], "has a Content-Encoding that was not requested"),
        ("my-secret", [b"x"], "has a Content-Encoding that was not requested"),
    ],
)
def test_body(encoding: str, parts: list[bytes], expected: bytes | str) -> None:
    """A body is joined and decompressed, or refused if it is not valid."""
    assert expected == collect(encoding, *parts)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([b"x" * 1024 * 1024], True),
        ([b"x" * 1024 * 1023, b"x" * 1024], True),
        ([b"x" * 1024 * 1024, b"x"], False),
        ([b"x" * (1024 * 1024 + 1)], False),
    ],
)
@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_limit(encoding: str, parts: list[bytes], expected: bool) -> None:
    """The limit applies to the size of a body after decompression."""
    plain = b"".join(parts)
    sent = [gzip.compress(plain)] if encoding else parts
    found = collect(encoding, *sent, limit=1024 * 1024)
    assert found == (plain if expected else "is larger than 1 MiB")


def test_default_limit() -> None:
    """The default limit is 32 MiB."""
    assert DEFAULT_MAX_RESPONSE_SIZE == 32 * 1024 * 1024


@cache
def bomb() -> bytes:
    """Return 64 MiB, compressed to less than 100,000 bytes."""
    return gzip.compress(b"\0" * 64 * 1024 * 1024)


@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_decompression_stops_at_the_limit(size: int) -> None:
    """Decompression stops at the limit."""
    assert len(bomb()) < 100_000
    parts = (bomb()[at : at + size] for at in range(0, 100_000, size))
    assert collect("gzip", *parts, limit=1024 * 1024) == "is larger than 1 MiB"


def test_decompression_of_one_part() -> None:
    """No part is decompressed to more than one byte beyond the limit."""
    reader = BodyReader("gzip", limit=10)
    assert ContentProblem("is larger than 10 bytes", is_too_large=True) == reader.feed(bomb())
    assert reader._size == 11


def test_many_empty_members() -> None:
    """The number of empty gzip members and the compressed size are limited."""
    members = [gzip.compress(b"")] * 2000
    assert collect("gzip", *members) == "is larger than 32 MiB"
    assert collect("gzip", *members[:900], GZIPPED) == PLAIN
    assert collect("gzip", gzip.compress(b"", compresslevel=0) * 900, limit=10_000) == (
        "is larger than 10,000 bytes"
    )


async def test_decompressed_in_steps() -> None:
    """Other tasks run while a large body is decompressed."""
    pauses = 0
    done = anyio.Event()

    async def count() -> None:
        nonlocal pauses
        while not done.is_set():
            await checkpoint()
            pauses += 1

    reader = BodyReader("gzip")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        assert await reader.take(gzip.compress(b"\0" * 16 * 1024 * 1024)) is None
        done.set()

    assert pauses >= 15
    assert (None, 16 * 1024 * 1024) == (reader.end(), len(reader.content()))


@given(st.binary(max_size=200), st.data())
def test_any_parts(plain: bytes, data: st.DataObject) -> None:
    """The parts of a body make no difference to the result."""
    sent = gzip.compress(plain)
    cut = data.draw(st.integers(0, len(sent)))
    assert plain == collect("gzip", sent[:cut], sent[cut:])


@given(st.binary())
def test_any_bytes(content: bytes) -> None:
    """Bytes that are not gzip are a problem, not an exception."""
    assert collect("gzip", content) in {NO_GZIP, CUT_SHORT, b""}
