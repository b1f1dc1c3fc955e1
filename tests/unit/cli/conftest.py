"""The fixtures of the tests of the command."""

from tests.support.argument_cache import argument_cache
from tests.support.command import command, fake, service, terminal

__all__ = ["argument_cache", "command", "fake", "service", "terminal"]
