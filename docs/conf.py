"""How the documentation is built: `nox -s docs`."""

from losant_tokens import __version__

project = "losant-tokens"
author = "The losant-tokens maintainers"
copyright = "2026, the losant-tokens maintainers"  # noqa: A001 -- Sphinx's name for it
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "losant-tokens"

myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]  # the README links to files, which pages are not

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_class_signature = "mixed"
autoclass_content = "class"
default_role = "code"
