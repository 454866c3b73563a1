"""A detector's anchors, boxes and overlaps, on numbers made for it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass.gaze.find._ssd import anchors_of, decode, merge, overlaps, windows_of

Array = np.ndarray[Any, np.dtype[np.float64]]


@st.composite
def some_boxes(draw: st.DrawFn) -> Array:
    """Return boxes [N, 2, 2] by their corners."""
    numbers = st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(1, 50), st.floats(1, 50))
    boxes = draw(st.lists(numbers, min_size=1, max_size=8))
    return np.array([[[left, top], [left + width, top + height]] for left, top, width, height in boxes])


def test_blazefaces_anchors() -> None:
    """896 anchors: two in each cell of the fine grid, row by row, then six in each of the coarse one."""
    anchors = anchors_of(128)
    assert anchors.shape == (896, 2)
    assert anchors[:4].tolist() == [[4, 4], [4, 4], [12, 4], [12, 4]]
    assert anchors[32].tolist() == [4, 12]
    assert anchors[511].tolist() == [124, 124]
    assert anchors[512:518].tolist() == [[8, 8]] * 6
    assert anchors[895].tolist() == [120, 120]
    np.testing.assert_array_equal(anchors_of(256), 2 * anchors)


def test_what_is_sure_is_decoded() -> None:
    """Middles and points count from the anchor, sizes are halved both ways, and what is not sure is left out."""
    anchors = np.array([[10.0, 20], [50, 60], [90, 90]])
    numbers = np.zeros((3, 16), np.float32)
    numbers[1] = [1, 2, 8, 6, 3, 4, *[0] * 10]
    points, scores = decode(numbers, np.array([-9.0, 2, 0.4], np.float32), anchors, least_score=0.6)
    assert points.shape == (1, 8, 2)
    assert points[0, :4].tolist() == [[47, 59], [55, 65], [53, 64], [50, 60]]
    assert scores == pytest.approx([1 / (1 + np.exp(-2))])


def test_nothing_seen_is_no_box() -> None:
    """Without a sure anchor there is nothing to merge, in the shape of something."""
    points, scores = decode(np.zeros((896, 16)), np.full(896, -100.0), anchors_of(128), 0.5)
    assert points.shape == (0, 8, 2)
    assert merge(points, scores, 0.3).shape == (0, 8, 2)


def test_overlapping_detections_are_averaged() -> None:
    """Two boxes of one face give their mean by score; one elsewhere stays what it is, and the surest is first."""
    boxes = np.array([[[0.0, 0], [10, 10]], [[50, 50], [60, 60]], [[3, 0], [13, 10]]])
    merged = merge(boxes, np.array([0.6, 0.7, 0.9]), 0.3)
    np.testing.assert_allclose(merged, np.array([[[1.8, 0], [11.8, 10]], [[50, 50], [60, 60]]]))


@given(some_boxes(), st.integers(0, 2**32 - 1))
def test_no_face_is_lost_or_twice(boxes: Array, seed: int) -> None:
    """There is at least one result and no more than boxes, all within what they cover; a single box stays."""
    scores = np.random.default_rng(seed).uniform(0.5, 1, len(boxes))
    merged = merge(boxes, scores, 0.3)
    assert 1 <= len(merged) <= len(boxes)
    assert merged.min() >= boxes.min() - 1e-9
    assert merged.max() <= boxes.max() + 1e-9
    np.testing.assert_allclose(merge(boxes[:1], scores[:1], 0.3), boxes[:1], atol=1e-12)


@given(some_boxes())
def test_overlap_is_a_share(boxes: Array) -> None:
    """A box overlaps itself wholly, and others by 0 to 1, whichever way round."""
    shares = overlaps(boxes[0], boxes)
    assert shares[0] == pytest.approx(1)
    assert ((shares >= 0) & (shares <= 1 + 1e-9)).all()
    assert [float(overlaps(box, boxes[:1])[0]) for box in boxes] == pytest.approx(shares.tolist())


def test_boxes_apart_share_nothing() -> None:
    """Boxes that touch at most along an edge have no overlap."""
    assert overlaps(np.array([[0.0, 0], [1, 1]]), np.array([[[1.0, 0], [2, 1]], [[5, 5], [6, 6]]])).tolist() == [0, 0]


@given(st.integers(1, 9000), st.integers(1, 9000))
def test_windows_cover_a_picture(height: int, width: int) -> None:
    """The whole comes first; squares of one size lie inside, leave nothing out, and overlap by a quarter or more."""
    whole, *parts = windows_of((height, width))
    assert whole == (slice(0, height), slice(0, width))
    assert len(parts) <= 36
    assert bool(parts) == (max(height, width) > 700)
    for axis, length in ((0, height), (1, width)):
        pieces = sorted({(part[axis].start, part[axis].stop) for part in parts} or {(0, length)})
        assert pieces[0][0] == 0
        assert pieces[-1][1] == length
        for (start, stop), (following, _) in pairwise(pieces):
            assert stop - following >= 0.25 * (stop - start) - 1
