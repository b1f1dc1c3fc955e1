"""The code blocks of the README and of the documentation, to run and to type-check.

The blocks of a page run from top to bottom, as a reader would use them:

- `python`: A block may use `await`, and the names `client` (an open client) and `fake` (the fake
  that the client uses). If the first line is a comment with a file name, such as `# app.py`, the
  block becomes that file. If it calls `asyncio.run`, it is a program of its own.
- `toml`: A block with a comment such as `# policy.toml` becomes that file, and one with
  `# at the end of policy.toml` is added to it.
- `sh`: Each block is a script, and must succeed.
- `console`: Lines that begin with `$ ` are commands, and the lines below them are their output on a
  terminal. In the output, `...` matches any text, and a line of `...` any number of lines. Ids,
  dates and numbers differ in each run and are ignored. If a command asks for confirmation, the
  response is yes.

`LOSANT_API_URL` and `LOSANT_API_TOKEN` name the fake, which has the account of the sandbox. A
command that begins with `losant-tokens sandbox` starts a sandbox, which runs until the end of the
page or the next sandbox, and `type_in_sandbox` types a line in its terminal. A comment
`<!-- skip: next -->` keeps the next block from running. Hidden set-up is in comments, in the syntax
of Sybil.

    python -m tests.support.documentation FOLDER    # write all Python blocks as modules
"""

import ast
import asyncio
import inspect
import os
import pty
import re
import signal
import subprocess
import sys
import textwrap
import types
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from unittest import SkipTest

import attrs
from sybil import Example, Sybil
from sybil.parsers.myst import CodeBlockParser, SkipParser
from sybil.typing import Evaluator

from losant_tokens import AsyncClient
from losant_tokens.testing import FakeLosant
from tests.support.forked_commands import search_path
from tests.support.terminals import run_in_terminal, take_terminal

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("[!_]*/*.md"))]
PAGES += sorted((ROOT / "docs").glob("*.md"))

"""The tokens that the pages name, by owner."""
TOKENS = {
    "user": "575ec7417ae143cd83dc4a95",
    "application:575ec8687ae143cd83dc4a97": "57615eebc035bd0100cb964b",
}
TIMEOUT = 240  # seconds for a shell block

FILE = re.compile(r"\A# (?P<name>[\w/]+\.py)\n")
TOML_FILE = re.compile(
    r"\A(?:#:schema .*\n)?# (?P<adds>at the end of )?(?P<name>(?:~/)?[\w./-]+\.toml)\n"
)
PRELUDE = """\
from collections.abc import Callable

from losant_tokens import AsyncClient
from losant_tokens.testing import FakeLosant
"""
ARGUMENTS = "client: AsyncClient, fake: FakeLosant, type_in_sandbox: Callable[[str], str]"


def parse(page: Path, **evaluators: Evaluator) -> list[Example]:
    """Return the blocks of a page, in order, with those that say which ones to skip."""
    parsers: list[Any] = [SkipParser()]
    parsers += [CodeBlockParser(language, evaluate) for language, evaluate in evaluators.items()]
    return list(Sybil(parsers, path=str(ROOT), pattern="*.md").parse(page).examples())


def awaiting_blocks(page: Path) -> list[int]:
    """Return the lines of the visible Python blocks that use `await` outside of a function."""
    text = page.read_text().splitlines()
    return [
        example.line
        for example in parse(page, python=lambda _: None)
        if isinstance(example.parsed, str)
        and text[example.line - 1].startswith("```")
        and not FILE.match(source := str(example.parsed))
        and compile(source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT).co_flags
        & inspect.CO_COROUTINE
    ]


# --- Types -----------------------------------------------------------------------------------


def write_modules(folder: Path, pages: Iterable[Path]) -> None:
    """Write the Python blocks of pages as modules, for type checkers.

    The blocks of a page are one function, because a block may use the names of those before it.
    """
    for page in pages:
        name = re.sub(r"\W", "_", str(page.relative_to(ROOT).with_suffix("")))
        body: list[str] = []
        for example in parse(page, python=lambda _: None):
            if not isinstance(example.parsed, str):
                continue  # a comment that says which blocks to skip
            source = str(example.parsed)
            if match := FILE.match(source):
                assert not (folder / match["name"]).exists(), f"two pages have {match['name']}"
                (folder / match["name"]).write_text(source)
            elif "asyncio.run(" in source:
                (folder / f"{name}_line_{example.line}.py").write_text(source)
            else:
                body.append(f"# line {example.line}\n{source}")
        if body:
            code = textwrap.indent("\n".join(body), "    ")
            text = f"{PRELUDE}\n\nasync def {name}({ARGUMENTS}) -> None:\n{code}\n"
            (folder / f"{name}.py").write_text(text)


# --- Running ---------------------------------------------------------------------------------


@attrs.define
class Page:
    """A page whose blocks are run.

    Attributes:
        path: The page.
        folder: An empty folder to run in.
    """

    path: Path
    folder: Path
    fake: FakeLosant = attrs.field(factory=FakeLosant)
    own_token: str = attrs.field(init=False)
    _environment: dict[str, str] = attrs.field(factory=dict)
    _stack: ExitStack = attrs.field(factory=ExitStack)
    _sandbox_stack: ExitStack = attrs.field(factory=ExitStack)
    _runner: asyncio.Runner = attrs.field(factory=asyncio.Runner)
    _names: dict[str, Any] = attrs.field(factory=dict)
    _client: AsyncClient = attrs.field(init=False)

    def __enter__(self) -> Self:
        base_url = self._stack.enter_context(self.fake.serve())
        account = self.fake.seed_account()
        assert account.own_token is not None
        self.own_token = account.own_token.secret
        self._stack.enter_context(self._runner)
        self._environment = {
            "PATH": search_path(),
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / ".config"),
            "LOSANT_API_URL": base_url,
            "LOSANT_API_TOKEN": self.own_token,
            "COLUMNS": "100",
            "TERM": "xterm-256color",
            "PAGER": "cat",
        }
        self._client = AsyncClient(self.fake.admin_token, base_url=base_url)
        self._runner.run(self._client.open())
        self._stack.callback(lambda: self._runner.run(self._client.aclose()))
        return self

    def __exit__(self, *_: object) -> None:
        self._sandbox_stack.close()
        self._stack.close()

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that the blocks see."""
        return self._environment

    def run(self) -> Iterator[str]:
        """Run the blocks one by one, and return the place of each before it runs."""
        blocks = parse(
            self.path,
            python=self._python,
            toml=self._toml,
            sh=self._shell,
            console=self._console,
        )
        for example in blocks:
            yield f"{self.path.relative_to(ROOT)}:{example.line}"
            self._renew_tokens()
            try:
                example.evaluate()
            except SkipTest:
                continue

    def _renew_tokens(self) -> None:
        """Make sure that the tokens which the pages name exist."""
        for owner, id_ in TOKENS.items():
            if id_ not in {token.id for token in self.fake.tokens(owner)}:
                self.fake.add_token("ci-build", owner=owner, id=id_)

    def _python(self, example: Example) -> None:
        source = str(example.parsed)
        if match := FILE.match(source):
            (self.folder / match["name"]).write_text(source)
            return
        self._names |= {"client": self._client, "fake": self.fake, "__name__": "__main__"}
        lines = "\n" * (example.line + example.parsed.line_offset)
        code = compile(lines + source, str(self.path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = types.FunctionType(code, self._names)()
        if asyncio.iscoroutine(result):
            self._runner.run(result)

    def _toml(self, example: Example) -> None:
        if match := TOML_FILE.match(source := str(example.parsed)):
            path = self.folder / match["name"].removeprefix("~/")  # the folder is the home
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{path.read_text()}\n{source}" if match["adds"] else source)
            path.chmod(0o600)

    def _shell(self, example: Example) -> None:
        self._bash(str(example.parsed))

    def _bash(self, script: str) -> str:
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert result.returncode == 0, (
            f"{script}\nexited with {result.returncode}:\n{result.stdout}"
        )
        return result.stdout

    def _console(self, example: Example) -> None:
        for command in re.split(r"^\$ ", str(example.parsed), flags=re.MULTILINE)[1:]:
            # A command continues in the next line after a backslash.
            match = re.match(r"(?P<script>(?:.*\\\n)*.*)\n?(?P<expected>[\s\S]*)\Z", command)
            assert match is not None
            script, expected = match["script"], match["expected"].rstrip()
            if script.startswith("losant-tokens sandbox"):
                output = self._sandbox(script)
            else:
                code, output = run_in_terminal(script, self.folder, self._environment, "-euo")
                assert code == 0, f"{script}\nexited with {code}:\n{output}"
            assert _matches(output, expected), f"$ {script}\nprinted:\n{output}\nnot:\n{expected}"

    def _sandbox(self, script: str) -> str:
        """Start a sandbox in place of an earlier one, and return what it prints."""
        self._sandbox_stack.close()
        keyboard, stdin = pty.openpty()
        # Not in a fork: a sandbox reads its terminal only in the foreground.
        program = Path(sys.executable).with_name("losant-tokens")
        process = subprocess.Popen(
            [program, *script.split()[1:]],
            cwd=self.folder,
            env=self._environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=take_terminal,  # noqa: PLW1509 -- it only makes a system call
        )
        os.close(stdin)
        self._sandbox_stack.callback(os.close, keyboard)
        self._sandbox_stack.callback(_stop, process)
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if match := re.match(r"export (\w+)=(.*)", line):
                self._environment[match[1]] = match[2]
            if line.startswith("Ctrl-C"):
                break
        if match := re.search(r"--env-file (\S+)", script):
            text = (self.folder / match[1]).read_text()
            self._environment |= dict(re.findall(r"export (\w+)=(.*)", text))

        def type_in_sandbox(line: str) -> str:
            """Type a line in the terminal of the sandbox, and return the line that it prints."""
            os.write(keyboard, f"{line}\n".encode())
            assert process.stdout is not None
            return process.stdout.readline()

        self._names["type_in_sandbox"] = type_in_sandbox
        return "".join(lines)


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=TIMEOUT)


_VARYING = (
    (re.compile(r"eyJ[\w.-]+"), "TOKEN"),
    (re.compile(r"\b([0-9a-f]{24}|[0-9a-f]{12}|[0-9a-f]{8})\b"), "ID"),
    (re.compile(r"\d[\d,.]*"), "N"),
    (re.compile(r"[ \t]+"), " "),
    (re.compile(r" $", re.MULTILINE), ""),
)


def _matches(output: str, expected: str) -> bool:
    """Return whether an output is as a page shows it, but for ids, dates and numbers."""
    pattern = ""
    for line in expected.splitlines():
        if line.strip() == "...":  # any number of lines
            pattern += r"(?:.*\n)?"
        else:
            pattern += ".*".join(re.escape(_normalized(part)) for part in line.split("...")) + r"\n"
    return re.fullmatch(pattern, f"{_normalized(output.strip())}\n", re.DOTALL) is not None


def _normalized(text: str) -> str:
    for pattern, replacement in _VARYING:
        text = pattern.sub(replacement, text)
    return text


if __name__ == "__main__":
    write_modules(Path(sys.argv[1]), PAGES)
