"""The built documentation in a browser: on a phone, on a desktop screen, search and copy buttons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chromium import chromium, needs_chromium

_DOCS = Path(__file__).parent.parent / "docs"
_SITE = _DOCS / "_build" / "html"
_INDEX = _SITE / "searchindex.js"  # every build writes this file
_SOURCES = [*_DOCS.glob("*.*"), *_DOCS.glob("_static/*")]
_FRESH = _INDEX.exists() and _INDEX.stat().st_mtime > max(source.stat().st_mtime for source in _SOURCES)
pytestmark = [needs_chromium, pytest.mark.skipif(not _FRESH, reason="needs up-to-date pages: make docs")]

_HIDDEN = """selector => [...document.querySelectorAll(selector)]
    .filter(box => box.scrollWidth > box.clientWidth + 1).map(box => box.textContent.trim().slice(0, 60))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, for all tests of the site."""
    with chromium() as started:
        yield started


def test_nothing_is_cut_off(browser: Any) -> None:
    """At 400 px only wide tables and code scroll sideways, never the page; at 1,400 px every line of code fits."""
    page = browser.new_page()
    for file in _SITE.glob("*.html"):
        page.goto(file.as_uri(), wait_until="domcontentloaded")
        for width, boxes in ((400, "html, .content"), (1400, "html, .content, article pre")):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate(_HIDDEN, boxes) == [], f"{file.name} at {width} pixels"
    page.close()


@pytest.mark.parametrize("query", ["binding order", "several outputs", "multiple outputs"])
def test_search_leads_to_names(browser: Any, query: str) -> None:
    """A search in other tools' terms lists the page about which output is which first."""
    page = browser.new_page()
    page.goto(f"{(_SITE / 'search.html').as_uri()}?q={query.replace(' ', '+')}")
    first = page.wait_for_selector("#search-results ul.search li > a")
    assert first.get_attribute("href").startswith("which-output.html")
    page.close()


def test_only_commands_are_copied(browser: Any) -> None:
    """The copy button of a console block copies the commands, without prompts and output."""
    page = browser.new_page()
    page.goto((_SITE / "start.html").as_uri())
    button = page.wait_for_selector(".highlight-console .copybtn")
    page.evaluate("addEventListener('copy', event => { window.copied = event.target.value; })")
    button.click()
    assert page.evaluate("window.copied") == "onepass inspect elg.onnx\n"
    page.close()
