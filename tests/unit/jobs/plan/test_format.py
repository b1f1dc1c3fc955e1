"""The lines of a plan file."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import attrs
import pytest

from losant_tokens import Owner
from losant_tokens.jobs import Counts, Entry, Plan, PolicyReference
from losant_tokens.jobs._plan.format import (
    LineCheck,
    entry_json,
    header_json,
    json_line,
    parse_header,
)
from losant_tokens.jobs._plan.writer import PlanWriter
from tests.support.plans import ENTRIES, HEADER, NEW_MEMBERS, write


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
        "version": 2,
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
        "cannotApply": ["it is read-only"],
        "tokenExpires": "2026-03-01T12:00:00+00:00",
        "refused": [],
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
        "scope": ["all.User.read", "userApiTokens.*"],
        "creatorId": "c" * 24,
        "creatorName": "grace \ud800",
        "description": "for\nCI",
    }
    assert not NEW_MEMBERS & tokens[0].keys()


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


def test_quarantine_in_the_header(tmp_path: Path) -> None:
    """A header has a grace period, and the ids of quarantines, only if there are any."""
    header = attrs.evolve(HEADER, grace=timedelta(days=30), quarantines=("1f3a9c20",))

    values = header_json(header)

    assert (2_592_000, ["1f3a9c20"]) == (values["grace"], values["quarantines"])
    assert header == parse_header(values)
    assert not {"grace", "quarantines"} & header_json(HEADER).keys()


@pytest.mark.parametrize("grace", [-1, "30d", True])
def test_wrong_grace_period(grace: object) -> None:
    """A grace period that no release writes is refused."""
    with pytest.raises(ValueError, match=str(grace)):
        parse_header({**header_json(HEADER), "grace": grace})


def test_policy_in_the_header() -> None:
    """A header has the clean-up of a policy only if there is one."""
    header = attrs.evolve(HEADER, policy=PolicyReference("expired", "sha256:00"))

    values = header_json(header)

    assert {"cleanup": "expired", "digest": "sha256:00"} == values["policy"]
    assert header == parse_header(values)
    assert "policy" not in header_json(HEADER)


@pytest.mark.parametrize("policy", [1, [], {"cleanup": "x"}, {"cleanup": 1, "digest": "x"}])
def test_invalid_policies(policy: object) -> None:
    """The clean-up of a policy in a header must have a name and a digest."""
    with pytest.raises((ValueError, KeyError)):
        parse_header({**header_json(HEADER), "policy": policy})
