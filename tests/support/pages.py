"""Parse the HTML pages of reports and plans."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


class ParsedPage(HTMLParser):
    """A page as a browser sees it: the tags with their attributes, and the texts.

    Args:
        path: The file of the page.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.source = path.read_text()
        self.feed(self.source)
        self.text = " ".join(self.texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)
        elif data.strip():
            self.texts.append(" ".join(data.split()))

    @property
    def classes(self) -> set[str]:
        """The classes of all tags."""
        return {
            name for _, attributes in self.tags for name in (attributes.get("class") or "").split()
        }

    @property
    def rows(self) -> Any:
        """The rows of the tokens, as the script reads them."""
        return json.loads(self.scripts[0])

    @property
    def meta(self) -> Any:
        """The other values that the script reads."""
        return json.loads(self.scripts[1])
