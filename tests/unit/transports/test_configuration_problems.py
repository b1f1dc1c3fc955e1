"""Connection failures that only another setting can end."""

import ssl
from itertools import pairwise

import httpx
import pytest

from losant_tokens._transports.configuration_problems import Misconfigured, configuration_problem


def certificate_error() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    return error


def chained(*links: Exception) -> Exception:
    """The first error, raised from the second, raised from the third, and so on."""
    for error, cause in pairwise(links):
        error.__cause__ = cause
    return links[0]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Misconfigured("HTTPS_PROXY is wrong"), "HTTPS_PROXY is wrong"),
        (httpx.UnsupportedProtocol("ftp"), "does not support the scheme"),
        (
            chained(httpx.ConnectError("no"), OSError("no"), certificate_error()),
            "certificate verify failed: certificate has expired",
        ),
        (httpx.ProxyError("407 Proxy Authentication Required"), "requires a user name"),
        (httpx.ProxyError("403 Forbidden"), "(status 403)"),
        (httpx.ProxyError("405"), "(status 405)"),
    ],
    ids=repr,
)
def test_permanent_failures(error: Exception, words: str) -> None:
    """A failure that every attempt would meet says which setting to change."""
    assert words in (configuration_problem(error) or "")


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("connection refused"),
        httpx.ProxyError("502 Bad Gateway"),
        httpx.ProxyError("429 Too Many Requests"),
        httpx.ProxyError("Proxy Server could not connect: Connection refused."),
        chained(httpx.ConnectError("no"), ssl.SSLError(1, "wrong version number")),
    ],
    ids=repr,
)
def test_passing_failures(error: Exception) -> None:
    """A failure that may pass is not blamed on the configuration."""
    assert configuration_problem(error) is None


def test_causes_in_a_circle() -> None:
    """An exception chain that leads back to its start ends the search."""
    error, cause = httpx.ConnectError("no"), OSError("no")
    error.__cause__, cause.__context__ = cause, error
    assert configuration_problem(error) is None


def test_wire_bytes_are_not_quoted() -> None:
    """The reason phrase of a proxy, which may hold a secret, is not part of the message."""
    assert "my-secret" not in (configuration_problem(httpx.ProxyError("403 my-secret")) or "")
