"""Settings that repeat a fact agree with each other."""

import re
import tomllib
from pathlib import Path

import pytest

import noxfile

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def python_classifiers() -> list[str]:
    """Return the versions of Python that the package claims to support."""
    prefix = "Programming Language :: Python :: 3."
    return [f"3.{name.removeprefix(prefix)}" for name in PROJECT["classifiers"] if prefix in name]


def test_supported_python_versions_are_tested() -> None:
    """Continuous integration tests each version of Python that a classifier names."""
    workflow = ROOT / ".github/workflows/tests.yml"
    if not workflow.exists():
        pytest.skip("the source distribution does not contain the workflows")
    matrix = re.findall(r"^ +python: \[(.+)\]$", workflow.read_text(), flags=re.MULTILINE)
    actual = re.findall(r'"([^"]+)"', matrix[0])

    assert actual == python_classifiers()


def test_lowest_python_version() -> None:
    """The lowest version of Python that can install the package is in the classifiers."""
    assert PROJECT["requires-python"] == f">={python_classifiers()[0]}"


@pytest.mark.parametrize("module", noxfile._MUTATED)
def test_mutation_session_names_existing_files(module: str) -> None:
    """The mutation session finds each module that it changes, and the tests it runs for it."""
    tests = [option.split("=")[-1].split("::")[0] for option in noxfile._MUTATED[module].split()]

    assert [path for path in [module, *tests] if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("library", ["httpx", "httpcore", "anyio", "aiohttp"])
def test_libraries_whose_private_parts_are_used_have_an_upper_bound(library: str) -> None:
    """A release with other private attributes is not installed before the tests have run on it."""
    dependencies = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["aiohttp"]]
    (bounds,) = [line for line in dependencies if re.match(rf"{library}\W", line)]

    assert ",<" in bounds


def test_linters_have_the_same_bounds() -> None:
    """The lint session installs the same versions as the extra `dev`."""
    source = (ROOT / "noxfile.py").read_text()
    (arguments,) = re.findall(r"def lint.*?\binstall\(session, (.*?)\)", source, flags=re.DOTALL)
    actual = re.findall(r'"([^"]+)"', arguments)

    assert actual
    assert set(actual) <= set(PROJECT["optional-dependencies"]["dev"])
