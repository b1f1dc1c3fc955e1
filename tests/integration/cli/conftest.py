"""The fixtures of the tests of the command."""

from tests.support.argument_cache import argument_cache
from tests.support.clean_ups import state
from tests.support.command import command, fake, service, terminal
from tests.support.fast_start import fast_start

__all__ = ["argument_cache", "command", "fake", "fast_start", "service", "state", "terminal"]
