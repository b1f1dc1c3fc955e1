"""The trusted certificate authorities: `verify`, `SSL_CERT_FILE` and `SSL_CERT_DIR`.

Problems are returned instead of raised. The caller decides whether a problem is an error of an
argument or of the environment.
"""

import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path

_HASH_NAME = re.compile(r"[0-9a-f]{8}\.\d+")
_SUFFIXES = frozenset({".pem", ".crt", ".cer"})
_KEY_LOG = "SSLKEYLOGFILE"

Verify = ssl.SSLContext | str | os.PathLike[str] | None


def context_of(verify: object) -> ssl.SSLContext | str | None:
    """Return the TLS context for the argument `verify`, `None` for the default, or its problem.

    Args:
        verify: A context, the path of a PEM file with authorities or of a folder with such files,
            or `None`.
    """
    if verify is None or verify is True:
        return None
    if verify is False:
        return (
            "verify=False is refused: without certificate verification, anyone on the network "
            "could read the token. Pass the path of a file with your own authority instead"
        )
    if isinstance(verify, ssl.SSLContext):
        if verify.protocol is ssl.PROTOCOL_TLS_SERVER:
            return "verify is a context for a server. Use ssl.create_default_context()"
        return verify
    if not isinstance(verify, str | os.PathLike):
        return f"verify must be an SSLContext or a path, but it is {type(verify).__name__}"
    return _context([("verify", os.fspath(verify))])


def default_context(environ: Mapping[str, str] | None) -> ssl.SSLContext | str:
    """Return the default TLS context, or the problem of an environment variable.

    The authorities of `SSL_CERT_FILE` and `SSL_CERT_DIR` replace those of certifi.

    Args:
        environ: The environment variables, or `None` to ignore them.
    """
    settings = {} if environ is None else environ
    named = [("SSL_CERT_FILE", settings.get("SSL_CERT_FILE", ""))]
    folders = settings.get("SSL_CERT_DIR", "").split(os.pathsep)
    named += [("SSL_CERT_DIR", folder) for folder in folders]
    named = [(name, path) for name, path in named if path]
    if not named:
        import certifi  # noqa: PLC0415 -- it is not needed before the first connection

        named = [("certifi", certifi.where())]
    return _context(named)


def _context(named: list[tuple[str, str]]) -> ssl.SSLContext | str:
    """Return a context that trusts only the authorities in some files and folders, or a problem.

    Args:
        named: The paths, each after the setting that named it.
    """
    context: ssl.SSLContext | None = None
    for name, path in named:
        try:
            for file, folder in _sources(path):
                if context is None:
                    context = ssl.create_default_context(cafile=file, capath=folder)
                else:
                    context.load_verify_locations(cafile=file, capath=folder)
        except (OSError, ValueError) as error:
            return _problem(error, name, path)
    assert context is not None  # noqa: S101 -- `_sources` raises if there is nothing to load
    return context


def _sources(path: str) -> list[tuple[str | None, str | None]]:
    """Return the files and folders to load for a path, as pairs of a file and a folder.

    OpenSSL finds a certificate in a folder only if the name of its file is a hash (see
    `openssl rehash`). Many folders hold `.pem` files with other names, so these are loaded one by
    one.

    Raises:
        ValueError: The folder holds no certificate.
        OSError: The folder cannot be read.
    """
    if not Path(path).is_dir():
        return [(path, None)]
    names = sorted(os.listdir(path))  # noqa: PTH208 -- names, not paths
    if any(_HASH_NAME.fullmatch(name) for name in names):
        return [(None, path)]
    files = [str(Path(path, name)) for name in names if Path(name).suffix.lower() in _SUFFIXES]
    if not files:
        raise ValueError("the folder holds no .pem, .crt or .cer file")
    return [(file, None) for file in files]


def _problem(error: OSError | ValueError, name: str, path: str) -> str:
    """Return the problem of a setting whose authorities cannot be loaded."""
    if isinstance(error, ssl.SSLError):
        why = "it holds no certificate in PEM form"
    elif isinstance(error, OSError):
        if error.filename is not None and error.filename == os.environ.get(_KEY_LOG):
            name, path = _KEY_LOG, error.filename
        why = error.strerror or type(error).__name__
    else:
        why = str(error)
    return f"{name} names {path!r}, which cannot be loaded: {why}"
