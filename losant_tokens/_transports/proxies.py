"""Proxy settings: the argument `proxy`, and `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`.

The problem: there is no standard for these variables. curl, Go and requests read them in different
ways. A request that bypasses a proxy by mistake, or goes through one by mistake, may show the token
to others.

The approach: accept the forms that do not contradict each other, and raise an error that names the
variable for any other value.

Rejected: `urllib.request.getproxies`, because it knows neither CIDR blocks nor IPv6, adds the
system settings of Windows and macOS, and returns values that no HTTP client accepts.
"""

import fnmatch
import ipaddress
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, cast

import attrs
import httpx

from losant_tokens._transports.permanent_failures import (
    Misconfigured,
    NotThroughProxy,
    ProxyRefused,
    configuration_problem,
)
from losant_tokens._utils.host_names import is_loopback, is_valid_host, parse_address
from losant_tokens._utils.secret import Secret

Scheme = Literal["http", "https", "socks5", "socks5h"]
_SCHEMES = ("http", "https", "socks5", "socks5h")
_DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_LAST_PORT = 65535
_NOT_MADE = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)
_CGI_VARIABLE = "REQUEST_METHOD"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_PARTS = re.compile(
    r"(?P<host>\[[^]/?#]*\]?|[^:/?#\\]*)(?P<port>:[^/?#\\]*)?(?P<end>[/?#\\]?)(?P<path>.*)",
    re.DOTALL,
)
_LONGEST_LABEL = 40  # characters of one label of a host name in a message
_HIDDEN = "***"
_SHORT_BLOCK = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,2})/(\d{1,2})")


@attrs.frozen
class Proxy:
    """A proxy and the setting that names it.

    Attributes:
        scheme: The protocol of the proxy.
        host: The host of the proxy, without brackets.
        port: The port of the proxy.
        source: The variable or argument that names the proxy, for messages.
        username: The user name for the proxy, or `None`.
        password: The password of that user.
    """

    scheme: Scheme
    host: str
    port: int
    source: str = attrs.field(eq=False)
    username: Secret | None = None
    password: Secret = attrs.field(factory=lambda: Secret(""))

    @property
    def url(self) -> str:
        """The URL of the proxy, without user name and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def authorization(self) -> str | None:
        """Return the value of `Proxy-Authorization` (RFC 7617), or `None` without a user name."""
        if self.username is None:
            return None
        pair = f"{self.username.reveal()}:{self.password.reveal()}"
        return f"Basic {b64encode(pair.encode('utf-8', 'surrogateescape')).decode('ascii')}"

    @property
    def is_socks(self) -> bool:
        """Whether the protocol of the proxy is SOCKS, not HTTP."""
        return self.scheme.startswith("socks")


def name_proxy(proxy: Proxy | None, error: Exception) -> Exception:
    """Return an error that names the proxy if a connection through it has failed.

    Otherwise an unreachable proxy would look like an unreachable server.

    Args:
        proxy: The proxy, if there is one.
        error: The error of the connection, which is returned if it is about anything else.
    """
    if proxy is None or not isinstance(error, _NOT_MADE):
        return error
    if problem := configuration_problem(error):
        if not isinstance(error, httpx.ProxyError | ProxyRefused):
            return error
        start = f"the proxy {proxy.url} ({proxy.source})"
        return Misconfigured(problem.replace("the proxy", start, 1))
    named = NotThroughProxy(f"through the proxy {proxy.url} ({proxy.source})")
    named.__cause__ = error.__cause__
    return named


def parse_proxy(text: str | Secret, source: str) -> Proxy | str:
    """Return the proxy that a setting names, or the problem of the setting.

    The problem is returned instead of raised, because a traceback would show the password in the
    URL.

    Args:
        text: A proxy URL. Without a scheme, it is the URL of an HTTP proxy.
        source: The variable or argument, for messages.
    """
    plain = Secret.of(text).reveal().strip()
    if "://" not in plain:
        plain = f"http://{plain}"
    url = _parsed(plain)
    problem = _url_problem(url)
    if url is None or problem is not None:
        return f"{source} ({_without_secrets(plain)!r}) {problem}"
    return Proxy(
        scheme=cast("Scheme", url.scheme),
        host=url.raw_host.decode("ascii"),
        port=url.port or _DEFAULT_PORTS[url.scheme],
        source=source,
        username=Secret(url.username) if url.userinfo else None,
        password=Secret(url.password),
    )


def _parsed(text: str) -> httpx.URL | None:
    try:
        return httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        return None


def _without_secrets(text: str) -> str:
    """Return a proxy URL, valid or not, with `***` for each part that may be secret.

    These are the user name and the password, a port that is not a number, because it may be a
    password without its host, everything after the port, and a host that is as long as a token.
    """
    scheme, _, rest = text.partition("://")
    _, at, rest = rest.rpartition("@")
    parts = _PARTS.match(rest)
    assert parts is not None  # noqa: S101 -- it matches any string
    host, port = parts["host"], parts["port"] or ""
    if any(len(label) > _LONGEST_LABEL for label in host.split(".")):
        host = _HIDDEN
    if port[1:] and not _is_number(port[1:]):
        port = f":{_HIDDEN}"
    path = parts["end"] + (_HIDDEN if parts["path"] else "")
    scheme = scheme if _SCHEME.fullmatch(scheme) else _HIDDEN
    return f"{scheme}://{f'{_HIDDEN}@' if at else ''}{host}{port}{path}"


def _is_number(digits: str) -> bool:
    return digits.isascii() and digits.isdecimal()


def _url_problem(url: httpx.URL | None) -> str | None:
    """Return why a URL is not that of a proxy, or `None`."""
    if url is None:
        return (
            "is not a valid proxy URL. Check its port, and percent-encode special characters in "
            "its user name and password"
        )
    if url.scheme not in _SCHEMES:
        return "names a proxy with an unsupported scheme. Use http://, https:// or socks5://"
    if url.port is not None and not 0 < url.port <= _LAST_PORT:
        return f"has the port {url.port}, but a port is a number from 1 to {_LAST_PORT}"
    if not is_valid_host(url.raw_host.decode("ascii")):
        return "names an invalid proxy host. Write the URL as http://HOST:PORT"
    if url.path not in ("", "/") or url.query or url.fragment:
        return (
            "has a part after the port, or unencoded characters in its password. Write the URL as "
            "http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"
        )
    return None


def proxy_of_environment(url: httpx.URL, environ: Mapping[str, str]) -> Proxy | str | None:
    """Return the proxy that the environment names for a URL, or `None` to connect directly.

    As in curl, a variable in lower case has priority, and an empty variable means no proxy. Plain
    http to this machine never goes through a proxy, which would see the token.

    Args:
        url: The URL of the request.
        environ: The environment variables.

    Returns:
        The proxy, `None`, or the problem of a variable. The problem is not raised, because a
        traceback would show the variables.
    """
    if url.scheme == "http" and is_loopback(url.host):
        return None
    name = _variable_for(url.scheme, environ)
    if name is None:
        return None
    exclusions = "no_proxy" if "no_proxy" in environ else "NO_PROXY"
    excluded = excludes(environ.get(exclusions, ""), url)
    if isinstance(excluded, str):
        return f"{exclusions}: {excluded}"
    return None if excluded else parse_proxy(environ[name], name)


def _variable_for(scheme: str, environ: Mapping[str, str]) -> str | None:
    """Return the name of the first variable that is set for a scheme, or `None` if it is empty."""
    names = [f"{scheme}_proxy", f"{scheme}_PROXY".upper(), "all_proxy", "ALL_PROXY"]
    if scheme == "http" and _CGI_VARIABLE in environ:
        # In a CGI script, a client can set HTTP_PROXY with a `Proxy` header (https://httpoxy.org).
        names.remove("HTTP_PROXY")
    name = next((name for name in names if name in environ), None)
    return name if name is not None and environ[name].strip() else None


def excludes(no_proxy: str, url: httpx.URL) -> bool | str:
    """Return whether a value of `NO_PROXY` lists the host of a URL, or the problem of the value.

    Entries are separated by commas or spaces. An entry is one of these:

    - `*`: all hosts
    - `losant.com` or `.losant.com`: the domain and its subdomains
    - `*.losant.com`: only the subdomains
    - an IP address or a CIDR block

    A domain or an IPv4 address may have a port.

    Args:
        no_proxy: The value of the variable.
        url: The URL of the request.
    """
    host = _canonical(url.raw_host.decode("ascii"))
    port = url.port or _DEFAULT_PORTS.get(url.scheme)
    found = False
    for entry in no_proxy.replace(",", " ").split():
        matches = _matcher(entry)
        if isinstance(matches, str):
            return matches
        found = found or matches(host, port)
    return found


_Matcher = Callable[[str, int | None], bool]


def _matcher(entry: str) -> _Matcher | str:
    """Return a function that matches hosts with an entry of `NO_PROXY`, or the entry's problem."""
    name = entry.partition("://")[2] or entry
    if "://" in entry:
        name = name.rstrip("/")
    if "/" in name:
        return _block_matcher(name)
    bare = name.strip("[]")
    if parse_address(bare) is not None:
        named = _name_matcher(bare)
        return lambda host, _: named(host)
    name, colon, digits = name.rpartition(":") if ":" in name else (name, "", "")
    if colon and not (_is_number(digits) and 0 < int(digits) <= _LAST_PORT):
        return f"{entry[:60]!r} has no valid port. A port is a number from 1 to {_LAST_PORT}"
    wanted = int(digits) if digits else None
    named = _name_matcher(name)
    return lambda host, port: wanted in (None, port) and named(host)


def _block_matcher(name: str) -> _Matcher | str:
    """Return a function that matches hosts with a CIDR block, or the problem of the block."""
    text = name.replace("[", "").replace("]", "")
    if short := _SHORT_BLOCK.fullmatch(text):
        octets = short[1].split(".")
        text = f"{'.'.join([*octets, '0', '0', '0'][:4])}/{short[2]}"
    try:
        block = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return f"{name[:60]!r} is not a CIDR block such as 10.0.0.0/8 or fd00::/8"

    def matches(host: str, _: int | None) -> bool:
        address = parse_address(host)
        return address is not None and address in block

    return matches


def _name_matcher(name: str) -> Callable[[str], bool]:
    """Return a function that matches hosts with a domain, a pattern or an address."""
    if (address := parse_address(name.strip("[]"))) is not None:
        return lambda host: parse_address(host) == address
    if "*" in name:
        # Only `*` is special, so `?` and `[` are escaped. `fnmatch` makes a pattern that does not
        # backtrack.
        glob = re.sub(r"[\[?]", r"[\g<0>]", name.lower().rstrip("."))
        pattern = re.compile(fnmatch.translate(glob))
        return lambda host: pattern.match(host) is not None
    return partial(_is_within, _canonical(name.lstrip(".")))


def _is_within(domain: str, host: str) -> bool:
    """Return whether a host is a domain or one of its subdomains. An address has no parent."""
    if not domain or host == domain:
        return bool(domain)
    return host.endswith(f".{domain}") and parse_address(host) is None


def _canonical(name: str) -> str:
    """Return a host name in lower case and in ASCII, without a dot at its end."""
    name = name.rstrip(".").lower()
    if name.isascii():
        return name
    try:
        return httpx.URL(f"https://{name}").raw_host.decode("ascii")
    except httpx.InvalidURL:
        return name
