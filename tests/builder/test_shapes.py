"""Shapes as people write them, and the profiles that they become."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass import (
    BuildOptions,
    InputError,
    ShapeRange,
)
from onepass.builder._profiles import profiles_from_options
from onepass.builder.options import parse_range, parse_shapes
from onepass.tensors import Signature, TensorSpec

_NUMBERS = st.lists(st.integers(0, 99), min_size=1, max_size=4).map(tuple)


@given(
    low=_NUMBERS,
    more=st.lists(st.integers(0, 9), min_size=8, max_size=8),
    name=st.from_regex(r"[a-z][a-z:0/ü ]{0,8}", fullmatch=True),
)
def test_shapes_as_written(low: tuple[int, ...], more: list[int], name: str) -> None:
    """What a range prints is what the parser reads, under any name."""
    best = tuple(a + b for a, b in zip(low, more[:4], strict=False))
    high = tuple(a + b for a, b in zip(best, more[4:], strict=False))
    name = name.strip()
    wanted = ShapeRange(low, best, high)
    assert parse_range(str(wanted)) == wanted
    assert parse_shapes(f"{name}={wanted}") == {name: wanted}
    assert all(wanted.contains(shape) for shape in (low, best, high))
    assert not wanted.contains((*low, 1))
    assert ShapeRange.from_json(json.loads(json.dumps(wanted.to_json()))) == wanted


def test_shapes_of_trtexec() -> None:
    """Several inputs, trtexec's colon, and a name that has one."""
    assert parse_shapes("a:2x3,b=1:2:4") == {"a": parse_range("2x3"), "b": parse_range("1:2:4")}
    assert list(parse_shapes("x:0=1x2:2x2:3x2")) == ["x:0"]
    for wrong in ("eye", "eye=1:2", "eye=ax2", "a=1,a=2", "eye=3:2:1"):
        with pytest.raises(InputError):
            parse_shapes(wrong)


_EYE = Signature(
    (TensorSpec("eye", np.dtype(np.float32), ("N", 1, 36, 60)), TensorSpec("k", np.dtype(np.float32), (3,))), ()
)


@pytest.mark.parametrize("options", [
    {"batch": (1, 8, 64)}, {"sizes": {"N": (1, 8, 64)}}, {"shapes": {"eye": (1, 8, 64)}},
    {"shapes": {"eye": ShapeRange((1,), (8,), (64,))}},
    {"shapes": {"eye": ((1, 1, 36, 60), (8, 1, 36, 60), (64, 1, 36, 60))}},
], ids=str)  # fmt: skip
def test_ways_to_say_a_shape(options: dict[str, Any]) -> None:
    """Batch, dimension, short and long form mean the same; a fixed input needs none."""
    (profile,) = profiles_from_options(_EYE, BuildOptions(**options))
    assert profile.shapes["eye"] == ShapeRange((1, 1, 36, 60), (8, 1, 36, 60), (64, 1, 36, 60))
    assert profile.shapes["k"] == ShapeRange((3,), (3,), (3,))


@pytest.mark.parametrize(("options", "message"), [
    ({}, r"input 'eye' has a dynamic shape .* batch=\(1, 8, 64\), or shapes=\{'eye': \(\(1, 1, 36, 60\), \(8,"),
    ({"batch": (3, 2, 1)}, "min <= opt <= max"),
    ({"sizes": {"M": 1}}, "no dynamic dimension 'M'"), ({"shapes": {"eye": (2, 1, 36, 61)}}, "does not fit"),
    ({"batch": ((1, 2), (1, 2), (1, 2))}, "more than one dimension"), ({"batch": (1, 2)}, "invalid range"),
])  # fmt: skip
def test_wrong_shapes(options: dict[str, Any], message: str) -> None:
    """A shape that the model cannot have is refused by name."""
    with pytest.raises(InputError, match=message):
        profiles_from_options(_EYE, BuildOptions(**options))


def test_an_ambiguous_shape() -> None:
    """Three numbers for an input of rank three may mean two things: it is asked which."""
    signature = Signature((TensorSpec("x", np.dtype(np.float32), ("N", 8, 64)),), ())
    with pytest.raises(InputError, match=r"is ambiguous: one shape, or \(min, opt, max\)"):
        profiles_from_options(signature, BuildOptions(shapes={"x": (1, 8, 64)}))
