"""The two corners of an eye, [2, 2]: where they are and how far apart, in plain numbers, which are quicker here."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from onepass.gaze.geometry import FloatArray
from onepass.gaze.result import Side

# How much of the size of an eye in one frame goes into the size of its next crop.
_SIZE_SHARE = 0.15


def middle_of(corners: FloatArray) -> tuple[float, float]:
    """Return the middle of two corners."""
    (x, y), (u, v) = corners.tolist()
    return (x + u) / 2, (y + v) / 2


def middle(corners: FloatArray) -> FloatArray:
    """Return the middle of two corners, float64 [2]."""
    return np.array(middle_of(corners))


def distance(first: FloatArray, second: FloatArray) -> float:
    """Return how far two eyes are apart, middle to middle, in corner distances of the second."""
    return math.dist(middle_of(first), middle_of(second)) / _length(second)


def eye_distance(corners: Mapping[Side, FloatArray]) -> float:
    """Return the distance between the middles of both eyes, at least 1."""
    return max(math.dist(middle_of(corners["right"]), middle_of(corners["left"])), 1.0)


def resized(seen: FloatArray, before: FloatArray, growth: float, limits_px: tuple[float, float]) -> FloatArray:
    """Return seen corners about their middle, about as far apart as those before times the growth of the face.

    The network sees the middle of an eye and its slant alike in any crop, but it sees corners closer together in a
    crop that is too small, and a crop that follows them shrinks further. So the distance between the eyes says how the
    face grows, what is seen of one eye's size counts for a little only, and there are limits.
    """
    length = _length(seen)
    expected = growth * _length(before)
    wanted = min(max((1 - _SIZE_SHARE) * expected + _SIZE_SHARE * length, limits_px[0]), limits_px[1])
    centre = middle(seen)
    corners: FloatArray = centre + (seen - centre) * (wanted / length)
    return corners


def _length(corners: FloatArray) -> float:
    """Return the distance between two corners."""
    return math.dist(*corners.tolist())
