"""The directive `client-resources`: every method of every resource of an `AsyncClient`.

The classes of the resources are private, because users reach them through a client only. So their
methods are documented under the names that users write, such as `client.user_api_token.get()`.
"""

import inspect
from collections.abc import Callable
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from public_names import public_signature
from sphinx.application import Sphinx
from sphinx.ext.napoleon import GoogleDocstring
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import stringify_signature

from losant_tokens import AsyncClient, RawClient


class ClientResources(SphinxDirective):
    """Documents the resources of a client, each with its methods."""

    def run(self) -> list[nodes.Node]:
        """Return the nodes."""
        lines: list[str] = []
        for name, resource in resources():
            lines += [f"### client.{name}", "", inspect.getdoc(type(resource)) or "", ""]
            lines += ["```{eval-rst}", ".. py:currentmodule:: losant_tokens", ""]
            for method_name, method in vars(type(resource)).items():
                if inspect.isfunction(method) and not method_name.startswith("_"):
                    lines += method_lines(f"{name}.{method_name}", method, self.config)
            lines += ["```", ""]
        node = nodes.section()
        node.document = self.state.document
        self.state.nested_parse(
            StringList(lines, self.get_source_info()[0]), 0, node, match_titles=True
        )
        return node.children


def resources() -> list[tuple[str, object]]:
    """Return the resources of a client by the names of their attributes, in the order of the code.

    The attributes of a raw client have the same names. Most of those of a client are set when it is
    created, and the others are properties.
    """
    client = AsyncClient("a-token", base_url="https://api.losant.com")
    return [(name, getattr(client, name)) for name in RawClient.__annotations__]


def method_lines(name: str, method: Callable[..., object], config: Any) -> list[str]:
    """Return the documentation of a method, as lines of reStructuredText."""
    text = stringify_signature(public_signature(method), unqualified_typehints=True)
    lines = [f".. py:method:: AsyncClient.{name}{text}"]
    lines += ["   :async:"] if inspect.iscoroutinefunction(method) else []
    docstring = GoogleDocstring(inspect.getdoc(method) or "", config, what="method")
    body = ["   " + line if line else line for line in str(docstring).splitlines()]
    return [*lines, "", *body, ""]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("client-resources", ClientResources)
    return {"parallel_read_safe": True}
