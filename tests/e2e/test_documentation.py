"""The code blocks of the README and of the documentation."""

import builtins
from pathlib import Path

import pytest

from tests.support.documentation import PAGES, ROOT, Page


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
