"""The long description: README.md without its picture and relative links, which a package index cannot resolve.

All other metadata is in pyproject.toml.
"""

import re
from pathlib import Path

from setuptools import setup

_PICTURE = re.compile(r"^!\[[^\]]*\]\((?!https?:)[^)]*\)\n\n\*.*?\*\n\n", re.MULTILINE | re.DOTALL)  # and its caption
_LINK = re.compile(r"\[([^\]]*)\]\((?!https?:)[^)]*\)")

readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
setup(
    long_description=_LINK.sub(r"\1", _PICTURE.sub("", readme)),
    long_description_content_type="text/markdown",
)
