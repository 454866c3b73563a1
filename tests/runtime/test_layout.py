"""Tensors in a block: aligned, apart, and copied in as few pieces as can be."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onepass.runtime.gpu.layout import ALIGNMENT, arranged, size_of, spans
from onepass.tensors import DTYPES

_shapes = st.lists(st.integers(0, 9), max_size=4).map(tuple)
_tensors = st.lists(st.tuples(st.sampled_from(sorted(DTYPES)), _shapes), max_size=12).map(
    lambda rows: [(f"t{i}", DTYPES[name], shape) for i, (name, shape) in enumerate(rows)]
)


@given(_tensors)
def test_tensors_are_aligned_and_apart(tensors: Any) -> None:
    """Each begins at a multiple of the alignment, at an address of its own, and after the end of the one before."""
    places = arranged(tensors)
    assert [place.name for place in places] == [name for name, _, _ in tensors]
    for place, (_, dtype, shape) in zip(places, tensors, strict=True):
        assert place.offset % ALIGNMENT == 0
        assert place.size_bytes == np.empty(shape, dtype).nbytes
    for before, after in itertools.pairwise(places):
        assert before.offset + max(before.size_bytes, 1) <= after.offset
    assert size_of(places) == max((place.offset + place.size_bytes for place in places), default=0)


@given(_tensors, st.data())
def test_spans_hold_what_is_wanted_and_no_other_tensor(tensors: Any, data: Any) -> None:
    """All bytes of the tensors that are wanted lie in a span, none of the others do, and neighbours share one."""
    places = arranged(tensors)
    names = [place.name for place in places]
    wanted = {name for name in names if data.draw(st.booleans(), label=name)}
    found = spans(places, wanted)
    copied = {byte for offset, size in found for byte in range(offset, offset + size)}
    for place in places:
        mine = set(range(place.offset, place.offset + place.size_bytes))
        assert mine <= copied if place.name in wanted else not mine & copied
    runs = sum(name in wanted and (index == 0 or names[index - 1] not in wanted) for index, name in enumerate(names))
    assert len(found) <= runs
