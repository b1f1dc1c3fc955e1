"""Write `losant_tokens/_api/scope_types.py`: `python -m tests.support.scope_types`."""

from collections.abc import Iterable
from pathlib import Path

from losant_tokens._api import published_scopes

PATH = Path(published_scopes.__file__).with_name("scope_types.py")

_SOURCE = '''\
"""The published scopes as types, for the completion of editors and for type checkers.

`python -m tests.support.scope_types` writes this file from the table in `published_scopes.py`.
"""

from typing import Literal, TypeAlias

OauthScope: TypeAlias = Literal[
{oauth}]
"""A scope that an OAuth token can have."""

PublishedScope: TypeAlias = Literal[
{published}]
"""A scope that Losant publishes. A misspelt one is an error of a type checker."""

# A type checker accepts any string, because Losant may add scopes. The words remain in the union
# for editors: pyright and Pylance complete them, although `str` includes them.
Scope: TypeAlias = PublishedScope | str
"""A scope as an argument: any string. Editors complete the published ones."""
'''


def _lines(words: Iterable[str]) -> str:
    return "".join(f'    "{word}",\n' for word in sorted(words))


def source() -> str:
    """Return the source of the module."""
    return _SOURCE.format(
        oauth=_lines(published_scopes.OAUTH_SCOPES),
        published=_lines(published_scopes.published_scopes()),
    )


if __name__ == "__main__":
    PATH.write_text(source(), encoding="utf-8")
