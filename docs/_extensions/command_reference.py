"""The directives `command-environment` and `command-reference`, generated from the app itself."""

import re
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from losant_tokens.cli._app import COMMANDS, command_app
from losant_tokens.cli._app import app as command

OPTION = re.compile(r"(?<![`\w-])(--[a-z][a-z-]*)(?![`\w-])")
ITEM = re.compile(r"^\* `(?P<option>[^`]+)`(?:: )?(?P<text>.*)$")
PANEL = re.compile(r"^\*\*(?P<title>.+)\*\*:$")
TAG = re.compile(r"\*+(\[[^\]]*\])\*+")


class CommandEnvironment(SphinxDirective):
    """Shows the end of the command's help: environment variables, exit codes and examples."""

    def run(self) -> list[nodes.Node]:
        """Return the nodes."""
        text = epilogue(command)
        return [nodes.literal_block(text, text, language="text")]


class CommandReference(SphinxDirective):
    """Documents the command: each of its commands, with usage, arguments, options and examples."""

    def run(self) -> list[nodes.Node]:
        """Return the nodes."""
        lines: list[str] = []
        for name in command_names():
            lines += command_lines(name)
        node = nodes.section()
        node.document = self.state.document
        self.state.nested_parse(
            StringList(lines, self.get_source_info()[0]), 0, node, match_titles=True
        )
        return node.children


def command_names() -> list[str]:
    """Return the names of the commands, sorted."""
    return sorted(COMMANDS)


def command_lines(name: str) -> list[str]:
    """Return the documentation of a command, as lines of Markdown."""
    app = command_app(name)
    generated = app.generate_docs(output_format="markdown", recursive=False)
    last = name.rpartition(" ")[2]
    lines = [f"## losant-tokens {name}", ""]
    in_table = False
    for line in generated.splitlines()[1:]:
        if line == "## Table of Contents":
            break  # Subcommands have sections of their own.
        if line == "```console":
            lines.append("```text")
        elif line.split(" ")[0] == last:
            lines.append(f"losant-tokens {name}{line.removeprefix(last)}")  # the usage
        elif match := PANEL.match(line):
            title = "Options" if match["title"] == "Parameters" else match["title"]
            lines += ["", f"| {with_options(title)} | |", "| --- | --- |"]
            in_table = True
        elif match := ITEM.match(line):
            option = match["option"].replace("|", "\\|")
            lines.append(f"| `{option}` | {described(match['text'])} |")
        elif line or not in_table:
            lines.append(line)
    return [*lines, "", *epilogue_lines(epilogue(app)), ""]


def described(text: str) -> str:
    """Return the text about an option as the cell of a table."""
    return with_options(TAG.sub(r"\1", text))


def with_options(text: str) -> str:
    """Return plain text as Markdown, with options as code."""
    escaped = text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")
    return OPTION.sub(r"`\1`", escaped)


def epilogue(app: Any) -> str:
    """Return the text that the help of a command ends with."""
    text = app.help_epilogue
    return text if isinstance(text, str) else ""


def epilogue_lines(text: str) -> list[str]:
    """Return that text as Markdown: prose, and the examples as a block of code."""
    prose, _, examples = text.partition("Examples:\n")
    lines = ["", *with_options(prose.strip()).splitlines(), ""]
    if examples:
        lines += ["```sh", *(line.removeprefix("  ") for line in examples.splitlines()), "```"]
    return lines


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("command-environment", CommandEnvironment)
    app.add_directive("command-reference", CommandReference)
    return {"parallel_read_safe": False}
