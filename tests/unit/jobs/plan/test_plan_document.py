"""Plans as values, and chunks of them."""

import copy
from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import Owner
from losant_tokens.errors import ValidationError
from losant_tokens.jobs import Counts, Entry, Plan, PlanChunk, PlanDocument, PlanRefused
from losant_tokens.jobs._plan.writer import PlanWriter
from tests.support.chunks import stored
from tests.support.plans import (
    APPLICATION,
    HEADER,
    LINES,
    NOW,
    VERSION_1,
    forge,
    forge_lines,
    write,
)

TIMES = st.none() | st.datetimes(timezones=st.just(UTC))
TEXTS = st.none() | st.text(max_size=5)
OTHER_VALUES: tuple[Any, ...] = (..., None, "x", 7, True, [], {})


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Return any token that a plan can have."""
    return Entry(
        owner=draw(st.sampled_from([Owner.user(), APPLICATION])),
        id=draw(st.text("0123456789abcdef", min_size=24, max_size=24)),
        name=draw(st.text(max_size=5)),
        status=draw(st.sampled_from(["active", "inactive", None])),
        last_updated=draw(TIMES),
        creation_date=draw(TIMES),
        expiration_date=draw(TIMES),
        reason=draw(st.text(max_size=5)),
        protected=draw(TEXTS),
        scope=draw(st.none() | st.tuples(st.text(max_size=5))),
        creator_id=draw(TEXTS),
        creator_name=draw(TEXTS),
        description=draw(TEXTS),
    )


def planned(path: Path, tokens: list[Entry]) -> Plan:
    """Write a plan of tokens."""
    counts = {owner: Counts() for owner in (Owner.user(), APPLICATION)}
    path.unlink(missing_ok=True)
    with PlanWriter(path) as writer:
        for token in tokens:
            protected = token.protected is not None
            counts[token.owner] += Counts(listed=1, selected=not protected, protected=protected)
            writer.add(token)
        return writer.finish(attrs.evolve(HEADER, counts=counts))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plans")


@given(tokens=st.lists(entries(), max_size=5), size=st.integers(1, 6))
def test_way_through_a_database(folder: Path, tokens: list[Entry], size: int) -> None:
    """A plan and its chunks are the same after a way through JSON, with the digest of the file."""
    plan = planned(folder / "plan.jsonl", tokens)
    document = PlanDocument.of(plan)
    again = PlanDocument.from_json(stored(document.to_json()))
    chunks = again.chunks(size)

    assert (document.header, document.digest, document.id) == (plan.header, plan.digest, plan.id)
    assert again == document
    assert stored(again.to_json()) == stored(document.to_json())
    assert [entry for chunk in chunks for entry in chunk.entries] == tokens == [*document.entries]
    assert [PlanChunk.from_json(stored(chunk.to_json())) for chunk in chunks] == [*chunks]
    assert len(again) == sum(map(len, chunks)) == len(tokens)


def values(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return the path of each value in JSON values."""
    inner = enumerate(data) if isinstance(data, list) else ()
    for name, value in data.items() if isinstance(data, dict) else inner:
        yield (*path, name)
        yield from values(value, (*path, name))


def with_value(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return JSON values with another value at a path. `...` removes it."""
    data = copy.deepcopy(data)
    parent = data
    for name in path[:-1]:
        parent = parent[name]
    if value is ...:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return data


@pytest.mark.parametrize("is_chunk", [False, True])
def test_altered_values(tmp_path: Path, is_chunk: bool) -> None:
    """A document or chunk of which any value was altered, added or removed is refused."""
    document = PlanDocument.of(write(tmp_path / "plan.jsonl"))
    whole: PlanDocument | PlanChunk = document.chunks(2)[0] if is_chunk else document
    data = stored(whole.to_json())
    paths = list(values(data))
    for path in paths:
        for value in OTHER_VALUES:
            altered = with_value(data, path, value)
            if altered == data:
                continue
            with pytest.raises(PlanRefused):
                type(whole).from_json(altered)
    for path in (("tokens", 0, "new"), ("header", "new"), ("header", "owners", "oauth")):
        with pytest.raises(PlanRefused):
            type(whole).from_json(with_value(data, path, "x"))
    with pytest.raises(PlanRefused):
        type(whole).from_json({**data, "tokens": data["tokens"][::-1]})

    assert len(paths) > 50
    assert type(whole).from_json({**data, "new": 1}) == whole
    for other in OTHER_VALUES[1:]:
        with pytest.raises(PlanRefused, match="Pass the values that to_json returned"):
            type(whole).from_json(other)


@pytest.mark.parametrize(
    ("path", "version", "shown"),
    [(("version",), 2, "2"), (("version",), True, "bool"), (("header", "version"), 3, "3")],
)
def test_other_version(tmp_path: Path, path: tuple[str, ...], version: object, shown: str) -> None:
    """A document of a version that this release does not know is refused, and the error says so."""
    data = PlanDocument.of(write(tmp_path / "plan.jsonl")).to_json()
    with pytest.raises(PlanRefused, match=f"of version {shown}, but this release can only read"):
        PlanDocument.from_json(with_value(data, path, version))


def test_plan_file_of_version_1(tmp_path: Path) -> None:
    """A plan file of an earlier release has the same digest as a document."""
    path = tmp_path / "plan.jsonl"
    path.write_bytes(VERSION_1)
    plan = Plan.read(path)
    document = PlanDocument.from_json(stored(PlanDocument.of(plan).to_json()))

    assert (document.digest, document.header) == (plan.digest, plan.header)
    assert [*document.entries] == [*plan.entries()]


def test_plan_file_that_no_release_has_written(tmp_path: Path) -> None:
    """A plan file whose lines have other spaces is refused, because its digest would differ."""
    path = write(tmp_path / "plan.jsonl").path
    forge_lines(path, b"".join(line.replace(b'":', b'": ') for line in LINES))
    with pytest.raises(PlanRefused, match="has a line that no release has written"):
        PlanDocument.of(Plan.read(path))


def test_header_of_a_newer_release(tmp_path: Path) -> None:
    """A member of the header that this release does not know is kept, and the digest covers it."""
    path = write(tmp_path / "plan.jsonl").path
    forge(path, new="x")
    document = PlanDocument.from_json(stored(PlanDocument.of(Plan.read(path)).to_json()))
    again = PlanDocument.from_json(stored(document.to_json()))
    (chunk,) = again.chunks()

    assert again.to_json()["header"]["new"] == "x"
    assert PlanChunk.from_json(stored(chunk.to_json())) == chunk


def test_document_is_checked_like_its_file(tmp_path: Path) -> None:
    """A document is refused for another base URL or at another age, like a plan file."""
    document = PlanDocument.of(write(tmp_path / "plan.jsonl"))
    document.check(HEADER.base_url, timedelta(days=7), NOW + timedelta(days=6))
    with pytest.raises(PlanRefused, match=f"The plan {document.id} was made 192 hours ago"):
        document.check(HEADER.base_url, timedelta(days=7), NOW + timedelta(days=8))
    with pytest.raises(ValidationError, match=r"chunks\.size must be"):
        document.chunks(0)
