"""Make text from models, files and servers safe for terminals and logs: control characters are shown as escapes.

JSON and written files keep every character.
"""

from __future__ import annotations

import re

# Control characters (C0 and C1), bidirectional marks, Unicode line separators, and surrogates, which stand for invalid
# bytes of a file name.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LINES = frozenset("\n\t")


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return a text with each control character replaced by its escape (``\x1b``, ``\n``, ``\u202e``).

    Args:
        text: Any text.
        lines: Whether to keep line feeds and tabs.
    """

    def shown(found: re.Match[str]) -> str:
        letter = found[0]
        return letter if lines and letter in _LINES else letter.encode("unicode_escape").decode()

    return _CONTROL.sub(shown, text)


def indented(text: str) -> str:
    """Indent all lines but the first, so that no line of a foreign text looks like a separate message."""
    return re.sub(r"\n(?=\S)", "\n  ", printable(text.strip("\n"), lines=True))


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 core``, ``2 cores``, ``1,200 rows``.

    Args:
        count: The number.
        noun: The noun in the singular.
        plural: Its plural, where that does not end in an added "s".
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
