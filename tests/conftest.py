"""What all tests share."""

import ssl

import attrs
import hypothesis
import pytest
import trustme

pytest_plugins = ["pytester"]

# A machine may be busy; how long an example takes says nothing.
hypothesis.settings.register_profile("steady", deadline=None)
hypothesis.settings.load_profile("steady")


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
