"""Parse untrusted JSON, within limits, with the same result from both parsers."""

import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens._api import json_parser
from losant_tokens._api.json_parser import MAX_DEPTH, ContentProblem, parse, parse_in_steps

NOT_JSON = ContentProblem("is not JSON")
TOO_DEEP = ContentProblem("is nested more than 100 levels deep")


def without_orjson(content: bytes) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_parser, "_orjson_loads", None)
        return parse(content)


async def in_steps(content: bytes, **options: Any) -> object:
    """Parse a document as if it were long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_parser, "_LONG", 0)
        patch.setattr(json_parser, "_STEP", 10)
        return await parse_in_steps(content, "items", **options)


def same(one: object, other: object) -> bool:
    """Return whether two results are the same, types and NaN included."""
    return repr(one) == repr(other)


DOCUMENTS = [
    b"null",
    b" [1] ",
    b'"a"',
    b"{}",
    b"[]",
    b'{"items":[]}',
    b'{"items":[1,{"a":[2]},"3"],"b":null}',
    b' { "items" : [ 1 , 2 ] , "b" : "c" } ',
    b'{"items":{"a":1}}',
    b'{"items":[1],"items":[2]}',
    b'{"a":1,"a":2}',
    b"[NaN,Infinity,-Infinity]",
    b'{"name":"\\ud800"}',
    b'{"name":"\xed\xa0\x80"}',
    b'\xef\xbb\xbf{"id":"a"}',
    '{"id":"ä"}'.encode("utf-16"),
    b"-0",
    b"-0.0",
    b"1e400",
    b"-1e400",
    b"0.1e-400",
    b"9223372036854775807",
    b"-9223372036854775809",
    b"18446744073709551615",
    b"18446744073709551616",
    b'{"a":18446744073709551616}',
    b'{"a": 18446744073709551616}',
    b"[1,18446744073709551616]",
    b"[-99999999999999999999,\n99999999999999999999]",
    b"123456789012345678901.5",
    b"1" * 4300,
    b"1" * 5000,
    b'{"a":-' + b"1" * 5000 + b"}",
    b'{"a":"575ec7417ae143cd83dc4a9512345678901234567890"}',
    b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
    b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH,
    b"[" + b'"]}",' * 300 + b'"[{"]',
    b'{"a":"' + b"\\\\" * 300 + b'","b":["\\"]"]}',
]
NO_DOCUMENTS = [
    b"",
    b" ",
    b"<html>",
    b"{",
    b"[1",
    b'{"id": }',
    b"{'id': 1}",
    b'{"id"}',
    b'{"id":1,}',
    b'{"id":1 "a":2}',
    b'{"items":[1,]}',
    b'{"items":[,1]}',
    b'{"items":[1 2]}',
    b'{"items":[1',
    b'{"items":[1]',
    b'{"items":[1]]',
    b'{"id":"a"} x',
    b'{"id":"a\n"}',
    b"[01]",
    b"[1,]",
    b"\xff\xfe\x00",
    b"\x80",
    b'{"id":"\xff"}',
    b'{"a":1',
    b'{,"a":1}',
]


@pytest.mark.parametrize("content", DOCUMENTS, ids=range(len(DOCUMENTS)))
async def test_parsers_agree_on_examples(content: bytes) -> None:
    """A document is parsed to the same values with orjson, without it, and in steps."""
    found = parse(content)
    assert not isinstance(found, ContentProblem)
    assert same(without_orjson(content), found)
    assert same(await in_steps(content), found)


@pytest.mark.parametrize("content", NO_DOCUMENTS, ids=range(len(NO_DOCUMENTS)))
async def test_parsers_refuse_other_content(content: bytes) -> None:
    """Content that is not JSON is refused with orjson, without it, and in steps."""
    assert [NOT_JSON] * 3 == [parse(content), without_orjson(content), await in_steps(content)]


def test_integers_are_exact() -> None:
    """An integer of any size is exact."""
    assert [2**64, -(2**63) - 1, 10**4000] == parse(
        f"[{2**64},{-(2**63) - 1},1{'0' * 4000}]".encode()
    )


def test_integer_beyond_python() -> None:
    """An integer with more digits than Python converts is infinite."""
    assert {"a": math.inf, "b": 1} == parse(b'{"a":' + b"9" * 5000 + b',"b":1}')


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 500, 1000, 1024, 2000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
async def test_too_deep(depth: int, opening: bytes, closing: bytes) -> None:
    """A document that is nested more than 100 levels deep is refused."""
    content = opening * depth + b"1" + closing * depth
    for found in (parse(content), without_orjson(content), await in_steps(content)):
        assert TOO_DEEP == found


@pytest.mark.parametrize("depth", [200, 1000, 1500, 100_000])
async def test_hidden_depth(depth: int) -> None:
    """Nesting that brackets in strings hide from the limit raises no exception."""
    content = b'["]",' * depth + b"1" + b',"["]' * depth
    for found in (parse(content), without_orjson(content), await in_steps(content)):
        assert found == NOT_JSON or isinstance(found, list)


@pytest.mark.parametrize(
    ("content", "fits"),
    [
        (b"[" + b"1," * 8 + b"1]", True),
        (b"[" + b"1," * 9 + b"1]", False),
        (b"[" + b"[]," * 4 + b"1]", True),
        (b"[" + b"[]," * 5 + b"1]", False),
        (b'["' + b"," * 100 + b'"]', True),
        (b'["' + b'\\",' * 100 + b'"]', True),
        (b'["\\\\"' + b',""' * 9 + b"]", False),
        (b'{"a' + b"[" * 100 + b'":1}', True),
        (b"x" * 100, True),
    ],
)
@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
async def test_number_of_values(
    content: bytes, fits: bool, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document with too many values is not parsed; commas in strings do not count."""
    monkeypatch.setattr(json_parser, "_PIECE", piece)
    for found in (parse(content, max_values=10), await in_steps(content, max_values=10)):
        assert fits == (found != ContentProblem("holds more than 10 values", is_too_large=True))


@pytest.mark.slow
@pytest.mark.parametrize("filler", [b"[],", b"{},", b"1,", b'"",', b'{"a":1},'])
async def test_document_of_millions_of_values_is_not_parsed(filler: bytes) -> None:
    """A document of millions of values is refused before they are made."""
    content = b'{"items":[' + filler * (8 * 1024 * 1024 // len(filler)) + b"1]}"
    made: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_parser, "_scan", lambda *_: made.append(1))
        found = await parse_in_steps(content, "items")
    assert ContentProblem("holds more than 1,000,000 values", is_too_large=True) == found
    assert [] == made


async def test_long_document_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long document is parsed with checkpoints, so that other tasks run."""
    pauses: list[None] = []

    async def checkpoint() -> None:
        pauses.append(None)

    monkeypatch.setattr(json_parser, "checkpoint", checkpoint)
    data = {"items": [{"id": "a" * 24, "name": "b" * 1000}] * 2000}

    assert data == await parse_in_steps(json.dumps(data).encode(), "items")

    assert len(pauses) >= 2000 * 1000 // (64 * 1024)


async def test_short_document_without_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document of usual size is parsed without checkpoints."""
    monkeypatch.delattr(json_parser, "_parse_object")
    data = {"items": [{"id": "a" * 24}] * 1000}
    assert data == await parse_in_steps(json.dumps(data).encode(), "items")


def test_orjson_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    """orjson is used if it is installed."""
    assert json_parser._load_orjson() is orjson.loads
    monkeypatch.setitem(sys.modules, "orjson", None)
    assert json_parser._load_orjson() is None


NUMBERS = (
    st.integers() | st.floats() | st.integers(10**17, 10**21) | st.integers(-(10**21), -(10**17))
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3) | st.just("items"), inner, max_size=4)
    ),
    max_leaves=20,
)


def spellings(value: object) -> Iterator[bytes]:
    """Yield a value in several forms of JSON."""
    yield json.dumps(value).encode()
    yield json.dumps(value, indent=1).encode()
    yield json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")


@given(VALUES)
async def test_parsers_agree(value: object) -> None:
    """Any value is read the same with orjson, without it, and in steps."""
    for content in spellings(value):
        found = parse(content)
        assert same(found, value)
        assert same(without_orjson(content), value)
        assert same(await in_steps(content), value)


@given(VALUES, st.data())
async def test_parsers_agree_on_damage(value: object, data: st.DataObject) -> None:
    """All parsers return the same result for a damaged document."""
    content = json.dumps({"items": value}).encode()
    at = data.draw(st.integers(0, len(content)))
    damage = data.draw(st.sampled_from([b"", b",", b'"', b"[", b"}", b"\\", b"0", b" ", b"\xff"]))
    cut = data.draw(st.integers(0, 2))
    content = content[:at] + damage + content[at + cut :]

    found = parse(content)

    assert same(without_orjson(content), found)
    assert same(await in_steps(content), found)
