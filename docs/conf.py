"""Sphinx configuration.

Two environment variables tell a build where it will be published; without them it has no edit links and no absolute
addresses in link previews. ``ONEPASS_DOCS_REPOSITORY`` is the address of the repository
(``https://github.com/OWNER/onepass/``), ``ONEPASS_DOCS_URL`` that of the site.
"""

import os
from importlib.metadata import version as installed_version

project = "onepass"
author = "The onepass authors"
copyright = "2026, the onepass authors"  # noqa: A001 - Sphinx's name for it
release = installed_version("onepass")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinxext.opengraph",
]
exclude_patterns = ["_build"]
default_role = "code"
smartquotes = False  # two hyphens are an option, not a dash

html_theme = "furo"
html_title = f"onepass {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
if repository := os.environ.get("ONEPASS_DOCS_REPOSITORY"):
    html_theme_options = {"source_repository": repository, "source_branch": "main", "source_directory": "docs/"}

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {"Array": "numpy.ndarray"}
napoleon_use_rtype = False
maximum_signature_line_length = 90  # longer signatures have a line for each parameter

copybutton_prompt_text = r">>> |\.\.\. |\$ "  # which are not copied, nor is the output below a prompt
copybutton_prompt_is_regexp = True
copybutton_line_continuation_character = "\\"

ogp_site_url = os.environ.get("ONEPASS_DOCS_URL", "")
ogp_social_cards = {"enable": False}  # they need fonts and Matplotlib, and say no more than the title
