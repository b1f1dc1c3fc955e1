"""Connection failures that persist until a setting is changed."""

import ssl
from itertools import pairwise

import httpx
import pytest

from losant_tokens._transports.permanent_failures import Misconfigured, configuration_problem


def certificate_error() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    return error


def chained(*links: Exception) -> Exception:
    """Return the first error with each further error as the cause of the one before."""
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
    """A permanent failure names the setting to change."""
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
    """A transient failure is not a configuration problem."""
    assert configuration_problem(error) is None


def test_causes_in_a_circle() -> None:
    """A circular chain of exceptions does not lead to an endless loop."""
    error, cause = httpx.ConnectError("no"), OSError("no")
    error.__cause__, cause.__context__ = cause, error
    assert configuration_problem(error) is None


def test_wire_bytes_are_not_quoted() -> None:
    """The message does not quote a proxy's reason phrase, which may be secret."""
    assert "my-secret" not in (configuration_problem(httpx.ProxyError("403 my-secret")) or "")
