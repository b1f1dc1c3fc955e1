"""The fixtures of the tests of the command."""

from collections.abc import Iterator

import pytest

from tests.support.command import command, fake, service, terminal
from tests.support.forked_commands import running_server

__all__ = ["command", "fake", "forked_commands", "service", "terminal"]


@pytest.fixture(scope="session")
def forked_commands(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[None]:
    """Run the commands of scripts in forks of a server."""
    own = tmp_path_factory.getbasetemp()
    with running_server(own if worker_id == "master" else own.parent):
        yield
