"""What a single-shot detector's outputs mean: anchors, boxes, overlapping detections made one. NumPy only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from onepass.gaze.geometry import FloatArray

BLAZEFACE_GRIDS = ((16, 2), (8, 6))
"""Cells along a side of each of BlazeFace's grids, and the anchors in each cell: 896 in all."""

# Side of the squares in which large pictures are searched, and how far one lies from the next, in their sides.
_WINDOW_PX = 700
_MOST_WINDOWS_A_SIDE = 4
_STEP = 0.75


@cache
def anchors_of(side_px: int, grids: Sequence[tuple[int, int]] = BLAZEFACE_GRIDS) -> FloatArray:
    """Return the anchors of a detector, float64 [A, 2], in pixels of its square input.

    They lie in the middle of each cell, row by row, as many in one place as a cell has.

    Args:
        side_px: Side of the input.
        grids: Cells along a side, and anchors in each cell, grid by grid.
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
    """Return the points of what is seen surely enough, in input pixels, and the scores.

    Args:
        regressors: float [A, 4 + 2 K]: middle of the box as seen from the anchor, width and height, and K points as
            seen from the anchor, all in input pixels.
        logits: float [A]; the score is their logistic function.
        anchors: float64 [A, 2].
        least_score: What is less sure is left out.

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
    """Make detections that overlap one, the surest first.

    Not the surest alone is kept but the mean of those that overlap it, by their scores, which trembles less
    (BlazeFace's replacement for non-maximum suppression).

    Args:
        points: float64 [N, 2 + K, 2], each beginning with the corners of the box.
        scores: float64 [N], more than 0.
        same_overlap: Boxes that share more than this of their union are one.

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
    """Return the parts of a picture of this shape in which to look for faces, as rows and columns: first the whole.

    BlazeFace sees no faces that are narrower than a tenth of what it is shown, so large pictures are searched in
    overlapping squares as well, in which faces of 70 pixels are large enough; in huge ones a fortieth of the picture.
    """
    height, width = shape[:2]
    side = max(_WINDOW_PX, max(height, width) // _MOST_WINDOWS_A_SIDE)
    windows = [(slice(0, height), slice(0, width))]
    if max(height, width) > side:
        windows += [(rows, columns) for rows in _parts(height, side) for columns in _parts(width, side)]
    return windows


def _parts(length: int, side: int) -> list[slice]:
    """Return pieces of that size that cover a length and overlap by a quarter or more; one if it is no longer."""
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
