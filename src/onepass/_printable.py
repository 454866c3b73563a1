"""Text of models, files and servers, made fit for a person's terminal or log: what would control it is shown instead.

JSON and files that are written keep every letter.
"""

from __future__ import annotations

import re

# Control characters of both blocks, marks that turn the direction of what follows, separators of lines that are none to
# Python, and halves of pairs, which stand for bytes of a file's name that are no text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LINES = frozenset("\n\t")


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return a text with an escape (``\x1b``, ``\n``, ``\u202e``) in place of each character that controls.

    Args:
        text: Any text.
        lines: Whether the ends of its lines, and its tabs, stay.
    """

    def shown(found: re.Match[str]) -> str:
        letter = found[0]
        return letter if lines and letter in _LINES else letter.encode("unicode_escape").decode()

    return _CONTROL.sub(shown, text)


def indented(text: str) -> str:
    """Return a text of several lines with all but the first set in, so that none can pass for one of its own."""
    return re.sub(r"\n(?=\S)", "\n  ", printable(text.strip("\n"), lines=True))


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 core``, ``2 cores``.

    Args:
        count: The number.
        noun: The noun in the singular.
        plural: Its plural, where that does not end in an added "s".
    """
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"
