"""The reference in the documentation."""

import importlib
import re
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parent.parent.parent / "docs" / "reference"
NOT_OBJECTS = {
    "__version__",
    "accounts",
    "audit",
    "errors",
    "fleet",
    "jobs",
    "leaks",
    "notices",
    "policy",
    "sinks",
}  # a string, and modules with pages of their own


def public_names() -> list[str]:
    """Return the public names of the package, each with the module that users import it from."""
    modules = (
        "losant_tokens",
        "losant_tokens.accounts",
        "losant_tokens.audit",
        "losant_tokens.fleet",
        "losant_tokens.jobs",
        "losant_tokens.leaks",
        "losant_tokens.notices",
        "losant_tokens.policy",
        "losant_tokens.sinks",
        "losant_tokens.testing",
    )
    return [
        f"{module}.{name}"
        for module in modules
        for name in importlib.import_module(module).__all__
        if name not in NOT_OBJECTS
    ]


REFERENCE_TEXT = "\n".join(page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md"))
ENTRIES = re.findall(r"^\.\. (?:auto\w+|py:data):: (\S+)$", REFERENCE_TEXT, re.MULTILINE)
DOCUMENTED = frozenset(ENTRIES)


@pytest.mark.parametrize("name", public_names())
def test_public_name_is_in_the_reference(name: str) -> None:
    """Every public name has an entry in the reference."""
    assert name in DOCUMENTED


def test_all_errors_are_in_the_reference() -> None:
    """The reference documents the module of the errors as a whole, with all its members."""
    assert ".. automodule:: losant_tokens.errors\n   :members:\n" in REFERENCE_TEXT


def test_entries_are_unique() -> None:
    """No name has two entries, because Sphinx reports the second one as an error."""
    assert sorted(ENTRIES) == sorted(DOCUMENTED)
