"""Every command that the help and the documentation show, in a fresh sandbox.

If a test of this file fails, a reader who copies the example sees the same failure. Change the
example or the account (`losant_tokens/testing/_sample_account.py`), or declare what it needs in
`tests/support/examples.py`.
"""

import re
from pathlib import Path

import pytest

from losant_tokens.cli._app import COMMANDS
from tests.support import examples
from tests.support.documentation import PAGES, ROOT
from tests.support.examples import Found, Sandbox
from tests.support.forked_commands import plain_command

pytestmark = pytest.mark.usefixtures("forked_commands")
EXIT_CODES = {"--exit-code": {0, 5}, "--fail-on": {0, 5}, "doctor": {0, 5}}
"""The exit codes of examples that contain a word. All others exit with 0."""
FLAGS = re.MULTILINE | re.DOTALL
HELP_EXAMPLES = examples.help_examples()


@pytest.mark.sweep(sample=2)
@pytest.mark.parametrize("example", HELP_EXAMPLES, ids=str)
def test_example_of_the_help(example: Found, tmp_path: Path) -> None:
    """An example of a help text succeeds in a fresh sandbox, with the files that it reads."""
    if reason := examples.NOT_RUN.get(example.script):
        pytest.skip(reason)
    script = example.script
    for part, replacement in examples.REPLACED.items():
        script = script.replace(part, replacement)
    needed = [examples.FILES[name] for name in examples.files_read(script)]
    needed += [command for word, command in examples.BEFORE.items() if word in script.split()]
    allowed = {0}.union(*(codes for word, codes in EXIT_CODES.items() if word in script.split()))
    with Sandbox(tmp_path) as sandbox:
        for command in needed:
            code, output = sandbox.run(command)
            assert code == 0, f"{command}\nexited with {code}:\n{output}"
        code, output = sandbox.run(script)

    assert code in allowed, (
        f"an example in the help of {example.place!r} fails in a fresh sandbox:\n"
        f"$ {script}\nexited with {code}:\n{output}\n"
        f"Change the example, or add the files that it reads to FILES in tests/support/examples.py."
    )


def test_only_plain_commands_run_without_a_shell() -> None:
    """A script in which a shell does anything but split words runs in a shell."""
    assert plain_command("losant-tokens list --named 'ci-*'  # all") == [
        *("losant-tokens", "list", "--named", "ci-*")
    ]
    for script in (
        *("losant-tokens list > a.csv", "losant-tokens list | wc", "losant-tokens show $ID"),
        *("losant-tokens apply *.jsonl", "losant-tokens apply ~/plan.jsonl", "eval x"),
        *('losant-tokens list --named "$NAME"', "losant-tokens list &", "A=1 losant-tokens list"),
    ):
        assert plain_command(script) is None


def test_examples_are_found() -> None:
    """Each help text has an example that begins with the command."""
    malformed = [one for one in HELP_EXAMPLES if not examples.EXAMPLE.match(one.script)]

    assert malformed == []
    assert {one.place for one in HELP_EXAMPLES} == {"losant-tokens", *COMMANDS}


@pytest.mark.parametrize("name", ["NOT_RUN", "REPLACED", "BEFORE", "FILES"])
def test_lists_of_examples_are_up_to_date(name: str) -> None:
    """Each entry of the lists in tests/support/examples.py is about an example that exists."""
    scripts = "\n".join(one.script for one in HELP_EXAMPLES)
    stale = [entry for entry in getattr(examples, name) if entry not in scripts]

    assert stale == [], f"remove these entries from {name} in tests/support/examples.py"


def test_skipped_blocks_have_a_reason() -> None:
    """A skipped code block of a page contains the command only for a reason that is listed.

    All other blocks are run by `test_documentation.py`.
    """
    skipped = {line for _, line in examples.skipped_commands()}

    assert skipped - set(examples.BLOCKS_NOT_RUN) == set(), (
        "let these lines run, or add them with a reason to BLOCKS_NOT_RUN in "
        "tests/support/examples.py"
    )
    assert set(examples.BLOCKS_NOT_RUN) - skipped == set(), (
        "remove these lines from BLOCKS_NOT_RUN in tests/support/examples.py"
    )


def test_pages_show_commands_only_in_blocks_that_run() -> None:
    """A command of its own line is in a block that runs, or in one for another shell."""
    wrong = [
        f"{page.relative_to(ROOT)}: {block.splitlines()[0]}"
        for page in PAGES
        for language, block in re.findall(r"^```(\S*)\n(.*?)^```", page.read_text(), FLAGS)
        if language not in {"sh", "console", "zsh", "fish"}
        and re.search(r"^(\$ )?losant-tokens ", block, re.MULTILINE)
    ]

    assert wrong == []
