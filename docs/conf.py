"""Sphinx configuration."""

from importlib.metadata import version as installed_version

project = "onepass"
author = "The onepass authors"
copyright = "2026, the onepass authors"  # noqa: A001 - Sphinx's name for it
release = installed_version("onepass")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"onepass {release}"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {"Array": "numpy.ndarray"}
napoleon_use_rtype = False
default_role = "code"
smartquotes = False  # two hyphens are an option, not a dash
