"""Check the docstrings of fields and options, which editors show."""

import importlib
import importlib.util
import inspect
import re
from pathlib import Path
from typing import Any, is_typeddict

import attrs
import pytest

from losant_tokens import AsyncClient, _client_settings, errors, fleet
from losant_tokens._http import call_options

NAMES = ("accounts", "audit", "fleet", "jobs", "leaks", "notices", "policy", "sinks", "testing")
MODULES = ("losant_tokens", *(f"losant_tokens.{name}" for name in NAMES))
SELF = re.compile(r"\bself\.([a-z]\w*)(?:: [^=]+)? = ")
PATH = Path(__file__).parent.parent.parent / "docs" / "_extensions" / "field_docs.py"
UNITS = re.compile(r"\b(seconds|percent|share|times|ratio|per second|number)\b")


def _field_docs() -> Any:
    spec = importlib.util.spec_from_file_location("field_docs", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.field_docs


field_docs = _field_docs()
OPTIONS = [
    *(kind for kind in vars(call_options).values() if is_typeddict(kind)),
    _client_settings.ClientSettings,
]


def public_classes(module: str) -> list[type]:
    """Return the public classes of a module that have fields."""
    public = importlib.import_module(module)
    values = (getattr(public, name) for name in public.__all__)
    return [
        one for one in values if isinstance(one, type) and (attrs.has(one) or is_typeddict(one))
    ]


def fields_of(kind: Any) -> dict[str, object]:
    """Return the public fields of a class, with their types."""
    if is_typeddict(kind):
        return dict(kind.__annotations__)
    return {one.name: one.type for one in attrs.fields(kind) if not one.name.startswith("_")}


@pytest.mark.parametrize("module", MODULES)
def test_each_field_has_a_docstring(module: str) -> None:
    """Each field of a public class has a docstring, so that editors describe it."""
    missing = {
        f"{kind.__name__}.{name}"
        for kind in public_classes(module)
        for name in fields_of(kind)
        if not field_docs(kind).get(name)
    }
    assert missing == set()


def test_each_option_has_a_docstring() -> None:
    """Each keyword option of a method and of a client has a docstring."""
    assert len(OPTIONS) > 10
    missing = {
        f"{kind.__name__}.{name}"
        for kind in OPTIONS
        for name in fields_of(kind)
        if not field_docs(kind).get(name)
    }
    assert missing == set()


def test_each_attribute_of_an_error_has_a_docstring() -> None:
    """Each attribute of a public error, a client and a fleet is declared with a docstring."""
    values = (
        getattr(public, name)
        for public in (errors, *map(importlib.import_module, MODULES))
        for name in public.__all__
    )
    public_errors = {
        one for one in values if isinstance(one, type) and issubclass(one, errors.LosantError)
    }
    attributes = {
        (kind, name)
        for kind in (*public_errors, AsyncClient, fleet.Fleet)
        if "__init__" in vars(kind)  # an error without one has the attributes of its base
        for name in SELF.findall(inspect.getsource(kind))
    }
    assert (fleet.DecisionRefused, "run") in attributes
    missing = {
        f"{kind.__name__}.{name}" for kind, name in attributes if not field_docs(kind).get(name)
    }
    assert missing == set()


@pytest.mark.parametrize("module", MODULES)
def test_units(module: str) -> None:
    """The docstring of a field that is a floating-point number gives its unit."""
    missing = {
        f"{kind.__name__}.{name}"
        for kind in (*public_classes(module), *OPTIONS)
        for name, annotation in fields_of(kind).items()
        if annotation in {float, float | None} and not UNITS.search(field_docs(kind)[name])
    }
    assert missing == set()
