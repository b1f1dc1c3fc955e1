"""The docstrings of fields: the strings below the fields of a class, which editors show.

Python does not keep them, so they are read from the source.
"""

import ast
import importlib
import inspect
from collections.abc import Mapping
from functools import cache
from itertools import pairwise


def field_docs(kind: type) -> dict[str, str]:
    """Return the docstrings of the fields of a class and its bases, by their names.

    Args:
        kind: A class with annotated fields, such as an attrs class or a `TypedDict`.
    """
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("losant_tokens"):
            found |= docs_in_module(base.__module__).get(base.__qualname__, {})
    return found


@cache
def docs_in_module(name: str) -> Mapping[str, dict[str, str]]:
    """Return the docstrings of the fields of each class that a module defines.

    Those of the bases in the same module are included, because a `TypedDict` does not remember its
    bases.
    """
    tree = ast.parse(inspect.getsource(importlib.import_module(name)))
    found: dict[str, dict[str, str]] = {}
    for one in tree.body:
        if isinstance(one, ast.ClassDef):
            bases = [found.get(ast.unparse(base), {}) for base in one.bases]
            found[one.name] = {}
            for docs in (*bases, docs_in_class(one)):
                found[one.name] |= docs
    return found


def docs_in_class(definition: ast.ClassDef) -> dict[str, str]:
    """Return the docstrings of the fields that a class defines itself."""
    return {
        statement.target.id: inspect.cleandoc(text.value.value)
        for statement, text in pairwise(definition.body)
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
