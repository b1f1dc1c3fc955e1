"""Inventories of other projects, so that links to them work without a network.

Sphinx downloads an inventory of each project that the pages link to. Without a network it warns,
and `sphinx-build -W` fails. So each project has a second inventory here, with the names that our
pages use. Sphinx uses it if the download fails. httpx publishes no inventory at all.
"""

import zlib
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "_build" / "inventories"

NAMES = {
    "python": """
        asyncio.timeout py:function library/asyncio-task.html#asyncio.timeout
        bool py:class library/functions.html#bool
        bytes py:class library/stdtypes.html#bytes
        collections.abc.AsyncGenerator py:class library/collections.abc.html#$
        collections.abc.AsyncIterator py:class library/collections.abc.html#$
        collections.abc.Awaitable py:class library/collections.abc.html#$
        collections.abc.Callable py:class library/collections.abc.html#$
        collections.abc.Collection py:class library/collections.abc.html#$
        collections.abc.Iterable py:class library/collections.abc.html#$
        collections.abc.Iterator py:class library/collections.abc.html#$
        collections.abc.Mapping py:class library/collections.abc.html#$
        collections.abc.MutableMapping py:class library/collections.abc.html#$
        collections.abc.Sequence py:class library/collections.abc.html#$
        contextlib.AbstractAsyncContextManager py:class library/contextlib.html#$
        datetime.datetime py:class library/datetime.html#$
        datetime.timedelta py:class library/datetime.html#$
        dict py:class library/stdtypes.html#dict
        enum.Enum py:class library/enum.html#$
        Exception py:exception library/exceptions.html#$
        float py:class library/functions.html#float
        frozenset py:class library/stdtypes.html#frozenset
        ImportError py:exception library/exceptions.html#$
        int py:class library/functions.html#int
        list py:class library/stdtypes.html#list
        None py:data library/constants.html#None
        object py:class library/functions.html#object
        os.PathLike py:class library/os.html#$
        pathlib.Path py:class library/pathlib.html#$
        set py:class library/stdtypes.html#set
        ssl.SSLContext py:class library/ssl.html#$
        str py:class library/stdtypes.html#str
        tuple py:class library/stdtypes.html#tuple
        TypeError py:exception library/exceptions.html#$
        types.TracebackType py:class library/types.html#$
        typing.Any py:data library/typing.html#$
        typing.Generic py:class library/typing.html#$
        typing.Literal py:data library/typing.html#$
        typing.Self py:data library/typing.html#$
        typing.TypedDict py:class library/typing.html#$
        typing.Unpack py:data library/typing.html#$
        UserWarning py:exception library/exceptions.html#$
        ValueError py:exception library/exceptions.html#$
    """,
    "httpx": """
        httpx.AsyncClient py:class api/#asyncclient
        httpx.Headers py:class api/#headers
        httpx.URL py:class api/#url
        httpx.AsyncBaseTransport py:class advanced/transports/#custom-transports
    """,
    "attrs": """
        attrs.evolve py:function api.html#$
        attrs.frozen py:function api.html#$
    """,
    "anyio": """
        anyio.Event py:class api.html#$
        anyio.CancelScope py:class api.html#$
    """,
}


def mapping(**addresses: str) -> dict[str, tuple[str, tuple[str | None, ...]]]:
    """Return the value of `intersphinx_mapping`.

    Args:
        addresses: The address of the documentation of each project.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    found: dict[str, tuple[str, tuple[str | None, ...]]] = {}
    for project, address in addresses.items():
        path = FOLDER / f"{project}.inv"
        path.write_bytes(inventory(project, NAMES[project]))
        published = () if project == "httpx" else (None,)  # None: the address and "objects.inv"
        found[project] = (address, (*published, str(path)))
    return found


def optional() -> list[tuple[str, str]]:
    """Return the value of `nitpick_ignore`: links that may be missing from a newer inventory."""
    rows = [line.split() for names in NAMES.values() for line in names.strip().splitlines()]
    roles = ("py:class", "py:func", "py:exc", "py:data", "py:obj")
    return [(role, row[0]) for row in rows for role in roles]


def inventory(project: str, names: str) -> bytes:
    """Return an inventory in Sphinx's format, version 2."""
    head = (
        f"# Sphinx inventory version 2\n# Project: {project}\n# Version:\n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    rows = [line.split() for line in names.strip().splitlines()]
    body = "".join(f"{name} {role} 1 {place} -\n" for name, role, place in rows)
    return head.encode() + zlib.compress(body.encode())
