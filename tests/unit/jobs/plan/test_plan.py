"""The file of a plan: its content, its mode, and the checks that detect changes."""

import errno
import hashlib
import io
import json
import os
import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import Owner
from losant_tokens.errors import ValidationError
from losant_tokens.jobs import Counts, Entry, Header, JobError, Plan, PlanRefused
from losant_tokens.jobs._plan.format import LineCheck, entry_json, header_json, json_line
from losant_tokens.jobs._plan.writer import PlanWriter

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
APPLICATION = Owner.application("575ec8687ae143cd83dc4a97")
HEADER = Header(
    created_at=NOW,
    base_url="https://api.losant.com",
    action="delete",
    rule="expired",
    counts={
        Owner.user(): Counts(listed=5, selected=1, protected=1),
        APPLICATION: Counts(listed=3, selected=1),
    },
    protected=("prod-*",),
    token_in_use="0" * 24,
    owner_ids={Owner.user(): ("a" * 24, "b" * 24)},
    account="userId " + "a" * 24,
    clock_skew=timedelta(seconds=-1.5),
    incomplete=("the list kept changing",),
)
ENTRIES = (
    Entry(Owner.user(), "1" * 24, "ci-ü \u2028 \ud800", "active", NOW, NOW, None, "expired"),
    Entry(Owner.user(), "2" * 24, "prod-1", None, None, None, NOW, "expired", "protected by 'x'"),
    Entry(APPLICATION, "3" * 24, "ci\n3", "inactive", NOW, NOW, NOW, "expired"),
)


def write(path: Path) -> Plan:
    with PlanWriter(path) as writer:
        for entry in ENTRIES:
            writer.add(entry)
        return writer.finish(HEADER)


def test_read_what_was_written(tmp_path: Path) -> None:
    """A plan that is read is equal to the one that was written, with any names of tokens."""
    plan = write(tmp_path / "plan.jsonl")

    read = Plan.read(tmp_path / "plan.jsonl")

    assert plan == read
    assert ENTRIES == tuple(read.entries()) == tuple(read.checked_entries())
    assert (3, Counts(listed=8, selected=2, protected=1)) == (len(read), read.header.total)


def test_lines(tmp_path: Path) -> None:
    """The file is JSON Lines in UTF-8, with the header first and a reason for each token."""
    write(tmp_path / "plan.jsonl")

    header, *tokens = (
        json.loads(line)
        for line in (tmp_path / "plan.jsonl").read_text("utf-8").removesuffix("\n").split("\n")
    )

    assert header.pop("digest").startswith("sha256:")
    assert header == {
        "format": "losant-tokens plan",
        "version": 1,
        "created": "2026-03-01T12:00:00+00:00",
        "baseUrl": "https://api.losant.com",
        "action": "delete",
        "rule": "expired",
        "owners": {
            "user": {"listed": 5, "selected": 1, "protected": 1},
            "application:575ec8687ae143cd83dc4a97": {"listed": 3, "selected": 1, "protected": 0},
        },
        "protected": ["prod-*"],
        "tokenInUse": "0" * 24,
        "moved": False,
        "ownerIds": {"user": ["a" * 24, "b" * 24]},
        "account": "userId " + "a" * 24,
        "clockSkew": -1.5,
        "incomplete": ["the list kept changing"],
    }
    assert tokens[1] == {
        "owner": "user",
        "id": "2" * 24,
        "name": "prod-1",
        "status": None,
        "lastUpdated": None,
        "creationDate": None,
        "expirationDate": "2026-03-01T12:00:00+00:00",
        "reason": "expired",
        "protected": "protected by 'x'",
    }


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_file_is_private(tmp_path: Path, umask: int) -> None:
    """The file is private with any umask, and no other file is left."""
    before = os.umask(umask)
    try:
        write(tmp_path / "plan.jsonl")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "plan.jsonl").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["plan.jsonl"]


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
        b'{"format":"losant-tokens plan","version":2}\n',
        b'{"format":"losant-tokens plan","version":1}\n',
    ],
)
def test_file_that_is_not_a_plan(tmp_path: Path, content: bytes) -> None:
    """A file that is not a plan, or a plan of another version, is refused."""
    (tmp_path / "plan").write_bytes(content)

    with pytest.raises(PlanRefused, match=r"not a plan|can only read version 1|was altered"):
        Plan.read(tmp_path / "plan")


def forge(path: Path, **members: Any) -> None:
    """Write another header with a digest that matches."""
    from losant_tokens.jobs._plan.format import digest_of, first_line, header_json

    header = {**header_json(HEADER), **members}
    body = b"".join(path.read_bytes().splitlines(keepends=True)[1:])
    path.write_bytes(first_line(header, digest_of(header, hashlib.sha256(body).hexdigest())) + body)


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
    ],
)
def test_forged_header(tmp_path: Path, members: dict[str, Any]) -> None:
    """A header that no release writes is refused, even if its digest matches."""
    path = tmp_path / "plan.jsonl"
    write(path)
    forge(path, **members)

    with pytest.raises(PlanRefused, match="is not a plan"):
        Plan.read(path)


def forge_lines(path: Path, lines: bytes, **members: Any) -> None:
    """Write a plan with other lines and a digest that matches."""
    from losant_tokens.jobs._plan.format import digest_of, first_line, header_json

    data = {**header_json(HEADER), **members}
    digest = digest_of(data, hashlib.sha256(lines).hexdigest())
    path.write_bytes(first_line(data, digest) + lines)


LINES = [json_line(entry_json(entry)) + b"\n" for entry in ENTRIES]


def altered(**members: Any) -> bytes:
    line = {**entry_json(ENTRIES[0]), **members}
    return json_line({name: value for name, value in line.items() if value != "LEFT OUT"}) + b"\n"


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


@pytest.mark.parametrize(
    "content",
    [
        b"{" + b" " * (17 << 20) + b"\n",
        b"\x00" * (17 << 20),
    ],
)
def test_endless_header(tmp_path: Path, content: bytes) -> None:
    """A first line without an end is refused, and not read into memory."""
    (tmp_path / "plan").write_bytes(content)

    with pytest.raises(PlanRefused, match="is not a plan"):
        Plan.read(tmp_path / "plan")


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_endless_line(tmp_path: Path, end: bytes) -> None:
    """A line that is too long, or a last line without an end, is refused."""
    path = tmp_path / "plan.jsonl"
    line = json_line(entry_json(attrs.evolve(ENTRIES[0], name="x" * (5 << 20))))
    for forged in (line + end, LINES[0].removesuffix(b"\n")):
        forge_lines(path, forged)
        with pytest.raises(PlanRefused, match="is not a plan"):
            Plan.read(path)


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


@pytest.mark.parametrize("at", [0, 1, 2])
def test_file_that_changes_while_it_is_read(tmp_path: Path, at: int) -> None:
    """A line that changes in place after the check is not used."""
    path = tmp_path / "plan.jsonl"
    counts = {Owner.user(): Counts(listed=3000, selected=3000)}
    entries = [attrs.evolve(ENTRIES[0], id=f"{number:024x}") for number in range(3000)]
    with PlanWriter(path) as writer:
        for entry in entries:
            writer.add(entry)
        plan = writer.finish(attrs.evolve(HEADER, counts=counts))
    opened = plan.checked_entries()
    content = path.read_bytes()
    line = json_line(entry_json(entries[2999])) + b"\n"
    changed = (
        content.replace(line, line.replace(b"bb7", b"bb6")),
        content.removesuffix(line),
        content[: len(content) // 2],
    )[at]
    path.write_bytes(changed)
    used: list[bytes] = []

    with pytest.raises(PlanRefused, match=r"plan\.jsonl was changed after it was checked"):
        used.extend(json_line(entry_json(entry)) + b"\n" for entry in opened)

    assert set(used) <= set(content.splitlines(keepends=True))
    assert 0 < len(used) < 3000
    opened.close()


def test_block_that_cannot_be_read(tmp_path: Path) -> None:
    """A plan that cannot be read to its end is refused with the reason."""
    opened = write(tmp_path / "plan.jsonl").checked_entries()
    opened._file._file.close()

    class Broken(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    opened._file._file = Broken()
    with pytest.raises(PlanRefused, match="cannot be read: Input/output error"):
        list(opened)


@pytest.mark.parametrize("line", [b"{}\n", b"nonsense\n", b'{"owner":"nobody"}\n', b"[1]\n"])
def test_line_that_describes_no_token(tmp_path: Path, line: bytes) -> None:
    """A plan that was not checked line by line is refused at a line that describes no token."""
    path = tmp_path / "plan.jsonl"
    forge_lines(path, LINES[0] + line)
    digest = json.loads(path.read_bytes().splitlines()[0])["digest"]

    with pytest.raises(PlanRefused, match="has a line that does not describe a token"):
        list(Plan(path, HEADER, digest).checked_entries().batches())


def test_line_that_is_too_long(tmp_path: Path) -> None:
    """A line that is too long to be read again is refused when it is written."""
    with PlanWriter(tmp_path / "plan.jsonl") as writer:
        with pytest.raises(JobError, match=r"The token 1{24} of user cannot be planned"):
            writer.add(attrs.evolve(ENTRIES[0], name="x" * (5 << 20)))
        with pytest.raises(JobError, match="header of the plan is too long"):
            writer.finish(attrs.evolve(HEADER, protected=("x" * (17 << 20),)))


@pytest.mark.parametrize(
    "time",
    [
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    ],
)
def test_extreme_times(tmp_path: Path, time: datetime) -> None:
    """A time before year 1 or after 9999 in UTC is written and read with its own offset."""
    path = tmp_path / "plan.jsonl"
    entry = attrs.evolve(ENTRIES[0], last_updated=time, expiration_date=time)
    with PlanWriter(path) as writer:
        writer.add(entry)
        writer.finish(attrs.evolve(HEADER, counts={Owner.user(): Counts(listed=1, selected=1)}))

    assert list(Plan.read(path).entries()) == [entry]


def test_missing_file(tmp_path: Path) -> None:
    """A missing file is refused with the reason."""
    plan = write(tmp_path / "plan.jsonl")
    plan.path.unlink()

    for read in (lambda: Plan.read(plan.path), plan.checked_entries):
        with pytest.raises(PlanRefused, match=r"cannot be read: No such file"):
            read()


def test_file_that_does_not_fit_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that is too large for the memory is refused."""

    def loads(*_: object, **__: object) -> None:
        raise MemoryError

    plan = write(tmp_path / "plan.jsonl")
    monkeypatch.setattr(json, "loads", loads)

    with pytest.raises(PlanRefused, match="cannot be read: it is too large"):
        Plan.read(plan.path)


def test_plan_that_was_replaced(tmp_path: Path) -> None:
    """Another plan at the same path is refused, because nobody has reviewed it."""
    plan = write(tmp_path / "plan.jsonl")
    forge(plan.path, rule="everything")

    with pytest.raises(PlanRefused, match="is another plan by now"):
        plan.checked_entries()


def test_entries_can_be_closed_early(tmp_path: Path) -> None:
    """Entries that are closed yield no more tokens."""
    entries = write(tmp_path / "plan.jsonl").checked_entries()
    assert next(iter(entries)) == ENTRIES[0]

    entries.close()

    assert list(entries) == []


@pytest.mark.parametrize(
    ("base_url", "age", "problem"),
    [
        ("https://api.losant.com", timedelta(hours=24), None),
        ("https://api.losant.com", timedelta(hours=25), "was made 25 hours ago"),
        ("https://losant.example.com", timedelta(0), "was made for https://api.losant.com"),
        ("https://api.losant.com", -timedelta(minutes=4), None),
        ("https://api.losant.com", -timedelta(minutes=6), "lies in the future: it is 2026-03-01"),
        ("https://api.losant.com", -timedelta(days=400), "was made at 2026-03-01T12:00:00"),
    ],
)
def test_address_and_age(
    tmp_path: Path, base_url: str, age: timedelta, problem: str | None
) -> None:
    """A plan is refused for another address, if it is too old, or from the future."""
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

    with pytest.raises(PlanRefused, match="was made 0 seconds ago, and must not be older than 0"):
        plan.check("https://api.losant.com", timedelta(0), NOW - timedelta(seconds=1))


def test_wrong_max_age(tmp_path: Path) -> None:
    """`max_age` must be a timedelta."""
    plan = write(tmp_path / "plan.jsonl")

    with pytest.raises(ValidationError, match="max_age must be of timedelta"):
        plan.check("https://api.losant.com", 24, NOW)  # type: ignore[arg-type]


# --- Writing ---------------------------------------------------------------------------------


def test_existing_file(tmp_path: Path) -> None:
    """A plan never replaces a file, even one that is created meanwhile."""
    path = tmp_path / "plan.jsonl"
    with PlanWriter(path) as writer:
        path.write_text("mine")
        with pytest.raises(PlanRefused, match="exists already"):
            writer.finish(HEADER)

    with pytest.raises(PlanRefused, match="exists already"), PlanWriter(path):
        pass
    assert (path.read_text(), [file.name for file in tmp_path.iterdir()]) == (
        "mine",
        ["plan.jsonl"],
    )


def test_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hard links, the file is renamed if its path is free."""

    def link(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    path = tmp_path / "plan.jsonl"

    assert write(path) == Plan.read(path)
    assert [file.name for file in tmp_path.iterdir()] == ["plan.jsonl"]


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk is full, an error gives the reason, and no file is left."""

    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)

    with pytest.raises(JobError, match="cannot be written: No space left on device"):
        write(tmp_path / "plan.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_missing_folder(tmp_path: Path) -> None:
    """A plan in a missing folder cannot be written."""
    with pytest.raises(JobError, match="cannot be written"):
        write(tmp_path / "none" / "plan.jsonl")


def test_rollback(tmp_path: Path) -> None:
    """A rollback drops the tokens that were added since the savepoint."""
    one = Header(
        **{
            **{name: getattr(HEADER, name) for name in ("created_at", "base_url", "action")},
            "rule": "x",
            "counts": {Owner.user(): Counts(listed=1, selected=1)},
        }
    )
    with PlanWriter(tmp_path / "plan.jsonl") as writer:
        writer.savepoint()
        writer.add(ENTRIES[1])
        writer.flush()
        writer.add(ENTRIES[2])
        writer.rollback()
        writer.add(ENTRIES[0])
        plan = writer.finish(one)

    assert list(plan.checked_entries()) == [ENTRIES[0]]


@pytest.mark.parametrize("bad", [b"\\-", b"\t", b"\\u12", b'"', b"\x00", b"\x1f", b"\xff"])
def test_line_that_is_not_json(bad: bytes) -> None:
    """A line that is not JSON is refused."""
    line = json_line(entry_json(ENTRIES[1])) + b"\n"
    with pytest.raises(ValueError, match=r"line 1|decode"):
        LineCheck(HEADER).check(line.replace(b"prod", bad))


@pytest.mark.parametrize(("before", "behind"), [(b"x", b""), (b"", b"x"), (b"\xff", b"")])
def test_line_with_more_than_json(before: bytes, behind: bytes) -> None:
    """A line with anything before or after the JSON is refused."""
    line = json_line(entry_json(ENTRIES[1]))
    with pytest.raises(ValueError, match=r"line 1|decode"):
        LineCheck(HEADER).check(before + line + behind + b"\n")


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("more", [b'"id":"' + b"9" * 24 + b'"', b'"a":1'])
def test_line_with_another_member(entry: Entry, more: bytes) -> None:
    """A line with a member that occurs twice, or that no release writes, is refused."""
    line = json_line(entry_json(entry))
    for place in (line.index(b'"%b"' % name.encode()) for name in entry_json(entry)):
        with pytest.raises(ValueError, match=r"twice|owner"):
            LineCheck(HEADER).check(line[:place] + more + b"," + line[place:] + b"\n")


def test_writer_outside_of_a_with_block(tmp_path: Path) -> None:
    """A writer that is not used in a `with` block raises an error."""
    with pytest.raises(RuntimeError, match="in a `with` block"):
        PlanWriter(tmp_path / "plan.jsonl").flush()
