"""Plans: reading what was written, and refusing altered and forged files."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens.errors import ValidationError
from losant_tokens.jobs import Counts, Plan, PlanRefused
from losant_tokens.jobs._plan.format import entry_json, header_json, json_line
from tests.support.plans import (
    APPLICATION,
    ENTRIES,
    HEADER,
    LINES,
    NOW,
    VERSION_1,
    altered,
    forge,
    forge_lines,
    write,
)


def test_read_what_was_written(tmp_path: Path) -> None:
    """A plan that is read is equal to the one that was written, with any names of tokens."""
    plan = write(tmp_path / "plan.jsonl")

    read = Plan.read(tmp_path / "plan.jsonl")

    assert plan == read
    assert ENTRIES == tuple(read.entries()) == tuple(read.checked_entries())
    assert (3, Counts(listed=8, selected=2, protected=1)) == (len(read), read.header.total)


def test_read_version_1(tmp_path: Path) -> None:
    """A plan of version 1 has the same tokens, but their scopes and creators are unknown."""
    path = tmp_path / "plan.jsonl"
    path.write_bytes(VERSION_1)

    plan = Plan.read(path)

    unknown: dict[str, Any] = {
        "scope": None,
        "creator_id": None,
        "creator_name": None,
        "description": None,
    }
    assert [attrs.evolve(entry, **unknown) for entry in ENTRIES] == list(plan.entries())
    assert attrs.evolve(HEADER, cannot_apply=(), token_expires_at=None) == plan.header


def test_altered_byte(tmp_path: Path, thorough: bool) -> None:
    """A plan is refused if any one byte was altered, removed or doubled."""
    path = tmp_path / "plan.jsonl"
    write(path)
    original = path.read_bytes()
    accepted = []
    for at in range(0, len(original), 1 if thorough else 7):
        altered = bytes([original[at] ^ 1])
        for change in (altered, b"", original[at : at + 1] * 2):
            path.write_bytes(original[:at] + change + original[at + 1 :])
            if path.read_bytes() == original:
                continue
            try:
                Plan.read(path)
            except PlanRefused:
                continue
            accepted.append((at, change))

    assert accepted == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{}",
        b"[]\n",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format":"losant-tokens plan","version":3}\n',
        b'{"format":"losant-tokens plan","version":true}\n',
        b'{"format":"losant-tokens plan","version":2.0}\n',
        b'{"format":"losant-tokens plan","version":[]}\n',
        b'{"format":"losant-tokens plan","version":2}\n',
        b'{"format":"losant-tokens plan","version":1}\n',
    ],
)
def test_file_that_is_not_a_plan(tmp_path: Path, content: bytes) -> None:
    """A file that is not a plan, or a plan of another version, is refused."""
    (tmp_path / "plan").write_bytes(content)

    with pytest.raises(PlanRefused, match=r"not a plan|only read versions 1 and 2|was altered"):
        Plan.read(tmp_path / "plan")


@pytest.mark.parametrize(
    "members",
    [
        {"action": "explode"},
        {"action": []},
        {"owners": []},
        {"owners": {"nobody": {}}},
        {"owners": {"user": {"listed": -1}}},
        {"owners": {"user": {"listed": True}}},
        {"owners": {"user": {"listed": "1"}}},
        {"owners": {"user": {"more": 1}}},
        {"owners": {"user": 1}},
        {"created": "x"},
        {"created": "2026-03-01T12:00:00"},
        {"created": 5},
        {"created": None},
        {"baseUrl": 5},
        {"rule": None},
        {"protected": "x"},
        {"protected": [1]},
        {"tokenInUse": 1},
        {"moved": 0},
        {"ownerIds": []},
        {"ownerIds": {"user": "x"}},
        {"ownerIds": {"user": [1]}},
        {"ownerIds": {"nobody": []}},
        {"account": 1},
        {"clockSkew": "1"},
        {"clockSkew": True},
        {"clockSkew": float("nan")},
        {"clockSkew": float("inf")},
        {"clockSkew": 10**400},
        {"incomplete": "x"},
        {"cannotApply": "x"},
        {"cannotApply": [1]},
        {"tokenExpires": 1},
        {"tokenExpires": "2026-03-01T12:00:00"},
        {"refused": "x"},
        {"refused": None},
    ],
)
def test_forged_header(tmp_path: Path, members: dict[str, Any]) -> None:
    """A header that no release writes is refused, even if its digest matches."""
    path = tmp_path / "plan.jsonl"
    write(path)
    forge(path, **members)

    with pytest.raises(PlanRefused, match="is not a plan"):
        Plan.read(path)


@pytest.mark.parametrize(
    "first",
    [
        *(altered(**{name: "LEFT OUT"}) for name in entry_json(ENTRIES[0])),
        *(altered(**{name: 5}) for name in entry_json(ENTRIES[0])),
        *(altered(**{name: []}) for name in entry_json(ENTRIES[0])),
        *(altered(**{name: True}) for name in entry_json(ENTRIES[0])),
        altered(owner="nobody"),
        altered(owner="instance:575ec8687ae143cd83dc4a97"),
        altered(id=None),
        altered(lastUpdated="yesterday"),
        altered(creationDate="2026-01-01T00:00:00"),
        altered(expirationDate="2026-13-01T00:00:00+00:00"),
        altered(protected=5),
        altered(scope=5),
        altered(scope="all.User"),
        altered(scope=None),
        altered(scope=[5]),
        altered(scope={}),
        altered(creatorId=5),
        altered(creatorName=[]),
        altered(description=True),
        altered(more=1),
        b"[]\n",
        b"5\n",
        b"\n",
        b"{}\n",
        b"\x00\n",
        b"[" * 100_000 + b"\n",
        LINES[0].replace(b'"id":"1', b'"id":"1","id":"9'),
        LINES[0].replace(b'"active"', b'"active","status":"active"'),
        LINES[0].replace(b"ci-", b"ci\x00-"),
        LINES[0].replace(b"ci-", b"ci\xff-"),
        LINES[0].removesuffix(b"\n") + b"," + LINES[0],
        LINES[0].removesuffix(b"\n") + b',{"x":[1\n2]}\n',
        LINES[0].replace(b'"active"', b"9" * 5000),
    ],
)
def test_forged_line(tmp_path: Path, first: bytes) -> None:
    """A line that no release writes is refused, even if the digest matches."""
    path = tmp_path / "plan.jsonl"
    forge_lines(path, first + LINES[1] + LINES[2])

    with pytest.raises(PlanRefused, match="is not a plan of losant-tokens"):
        Plan.read(path)


@pytest.mark.parametrize(
    ("owners", "problem"),
    [
        ({"selected": 2, "protected": 1}, "2 selected and 1 protected tokens of user, and holds 1"),
        ({"selected": 1, "protected": 10**30}, "and holds 1 and 1"),
        ({"selected": 0, "protected": 2}, "and holds 1 and 1"),
    ],
)
def test_wrong_counts(tmp_path: Path, owners: dict[str, int], problem: str) -> None:
    """A header whose counts do not match the lines is refused."""
    path = tmp_path / "plan.jsonl"
    right = {"listed": 3, "selected": 1, "protected": 0}
    members = {"user": {"listed": 5, **owners}, str(APPLICATION): right}
    forge_lines(path, b"".join(LINES), owners=members)

    with pytest.raises(PlanRefused, match=problem):
        Plan.read(path)


def test_forged_plan_that_is_valid(tmp_path: Path) -> None:
    """The plan that the forged ones are made from is accepted."""
    path = tmp_path / "plan.jsonl"
    forge_lines(path, b"".join(LINES))

    assert tuple(Plan.read(path).entries()) == ENTRIES


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(
    st.dictionaries(st.sampled_from(sorted(header_json(HEADER))), _JSON, max_size=3),
    st.lists(
        st.sampled_from(LINES) | _JSON.map(lambda value: json_line(value) + b"\n"), max_size=4
    ),
)
def test_forged_plans(
    tmp_path_factory: pytest.TempPathFactory, members: dict[str, Any], lines: list[bytes]
) -> None:
    """A forged plan with any members is either read or refused."""
    path = tmp_path_factory.getbasetemp() / "forged.jsonl"
    forge_lines(path, b"".join(lines), **members)
    try:
        plan = Plan.read(path)
    except PlanRefused:
        return
    assert len(list(plan.entries())) == len(plan)


def test_missing_file(tmp_path: Path) -> None:
    """A missing file is refused with the reason."""
    plan = write(tmp_path / "plan.jsonl")
    plan.path.unlink()

    for read in (lambda: Plan.read(plan.path), plan.checked_entries):
        with pytest.raises(PlanRefused, match=r"cannot be read: No such file"):
            read()


def test_plan_that_was_replaced(tmp_path: Path) -> None:
    """Another plan at the same path is refused, because nobody has reviewed it."""
    plan = write(tmp_path / "plan.jsonl")
    forge(plan.path, rule="everything")

    with pytest.raises(PlanRefused, match="was replaced by another plan"):
        plan.checked_entries()


@pytest.mark.parametrize(
    ("base_url", "age", "problem"),
    [
        ("https://api.losant.com", timedelta(hours=24), None),
        ("https://api.losant.com", timedelta(hours=25), "was made 25 hours ago"),
        ("https://losant.example.com", timedelta(0), "was made for https://api.losant.com"),
        ("https://api.losant.com", -timedelta(minutes=4), None),
        ("https://api.losant.com", -timedelta(minutes=6), "is in the future: it is now 2026-03-01"),
        ("https://api.losant.com", -timedelta(days=400), "was made at 2026-03-01T12:00:00"),
    ],
)
def test_base_url_and_age(
    tmp_path: Path, base_url: str, age: timedelta, problem: str | None
) -> None:
    """A plan is refused for another base URL, if it is too old, or from the future."""
    plan = write(tmp_path / "plan.jsonl")
    if problem is None:
        plan.check(base_url, timedelta(hours=24), NOW + age)
        return

    with pytest.raises(PlanRefused, match=problem):
        plan.check(base_url, timedelta(hours=24), NOW + age)


def test_any_age(tmp_path: Path) -> None:
    """With `max_age=None`, a plan of any age is accepted."""
    plan = write(tmp_path / "plan.jsonl")
    plan.check("https://api.losant.com", None, NOW + timedelta(days=9999))
    plan.check("https://api.losant.com", timedelta.max, NOW + timedelta(days=9999))


def test_no_age(tmp_path: Path) -> None:
    """With a `max_age` of zero, each plan is refused, even one from a second in the future."""
    plan = write(tmp_path / "plan.jsonl")

    with pytest.raises(
        PlanRefused, match=r"was made \d seconds? ago, and must not be older than 0"
    ):
        plan.check("https://api.losant.com", timedelta(0), NOW - timedelta(seconds=1))


def test_wrong_max_age(tmp_path: Path) -> None:
    """`max_age` must be a timedelta."""
    plan = write(tmp_path / "plan.jsonl")

    with pytest.raises(ValidationError, match="max_age must be of type timedelta"):
        plan.check("https://api.losant.com", 24, NOW)  # type: ignore[arg-type]
