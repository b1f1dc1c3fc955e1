"""The fixtures of the integration tests."""

from tests.support.fake import client, fake
from tests.support.fast_start import fast_start

__all__ = ["client", "fake", "fast_start"]
