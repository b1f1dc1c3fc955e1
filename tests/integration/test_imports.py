"""The modules that an import of the package loads, in a new interpreter."""

import subprocess
import sys

import pytest


def run(code: str) -> str:
    """Return what a new interpreter prints."""
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_import_of_the_package_alone() -> None:
    """Importing the package alone loads no dependency: its names are imported on first use."""
    loaded = run("import sys, losant_tokens; print(*sys.modules)").split()
    assert {"httpx", "attrs", "cattrs", "anyio"}.isdisjoint(loaded)


UNNEEDED = {
    *("stamina", "jwt", "aiohttp", "rich", "cyclopts", "starlette", "uvicorn", "jsonschema"),
    *("cattrs", "losant_tokens._api.audit_log_models", "losant_tokens._api.owner_models"),
    *("losant_tokens._api.audit_log_filter", "losant_tokens._resources.raw"),
    *("respx", "pytest", "trio", "httpx2", "losant_tokens.testing", "losant_tokens.cli"),
}


def test_imports_little() -> None:
    """Importing the client imports what it needs, and not what only some of its uses need."""
    # httpx imports rich for its own command if click is installed.
    code = (
        "import sys; sys.modules['click'] = None; from losant_tokens import AsyncClient;"
        "print(*sys.modules)"
    )
    imported = set(run(code).split())

    assert {"losant_tokens", "losant_tokens._client", "httpx", "attrs"} <= imported
    assert imported & UNNEEDED == set()


def test_jwt_is_imported_for_jwts() -> None:
    """A token that cannot be a JWT does not import the library that reads JWTs."""
    code = (
        "import sys; from losant_tokens import AsyncClient;"
        "AsyncClient('plain'); print('jwt' in sys.modules);"
        "AsyncClient('a.b.c'); print('jwt' in sys.modules)"
    )
    assert run(code).split() == ["False", "True"]


def test_the_plugin_imports_no_extra() -> None:
    """The plugin, which every run of pytest imports, imports no dependency of the extra."""
    code = (
        "import sys, losant_tokens.testing.pytest_plugin; "
        "print({'starlette', 'uvicorn', 'jsonschema'} & set(sys.modules))"
    )
    assert run(code).strip() == "set()"


@pytest.mark.slow
def test_the_fake_is_independent_of_the_client() -> None:
    """The fake shares only the published scopes with the client, so that each tests the other."""
    code = (
        "import sys, types, importlib.util as util; "
        "spec = util.find_spec('losant_tokens.testing'); "
        "package = types.ModuleType('losant_tokens'); "
        "package.__path__ = [spec.submodule_search_locations[0].rpartition('testing')[0]]; "
        "ours = [name for name in sys.modules if name.startswith('losant_tokens')]; "
        "[sys.modules.pop(name) for name in ours]; "
        "sys.modules['losant_tokens'] = package; "
        "from losant_tokens.testing import FakeLosant; "
        "print([name for name in sys.modules if name.startswith('losant_tokens.')"
        " and not name.startswith('losant_tokens.testing')])"
    )
    assert run(code).strip() == "['losant_tokens._api', 'losant_tokens._api.published_scopes']"
