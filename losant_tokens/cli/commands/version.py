"""`version`: print the versions that a bug report needs."""

import platform
from importlib.metadata import PackageNotFoundError, version

from losant_tokens import __version__
from losant_tokens.cli._terminal.console import write_output

# The libraries that send the requests and read the command line. Some are optional.
_LIBRARIES = ("httpx", "httpcore", "aiohttp", "anyio", "uvloop", "orjson", "cyclopts", "rich")


def print_version() -> int:
    """Print the versions of this program and its parts."""
    rows = [
        ("losant-tokens", __version__),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("platform", f"{platform.system()} {platform.release()} {platform.machine()}"),
        *((name, _installed(name)) for name in _LIBRARIES),
    ]
    width = max(len(name) for name, _ in rows)
    write_output("".join(f"{name:{width}}  {value}\n" for name, value in rows))
    return 0


def _installed(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"
