"""Proxy settings: the proxy for a URL, and the problems of a setting."""

import time
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import aiohttp_transport, httpx_transport
from losant_tokens._transports.proxies import Proxy, excludes, parse_proxy, proxy_of_environment

API = "https://api.losant.com"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128"),
        ("  http://proxy.example:3128/  ", "http://proxy.example:3128"),
        ("proxy.example:3128", "http://proxy.example:3128"),
        ("proxy.example", "http://proxy.example:80"),
        ("127.0.0.1:3128", "http://127.0.0.1:3128"),
        ("[fd00::1]:3128", "http://[fd00::1]:3128"),
        ("HTTPS://Proxy.Example", "https://proxy.example:443"),
        ("socks5://127.0.0.1", "socks5://127.0.0.1:1080"),
        ("socks5h://127.0.0.1:9", "socks5h://127.0.0.1:9"),
        ("http://user:p%40ss@proxy.example:3128", "http://proxy.example:3128"),
        ("user:pass@proxy.example:3128", "http://proxy.example:3128"),
        ("http://bücher.example:1", "http://xn--bcher-kva.example:1"),
    ],
)
def test_a_proxy_url(text: str, expected: str) -> None:
    """A proxy URL is read with or without a scheme, a port, and a user name and password."""
    proxy = parse_proxy(text, "HTTPS_PROXY")
    assert isinstance(proxy, Proxy)
    assert expected == proxy.url


def test_credentials_of_a_proxy() -> None:
    """User name and password are percent-decoded, and not in the URL, repr or errors."""
    proxy = parse_proxy("http://us%3Aer:hunter2%23%C3%A9@proxy.example:3128", "HTTPS_PROXY")
    assert isinstance(proxy, Proxy)
    assert proxy.username is not None
    assert ("us:er", "hunter2#é") == (proxy.username.reveal(), proxy.password.reveal())
    assert "hunter2" not in f"{proxy!r} {proxy.url}"


@pytest.mark.parametrize(
    ("text", "shown", "words"),
    [
        ("http://127.0.0.1:notaport", "http://127.0.0.1:***", "Check its port"),
        ("http://user:hun#ter2@proxy.example:3128", "http://***@proxy.example:3128", "Check its"),
        ("http://proxy.example:0", "http://proxy.example:0", "has the port 0"),
        ("user:hunter2@proxy.example:70000", "http://***@proxy.example:70000", "the port 70000"),
        ("http://", "http://", "invalid proxy host"),
        ("http://:3128", "http://:3128", "invalid proxy host"),
        ("http://a..b:3128", "http://a..b:3128", "invalid proxy host"),
        ("http://a b:3128", "http://a b:3128", "invalid proxy host"),
        ("http://[::1:3128", "http://[::1:3128", "not a valid proxy URL"),
        ("http://[fd00::1]hunter2:1", "http://[fd00::1]***", "not a valid proxy URL"),
        ("http://a\nb:3128", r"http://a\nb:3128", "not a valid proxy URL"),
        ("ftp://proxy.example", "ftp://proxy.example", "unsupported scheme"),
        ("socks4://proxy.example/", "socks4://proxy.example/", "unsupported scheme"),
        ("user:hunter2://proxy.example", "***://proxy.example", "unsupported scheme"),
        ("http://proxy.example:1/hunter2", "http://proxy.example:1/***", "after the port"),
        ("http://user:hunter2@proxy.example?hunter2", "http://***@proxy.example?***", "after the"),
        ("http://user:hunter2@proxy.example:1#hunter2", "http://***@proxy.example:1#***", "after"),
        ("http://user:hunter2@", "http://***@", "invalid proxy host"),
        ("http://user:hunter2", "http://user:***", "Check its port"),
        (f"{'hunter2' * 9}.hunter2:port", "http://***:***", "Check its port"),
    ],
)
def test_a_wrong_proxy_url(text: str, shown: str, words: str) -> None:
    """The problem names the setting, its value without secrets, and the correction."""
    problem = parse_proxy(text, "HTTPS_PROXY")
    assert isinstance(problem, str)
    assert problem.startswith(f"HTTPS_PROXY ('{shown}') ")
    assert words in problem
    assert "hun" not in problem


@given(st.text() | st.builds("{}://{}".format, st.sampled_from(["http", "socks5"]), st.text()))
def test_any_proxy_url(text: str) -> None:
    """Any setting is a proxy with a host and a port, or a problem."""
    found = parse_proxy(text, "ALL_PROXY")
    if isinstance(found, str):
        assert found.startswith("ALL_PROXY ")
    else:
        assert found.host
        assert 0 < found.port < 65536
        assert httpx.Proxy(found.url).url.host


DIRECT, PROXIED = True, False


NO_PROXY_FORMS = [
    # Names: a domain, and all below it.
    ("losant.com", API, DIRECT),
    ("api.losant.com", API, DIRECT),
    (".losant.com", API, DIRECT),
    (".api.losant.com", API, DIRECT),
    ("*.losant.com", API, DIRECT),
    ("*.api.losant.com", API, PROXIED),
    ("*losant.com", API, DIRECT),
    ("api.*", API, DIRECT),
    ("*", API, DIRECT),
    ("api.losant.co?", API, PROXIED),
    ("*.losant.co[m]", API, PROXIED),
    ("sant.com", API, PROXIED),
    ("losant", API, PROXIED),
    ("com", API, DIRECT),
    ("api.losant.com.example", API, PROXIED),
    ("LOSANT.com", "https://API.Losant.COM", DIRECT),
    ("losant.com.", API, DIRECT),
    ("losant.com", "https://api.losant.com.", DIRECT),
    ("bücher.example", "https://api.bücher.example", DIRECT),
    ("xn--bcher-kva.example", "https://bücher.example", DIRECT),
    ("a\u200bé..b", API, PROXIED),
    # Ports.
    ("api.losant.com:443", API, DIRECT),
    ("api.losant.com:8443", API, PROXIED),
    ("losant.com:8443", "https://api.losant.com:8443", DIRECT),
    (".losant.com:8443", "https://api.losant.com:8443", DIRECT),
    ("*.losant.com:8443", "https://api.losant.com:8443", DIRECT),
    ("*:8443", "https://api.losant.com:8443", DIRECT),
    ("losant.com:80", "http://api.losant.com", DIRECT),
    # Addresses and blocks.
    ("10.1.2.3", "https://10.1.2.3", DIRECT),
    ("10.1.2.3:443", "https://10.1.2.3", DIRECT),
    ("10.1.2.3:444", "https://10.1.2.3", PROXIED),
    ("1.2.3", "https://10.1.2.3", PROXIED),
    ("10.0.0.0/8", "https://10.1.2.3", DIRECT),
    ("10.1.2.3/8", "https://10.200.2.3", DIRECT),
    ("10.0.0.0/8", "https://11.1.2.3", PROXIED),
    ("10.0.0.0/8", API, PROXIED),
    ("169.254/16", "https://169.254.9.9", DIRECT),
    ("10/8", "https://10.1.2.3", DIRECT),
    ("10.*", "https://10.1.2.3", DIRECT),
    ("fd00::1", "https://[fd00::1]", DIRECT),
    ("fd00:0:0::0001", "https://[fd00::1]", DIRECT),
    ("[fd00::1]", "https://[fd00::1]", DIRECT),
    ("[fd00::1]:8443", "https://[fd00::1]:8443", DIRECT),
    ("[fd00::1]:8443", "https://[fd00::1]", PROXIED),
    ("fd00::/8", "https://[fd12::1]", DIRECT),
    ("[fd00::]/8", "https://[fd12::1]", DIRECT),
    ("fd00::/8", "https://[fe80::1]", PROXIED),
    ("fd00::/8", "https://10.1.2.3", PROXIED),
    ("10.0.0.0/8", "https://[::ffff:10.1.2.3]", DIRECT),
    # Lists.
    ("", API, PROXIED),
    (" , ,,", API, PROXIED),
    ("a.example, losant.com ,", API, DIRECT),
    ("a.example losant.com", API, DIRECT),
    ("a.example\tlosant.com\n", API, DIRECT),
    ("https://api.losant.com/", API, DIRECT),
    (".", API, PROXIED),
]


@pytest.mark.parametrize(("no_proxy", "url", "expected"), NO_PROXY_FORMS)
def test_no_proxy(no_proxy: str, url: str, expected: bool) -> None:
    """All forms of `NO_PROXY` that curl, Go or requests know are accepted."""
    assert expected is excludes(no_proxy, httpx.URL(url))


@pytest.mark.parametrize("make", [httpx_transport, aiohttp_transport])
def test_no_proxy_in_both_pools(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both pools connect directly to the same hosts, for each form of `NO_PROXY`."""
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    found = []
    for no_proxy, url, _ in NO_PROXY_FORMS:
        monkeypatch.setenv("NO_PROXY", no_proxy)
        found.append((no_proxy, url, make()._proxy_for(httpx.URL(url)) is None))
    assert NO_PROXY_FORMS == found


def test_many_stars() -> None:
    """A pattern with many stars is matched quickly."""
    host = "a" * 60
    started = time.perf_counter()
    assert excludes(f"{'a*' * 20}b", httpx.URL(f"https://{host}.{host}.{host}")) is False
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(
    ("no_proxy", "words"),
    [
        ("10.0.0.0/33", "'10.0.0.0/33' is not a CIDR block"),
        ("*, losant.com/8", "'losant.com/8' is not a CIDR block"),
        ("losant.com:port", "'losant.com:port' has no valid port"),
        ("losant.com:", "'losant.com:' has no valid port"),
        ("losant.com:0", "'losant.com:0' has no valid port"),
        ("losant.com:99999", "'losant.com:99999' has no valid port"),
        ("losant.com:²", "has no valid port"),
    ],
)
def test_a_wrong_no_proxy(no_proxy: str, words: str) -> None:
    """An invalid entry of `NO_PROXY` is a problem."""
    problem = excludes(no_proxy, httpx.URL(API))
    assert isinstance(problem, str)
    assert words in problem


@given(st.text(), st.sampled_from([API, "https://10.1.2.3", "https://[fd00::1]:8443"]))
def test_any_no_proxy(no_proxy: str, url: str) -> None:
    """Any value of `NO_PROXY` lists the host, does not list it, or is a problem."""
    assert isinstance(excludes(no_proxy, httpx.URL(url)), bool | str)


@pytest.mark.parametrize(
    ("environment", "url", "expected"),
    [
        ({}, API, None),
        ({"HTTPS_PROXY": "http://p:1"}, API, "http://p:1"),
        ({"https_proxy": "http://p:1"}, API, "http://p:1"),
        ({"https_proxy": "http://p:1", "HTTPS_PROXY": "http://p:2"}, API, "http://p:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://p:2"}, API, None),
        ({"HTTPS_PROXY": " ", "ALL_PROXY": "http://p:2"}, API, None),
        ({"ALL_PROXY": "http://p:2"}, API, "http://p:2"),
        ({"all_proxy": "http://p:2", "ALL_PROXY": "http://p:3"}, API, "http://p:2"),
        ({"HTTPS_PROXY": "http://p:1", "ALL_PROXY": "http://p:2"}, API, "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, API, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "losant.com"}, API, None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "losant.com"}, API, None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "", "NO_PROXY": "*"}, API, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "https://127.0.0.1", "http://p:1"),
        # Plain http to another host, which needs explicit consent.
        ({"HTTP_PROXY": "http://p:1"}, "http://fake:8080", "http://p:1"),
        ({"ALL_PROXY": "http://p:1"}, "http://fake:8080", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://fake:8080", None),
        ({"HTTP_PROXY": "http://p:1", "NO_PROXY": "fake"}, "http://fake:8080", None),
        ({"HTTP_PROXY": "http://p:1", "ALL_PROXY": "http://p:1"}, "http://127.0.0.1:5", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://localhost:5", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://[::1]:5", None),
        # In a CGI script, HTTP_PROXY is a header of the request.
        ({"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "http://fake:8080", None),
        ({"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, "http://fake:8080", "http://p:1"),
    ],
)
def test_the_environment(environment: dict[str, str], url: str, expected: str | None) -> None:
    """The variables for a URL are read in the order of curl: lower case first, then ALL_PROXY."""
    found = proxy_of_environment(httpx.URL(url), environment)
    assert expected == (found.url if isinstance(found, Proxy) else found)


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"HTTPS_PROXY": "http://user:hunter2@p:notaport"}, "HTTPS_PROXY "),
        ({"https_proxy": "http://user:hunter2@p:notaport"}, "https_proxy "),
        ({"ALL_PROXY": "ftp://user:hunter2@p"}, "ALL_PROXY "),
        ({"HTTPS_PROXY": "p:1", "NO_PROXY": "a/b"}, "NO_PROXY: "),
        ({"HTTPS_PROXY": "p:1", "no_proxy": "a:b"}, "no_proxy: "),
    ],
)
def test_a_wrong_environment(environment: dict[str, str], name: str) -> None:
    """The problem of a variable names it as it is written, without the password."""
    problem = proxy_of_environment(httpx.URL(API), environment)
    assert isinstance(problem, str)
    assert problem.startswith(name)
    assert "hunter2" not in problem


def test_a_wrong_no_proxy_without_a_proxy() -> None:
    """`NO_PROXY` is ignored if no variable names a proxy."""
    environment: dict[str, Any] = {"NO_PROXY": "a/b"}
    assert proxy_of_environment(httpx.URL(API), environment) is None
