"""Sphinx configuration.

Set two environment variables to publish the site; both are optional. ``ONEPASS_DOCS_REPOSITORY``, the repository URL
(``https://github.com/OWNER/onepass/``), adds edit links. ``ONEPASS_DOCS_URL``, the site URL, makes the addresses in
link previews absolute.
"""

import os
from importlib.metadata import version as installed_version

from sphinx.application import Sphinx

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
pygments_dark_style = "github-dark"  # Furo's default underlines module names
if repository := os.environ.get("ONEPASS_DOCS_REPOSITORY"):
    html_theme_options = {"source_repository": repository, "source_branch": "main", "source_directory": "docs/"}

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {"Array": "numpy.ndarray"}
napoleon_use_rtype = False
maximum_signature_line_length = 90  # longer signatures get one line per parameter

copybutton_prompt_text = r">>> |\.\.\. |\$ "  # copied: commands, without prompts and output
copybutton_prompt_is_regexp = True
copybutton_line_continuation_character = "\\"

ogp_site_url = os.environ.get("ONEPASS_DOCS_URL", "")
ogp_image = "_images/demo.png"  # from the index page
ogp_image_alt = "Eyelids, irises and gaze, drawn on a picture"
ogp_social_cards = {"enable": False}  # they need Matplotlib and only repeat the title

_SEARCHED_FOR = {
    "batch": ["batch job", "offline inference"],
    "build": ["float16", "fp16", "half precision", "int8", "quantization"],
    "gaze-video": ["camera", "webcam", "eye tracking"],
    "serve": ["server", "inference server", "grpc"],
    "which-output": [
        "binding order", "output order", "several outputs", "multiple outputs", "multiple heads", "trtexec engine",
    ],
}  # fmt: skip


def setup(app: Sphinx) -> None:
    """Add index entries for common search phrases, so that a search lists the page with the answer first."""

    def add_entries(_app: Sphinx, page: str, source: list[str]) -> None:
        if page in _SEARCHED_FOR:
            title, _, rest = source[0].partition("\n")
            entries = ", ".join(f"! {phrase}" for phrase in _SEARCHED_FOR[page])
            source[0] = f"{title}\n\n```{{index}} {entries}\n```\n{rest}"

    app.connect("source-read", add_entries)
