"""The code blocks of the README and of the documentation."""

import builtins
import re
from pathlib import Path

import pytest

from tests.support.documentation import PAGES, ROOT, Page, awaiting_blocks

GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]

pytestmark = pytest.mark.usefixtures("forked_commands")


def pages() -> list[object]:
    """Return the pages as parameters. All but the README start many processes, and are slow."""
    return [
        pytest.param(
            path,
            id=str(path.relative_to(ROOT)),
            marks=() if path.name == "README.md" else pytest.mark.slow,
        )
        for path in PAGES
    ]


@pytest.mark.parametrize("path", pages())
@pytest.mark.filterwarnings("ignore::losant_tokens.jobs.PlanWarning")
def test_code_blocks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every code block of a page runs, and prints what the page shows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(builtins, "input", lambda *_: "yes")
    with Page(path, tmp_path) as page:
        for name, value in page.environment.items():
            monkeypatch.setenv(name, value)
        for place in page.run():
            print(place)  # noqa: T201 -- pytest shows the last one if a block fails


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.name)
def test_hidden_blocks_add_no_tokens(path: Path) -> None:
    """A reader can follow a page in a sandbox: its commands use tokens that each sandbox has."""
    hidden = re.findall(r"<!-- invisible-code-block.*?-->", path.read_text(), re.DOTALL)

    assert [block for block in hidden if "fake.add_token" in block] == []


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.name)
def test_a_page_says_where_await_works(path: Path) -> None:
    """A page says that code with `await` belongs in a function before it shows such code."""
    if lines := awaiting_blocks(path):
        above = "\n".join(path.read_text().splitlines()[: lines[0]])

        assert "`async` function" in above
