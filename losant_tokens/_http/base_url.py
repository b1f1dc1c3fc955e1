"""The check of a base URL of the API."""

from losant_tokens._utils import validators
from losant_tokens._utils.host_names import is_valid_host
from losant_tokens.errors import ValidationError

API_URL = "https://api.losant.com"
"""The base URL of the public API."""

_MAX_PORT = 65535


def check_base_url(value: object) -> str:
    """Return a base URL without a trailing slash, and without a trailing dot in its host.

    Raises:
        ValidationError: It is not a URL, or has parts that a base URL cannot have.
    """
    if not isinstance(value, str):
        raise ValidationError(
            f"The base URL is not a URL such as https://api.losant.com: "
            f"{validators.describe(value)}"
        )
    if any(mark in value for mark in "@?#"):
        raise ValidationError(
            "The base URL must have only a host, a port and a path, but it has a user name, a "
            "query or a fragment"
        )
    # Imported here, because a command that only reads files may have no base URL to check.
    import httpx  # noqa: PLC0415

    try:
        url = httpx.URL(value)
        # Reading the host decodes it, which raises for a name that is not valid IDNA.
        has_host, port = bool(url.host), url.port
    except (httpx.InvalidURL, ValueError):
        raise ValidationError(
            f"The base URL is not a URL such as https://api.losant.com: "
            f"{validators.describe(value)}"
        ) from None
    if port is not None and not 0 < port <= _MAX_PORT:
        raise ValidationError(
            f"The base URL must have a port from 1 to {_MAX_PORT}, "
            f"but it is {validators.describe(value)}"
        )
    if url.scheme not in ("http", "https"):
        raise ValidationError(
            f"The base URL must start with https://, but it is {validators.describe(value)}"
        )
    if not has_host:
        raise ValidationError(f"The base URL has no host: {validators.describe(value)}")
    host = url.raw_host.decode("ascii")
    if not is_valid_host(host):
        raise ValidationError(
            f"The base URL has a host that cannot be looked up: {validators.describe(value)}"
        )
    if host.endswith("."):
        # Certificates name a host without the dot, so the name would not match.
        url = url.copy_with(host=host.removesuffix("."))
    return str(url).rstrip("/")
