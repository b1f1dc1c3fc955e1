"""`policy check`, `policy test` and `policy schema`."""

import json
from pathlib import Path

import pytest

from losant_tokens import Owner, policy
from losant_tokens.cli._policies import describe_warning
from tests.support.command import Command
from tests.support.policies import CLEANUP, LADDER, RULE, SAMPLE, write_policy

SEVERITY_PROBLEM = (
    'must be one of info, low, medium, high, critical, but it is "hgh": did you mean high?'
)


def test_check(command: Command, tmp_path: Path) -> None:
    """A valid policy is shown as tables, with its actions in words."""
    grace = CLEANUP.replace('"deactivate"', '"deactivate"\ngrace = "36h"')
    path = write_policy(tmp_path, RULE + grace + LADDER)

    code, out, err = command("policy", "check", str(path))

    refused = "A fleet refuses stale, because its step warn has no webhook. "
    refused += "Run it on one machine, or give the step webhook or webhook_env for a fleet."
    assert code == 0
    assert err.splitlines() == [
        f"{path} is valid: 1 rule, 2 clean-ups and 0 tests.",
        refused,
    ]
    rows = [" ".join(line.split()) for line in out.splitlines()]
    assert rows[:2] == ["RULE SEVERITY TOKENS", "never-expires high never expires"]
    assert "deactivate, grace 36h " in out
    assert "warn, deactivate after 14d, delete after 30d " in out


def test_check_of_fleet_keys(command: Command, tmp_path: Path) -> None:
    """The columns for a fleet are shown only if the file has their keys."""
    keys = (
        'schedule = "0 4 * * mon"\ntime_zone = "Europe/Berlin"\naccounts = ["prod-*"]\n'
        "approval = { auto_below = 50 }\n"
    )

    _, out, _ = command("policy", "check", str(write_policy(tmp_path, CLEANUP + keys + LADDER)))
    assert [line.split("  ")[0] for line in out.splitlines()] == ["CLEAN-UP", "old-ci", "stale"]
    assert "0 4 * * mon, Europe/Berlin  auto below 50  prod-*    named" in out
    assert "weekly                      manual         *         not updated" in out

    _, out, _ = command("policy", "check", str(write_policy(tmp_path, LADDER)))
    assert out.splitlines()[0].split() == ["CLEAN-UP", "ACTION", "MAX", "SCHEDULE", "TOKENS"]


def test_check_of_mistakes(command: Command, tmp_path: Path) -> None:
    """Each mistake is one line on stdout with its place, and the exit code is 1."""
    path = write_policy(tmp_path, RULE.replace("high", "hgh").replace("never_", "never"))

    code, out, err = command("policy", "check", str(path))

    assert (code, err) == (1, f"losant-tokens: error: {path} has 2 mistakes\n")
    assert out.splitlines() == [
        f"{path}:4: rules[0].select.neverexpires: is not a key: did you mean never_expires?",
        f"{path}:5: rules[0].severity: {SEVERITY_PROBLEM}",
    ]


def test_mistakes_on_a_terminal(command: Command, tmp_path: Path, terminal: object) -> None:
    """On a terminal, a mistake is wrapped between words."""
    path = write_policy(tmp_path, RULE.replace("high", "hgh"))
    assert callable(terminal)
    terminal(columns=60)

    _, out, _ = command("policy", "check", str(path))

    assert len(out.splitlines()) > 2
    assert out.splitlines()[-1].startswith("    ")


def test_check_of_rules(command: Command, tmp_path: Path) -> None:
    """A file with rules alone has one table."""
    _, out, _ = command("policy", "check", str(write_policy(tmp_path, RULE)))
    assert (len(out.splitlines()), "CLEAN-UP" in out) == (2, False)


def test_check_as_json(command: Command, tmp_path: Path) -> None:
    """As JSON, a file is a list of mistakes, which is empty for a valid file."""
    path = write_policy(tmp_path, RULE.replace('"high"', "1"))
    _, out, _ = command("policy", "check", str(path), "--json")
    assert json.loads(out) == [
        {"line": 5, "path": "rules[0].severity", "message": "must be a string, but it is a number"}
    ]

    path = write_policy(tmp_path, CLEANUP)
    assert command("policy", "check", str(path), "--json", "--quiet") == (0, "[]\n", "")
    assert command("policy", "check", str(path), "--quiet") == (0, "", "")


def test_check_warns(command: Command, tmp_path: Path) -> None:
    """A file that every user can change is a warning."""
    path = write_policy(tmp_path, CLEANUP)
    path.chmod(0o666)

    code, _, err = command("policy", "check", str(path))

    assert (code, "Every user of this machine can change" in err) == (0, True)


def test_test(command: Command, tmp_path: Path) -> None:
    """Passed tests are listed, and the exit code is 0."""
    path = write_policy(tmp_path, RULE + SAMPLE)

    code, out, err = command("policy", "test", str(path))

    assert (code, err) == (0, "1 test passed.\n")
    assert out.splitlines()[1].split("  ") == ["a token without a date", "passed"]
    assert command("policy", "test", str(path), "--quiet") == (0, "", "")


def test_failed_test(command: Command, tmp_path: Path) -> None:
    """A failed test states the differences, and the exit code is 1."""
    samples = SAMPLE.replace("never-expires", "old-ci")
    path = write_policy(tmp_path, RULE + CLEANUP + samples)

    code, out, err = command("policy", "test", str(path))
    assert (code, err) == (1, "losant-tokens: error: 1 of 1 test failed\n")
    assert (
        "failed  expected, but not matching: old-ci; matching, but not expected: never-expires"
    ) in out

    _, out, _ = command("policy", "test", str(path), "--json")
    assert json.loads(out) == {
        "tests": [
            {
                "name": "a token without a date",
                "passed": False,
                "missing": ["old-ci"],
                "unexpected": ["never-expires"],
            }
        ],
        "matches": None,
    }


def snapshot(folder: Path, count: int) -> str:
    """Write a snapshot of old tokens, and return its path."""
    path = folder / "tokens.json"
    rows = [
        {"id": f"{n:024x}", "name": f"ci-{n}", "creationDate": "2020-01-01T00:00:00.000Z"}
        for n in range(count)
    ]
    path.write_text(json.dumps([*rows, {"id": "f" * 24, "name": "ci-\x1b"}]))
    return str(path)


def test_snapshot(command: Command, tmp_path: Path) -> None:
    """A snapshot shows how many tokens match, some names, and limits that are exceeded."""
    path = str(write_policy(tmp_path, RULE + CLEANUP.replace("50", "6") + SAMPLE))

    code, out, err = command("policy", "test", path, "--snapshot", snapshot(tmp_path, 7))

    rows = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert "never-expires rule, high 8 - ci-0, ci-1, ci-2, ci-3, ci-4, and 3 more" in rows
    assert "old-ci clean-up 7 1 ci-0, ci-1, ci-2, ci-3, ci-4, and 2 more" in rows
    assert "old-ci would be refused, because it selects 7 tokens and max_changes is 6." in err


def test_snapshot_as_json(command: Command, tmp_path: Path) -> None:
    """As JSON, the matches have the id and the name of each token."""
    path = str(write_policy(tmp_path, CLEANUP))

    file = snapshot(tmp_path, 1)
    _, out, err = command("policy", "test", path, "--snapshot", file, "--json")

    assert err == ""
    assert json.loads(out)["matches"] == [
        {
            "name": "old-ci",
            "kind": "cleanup",
            "unknown": 1,
            "tokens": [{"id": "0" * 24, "name": "ci-0"}],
        }
    ]
    assert command("policy", "test", path, "--snapshot", file, "--quiet") == (0, "", "")
    _, out, err = command("policy", "test", path, "--snapshot", file)
    assert (out.split()[0], err) == ("NAME", "")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("{}", ": is not a list of tokens in JSON\n"),
        ('[{"name": "x"}]', ": [0].id: is missing\n"),
        ('[{"name": "x"}, 1, 2]', ": [0].id: is missing (2 other tokens cannot be read, too)\n"),
    ],
)
def test_broken_snapshots(command: Command, tmp_path: Path, rows: str, expected: str) -> None:
    """Another file is an error with the command that writes a snapshot."""
    path = str(write_policy(tmp_path, CLEANUP))
    (tmp_path / "tokens.json").write_text(rows)

    code, _, err = command("policy", "test", path, "--snapshot", str(tmp_path / "tokens.json"))

    assert code == 1
    assert f"{tmp_path}/tokens.json{expected}hint: write a snapshot with: " in err


def test_default_file(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`policy check` and `policy test` read policy.toml by default, as `plan --policy` does."""
    monkeypatch.chdir(tmp_path)
    for name in ("check", "test"):
        code, _, err = command("policy", name)
        assert (code, "policy.toml does not exist\nhint: name the policy file" in err) == (2, True)
    write_policy(tmp_path, CLEANUP)
    assert command("policy", "check")[0] == 0
    assert "policy.toml has no tests" in command("policy", "test")[2]


def test_nothing_to_test(command: Command, tmp_path: Path) -> None:
    """A file without tests needs a snapshot."""
    path = write_policy(tmp_path, CLEANUP)
    code, _, err = command("policy", "test", str(path))
    assert (code, f"{path} has no tests" in err) == (2, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CLEANUP.replace("50", "0"), "policy.toml:6: cleanups[0].max_changes: must be at least 1"),
        ("x = 1", "policy.toml has 2 mistakes\nhint: to see them: losant-tokens policy check "),
    ],
)
def test_test_of_mistakes(command: Command, tmp_path: Path, text: str, expected: str) -> None:
    """Other commands print the mistake if there is one, or the command that lists all."""
    path = write_policy(tmp_path, text)
    code, _, err = command("policy", "test", str(path))
    assert (code, expected in err) == (1, True)


def test_schema(command: Command) -> None:
    """The schema is printed as JSON."""
    code, out, err = command("policy", "schema")
    assert (code, json.loads(out), err) == (0, policy.schema(), "")


def test_tokens_that_a_warning_does_not_name() -> None:
    """Tokens that a message only counts are left for the next run."""
    token = policy.WarnedToken(Owner.user(), "1" * 24, "ci", None, "named 'ci-*'")
    result = policy.WarningResult(None, (token,), 0, left_out=2)

    assert describe_warning(result, "cat", is_dry_run=False) == (
        "Warned about 1 token by cat; 2 tokens left for the next run."
    )
