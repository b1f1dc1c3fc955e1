"""The docstrings of fields: the strings below the fields of a class, which editors show.

Python does not keep them, so they are read from the source.
"""

import ast
import inspect
import textwrap
from itertools import pairwise
from typing import is_typeddict


def field_docs(kind: type) -> dict[str, str]:
    """Return the docstrings of the fields of a class and its bases, by their names.

    Args:
        kind: A class with annotated fields, such as an attrs class or a `TypedDict`.
    """
    bases = kind.__orig_bases__ if is_typeddict(kind) else kind.__mro__[1:-1]
    found: dict[str, str] = {}
    for base in reversed(bases):
        if isinstance(base, type) and base is not dict:
            found |= field_docs(base)
    return found | own_field_docs(kind)


def own_field_docs(kind: type) -> dict[str, str]:
    """Return the docstrings of the fields that a class defines itself."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):  # a class without a source in Python
        return {}
    (definition,) = tree.body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    return {
        statement.target.id: inspect.cleandoc(text.value.value)
        for statement, text in pairwise(body)
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
