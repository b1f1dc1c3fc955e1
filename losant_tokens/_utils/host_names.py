"""Host names and IP addresses in URLs and settings."""

import ipaddress
import re

_MAX_NAME_LENGTH = 253
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_address(host: str) -> Address | None:
    """Return a host as an IP address, or `None` if it is a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine: `localhost`, 127.0.0.0/8 or ::1."""
    address = parse_address(host)
    return host == "localhost" if address is None else address.is_loopback


def is_valid_host(host: str) -> bool:
    """Return whether a resolver accepts a host: no label is empty, and none is too long.

    `https://a..b` parses as a URL, but the resolver fails with a `UnicodeError`.

    Args:
        host: An address without brackets, or a name in lower case and in ASCII.
    """
    if parse_address(host) is not None:
        return True
    labels = host.removesuffix(".").split(".")
    return len(host) <= _MAX_NAME_LENGTH and all(map(_LABEL.fullmatch, labels))
