"""The fixtures of the tests of the command."""

from tests.support.command import command, fake, service, terminal

__all__ = ["command", "fake", "service", "terminal"]
