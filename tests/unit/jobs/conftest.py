"""The fixtures of the tests of jobs."""

from tests.support.fast_start import fast_start

__all__ = ["fast_start"]
