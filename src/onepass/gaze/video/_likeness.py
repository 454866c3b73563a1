"""Small pictures of faces ("looks"), and their similarity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from onepass._optional import optional
from onepass.gaze import geometry
from onepass.gaze.eyes import cut
from onepass.gaze.geometry import FloatArray, Grey
from onepass.gaze.result import Side
from onepass.gaze.video._corners import middle

# A look is a square picture of the face from the brows to the mouth, with level eyes at this distance, centred in this
# row. The part inside the margin is compared with the other look, where it fits best.
_SIDE, _EYE_DISTANCE, _EYES_ROW, _MARGIN = 28, 9.0, 10.0, 2
# Number of looks kept per face, and the similarity above which a look adds nothing new.
_MOST_LOOKS = 6
_NEW = 0.93

# Each pixel is normalised by the local mean and the local contrast, in a neighbourhood of this size, so that shadows
# and skin tone do not matter. Contrast below this many grey values is suppressed.
_AROUND, _VISIBLE = 3.0, 16.0

Look = npt.NDArray[np.float32]


def look_at(grey: Grey, corners: Mapping[Side, FloatArray]) -> Look | None:
    """Return a look at the face with these eye corners; None unless both eyes are known.

    Args:
        grey: uint8 [H, W].
        corners: Nasal and temporal corner [2, 2] of each eye.
    """
    if len(corners) < 2:
        return None
    right, left = middle(corners["right"]), middle(corners["left"])
    (x, y), (across, down) = ((right + left) / 2).tolist(), (left - right).tolist()
    factor = _EYE_DISTANCE / max(across * across + down * down, 1.0)
    linear = factor * np.array([[across, down], [-down, across]])
    shift = np.array([_SIDE / 2, _EYES_ROW]) - linear @ (x, y)
    transform = np.column_stack([linear, shift])
    # Faces far larger than the picture, or as small as a point, cannot be compared.
    if not 1e-3 < geometry.scale_of(transform) < 1e3:
        return None
    cv2 = optional("cv2", extra="gaze", purpose="Following faces")
    face = cut(grey, transform, (_SIDE, _SIDE)).astype(np.float32)
    detail = face - cv2.GaussianBlur(face, (0, 0), _AROUND)
    look: Look = detail / (np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 1.5 * _AROUND)) + _VISIBLE)
    return look


class Likeness:
    """A few looks at one face, and the best correlation of another look with them.

    The similarity is the normalised cross-correlation of small pictures, shifted by up to two of 28 pixels. Looks at
    the same face, with the eyes located to within a twenty-fifth of their distance, correlate by 0.9, and 5 % of them
    by less than 0.77; looks at different people by 0.32, and 5 % of the pairs by more than 0.51; objects with faces by
    0.11 (100 faces of Labeled Faces in the Wild, reduced to 25 pixels, and pictures of objects). This suffices to
    distinguish two people passing each other, but not to recognise one among many.
    """

    def __init__(self) -> None:
        """Start without looks."""
        self._looks: list[Look] = []
        self._cv2 = optional("cv2", extra="gaze", purpose="Following faces")

    def add(self, look: Look) -> None:
        """Keep a look at this face, unless it adds nothing new."""
        if (self.to(look) or 0.0) < _NEW:
            # The first look always stays: it is from the finder's detection.
            self._looks = [*self._looks[:1], *self._looks[1:][-(_MOST_LOOKS - 2) :], look]

    def to(self, look: Look | None) -> float | None:
        """Return the similarity of a look to this face, -1 to 1; None if there is nothing to compare."""
        if look is None or not self._looks:
            return None
        inner = slice(_MARGIN, _SIDE - _MARGIN)
        match, method = self._cv2.matchTemplate, self._cv2.TM_CCOEFF_NORMED
        return max(float(match(look, mine[inner, inner], method).max()) for mine in self._looks)
