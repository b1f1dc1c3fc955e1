"""Proxy settings: `proxy=`, and `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.

`urllib.request` reads these variables too, but it knows neither CIDR blocks nor IPv6, adds the
system settings of Windows and macOS, and passes on values that no HTTP client accepts. curl, Go
and requests each read them in their own way, so this module accepts the union of the forms that
they agree on and rejects a value that it does not understand. A request that silently goes past a
proxy, or through one, is worse than an error that names the variable.
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

from losant_tokens._hosts import is_loopback, is_valid_host, parse_address
from losant_tokens._secret import Secret
from losant_tokens._transports.configuration_problems import NotThroughProxy, configuration_problem

Scheme = Literal["http", "https", "socks5", "socks5h"]
_SCHEMES = ("http", "https", "socks5", "socks5h")
_DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_LAST_PORT = 65535
_NOT_MADE = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)
_CGI_VARIABLE = "REQUEST_METHOD"
_SHORT_BLOCK = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,2})/(\d{1,2})")


@attrs.frozen
class Proxy:
    """A proxy and the setting that named it.

    Attributes:
        scheme: How to speak to the proxy.
        host: Its host, without brackets.
        port: Its port.
        source: The variable or argument that named it, for messages.
        username: The user name for the proxy, or None.
        password: The password that belongs to it.
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
        """Return the value of `Proxy-Authorization`, or None without a user name (RFC 7617)."""
        if self.username is None:
            return None
        pair = f"{self.username.reveal()}:{self.password.reveal()}"
        return f"Basic {b64encode(pair.encode('utf-8', 'surrogateescape')).decode('ascii')}"

    @property
    def is_socks(self) -> bool:
        """Whether the proxy speaks SOCKS and not HTTP."""
        return self.scheme.startswith("socks")


def naming(proxy: Proxy | None, error: Exception) -> Exception:
    """Return an error that names the proxy, if a connection through it could not be made.

    Without it, an unreachable proxy would look like an unreachable server.

    Args:
        proxy: The proxy, if there is one.
        error: How the connection failed.
    """
    if proxy is None or not isinstance(error, _NOT_MADE) or configuration_problem(error):
        return error
    named = NotThroughProxy(f"through the proxy {proxy.url} ({proxy.source})")
    named.__cause__ = error.__cause__
    return named


def parse_proxy(text: str | Secret, source: str) -> Proxy | str:
    """Return the proxy that a setting names, or what is wrong with the setting.

    The problem is returned and not raised, because the text may hold a password, which a traceback
    would show.

    Args:
        text: A proxy URL; without a scheme, it is an HTTP proxy.
        source: The variable or argument, for messages.
    """
    plain = Secret.of(text).reveal().strip()
    if "://" not in plain:
        plain = f"http://{plain}"
    url = _parsed(plain)
    problem = _url_problem(url)
    if url is None or problem is not None:
        return f"{source} {problem}"
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


def _url_problem(url: httpx.URL | None) -> str | None:
    """Return why a URL is not that of a proxy, or None. Its user info and path may be secret."""
    if url is None:
        return (
            "is not a valid proxy URL: check its port, and percent-encode special characters in "
            "its user name and password"
        )
    if url.scheme not in _SCHEMES:
        return "names a proxy of an unsupported kind: use http://, https:// or socks5://"
    if url.port is not None and not 0 < url.port <= _LAST_PORT:
        return f"has the port {url.port}: a port is a number from 1 to {_LAST_PORT}"
    if not is_valid_host(url.raw_host.decode("ascii")):
        return "names no valid proxy host: write it as http://HOST:PORT"
    if url.path not in ("", "/") or url.query or url.fragment:
        return (
            "has a part after the port, or unencoded characters in its password: write it as "
            "http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"
        )
    return None


def proxy_of_environment(url: httpx.URL, environ: Mapping[str, str]) -> Proxy | str | None:
    """Return the proxy that the environment names for a URL, or None to connect directly.

    A variable in lower case wins over the same one in upper case, and an empty one means no proxy,
    as in curl. Plain http to this machine never goes through a proxy, which would see the token.

    Args:
        url: Where the request goes.
        environ: The environment variables.

    Returns:
        The proxy, None, or what is wrong with a variable. That is not raised, because a traceback
        would show the variables.
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
    """Return the name of the first variable that is set for a scheme, unless it is empty."""
    names = [f"{scheme}_proxy", f"{scheme}_PROXY".upper(), "all_proxy", "ALL_PROXY"]
    if scheme == "http" and _CGI_VARIABLE in environ:
        # A web server sets HTTP_PROXY from the header `Proxy` of a request (https://httpoxy.org).
        names.remove("HTTP_PROXY")
    name = next((name for name in names if name in environ), None)
    return name if name is not None and environ[name].strip() else None


def excludes(no_proxy: str, url: httpx.URL) -> bool | str:
    """Return whether a value of `NO_PROXY` lists the host of a URL, or what is wrong with it.

    Entries are separated by commas or spaces. An entry is `*`, a domain (`losant.com`,
    `.losant.com`: the domain and all below it), a pattern (`*.losant.com`: all below it), an
    address or a CIDR block; a domain or an address may have a port.

    Args:
        no_proxy: The value of the variable.
        url: Where the request goes.
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
    """Return the test for an entry of `NO_PROXY`, or what is wrong with the entry."""
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
    if colon and not (digits.isascii() and digits.isdecimal() and 0 < int(digits) <= _LAST_PORT):
        return f"{entry[:60]!r} has no valid port; a port is a number from 1 to {_LAST_PORT}"
    wanted = int(digits) if digits else None
    named = _name_matcher(name)
    return lambda host, port: wanted in (None, port) and named(host)


def _block_matcher(name: str) -> _Matcher | str:
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
    if (address := parse_address(name.strip("[]"))) is not None:
        return lambda host: parse_address(host) == address
    if "*" in name:
        # `*` alone is special, and `fnmatch` makes of it a pattern that does not backtrack.
        glob = re.sub(r"[\[?]", r"[\g<0>]", name.lower().rstrip("."))
        pattern = re.compile(fnmatch.translate(glob))
        return lambda host: pattern.match(host) is not None
    return partial(_is_within, _canonical(name.lstrip(".")))


def _is_within(domain: str, host: str) -> bool:
    """Whether a host is a domain or below it; an address is below nothing."""
    if not domain or host == domain:
        return bool(domain)
    return host.endswith(f".{domain}") and parse_address(host) is None


def _canonical(name: str) -> str:
    """Return a host name in lower case and in ASCII, without the dot of its root."""
    name = name.rstrip(".").lower()
    if name.isascii():
        return name
    try:
        return httpx.URL(f"https://{name}").raw_host.decode("ascii")
    except httpx.InvalidURL:
        return name
