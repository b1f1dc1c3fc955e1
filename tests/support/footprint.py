"""Find files that a test run leaves outside its temporary folder."""

import os
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
HOME = Path.home()
"""The user's own home, because this module is imported before the tests replace the variable."""


def footprint() -> frozenset[Path]:
    """Return the files and folders that a stray test would add to.

    Those are the files of the repository, except the files of tools, and the user's state.
    """
    return frozenset((*_repository(), *_state()))


def _repository() -> Iterator[Path]:
    for folder, folders, files in os.walk(REPOSITORY):
        folders[:] = [name for name in folders if not _is_of_a_tool(name)]
        yield from (Path(folder, name) for name in files if not name.startswith("."))


def _is_of_a_tool(name: str) -> bool:
    return name.startswith(".") or name in {"__pycache__", "_build", "build", "dist"}


def _state() -> Iterator[Path]:
    for folder in (HOME / ".local/state", HOME / ".config", HOME / ".cache"):
        for own in folder.glob("losant-tokens*"):
            # A lock file exists only while a process holds it, which may be any process.
            if own.name != "losant-tokens-locks":
                yield own
                yield from own.rglob("*")
