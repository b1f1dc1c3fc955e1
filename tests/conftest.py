"""What all tests share."""

import ssl
from collections.abc import Iterator

import attrs
import hypothesis
import pytest
import trustme

pytest_plugins = ["pytester"]

# A machine may be busy; how long an example takes says nothing.
hypothesis.settings.register_profile("fast", deadline=None)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=200)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--run-slow", action="store_true", help="Run tests marked slow, with more examples each."
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes seconds or starts many processes; --run-slow")
    profile = "thorough" if config.getoption("--run-slow") else "fast"
    hypothesis.settings.load_profile(profile)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-slow"):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow: give --run-slow"))


@pytest.fixture(autouse=True, scope="session")
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the state of jobs and of the command in a temporary folder, in subprocesses as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@attrs.frozen
class Tls:
    """The two ends of TLS connections to this machine."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture(scope="session")
def tls() -> Tls:
    """A server's context for 127.0.0.1, and that of a client which trusts its authority."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return Tls(server, client)
