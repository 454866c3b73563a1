"""Detect cuts, at which all followed faces end."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onepass._optional import optional
from onepass.gaze.geometry import Grey
from onepass.gaze.result import Box
from onepass.gaze.video._motion import move_between

# Frames are compared at this size, width and height: movement in front of a camera changes few of the cells.
_CELLS = (16, 9)
# A cell has changed if it differs by more than this, of 255, after equalising brightness; a frame has changed if more
# than this share of the cells has. At cuts, 60 to 90 % of the cells change; with people or bars moving past, 30 %.
_CHANGED = 8.0
_MOST_CHANGED = 0.5


class CutDetector:
    """Detect cuts in a video by the change of the whole picture from frame to frame.

    It takes about 50 microseconds per frame of any size. Changes of light and camera pans are not cuts. Neither are
    dissolves, during which faces end one by one.
    """

    def __init__(self) -> None:
        """Start before the first frame."""
        self._before: tuple[Grey, npt.NDArray[np.float32], float] | None = None
        self._cv2 = optional("cv2", extra="gaze", purpose="Following faces")

    def __call__(self, grey: Grey) -> bool:
        """Whether there is a cut between the previous frame and this one, uint8 [H, W]; False for the first frame.

        The frame is kept until the next call.
        """
        before, cells = self._before, _cells_of(grey, self._cv2)
        # The median, by sorting: np.median takes five times as long.
        brightness = max(float(np.sort(cells, axis=None)[cells.size // 2]), 1.0)
        self._before = grey, cells, brightness
        if before is None:
            return False
        last, last_cells, last_brightness = before
        if last.shape != grey.shape:
            return True
        changed = np.abs(cells - brightness / last_brightness * last_cells) > _CHANGED
        if np.count_nonzero(changed) <= _MOST_CHANGED * changed.size:
            return False
        # A fast pan changes as much, but its movement can be measured.
        return move_between(last, grey, Box(0, 0, grey.shape[1], grey.shape[0])) is None


def _cells_of(grey: Grey, cv2: Any) -> npt.NDArray[np.float32]:
    """Return the mean of each cell of a picture, float32."""
    step = max(1, min(grey.shape[1] // (8 * _CELLS[0]), grey.shape[0] // (8 * _CELLS[1])))
    some = np.ascontiguousarray(grey[::step, ::step])
    cells: npt.NDArray[np.float32] = cv2.resize(some, _CELLS, interpolation=cv2.INTER_AREA).astype(np.float32)
    return cells
