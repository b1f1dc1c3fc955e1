"""The tokens of an account for completion, kept for a minute in a private file.

A file is named by a hash of the API, the access token and the owner, and has the ids, names and
creators of tokens. It never has a secret: neither the access token nor those of the list.
"""

import hashlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

TIMEOUT = 2.0  # seconds for a request
_LIFETIME = 60.0  # seconds
# After a failure, the next TAB must not wait for the timeout again.
_LIFETIME_OF_FAILURE = 10.0  # seconds
_PAGE = 1000  # tokens; only one page is requested
_THREAD = "losant-tokens: tokens for completion"
_SUFFIX = ".tokens.json"


@frozen
class KnownToken:
    """The properties of a token that completion offers."""

    id: str
    name: str
    status: str = ""
    creator: str = ""


def known_tokens(owner: str) -> list[KnownToken]:
    """Return tokens of an owner: from the cache, or from the API if that takes at most 2 seconds.

    Without an access token, and after a failure of any kind, there are none.
    """
    access_token = os.environ.get("LOSANT_API_TOKEN", "")
    if not access_token:
        return []
    key = "\0".join((os.environ.get("LOSANT_API_URL", ""), owner, access_token))
    name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
    folder = cache_folder()
    if folder is None:
        return _fetch(owner) or []
    path = folder / f"{name}{_SUFFIX}"
    cached = _read(path)
    if cached is not None:
        return cached
    fetched = _fetch(owner)
    with suppress(OSError):
        _write(path, fetched)
    return fetched or []


def cache_folder() -> Path | None:
    """Return the folder for the cache, or None without a home folder."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "losant-tokens"
    try:
        return Path.home() / ".cache" / "losant-tokens"
    except RuntimeError:
        return None


def _read(path: Path) -> list[KnownToken] | None:
    """Return the tokens in a file that is new enough and belongs to this user, or None."""
    try:
        with path.open(encoding="utf-8") as file:
            info = os.fstat(file.fileno())
            if info.st_uid != os.geteuid() or info.st_mode & 0o077:
                return None
            data = json.load(file)
            lifetime = _LIFETIME_OF_FAILURE if data is None else _LIFETIME
            if not 0 <= time.time() - info.st_mtime < lifetime:
                return None
            return [KnownToken(**one) for one in data or ()]
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def _write(path: Path, tokens: list[KnownToken] | None) -> None:
    """Replace a file atomically, and remove the files that have expired."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for other in path.parent.glob(f"*{_SUFFIX}"):
        if time.time() - other.stat().st_mtime > _LIFETIME:
            other.unlink(missing_ok=True)
    data = None if tokens is None else [asdict(token) for token in tokens]
    # The file is private from the start: mkstemp creates it with mode 0600.
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=_SUFFIX)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(data, file)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def _fetch(owner: str) -> list[KnownToken] | None:
    """Return tokens from the API, or None after a failure or the timeout.

    A thread does the work, because the look-up of a host name cannot be cancelled.
    """
    result: list[list[KnownToken]] = []

    def work() -> None:
        with suppress(Exception):
            result.append(_request(owner))

    thread = threading.Thread(target=work, name=_THREAD, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    return result[0] if result else None


def is_waiting() -> bool:
    """Return whether a request has not ended although its time is up."""
    return any(thread.name == _THREAD for thread in threading.enumerate())


def _request(owner: str) -> list[KnownToken]:
    from losant_tokens import AsyncClient, RetryPolicy  # noqa: PLC0415 -- a cached list needs none
    from losant_tokens.cli._event_loop import run_event_loop  # noqa: PLC0415

    async def work() -> Iterable[Any]:
        retry = RetryPolicy(attempts=1, deadline=TIMEOUT)
        async with AsyncClient(timeout=TIMEOUT, retry=retry) as client:
            page = await client.tokens(owner).page(per_page=_PAGE, sort_field="name")
            return page.items

    return [
        KnownToken(
            token.id,
            token.name or "",
            token.status or "",
            token.creator_name or token.creator_id or "",
        )
        for token in run_event_loop(work)
    ]
