"""Write plans, valid and forged ones, without listing any tokens."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from losant_tokens import Owner
from losant_tokens.jobs import Counts, Entry, Header, Plan
from losant_tokens.jobs._plan.format import (
    digest_of,
    entry_json,
    first_line,
    header_json,
    json_line,
)
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
    cannot_apply=("it is read-only",),
    token_expires_at=NOW,
)


ENTRIES = (
    Entry(Owner.user(), "1" * 24, "ci-ü \u2028 \ud800", "active", NOW, NOW, None, "expired"),
    Entry(
        *(Owner.user(), "2" * 24, "prod-1", None, None, None, NOW, "expired", "protected by 'x'"),
        scope=("all.User.read", "userApiTokens.*"),
        creator_id="c" * 24,
        creator_name="grace \ud800",
        description="for\nCI",
    ),
    Entry(APPLICATION, "3" * 24, "ci\n3", "inactive", NOW, NOW, NOW, "expired"),
)


NEW_MEMBERS = {"scope", "creatorId", "creatorName", "description"}
"""The members that version 1 does not have."""

LINES = [json_line(entry_json(entry)) + b"\n" for entry in ENTRIES]


# Written by an earlier commit, from the entries without scopes, creator and description.
VERSION_1 = Path(__file__).with_name("plan_version_1.jsonl").read_bytes()


def write_version_1(plan: Plan) -> Plan:
    """Write the file of a plan again in version 1, and read it."""
    header, *lines = plan.path.read_text("utf-8").splitlines()
    old = [
        {name: value for name, value in json.loads(line).items() if name not in NEW_MEMBERS}
        for line in lines
    ]
    data = {**json.loads(header), "version": 1}
    for name in ("digest", "cannotApply", "tokenExpires", "refused"):
        del data[name]
    body = b"".join(json_line(line) + b"\n" for line in old)
    plan.path.write_bytes(
        first_line(data, digest_of(data, hashlib.sha256(body).hexdigest())) + body
    )
    return Plan.read(plan.path)


def write(path: Path) -> Plan:
    """Write a plan of three tokens of two owners."""
    with PlanWriter(path) as writer:
        for entry in ENTRIES:
            writer.add(entry)
        return writer.finish(HEADER)


def forge(path: Path, **members: Any) -> None:
    """Write another header with a digest that matches."""
    header = {**header_json(HEADER), **members}
    body = b"".join(path.read_bytes().splitlines(keepends=True)[1:])
    path.write_bytes(first_line(header, digest_of(header, hashlib.sha256(body).hexdigest())) + body)


def forge_lines(path: Path, lines: bytes, **members: Any) -> None:
    """Write a plan with other lines and a digest that matches."""
    data = {**header_json(HEADER), **members}
    digest = digest_of(data, hashlib.sha256(lines).hexdigest())
    path.write_bytes(first_line(data, digest) + lines)


def altered(**members: Any) -> bytes:
    """Return the first line of that plan with other members."""
    line = {**entry_json(ENTRIES[0]), **members}
    return json_line({name: value for name, value in line.items() if value != "LEFT OUT"}) + b"\n"


def plan_folders(folder: Path) -> int:
    """Return the number of temporary folders of plans in a folder."""
    return len(list(folder.glob("losant-tokens-plan-*")))
