"""The layout that CONTRIBUTING.md describes is the layout of the package."""

import re
from pathlib import Path

import losant_tokens

PACKAGE = Path(losant_tokens.__file__).parent
CONTRIBUTING = PACKAGE.parent / "CONTRIBUTING.md"

# The section "Layout" has rows like "| `jobs/_types.py` | values of jobs |". A folder ends with a
# slash.
LAYOUT = CONTRIBUTING.read_text().split("\n## Layout\n")[1].split("\n## ")[0]
ROWS = re.findall(r"^\| `([^`]+)` \| (.+) \|$", LAYOUT, flags=re.MULTILINE)


def is_listed(path: Path) -> bool:
    """Return whether a path of the package needs its own row."""
    if path.is_dir():
        return (path / "__init__.py").exists()
    return path.suffix != ".pyc" and path.name not in {"__init__.py", "py.typed"}


def name(path: Path) -> str:
    """Return the path as the table writes it."""
    return f"{path.relative_to(PACKAGE).as_posix()}{'/' if path.is_dir() else ''}"


def test_layout_lists_every_file_once() -> None:
    """The table has one row for each module, folder and data file of the package, and no other."""
    actual = sorted(path for path, _ in ROWS)
    expected = sorted(name(path) for path in PACKAGE.rglob("*") if is_listed(path))

    assert actual == expected


def test_layout_describes_every_file_differently() -> None:
    """No two rows describe their file in the same words."""
    purposes = [purpose for _, purpose in ROWS]

    assert sorted(purposes) == sorted(set(purposes))
