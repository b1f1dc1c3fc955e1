"""Rule options, against the fake."""

from pathlib import Path

import pytest

from losant_tokens import jobs
from losant_tokens.testing import FakeLosant
from tests.support.command import Command


def test_rules_select(
    fake: FakeLosant,
    service: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each rule option selects the tokens that it describes."""
    monkeypatch.chdir(tmp_path)
    fake.add_token("a", scope=["all.User"], creator_name="ada")
    fake.add_token("b", status="inactive")
    fake.add_token("c")

    for option, expected in (
        (["--has-scope", "all.User"], "a"),
        (["--created-by", "a?a"], "a"),
        (["--can-create-tokens"], "a"),
        (["--active", "--named", "[bc]"], "c"),
        (["--inactive"], "b"),
        (["--named", "[c]"], "c"),
    ):
        code, _, err = command("plan", *option, "--out", (path := f"{fake.user_id}.jsonl"))
        assert code == 0, err
        plan = jobs.Plan.read(path)
        assert [expected] == [entry.name for entry in plan.entries()]
        plan.path.unlink()
