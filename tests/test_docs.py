"""The documentation agrees with the program, and its links lead somewhere."""

import re
import runpy
from pathlib import Path

import pytest
from pygments.lexers import get_lexer_by_name

from onepass.cli import cli

_ROOT = Path(__file__).parent.parent
_PAGES = sorted([_ROOT / "README.md", _ROOT / "CONTRIBUTING.md", _ROOT / "SECURITY.md", *(_ROOT / "docs").glob("*.md"),
                 *(_ROOT / "examples").glob("*.md")])  # fmt: skip
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_BLOCK = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", flags=re.DOTALL | re.MULTILINE)
_CODE_COLUMNS = 100  # the width that docs/_static/site.css allows


def test_help_is_up_to_date() -> None:
    """docs/help.md is what the commands say now; `python docs/write_help.py` writes it again."""
    made = runpy.run_path(str(_ROOT / "docs" / "write_help.py"))["help_page"]()
    assert (_ROOT / "docs" / "help.md").read_text(encoding="utf-8") == made
    for name in cli.commands or ("inspect", "run", "compare", "bench", "doctor", "gaze", "demo"):
        assert f"## onepass {name}\n" in made


def test_help_fits_a_terminal() -> None:
    """No command's help is wider than the 80 columns that every terminal has."""
    page = runpy.run_path(str(_ROOT / "docs" / "write_help.py"))["help_page"](width=80)
    assert [line for line in page.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_links(page: Path) -> None:
    """A link to a file leads to one that is there, and a link within the pages to a heading that is there."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in _LINK.findall(text):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in _anchors(target), f"{page.name}: {link}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_code_blocks(page: Path) -> None:
    """Every code block has a language that Pygments knows, and in docs/ no line is wider than the site."""
    for _, language, code in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if not language.startswith("{"):
            get_lexer_by_name(language)  # raises if the name is unknown
        if page.parent.name == "docs":
            assert [line for line in code.splitlines() if len(line) > _CODE_COLUMNS] == []


def test_every_page_is_in_the_table_of_contents() -> None:
    """Every page is in exactly one group of the index."""
    index = (_ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    groups = re.findall(r"^```\{toctree\}\n(?::[^\n]*\n)*(.*?)^```", index, flags=re.DOTALL | re.MULTILINE)
    pages = {page.stem for page in (_ROOT / "docs").glob("*.md")} - {"index"}
    assert sorted(" ".join(groups).split()) == sorted(pages)


def test_contributing_lists_the_targets() -> None:
    """CONTRIBUTING lists every target of the Makefile that people run, and no other."""
    makefile, page = ((_ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "CONTRIBUTING.md"))
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, flags=re.MULTILINE)) - {"help", "environments"}
    assert sorted(re.findall(r"^make ([a-z-]+) ", page, flags=re.MULTILINE)) == sorted(targets)
