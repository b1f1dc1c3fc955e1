"""Save a list of tokens as a page, for other purposes than a report or a plan."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import frozen

from losant_tokens.jobs._report.page import Fact, Notice, Page, Row, State, Tile, write_page
from losant_tokens.jobs._report.path_check import check_page_target
from losant_tokens.jobs._report.save import write_atomically
from losant_tokens.jobs._types import Entry


@frozen(kw_only=True)
class TokenPageRow:
    """A token of a page."""

    entry: Entry
    """The token."""
    state: int = 0
    """The number of its state."""
    note: str = ""
    """Text about the token, above the reason of the entry."""


@frozen(kw_only=True)
class TokenPage:
    """The content of a page except its tokens. Every string is plain text."""

    headline: str
    """The headline."""
    where: str
    """The text below the headline."""
    notices: Sequence[str] = ()
    """Problems to show above everything else."""
    tiles: Sequence[tuple[str, int, str, str]] = ()
    """Numbers in large type: each a name, the number, an explanation and the name of a color."""
    facts_title: str
    """The title of the facts."""
    facts: Sequence[tuple[str, str]] = ()
    """Names with their values."""
    state_name: str
    """The name of the column of states."""
    states: Sequence[tuple[str, str]]
    """The states: each the name of a color and a label. The list is sorted by their number first.
    """
    full_list: str
    """Where all tokens are listed for a reader without JavaScript, as a sentence."""


def save_token_page(
    page: TokenPage, rows: Iterable[TokenPageRow], path: str | os.PathLike[str]
) -> Path:
    """Save a list of tokens as an HTML page that only you can read, completely or not at all.

    The page needs no network, and runs no script but its own. The names of colors are `done`,
    `gone`, `changed`, `protected`, `failed`, `unknown`, `pending` and those of the actions.

    Args:
        page: The content.
        rows: The tokens. They are written one by one.
        path: The file. Its suffix must be `.html`. An existing file is replaced only if it is
            empty, or a page by this package.

    Returns:
        The path.

    Raises:
        ValidationError: The suffix is not `.html`.
        GuardRefused: The file is not a page by this package, and not empty.
        JobError: The file cannot be written.
    """
    path = Path(path)
    check_page_target(path, None)
    content = Page(
        headline=page.headline,
        where=(page.where,),
        notices=tuple(map(Notice, page.notices)),
        split=tuple((color, count) for _, count, _, color in page.tiles),
        tiles=tuple(
            Tile(name=name, value=value, note=note, key=key)
            for name, value, note, key in page.tiles
        ),
        facts_title=page.facts_title,
        facts=tuple(Fact(name, value) for name, value in page.facts),
        state_name=page.state_name,
        states=tuple(State(color, label) for color, label in page.states),
        rows=(Row(row.entry, row.state, row.note) for row in rows),
        full_list=page.full_list,
    )
    write_atomically(path, lambda file: write_page(content, file))
    return path
