"""The table of rules."""

import re
from pathlib import Path

import pytest

from losant_tokens.audit import RULES, AuditRule, _checks

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "audit.md"


def test_reference() -> None:
    """The table in the reference has the rules, with their severities and what to do."""
    rows = re.findall(
        r"^\| `([a-z-]+)` \| (\w+) \| (.*) \| (.*) \|$", REFERENCE.read_text(), re.MULTILINE
    )

    assert rows == [(one.id, one.severity.value, one.title, one.help) for one in RULES]


def test_order() -> None:
    """The most severe rules come first, and no id occurs twice."""
    assert list(RULES) == sorted(RULES, key=lambda one: one.severity, reverse=True)
    assert len({one.id for one in RULES}) == len(RULES)


def test_each_rule_has_a_check() -> None:
    """Each rule is decided by a function, except the one that needs all tokens of an owner."""
    assert {*_checks._CHECKS, "same-name"} == {one.id for one in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_texts(rule: AuditRule) -> None:
    """A title continues "a token that", and the help is a sentence without an option."""
    assert rule.title.split()[0] in {"can", "expires", "has", "never", "is", "was", "shares"}
    assert rule.help.endswith(".")
    assert "--" not in rule.help
