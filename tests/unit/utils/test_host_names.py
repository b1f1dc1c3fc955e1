"""Check which hosts are this machine."""

import pytest

from losant_tokens._utils.host_names import is_loopback


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("LOCALHOST", False),
        ("localhost.", False),
        ("127.0.0.1.", False),
        ("127.0.0.01", False),
        ("::", False),
        ("", False),
        ("example.com", False),
    ],
)
def test_is_loopback(host: str, expected: bool) -> None:
    """This machine is `localhost`, 127.0.0.0/8 and ::1, and nothing that looks like them."""
    assert expected is is_loopback(host)
