"""Policy files for tests."""

from pathlib import Path

from losant_tokens import policy

RULE = """
[[rules]]
name = "never-expires"
select = { never_expires = true }
severity = "high"
message = "The token never expires."
"""
CLEANUP = """
[[cleanups]]
name = "old-ci"
select = { named = ["ci-*"], older_than = "90d" }
action = "deactivate"
max_changes = 50
"""
LADDER = """
[[cleanups]]
name = "stale"
select = { not_updated_for = "1y" }
protect = ["svc-*"]
max_changes = 10
schedule = "weekly"
steps = [
  { action = "warn" },
  { action = "deactivate", after = "14d" },
  { action = "delete", after = "30d" },
]
"""
SAMPLE = """
[[tests]]
name = "a token without a date"
token = { name = "svc-1", created = "30d", updated = "2d", scope = ["all.User"], creator = "ada" }
expect = ["never-expires"]
"""


def write_policy(folder: Path, text: str) -> Path:
    """Write a policy file, and return its path."""
    path = folder / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def load_policy(folder: Path, text: str) -> policy.Policy:
    """Return the policy of a file with this text."""
    return policy.load(write_policy(folder, text))


def mistakes(folder: Path, text: str) -> tuple[policy.Mistake, ...]:
    """Return the mistakes of a file with this text."""
    try:
        load_policy(folder, text)
    except policy.PolicyError as error:
        return error.mistakes
    return ()


def places(folder: Path, text: str) -> list[str]:
    """Return the mistakes of a file as strings: `2: rules[0].name: is required`."""
    return [f"{one.line}: {one}" for one in mistakes(folder, text)]
