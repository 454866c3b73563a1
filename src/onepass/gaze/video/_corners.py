"""Positions and distances of eye corners [2, 2], computed with Python floats for speed."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from onepass.gaze.geometry import FloatArray
from onepass.gaze.result import Side

# Weight of an eye's detected size in the size of its next crop.
_SIZE_SHARE = 0.15


def middle_of(corners: FloatArray) -> tuple[float, float]:
    """Return the midpoint of two corners."""
    (x, y), (u, v) = corners.tolist()
    return (x + u) / 2, (y + v) / 2


def middle(corners: FloatArray) -> FloatArray:
    """Return the midpoint of two corners, float64 [2]."""
    return np.array(middle_of(corners))


def distance(first: FloatArray, second: FloatArray) -> float:
    """Return the distance between the midpoints of two eyes, in corner distances of the second."""
    return math.dist(middle_of(first), middle_of(second)) / _length(second)


def eye_distance(corners: Mapping[Side, FloatArray]) -> float:
    """Return the distance between the midpoints of both eyes, at least 1."""
    return max(math.dist(middle_of(corners["right"]), middle_of(corners["left"])), 1.0)


def resized(seen: FloatArray, before: FloatArray, growth: float, limits_px: tuple[float, float]) -> FloatArray:
    """Return detected corners, scaled about their midpoint to about the previous size times the growth of the face.

    The network detects an eye's midpoint and slant independently of the crop, but in a crop that is too small it
    detects the corners too close together, so a crop that follows them keeps shrinking. The growth therefore comes from
    the distance between the eyes, the detected size has a small weight, and the result is limited.
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
