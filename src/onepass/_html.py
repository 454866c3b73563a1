"""HTML reports: a single file each, without external resources, with a light and a dark theme."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from onepass._printable import printable
from onepass._version import __version__

# Blue and vermilion of the Okabe-Ito palette: distinguishable with colour blindness, and in greyscale.
_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --card: #f6f7f9; --ink: #1b1e23; --soft: #5d6570; --line: #d8dce2;
  --good: #0072b2; --bad: #c84500; --third: #007a5a; --fourth: #8f4f87; --fifth: #8a6a00; --sixth: #3f7fae; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171b; --card: #1d2127; --ink: #e8eaed; --soft: #a0a8b3;
  --line: #363c45; --good: #56b4e9; --bad: #ff8a4c; --third: #4cc9a0; --fourth: #d79bcf; --fifth: #e3c04a;
  --sixth: #9ecbe8; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1.25rem 4rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .soft { color: var(--soft); } .good { color: var(--good); } .bad { color: var(--bad); }
.scroll { overflow-x: auto; } code { font: .92em ui-monospace, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } th { color: var(--soft); font-weight: 600; }
th, td { text-align: right; padding: .3rem .75rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th.text, td.text { text-align: left; white-space: normal; min-width: 6.5rem; }
td:first-child, th:first-child { padding-left: 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .75rem 1.25rem 1rem;
  margin: 1rem 0; } section h2 { margin-top: 0; } svg { max-width: 100%; height: auto; display: block; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; } .axis { stroke: var(--line); }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
"""


def escape(text: str, *, quote: bool = True) -> str:
    r"""Escape a text for HTML; control characters are shown as escapes such as ``\x1b``.

    Characters that reverse the direction of text on a terminal do so in a browser, too, and an escape character makes
    an SVG drawing invalid XML.
    """
    return html.escape(printable(text, lines=True), quote=quote)


def page(title: str, body: Iterable[str]) -> str:
    """Return a complete HTML page; `body` is markup, `title` is text."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + f"\n<footer>onepass {escape(__version__)}</footer>\n</body>\n</html>\n"
    )


def html_table(columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]]) -> str:
    """Return a table.

    Args:
        columns: Heading of each column, and whether it holds text (left-aligned) or numbers (right-aligned).
        rows: Markup of the cells.
    """
    kinds = [' class="text"' if text else "" for _, text in columns]
    head = "".join(f'<th scope="col"{kind}>{escape(name)}</th>' for (name, _), kind in zip(columns, kinds, strict=True))
    lines = ("".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True)) for row in rows)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
