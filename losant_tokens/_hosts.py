"""Host names and addresses, as URLs and settings write them."""

import ipaddress
import re

_LONGEST_NAME = 253
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_address(host: str) -> Address | None:
    """Return a host as an IP address, or None if it is a name."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: `localhost`, 127.0.0.0/8 or ::1."""
    found = parse_address(host)
    return host == "localhost" if found is None else found.is_loopback


def is_valid_host(host: str) -> bool:
    """Whether a resolver can look up a host: its labels are not empty, nor too long.

    `https://a..b` parses as a URL, and then fails in the resolver with a `UnicodeError`.

    Args:
        host: An address without brackets, or a name in lower case and in ASCII.
    """
    if parse_address(host) is not None:
        return True
    labels = host.removesuffix(".").split(".")
    return len(host) <= _LONGEST_NAME and all(map(_LABEL.fullmatch, labels))
