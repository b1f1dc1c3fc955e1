"""The JSON Schema of policy files."""

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest

from losant_tokens import jobs, policy
from tests.support.policies import CLEANUP, LADDER, RULE, SAMPLE, mistakes
from tests.unit.policy.test_file import CASES

ROOT = Path(__file__).parents[3]
CHECKER = jsonschema.Draft7Validator(policy.schema())
# Mistakes that compare several values. A schema cannot express them, or not in a readable way.
ONLY_READER_FINDS = (
    *("is already the name", "protect: ", "cannot be combined", "contradicts", "in the order"),
    *("the first step has no step", "steps[1].after: is required", "have the step deactivate"),
    *(
        "grace: is only",
        "no rules and no cleanups",
        "is not a duration",
        "is the name of no rule",
    ),
    *("with a schedule", "needs webhook or webhook_env", "with https", "not a time zone"),
    *("the minute", "the hour", "the month", "the day of", "the step", "never happens"),
)


def problems(text: str) -> list[str]:
    """Return the problems that the schema finds in a file."""
    return [error.message for error in CHECKER.iter_errors(tomllib.loads(text))]


def test_schema_is_valid() -> None:
    """The schema is valid in its own dialect."""
    jsonschema.Draft7Validator.check_schema(policy.schema())


@pytest.mark.parametrize("text", [RULE, CLEANUP, RULE + LADDER, RULE + SAMPLE])
def test_valid_files(text: str) -> None:
    """The schema accepts what the reader accepts."""
    assert problems(text) == []


@pytest.mark.parametrize("case", CASES, ids=[message for _, message in CASES])
def test_mistakes(case: tuple[str, str]) -> None:
    """The schema finds each mistake that is about one value."""
    text, message = case
    if not any(words in message for words in ONLY_READER_FINDS):
        assert problems(text)


def test_all_keys(tmp_path: Path) -> None:
    """A selection has the same keys in the schema and in the messages of the reader."""
    (mistake,) = mistakes(tmp_path, RULE.replace("never_expires", "zzz"))
    keys = mistake.message.partition("the keys are ")[2].split(", ")
    assert sorted(keys) == sorted(policy.schema()["definitions"]["select"]["properties"])


def test_published_schema() -> None:
    """The schema in the documentation is the one that the command prints."""
    published = ROOT / "docs" / "policy.schema.json"
    assert json.loads(published.read_text(encoding="utf-8")) == policy.schema()


def test_example() -> None:
    """The example is valid, and its tests pass."""
    path = ROOT / "examples" / "policy.toml"
    assert problems(path.read_text(encoding="utf-8")) == []
    assert policy.load(path).tests


def section_keys(title: str) -> list[str]:
    """Return the keys in the tables of a section of the reference, in their order."""
    page = (ROOT / "docs" / "reference" / "policy-file.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


def test_reference() -> None:
    """The reference of policy files has each key of each table."""
    schema = policy.schema()
    rule, cleanup, test = (
        schema["properties"][name]["items"] for name in ("rules", "cleanups", "tests")
    )
    token = test["properties"]["token"]["properties"]

    assert section_keys("`[[rules]]`") == list(rule["properties"])
    assert sorted(section_keys("`[[cleanups]]`")) == sorted(cleanup["properties"])
    assert section_keys("`[[tests]]`") == [*test["properties"], *token]
    assert sorted(section_keys("`select`")) == sorted(schema["definitions"]["select"]["properties"])
    steps = cleanup["properties"]["steps"]["items"]["properties"]
    of_webhooks = [key for key in steps if key not in {"action", "after"}]
    assert section_keys("`steps`") == [*steps["action"]["enum"], *of_webhooks]


def test_reference_of_conditions() -> None:
    """The reference describes each condition in the words of the table of conditions."""
    page = (ROOT / "docs" / "reference" / "policy-file.md").read_text(encoding="utf-8")
    kinds = {"flag": "`true`", "duration": "a duration", "globs": "patterns"}
    for name, predicate in jobs.PREDICATES.items():
        assert f"\n| `{name}` | {kinds[predicate.kind]} | " in page
