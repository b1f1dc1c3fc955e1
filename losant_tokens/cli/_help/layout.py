"""The layout of notes and examples in the help, for terminals from 60 columns.

The terminal wraps a line at any word, which spoils tables and commands. So prose is one long line
per paragraph, which it may wrap, and an example is broken as a shell allows, so it can be copied.
"""

import re
from collections.abc import Iterator

WIDTH = 60
# A line that explains a metavar, such as "OWNER is user, oauth, ..." or "In a GLOB, ...".
_DEFINITION = re.compile(r"(In an? )?[A-Z]{3,}( and [A-Z]+)?(,| is| are) ")
_COMMENT = re.compile(r"^(?P<command>\s*\S.*?)\s{2,}(?P<comment># .*)$")
# The places where an example can be broken: before an option, a pipe or a redirection.
_BREAK = re.compile(r" (?=--|\||>)")


def laid_out(text: str) -> str:
    """Return notes and examples, so that they are readable from 60 columns on."""
    notes, title, examples = text.partition("Examples:\n")
    broken = "\n".join(part for line in examples.splitlines() for part in _broken(line))
    return "\n".join(_joined(notes)) + title + broken


def _joined(text: str) -> Iterator[str]:
    """Yield the lines of notes, with each paragraph in one line. Indented lines stay."""
    paragraph = ""
    for line in text.split("\n"):
        starts = not line or line[0] == " " or _DEFINITION.match(line) is not None
        if paragraph and not starts:
            paragraph += f" {line}"
            continue
        if paragraph:
            yield paragraph
        paragraph = ""
        if not line or line[0] == " " or line.endswith(":"):
            yield line
        else:
            paragraph = line
    if paragraph:
        yield paragraph


def _broken(line: str) -> Iterator[str]:
    """Yield an example in lines that fit, as a shell continues them."""
    if len(line) > WIDTH and (found := _COMMENT.match(line)):
        yield f"  {found['comment']}"
        line = found["command"]
    while len(line) > WIDTH:
        places = [one.start() for one in _BREAK.finditer(line, 4) if one.start() <= WIDTH - 2]
        if not places:
            break
        yield f"{line[: places[-1]]} \\"
        line = f"    {line[places[-1] + 1 :]}"
    yield line
