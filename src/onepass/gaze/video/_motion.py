"""Measure the movement of a face between two frames by optical flow."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from onepass._optional import optional
from onepass.gaze.geometry import FloatArray, Grey
from onepass.gaze.result import Box

# The box is scaled to this size, and points on a grid at its centre are followed.
_SIDE = 96
_GRID = np.linspace(0.22, 0.78, 4, dtype=np.float32) * _SIDE
_POINTS: npt.NDArray[np.float32] = np.stack(np.meshgrid(_GRID, _GRID), axis=-1).reshape(-1, 1, 2)
_WINDOW, _LEVELS = (15, 15), 3
_LEAST_PX = 16
# At least this many of the 16 points must be found again, and half of them agree to within this many pixels of the
# scaled box: on a face they agree to 0.05, between unrelated pictures to 5.
_LEAST_POINTS = 6
_MOST_SPREAD = 0.5
# Maximum change of a point's appearance as a face moves, in grey values: mostly 1, but 15 to 30 where something else
# has appeared. With fewer than this many unchanged points, something may have covered the face.
_SAME_POINT = 8.0
_SURE_POINTS = 10


class Move(NamedTuple):
    """A movement.

    Attributes:
        shift: float64 [2] in pixels.
        is_sure: Whether the whole face has moved, and nothing has covered it.
    """

    shift: FloatArray
    is_sure: bool


def move_between(before: Grey, now: Grey, box: Box) -> Move | None:
    """Return the movement of the content of a box; None if it cannot be determined, for example because it is gone.

    It is the median of points followed by the pyramidal Lucas-Kanade method (Bouguet, "Pyramidal implementation of the
    affine Lucas Kanade feature tracker", 2000), accurate to a thousandth of the box. Eyes and lips, which move while
    the face is still, contain too few of the points to matter.

    Args:
        before: uint8 [H, W].
        now: uint8, of the same shape.
        box: The face's box in `before`.
    """
    cv2 = optional("cv2", extra="gaze", purpose="Following faces")
    height, width = before.shape
    left, top = max(0, round(box.left_px)), max(0, round(box.top_px))
    right, bottom = min(width, round(box.left_px + box.width_px)), min(height, round(box.top_px + box.height_px))
    if right - left < _LEAST_PX or bottom - top < _LEAST_PX:
        return None
    then, after = (cv2.resize(picture[top:bottom, left:right], (_SIDE, _SIDE)) for picture in (before, now))
    points, found, changes = cv2.calcOpticalFlowPyrLK(then, after, _POINTS, None, winSize=_WINDOW, maxLevel=_LEVELS)
    goes_on = (found.ravel() == 1) & (changes.ravel() <= _SAME_POINT)
    moves = (points - _POINTS)[goes_on, 0].astype(np.float64)
    if len(moves) < _LEAST_POINTS:
        return None
    # The median, by sorting: np.median takes longer than the flow.
    middle = len(moves) // 2
    move = np.sort(moves, axis=0)[middle]
    if np.sort(np.abs(moves - move).max(axis=1))[middle] > _MOST_SPREAD:
        return None
    return Move(move * (right - left, bottom - top) / _SIDE, len(moves) >= _SURE_POINTS)
