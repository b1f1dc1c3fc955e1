"""The trusted certificate authorities."""

import os
import ssl
from pathlib import Path
from typing import Any

import certifi
import pytest
import trustme

from losant_tokens._transports.tls import context_of, default_context


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """Return the file of an authority."""
    path = tmp_path / "authority.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return path


def trusted(context: ssl.SSLContext | str | None) -> int:
    """Return the number of authorities that a context trusts."""
    assert isinstance(context, ssl.SSLContext), context
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    return context.cert_store_stats()["x509_ca"]


def test_a_file(authority: Path) -> None:
    """The authorities of a file are trusted, and no others."""
    assert [trusted(context_of(path)) for path in (authority, str(authority))] == [1, 1]


def test_a_folder(authority: Path) -> None:
    """All certificates of a folder are trusted, even without hashes in their names."""
    trustme.CA().cert_pem.write_to_path(str(authority.with_name("another.crt")))
    authority.with_name("readme.txt").write_text("no certificate")
    assert trusted(context_of(authority.parent)) == 2


def test_a_folder_with_hashes(authority: Path) -> None:
    """OpenSSL itself reads a folder that `openssl rehash` has prepared."""
    authority.rename(authority.with_name("0a1b2c3d.0"))
    assert trusted(context_of(authority.parent)) == 0


def test_a_context() -> None:
    """A context for clients is used unchanged."""
    context = ssl.create_default_context()
    assert context_of(context) is context


@pytest.mark.parametrize("verify", [None, True])
def test_the_default(verify: Any) -> None:
    """Without `verify`, there is no context yet."""
    assert context_of(verify) is None


@pytest.mark.parametrize(
    ("verify", "words"),
    [
        (False, "verify=False is refused: without certificate verification"),
        (5, "must be an SSLContext or a path, but it is int"),
        ("/no/such/file.pem", "verify names '/no/such/file.pem', which cannot be loaded: No such"),
        ("a\0b", "cannot be loaded: embedded null byte"),
        (__file__, "it holds no certificate in PEM form"),
        (str(Path(__file__).parent), "the folder holds no .pem, .crt or .cer file"),
        (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "a context for a server"),
    ],
    ids=["false", "int", "missing", "nul", "python", "folder", "server"],
)
def test_a_wrong_verify(verify: Any, words: str) -> None:
    """A value of `verify` that cannot be used is a problem."""
    problem = context_of(verify)
    assert isinstance(problem, str)
    assert words in problem


def test_the_environment(authority: Path) -> None:
    """Only the authorities of `SSL_CERT_FILE` and `SSL_CERT_DIR` are trusted."""
    folder = authority.parent / "more"
    folder.mkdir()
    trustme.CA().cert_pem.write_to_path(str(folder / "a.pem"))
    file = {"SSL_CERT_FILE": str(authority)}
    folders = {"SSL_CERT_DIR": f"{folder}{os.pathsep}"}
    assert [trusted(default_context(named)) for named in (file, folders, file | folders)] == [
        *(1, 1, 2)
    ]


@pytest.mark.parametrize("environment", [None, {}, {"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""}])
def test_an_empty_environment(environment: dict[str, str] | None) -> None:
    """Without the variables, certifi's authorities are trusted."""
    expected = ssl.create_default_context(cafile=certifi.where()).cert_store_stats()
    context = default_context(environment)
    assert isinstance(context, ssl.SSLContext)
    assert expected == context.cert_store_stats()


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_a_wrong_environment(name: str) -> None:
    """The problem of a variable names the variable."""
    problem = default_context({name: "/no/such"})
    assert problem == f"{name} names '/no/such', which cannot be loaded: No such file or directory"


def test_a_key_log_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong `SSLKEYLOGFILE`, which Python reads itself, is named."""
    monkeypatch.setenv("SSLKEYLOGFILE", "/no/such/log")
    problem = default_context({})
    assert isinstance(problem, str)
    assert problem.startswith("SSLKEYLOGFILE names '/no/such/log'")
