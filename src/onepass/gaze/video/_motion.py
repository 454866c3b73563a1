"""How far a face has moved from one frame to the next, as the pictures themselves show it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from onepass._optional import optional
from onepass.gaze.geometry import FloatArray, Grey
from onepass.gaze.result import Box

# The box is scaled to this size, and points on a grid in its middle are followed.
_SIDE = 96
_GRID = np.linspace(0.22, 0.78, 4, dtype=np.float32) * _SIDE
_POINTS: npt.NDArray[np.float32] = np.stack(np.meshgrid(_GRID, _GRID), axis=-1).reshape(-1, 1, 2)
_WINDOW, _LEVELS = (15, 15), 3
_LEAST_PX = 16
# So many of the 16 points must have been found again, and half of them agree so well, in pixels of the scaled box:
# those of a face by 0.05, those of two pictures that have nothing to do with each other by 5.
_LEAST_POINTS = 6
_MOST_SPREAD = 0.5
# What a point looks like changes by so much at most, in grey values, as a face moves on: mostly by 1, by 15 to 30 where
# something else has come there. Where fewer of the points go on, somebody or something may have come before the face.
_SAME_POINT = 8.0
_SURE_POINTS = 10


class Move(NamedTuple):
    """How far something has moved.

    Attributes:
        shift: float64 [2] in pixels.
        is_sure: Whether all of it has: nothing came before it.
    """

    shift: FloatArray
    is_sure: bool


def move_between(before: Grey, now: Grey, box: Box) -> Move | None:
    """Return how far what lies in a box has moved; None where the pictures do not say, as when it is gone.

    The median of points that are followed by Lucas and Kanade's method in a pyramid (Bouguet, "Pyramidal implementation
    of the affine Lucas Kanade feature tracker", 2000), good to a thousandth of the box. Eyes and lips, which move
    in a face that rests, are too few of the points to matter.

    Args:
        before: uint8 [H, W].
        now: uint8, of the same shape.
        box: Where the face was before.
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
    # By sorting: NumPy's own median takes longer than the flow.
    middle = len(moves) // 2
    move = np.sort(moves, axis=0)[middle]
    if np.sort(np.abs(moves - move).max(axis=1))[middle] > _MOST_SPREAD:
        return None
    return Move(move * (right - left, bottom - top) / _SIDE, len(moves) >= _SURE_POINTS)
