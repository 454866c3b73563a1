"""Decode the outputs of a single-shot detector: anchors, boxes, merging of overlapping detections. NumPy only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from onepass.gaze.geometry import FloatArray

BLAZEFACE_GRIDS = ((16, 2), (8, 6))
"""Cells along a side of each of BlazeFace's grids, and anchors per cell: 896 in total."""

# Side of the squares in which large pictures are searched, and their stride in sides.
_WINDOW_PX = 700
_MOST_WINDOWS_A_SIDE = 4
_STEP = 0.75


@cache
def anchors_of(side_px: int, grids: Sequence[tuple[int, int]] = BLAZEFACE_GRIDS) -> FloatArray:
    """Return the anchors of a detector, float64 [A, 2], in pixels of its square input.

    The anchors are at the centre of each cell, row by row; all anchors of a cell coincide.

    Args:
        side_px: Side of the input.
        grids: Cells along a side and anchors per cell, for each grid.
    """
    anchors = []
    for cells, count in grids:
        middles = (np.arange(cells) + 0.5) * (side_px / cells)
        across, down = np.meshgrid(middles, middles)
        anchors.append(np.repeat(np.stack([across.ravel(), down.ravel()], axis=1), count, axis=0))
    joined = np.concatenate(anchors)
    joined.flags.writeable = False
    return joined


def decode(
    regressors: npt.NDArray[Any], logits: npt.NDArray[Any], anchors: FloatArray, least_score: float
) -> tuple[FloatArray, FloatArray]:
    """Return the points in input pixels and the scores of all detections with at least `least_score`.

    Args:
        regressors: float [A, 4 + 2 K]: centre of the box relative to the anchor, width and height, and K points
            relative to the anchor, all in input pixels.
        logits: float [A]; the score is their logistic function.
        anchors: float64 [A, 2].
        least_score: Detections with lower scores are omitted.

    Returns:
        ``(points, scores)``: float64 [N, 2 + K, 2], upper left and lower right corner of the box and the points;
        float64 [N] in 0 to 1.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -80, 80)))
    sure = scores >= least_score
    values = regressors.reshape(len(regressors), -1, 2)[sure].astype(np.float64)
    middle, half = values[:, :1] + anchors[sure, None], values[:, 1:2] / 2
    return np.concatenate([middle - half, middle + half, values[:, 2:] + anchors[sure, None]], axis=1), scores[sure]


def merge(points: FloatArray, scores: FloatArray, same_overlap: float) -> FloatArray:
    """Merge overlapping detections; the result is sorted by score, highest first.

    Each result is the mean of the overlapping detections weighted by their scores, which jitters less than the best
    detection alone (BlazeFace's replacement for non-maximum suppression).

    Args:
        points: float64 [N, 2 + K, 2], each starting with the corners of the box.
        scores: float64 [N], > 0.
        same_overlap: Boxes with a larger intersection over union are merged.

    Returns:
        float64 [M, 2 + K, 2].
    """
    rest = np.argsort(-scores, kind="stable")
    merged = []
    while len(rest):
        same = overlaps(points[rest[0], :2], points[rest, :2]) > same_overlap
        same[0] = True
        group = rest[same]
        merged.append(np.average(points[group], axis=0, weights=scores[group]))
        rest = rest[~same]
    return np.array(merged).reshape(-1, *points.shape[1:])


def windows_of(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Return the parts of a picture of this shape in which to search for faces, as rows and columns: the whole first.

    BlazeFace misses faces narrower than a tenth of its input, so large pictures are also searched in overlapping
    squares, where faces of 70 pixels are large enough; in very large pictures, faces of a fortieth of the picture.
    """
    height, width = shape[:2]
    side = max(_WINDOW_PX, max(height, width) // _MOST_WINDOWS_A_SIDE)
    windows = [(slice(0, height), slice(0, width))]
    if max(height, width) > side:
        windows += [(rows, columns) for rows in _parts(height, side) for columns in _parts(width, side)]
    return windows


def _parts(length: int, side: int) -> list[slice]:
    """Return slices of length `side` that cover a length and overlap by at least a quarter; one if that suffices."""
    if length <= side:
        return [slice(0, length)]
    count = 1 + math.ceil((length - side) / (_STEP * side))
    return [slice(start, start + side) for start in np.linspace(0, length - side, count).astype(int).tolist()]


def overlaps(box: FloatArray, others: FloatArray) -> FloatArray:
    """Return intersection over union of a box [2, 2] (two corners) and others [N, 2, 2], float64 [N]."""
    low, high = np.maximum(box[0], others[:, 0]), np.minimum(box[1], others[:, 1])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    area, areas = np.prod(np.maximum(box[1] - box[0], 0)), np.prod(np.maximum(others[:, 1] - others[:, 0], 0), axis=1)
    ratio: FloatArray = shared / np.maximum(area + areas - shared, np.finfo(np.float64).tiny)
    return ratio
