"""The marker in the description of a successor, which identifies a lost one."""

import re

from losant_tokens._utils import validators
from losant_tokens.jobs._token_rules import Token

MAX_DESCRIPTION = 32767
"""The maximum length of a description, in UTF-16 code units (source: the API's JSON schema)."""

_MARKERS = re.compile(r"(?: ?\[rotation [0-9a-f]{16} of [0-9A-Fa-f]{24}\])+\Z")


def marker_of(rotation_id: str, token_id: str) -> str:
    """Return the marker of the successors of a token in one rotation."""
    return f"[rotation {rotation_id} of {token_id}]"


def marked(description: str | None, marker: str) -> str:
    """Return a description that ends in one marker. A long description is cut off."""
    text = unmarked(description)
    room = MAX_DESCRIPTION - len(marker) - 1
    if validators.utf16_length(text) > room:
        # A character takes one or two code units, so this never cuts too little.
        text = text.encode("utf-16-le", "surrogatepass")[: 2 * room].decode("utf-16-le", "ignore")
    return f"{text} {marker}" if text else marker


def unmarked(description: str | None) -> str:
    """Return a description without the markers at its end.

    A token whose marker could not be removed may be rotated again. If its successor inherited that
    marker, the earlier rotation would take it for a lost successor, and delete it.
    """
    return _MARKERS.sub("", description or "")


def has_marker(token: Token, marker: str) -> bool:
    """Return whether the description of a token ends in a marker."""
    return (token.description or "").endswith(marker)
