"""Cuts: where one frame has nothing to do with the one before, so that nobody in it is who was there."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onepass._optional import optional
from onepass.gaze.geometry import Grey
from onepass.gaze.result import Box
from onepass.gaze.video._motion import move_between

# Frames are compared at this size, width and height: what moves in front of a camera changes few of the cells.
_CELLS = (16, 9)
# A cell has changed when it differs by more than this, of 255, once both frames are equally bright; a frame when so
# many cells have. Behind a cut 60 to 90 % of them have, while people walk and bars pass 30 %.
_CHANGED = 8.0
_MOST_CHANGED = 0.5


class CutDetector:
    """Sees cuts in a video, by how the picture as a whole changes from frame to frame.

    It takes about 50 microseconds a frame, whatever its size. Light that comes and goes is no cut, nor is a camera that
    pans; a dissolve is none either: there faces end one by one.
    """

    def __init__(self) -> None:
        """Start before the first frame."""
        self._before: tuple[Grey, npt.NDArray[np.float32], float] | None = None
        self._cv2 = optional("cv2", extra="gaze", purpose="Following faces")

    def __call__(self, grey: Grey) -> bool:
        """Whether a frame, uint8 [H, W], belongs to another shot than the last one; the first one does not.

        The frame is kept until the next one comes.
        """
        before, cells = self._before, _cells_of(grey, self._cv2)
        # By sorting: NumPy's own median takes five times as long.
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
        # A fast pan changes as much, but what was there is still to be found, moved on.
        return move_between(last, grey, Box(0, 0, grey.shape[1], grey.shape[0])) is None


def _cells_of(grey: Grey, cv2: Any) -> npt.NDArray[np.float32]:
    """Return the mean of each cell of a picture, float32."""
    step = max(1, min(grey.shape[1] // (8 * _CELLS[0]), grey.shape[0] // (8 * _CELLS[1])))
    some = np.ascontiguousarray(grey[::step, ::step])
    cells: npt.NDArray[np.float32] = cv2.resize(some, _CELLS, interpolation=cv2.INTER_AREA).astype(np.float32)
    return cells
