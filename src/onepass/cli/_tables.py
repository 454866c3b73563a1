"""Tables and numbers for the commands' output."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np
from rich import markup
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from onepass._printable import printable
from onepass.outputs import Array, Outputs
from onepass.tensors import STRING, Dim, dtype_name, shape_text

# Wider than any terminal: the width for files and pipes, and the limit when a table is measured.
_ANY_WIDTH = 10_000
# Shown characters of a dimension's name.
_NAME_WIDTH = 24


class _SafeConsole(Console):
    """A console for foreign text: no character of a model's names can control the terminal."""

    def on_broken_pipe(self) -> None:
        """Leave the end to `onepass.cli.main`, which is the same for all output."""
        raise  # noqa: PLE0704 - rich calls this while it handles the BrokenPipeError

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; newlines inside plain text (``markup=False``) are escaped, those at its ends are kept."""
        if options.get("markup") is False:
            objects = tuple(_one_line(each) if isinstance(each, str) else each for each in objects)
        super().print(*objects, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Render a text with markup, without characters that control a terminal."""
        return super().render_str(printable(text, lines=True), **options)


def console(*, stderr: bool = False) -> Console:
    """Return a console on standard output; in files and pipes, lines are never wrapped."""
    if stderr:
        return _SafeConsole(stderr=True, emoji=False)
    terminal = sys.stdout is not None and sys.stdout.isatty()  # it is None where the shell has closed it
    return _SafeConsole(highlight=False, emoji=False, width=None if terminal or "COLUMNS" in os.environ else _ANY_WIDTH)


def escape(text: str) -> str:
    """Return foreign text for use in rich markup; its brackets and control characters are escaped."""
    return markup.escape(printable(text))


def _one_line(text: str) -> str:
    bare = text.strip("\n")
    start = len(text) - len(text.lstrip("\n"))
    return text[:start] + printable(bare) + text[start + len(bare) :]


def table(title: str, *columns: str) -> Table:
    """Return an empty table without rules, so that its columns can be copied."""
    empty = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        # Users copy names: a name may take several lines, but is never shortened.
        empty.add_column(column, header_style="dim", overflow="fold")
    return empty


def show(out: Console, what: Table | str, *, indent: str = "") -> None:
    """Print a table, or a text without markup, so that no name and no number is broken at the end of a line.

    A table that is too wide is turned: the first cell of each row gets its own line, and the others follow in as many
    lines as they need, each after the name of its column. A text is broken only between words.

    Args:
        out: Where to print.
        what: The table or the text.
        indent: What the lines of a text begin with.
    """
    if isinstance(what, str):
        more = f"{indent}{indent}"
        wrapper = textwrap.TextWrapper(out.width, indent, more, break_long_words=False, break_on_hyphens=False)
        for text in wrapper.wrap(what):
            out.print(text, markup=False, soft_wrap=True)
        return
    title, what.title = what.title, None
    if title:
        out.print(title, style="bold", soft_wrap=True)
    if Measurement.get(out, out.options.update(max_width=_ANY_WIDTH), what).maximum <= out.width:
        out.print(what)
        return
    for line in _turned(what, out.width):
        out.print(line, soft_wrap=True)


def _turned(rows: Table, width: int) -> Iterator[Text]:
    names = [str(column.header) for column in rows.columns]
    for first, *others in zip(*(column.cells for column in rows.columns), strict=True):
        yield Text.from_markup(str(first), emoji=False)
        line = Text()
        for name, cell in zip(names[1:], others, strict=True):
            part = Text.assemble("  ", (f"{name} " if name else "", "dim"), Text.from_markup(str(cell), emoji=False))
            if line and line.cell_len + part.cell_len > width:
                yield line
                line = Text()
            line.append_text(part)
        yield line


def shape_cell(shape: tuple[Dim, ...] | None) -> str:
    """Return a shape as a table cell; names of dimensions, which may be formulas, are shortened."""
    short = shape and tuple(shorten(dim, _NAME_WIDTH) if isinstance(dim, str) else dim for dim in shape)
    return escape(shape_text(short))


def outputs_table(outputs: Outputs) -> Table:
    """Return a table of all outputs: name, dtype, shape, range of values."""
    rows = table("outputs", "name", "dtype", "shape", "range")
    for name, array in outputs.items():
        rows.add_row(escape(name), dtype_name(array.dtype), escape(shape_text(array.shape)), escape(value_range(array)))
    return rows


def value_range(array: Array) -> str:
    """Return the minimum and maximum, and the number of non-finite values; for strings, the first and the last."""
    if array.size == 0:
        return "empty"
    if array.dtype == STRING:
        texts = sorted(set(array.flat))
        return " … ".join(shorten(repr(text), 24) for text in dict.fromkeys((texts[0], texts[-1])))
    if array.dtype.kind == "b":
        return f"{int(array.sum())} of {array.size} true"
    if array.dtype.kind == "c":
        return f"magnitude {np.abs(array).min():.4g} … {np.abs(array).max():.4g}"
    if array.dtype.kind in "iu":
        return f"{array.min()} … {array.max()}"
    wide = array.astype(np.float64)
    finite = wide[np.isfinite(wide)]
    odd = f" ({wide.size - finite.size} not finite)" if finite.size < wide.size else ""
    return f"{finite.min():.4g} … {finite.max():.4g}{odd}" if finite.size else f"none finite of {wide.size}"


def shorten(text: str, length: int) -> str:
    """Return a text of at most `length` characters, cut at its end if necessary."""
    return text if len(text) <= length else text[: length - 1] + "…"


def bytes_text(count: int) -> str:
    """Return a size in human-readable form."""
    size = float(count)
    for unit in ("B", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"
