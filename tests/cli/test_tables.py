"""Tables at any width: no name and no number is broken."""

import io
from contextlib import redirect_stdout

from hypothesis import example, given
from hypothesis import strategies as st
from rich.table import Table

from onepass.cli._tables import console, escape, shorten, show, table

words = st.text("abcXYZ019.-_/:[]=é中", min_size=1, max_size=100)


def _shown(width: int, what: Table | str) -> list[str]:
    with redirect_stdout(io.StringIO()) as file:
        out = console()
        out.width = width
        show(out, what)
    return file.getvalue().splitlines()


@given(st.lists(st.tuples(words, words, words), min_size=1, max_size=4), st.integers(20, 200))
@example([("a:cat:b", ":a:", "[b]")], 20)  # what rich takes for an emoji, and for markup
@example([("a:cat:b", ":a:", "[b]")], 80)
def test_no_cell_is_broken(cells: list[tuple[str, str, str]], width: int) -> None:
    """Whatever the cells and the width, each stands whole in one line, in the order of the rows."""
    rows = table("a title that is longer than some terminals are wide", "name", "dtype", "max abs")
    for row in cells:
        rows.add_row(*map(escape, row))
    lines = _shown(width, rows)
    assert lines[0] == "a title that is longer than some terminals are wide"
    at = 1
    for row in cells:
        for cell in row:
            at = next(place for place in range(at, len(lines)) if cell in lines[place])


@given(st.lists(words, min_size=1, max_size=20), st.integers(20, 200))
def test_no_word_is_broken(text: list[str], width: int) -> None:
    """A text is broken between its words, where it does not fit into a line."""
    lines = _shown(width, " ".join(text))
    assert " ".join(lines) == " ".join(text)
    assert all(len(line) <= width or " " not in line for line in lines)


def test_what_fits_is_a_table() -> None:
    """A table that fits has a line of headers and a line for each row."""
    rows = table("outputs", "name", "shape")
    rows.add_row("y", "1")
    rows.add_row("long", "2")
    assert [line.rstrip() for line in _shown(80, rows)] == ["outputs", "name  shape", "y     1", "long  2"]


def test_shorten() -> None:
    """A text is as long as it may be, at most."""
    assert (shorten("abc", 3), shorten("abcd", 3)) == ("abc", "ab…")
