"""The types of scopes."""

from typing import get_args

from losant_tokens import OauthScope, PublishedScope, Scope, published_scopes
from losant_tokens._api.published_scopes import OAUTH_SCOPES
from tests.support import scope_types


def test_source() -> None:
    """The module is written from the table: if not, run `python -m tests.support.scope_types`."""
    assert scope_types.source() == scope_types.PATH.read_text(encoding="utf-8")


def test_words() -> None:
    """The types have the published scopes, and `Scope` has any other string as well."""
    assert published_scopes() == set(get_args(PublishedScope))
    assert set(get_args(OauthScope)) == OAUTH_SCOPES
    assert get_args(Scope) == (PublishedScope, str)
