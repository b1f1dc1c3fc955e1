"""The commands that the help and the documentation show, and a terminal to run them in.

Each example of a help text runs in a fresh sandbox, with the files that it reads. If it asks for
confirmation, the response is yes.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Self

import attrs

from losant_tokens.cli._app import COMMANDS
from losant_tokens.cli._help import texts
from losant_tokens.testing import FakeLosant
from tests.support.documentation import PAGES, ROOT
from tests.support.forked_commands import search_path
from tests.support.terminals import run_in_terminal

FILES = MappingProxyType(
    {
        "leak.txt": "losant-tokens create ci-leaked --scope all.User --expires 90d > leak.txt",
        "plan.jsonl": "losant-tokens plan --expired --out plan.jsonl",
        "monday.jsonl": "losant-tokens plan --expired --named 'ci-*' --out monday.jsonl",
        "tuesday.jsonl": "losant-tokens plan --expired --out tuesday.jsonl",
        "policy.toml": f"cp {ROOT / 'examples' / 'policy.toml'} policy.toml",
        "tokens.json": "losant-tokens list --json > tokens.json",
        "monday.json": "losant-tokens audit --json > monday.json",
        "tuesday.json": "losant-tokens audit --owner user --json > tuesday.json",
        "quarantine.json": (
            "losant-tokens quarantine --not-updated-for 180d --yes --report quarantine.json"
        ),
    }
)
"""The commands that write the files which examples read."""

_QUARANTINE = "losant-tokens quarantine --not-updated-for 180d --grace 30d --yes"
_ACCOUNT = (
    'umask 022; mkdir -p ~/.config/losant-tokens; printf \'[accounts.prod]\\nurl = "%s"\\n'
    'token = { env = "LOSANT_API_TOKEN" }\\n\' $LOSANT_API_URL '
    "> ~/.config/losant-tokens/config.toml"
)
_ROTATION = (
    "losant-tokens rotate 575ec7417ae143cd83dc4a95 --expires 90d --yes --to-file rotated.txt"
)
BEFORE: dict[str, str] = {
    # The rotated token must be active, so these come before the quarantine.
    "resume": _ROTATION,
    "cancel": _ROTATION,
    "account": _ACCOUNT,
    "prune": "losant-tokens fleet plan expired --account prod",  # creates the store
    "doctor": "losant-tokens fleet plan expired --account prod",  # creates the store
    "--until-idle": f"{_ACCOUNT}; cp {ROOT / 'examples' / 'policy.toml'} policy.toml",
    "--resume": "losant-tokens apply plan.jsonl --yes",
    "last": _QUARANTINE,
    "--due": _QUARANTINE,
    "stale": f"cp {ROOT / 'examples' / 'policy.toml'} policy.toml",
}
"""The commands that run before the examples which contain a word."""

REPLACED: dict[str, str] = {
    # Another program may use the port.
    "--port 8080": "--port 0",
    # The ids of quarantines and runs are random.
    "sweep 1f3a9c20": "sweep last",
    "runs show 1f3a9c20": "runs show last",
    # Ten thousand tokens take longer than a test should.
    "--tokens 10000": "--tokens 300",
}
"""The parts of examples that are replaced before they run."""

_NO_SLACK = "it posts to Slack; tests/integration/cli/test_notify.py posts to a server of its own"
_NEEDS_RUN = "it needs a run, whose id is random; tests/unit/cli/test_fleet.py runs it"
_UNTIL_SIGNAL = "it ends only at a signal, which tests/integration/cli/test_fleet_page.py sends"

NOT_RUN: dict[str, str] = {
    "losant-tokens fleet show 1f3a9c20": _NEEDS_RUN,
    "losant-tokens fleet show 1f3a9c20 --tokens": _NEEDS_RUN,
    "losant-tokens fleet show 1f3a9c20 --html plan.html": _NEEDS_RUN,
    "losant-tokens fleet approve 1f3a9c20": _NEEDS_RUN,
    "losant-tokens fleet approve 1f3a9c20 --yes --reason 'change 4711'": _NEEDS_RUN,
    "losant-tokens fleet reject 1f3a9c20 --reason 'ci-deploy is in use'": _NEEDS_RUN,
    "losant-tokens fleet cancel 1f3a9c20": _NEEDS_RUN,
    "losant-tokens fleet restore 1f3a9c20": _NEEDS_RUN,
    "losant-tokens fleet retry 1f3a9c20": _NEEDS_RUN,
    "losant-tokens fleet demo": "test_fleet_demo.py runs it",
    "losant-tokens fleet page": _UNTIL_SIGNAL,
    "losant-tokens fleet page --port 8787": _UNTIL_SIGNAL,
    "losant-tokens fleet work --page 8787 --json": _UNTIL_SIGNAL,
    "losant-tokens notify --slack-webhook SLACK_URL --quiet       # for cron": _NO_SLACK,
    "losant-tokens COMMAND --help": "COMMAND is a placeholder",
    "source <(losant-tokens completion zsh)   # in ~/.zshrc": "test_completion.py runs it in zsh",
}
"""The examples of help texts that are not run, with the reason."""

BLOCKS_NOT_RUN: dict[str, str] = {
    "losant-tokens fleet demo": "test_fleet_demo.py runs it",
    "losant-tokens fleet work --policy /etc/losant-tokens/policy.toml --name worker-1": (
        "test_deployment.py runs it with a PostgreSQL server"
    ),
    "losant-tokens audit --all-accounts": "test_audit.py runs it with a configuration file",
    "losant-tokens audit --fail-on high --ignore same-name": "it exits with 5 in the sandbox",
    "losant-tokens audit --policy policy.toml --fail-on critical": (
        "test_audit.py runs it with a policy file"
    ),
    "losant-tokens audit diff monday.json tuesday.json --fail-on medium": (
        "the block above it runs the same command"
    ),
    "python3 -m venv .venv && .venv/bin/pip install --quiet '.[cli]' && "
    ".venv/bin/losant-tokens demo": "it downloads packages; `nox -s demo` runs it",
    "python3 -m venv .venv && .venv/bin/pip install --quiet '.[cli,fleet]' && "
    ".venv/bin/losant-tokens fleet demo": "it downloads packages; `nox -s demo` runs it",
    "exec losant-tokens cleanup --expired --named 'ci-*' --max-changes 500 --yes --quiet \\": (
        "a script with a placeholder for the token; the block above it runs the same command"
    ),
    "losant-tokens apply ~/.local/state/losant-tokens/cleanup-20261126T031500.000000Z.jsonl \\": (
        "the name of the plan contains the time of the run"
    ),
    "losant-tokens notify --expires-within 30d --slack-webhook SLACK_URL": _NO_SLACK,
    "losant-tokens notify --expires-within 30d --slack-webhook @/etc/losant/slack-url": _NO_SLACK,
    "exec losant-tokens notify --expires-within 30d --expires-within 7d --slack-webhook "
    "SLACK_URL --quiet": _NO_SLACK,
    "losant-tokens runs list --json |": "the sandbox has no interrupted runs to resume",
    "xargs -I {} losant-tokens apply {} --resume --max-age 7d --yes --quiet": (
        "the sandbox has no interrupted runs to resume"
    ),
}
"""The lines of skipped code blocks that contain the command, with the reason."""

EXAMPLE = re.compile(r"(?:\w+=|eval \"|source <)?(?:\$?\()?losant-tokens\b")
_OUTPUT_OPTIONS = frozenset({"--out", "--report", "--html", "--env-file", "--log-file", ">"})


@attrs.frozen
class Found:
    """An example of a help text.

    Attributes:
        place: The name of the command whose help it is in; `losant-tokens` for the program.
        script: The example, which can have several lines.
    """

    place: str
    script: str

    def __str__(self) -> str:
        """Return the id of its test."""
        return f"{self.place}: {self.script}"


def help_examples() -> list[Found]:
    """Return the examples of all help texts."""
    found = [Found("losant-tokens", one) for one in _examples(texts.ROOT)]
    for name, command in COMMANDS.items():
        found += [Found(name, one) for one in _examples(command.epilogue)]
    return found


def _examples(text: str) -> Iterator[str]:
    """Return the examples of a text: the lines after the title, with their continuations."""
    _, _, after = text.partition("Examples:\n")
    section = after.partition("\n\n")[0]
    script = ""
    for line in section.splitlines():
        script += f"{line.strip()}\n"
        if not line.rstrip().endswith(("\\", "|")):
            yield script.strip()
            script = ""
    assert not script, f"the last example continues after the end of the text: {script!r}"


def skipped_commands() -> list[tuple[str, str]]:
    """Return the lines of skipped shell blocks that contain the command, with their places."""
    found = []
    for page in PAGES:
        blocks = re.findall(
            r"<!-- skip: next[^\n]*-->\n(?:<!--[^\n]*-->\n)*```(?:sh|console)\n(.*?)```",
            page.read_text(),
            re.DOTALL,
        )
        found += [
            (str(page.relative_to(ROOT)), line.strip())
            for block in blocks
            for line in block.splitlines()
            if "losant-tokens " in line
        ]
    return found


def files_read(script: str) -> list[str]:
    """Return the files of `FILES` that an example reads."""
    words = script.split()
    return [
        word
        for before, word in zip(["", *words], words, strict=False)
        if word in FILES and before not in _OUTPUT_OPTIONS
    ]


# --- A terminal ------------------------------------------------------------------------------


@attrs.define
class Sandbox:
    """A fresh account, and a terminal of 100 columns with the variables for it.

    Attributes:
        folder: The folder for all files, which is also the home folder.
    """

    folder: Path
    fake: FakeLosant = attrs.field(factory=FakeLosant)
    _environment: dict[str, str] = attrs.field(factory=dict)
    _stack: contextlib.ExitStack = attrs.field(factory=contextlib.ExitStack)

    def __enter__(self) -> Self:
        account = self.fake.seed_account()
        assert account.own_token is not None
        for completions in (
            ".local/share/bash-completion/completions",
            ".zfunc",
            ".config/fish/completions",
        ):
            (self.folder / completions).mkdir(parents=True)
        self._environment = {
            "PATH": search_path(),
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "COLUMNS": "100",
            "PAGER": "cat",
            "SHELL": "/bin/bash",
            "LOSANT_API_URL": self._stack.enter_context(self.fake.serve()),
            "LOSANT_API_TOKEN": account.own_token.secret,
        }
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, script: str) -> tuple[int, str]:
        """Run a script in the terminal, and return its exit code and its output."""
        return run_in_terminal(script, self.folder, self._environment)
