"""The layout of notes and examples for terminals from 60 columns."""

import pytest

from losant_tokens.cli._help.layout import laid_out

COMMAND = "  losant-tokens plan"
LONG = f"{COMMAND} --named 'ci-*' --not-updated-for 90d"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One line\nand another.", "One line and another."),
        ("One.\n\nTwo\nlines.", "One.\n\nTwo lines."),
        ("First.\nOWNER is user\nor oauth.", "First.\nOWNER is user or oauth."),
        ("AGE and DURATION are like 2y.\nIn a GLOB, * is any.", None),
        ("Table:\n  one\n  two", None),
        ("Words:\none", None),
        ("Notes.\n  one\nMore\nnotes.", "Notes.\n  one\nMore notes."),
        ("", None),
    ],
)
def test_notes(text: str, expected: str | None) -> None:
    """A paragraph is one line. Definitions and indented lines keep theirs."""
    assert laid_out(text) == (text if expected is None else expected)


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        (f"{COMMAND} --expired", [f"{COMMAND} --expired"]),
        (f"{LONG} --any", [f"{LONG} \\", "    --any"]),
        (f"{LONG} | jq -r '.[].id'", [f"{LONG} \\", "    | jq -r '.[].id'"]),
        (f"{LONG} > file.jsonl", [f"{LONG} \\", "    > file.jsonl"]),
        (f"{LONG} --yes    # for cron", ["  # for cron", f"{LONG} \\", "    --yes"]),
        (f"{COMMAND} {'x' * 60}", [f"{COMMAND} {'x' * 60}"]),
        (f"{COMMAND}  # short", [f"{COMMAND}  # short"]),
    ],
)
def test_examples(example: str, expected: list[str]) -> None:
    """A long example is broken before an option, a pipe or a redirection."""
    assert laid_out(f"Examples:\n{example}").splitlines() == ["Examples:", *expected]
