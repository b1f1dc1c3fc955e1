"""A fake whose time does not pass, and a client for it."""

from tests.support.fake import client, fake

__all__ = ["client", "fake"]
