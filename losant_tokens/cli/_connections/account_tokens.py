"""The tokens of accounts that a command has read, so that it reads each of them once.

Reading a token may run a password manager, which asks the user.
"""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from losant_tokens import Secret
    from losant_tokens.accounts import Account

_tokens: ContextVar["MutableMapping[Account, Secret] | None"] = ContextVar("tokens", default=None)


@contextmanager
def token_memory() -> Iterator[None]:
    """Keep the tokens that are read during the block until its end."""
    before = _tokens.set({})
    try:
        yield
    finally:
        _tokens.reset(before)


def tokens_in_memory() -> "MutableMapping[Account, Secret]":
    """Return the tokens that were read so far, to which the caller adds."""
    tokens = _tokens.get()
    return {} if tokens is None else tokens
