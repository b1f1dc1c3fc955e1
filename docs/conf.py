"""Sphinx settings. Build the documentation with `nox -s docs`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

import inventories  # a module of the folder that was just added

from losant_tokens import __version__

project = "losant-tokens"
author = "The losant-tokens maintainers"
copyright = "2026, the losant-tokens maintainers"  # noqa: A001 -- Sphinx's name for it
release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "public_names",
    "client_reference",
    "command_reference",
]
exclude_patterns = ["_build", "_extensions", "_static"]
html_theme = "furo"
html_title = "losant-tokens"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
smartquotes = False  # it would turn the dashes of an option into one
pygments_style = "friendly"
pygments_dark_style = "native"

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
# Links from the README and the changelog to files of the repository.
suppress_warnings = ["myst.xref_missing"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autoclass_content = "class"
napoleon_use_ivar = False
napoleon_custom_sections = [("Keys", "params_style")]
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
add_module_names = False
default_role = "name"

intersphinx_mapping = inventories.mapping(
    python="https://docs.python.org/3/",
    httpx="https://www.python-httpx.org/",
    attrs="https://www.attrs.org/en/stable/",
    anyio="https://anyio.readthedocs.io/en/stable/",
)
intersphinx_timeout = 5
nitpicky = True
# A type variable has no page.
_TYPE_VARIABLES = [
    ("py:class", "losant_tokens._client.M"),
    ("py:class", "losant_tokens._client._ClientT"),
    ("py:class", "losant_tokens._http.raw_response.R_co"),
    ("py:class", "losant_tokens._resources.raw.M"),
    ("py:class", "losant_tokens.sinks._types.Delivered_contra"),
]
# The methods of this class are those of `OwnerTokens`.
_OTHER_CLASSES = [("py:class", "losant_tokens._resources.raw.RawOwnerTokens")]
# The names are imported for type checkers only.
_TELEMETRY = [("py:class", "TracerProvider"), ("py:class", "MeterProvider")]
nitpick_ignore = inventories.optional() + _TYPE_VARIABLES + _OTHER_CLASSES + _TELEMETRY
# The resources of a client have no public name: the reference lists their methods.
nitpick_ignore_regex = [("py:class", r"\w+Resource")]
