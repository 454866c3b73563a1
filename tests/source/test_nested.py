"""Names out of the structure of what a network returns."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass.source.frameworks._nested import named_leaves


class Pair(NamedTuple):
    """Two values with names."""

    left: Any
    right: Any


@dataclass
class Detection:
    """Two values with names."""

    boxes: Any
    score: Any = None


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (7, ["output"]),
        ({"boxes": 1, "masks": [2, 3]}, ["boxes", "masks.0", "masks.1"]),
        ((1, 2), ["output.0", "output.1"]),
        ([1, {"a": 2}], ["output.0", "output.1.a"]),
        (Pair(1, Pair(2, 3)), ["left", "right.left", "right.right"]),
        (Detection(1, (2,)), ["boxes", "score.0"]),
        ({"a": None, "b": Detection(1)}, ["b.boxes"]),
        (OrderedDict(z=1, a=2), ["z", "a"]),
        ({0: 1, 1: 2}, ["0", "1"]),
        (None, []),
        ([], []),
    ],
)
def test_names(value: Any, names: list[str]) -> None:
    """Each leaf has the keys, fields and positions on the way to it for a name, in the order of the structure."""
    assert [name for name, _ in named_leaves(value)] == names


_NESTED: st.SearchStrategy[Any] = st.recursive(
    st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("abc"), inner) | st.tuples(inner)
)


@given(value=_NESTED)
def test_nothing_is_lost(value: Any) -> None:
    """However deep the nesting, every leaf comes once, and no two have one name."""

    def count(value: Any) -> int:
        if isinstance(value, dict):
            return sum(map(count, value.values()))
        return sum(map(count, value)) if isinstance(value, (list, tuple)) else 1

    names = [name for name, _ in named_leaves(value)]
    assert len(names) == len(set(names)) == count(value)
