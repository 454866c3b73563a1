"""What a face looks like, and whether another look at a place shows the same one."""

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

# A look is a picture of the face from the brows to the mouth, this wide and high, its eyes level, so far apart, and in
# the middle of that row. Compared is what lies inside the margin, wherever in the other look it fits best.
_SIDE, _EYE_DISTANCE, _EYES_ROW, _MARGIN = 28, 9.0, 10.0, 2
# Looks that are kept of a face; one that hardly differs from those that are there says nothing new.
_MOST_LOOKS = 6
_NEW = 0.93

# Each pixel counts by how much it differs from what is around it, so far, beside how much that differs there: shadows
# and shades of skin are of no account. Where nothing differs by this many grey values, there is nothing to see.
_AROUND, _VISIBLE = 3.0, 16.0

Look = npt.NDArray[np.float32]


def look_at(grey: Grey, corners: Mapping[Side, FloatArray]) -> Look | None:
    """Return what the face with these corners of the eyes looks like; None where not both eyes are known.

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
    # A face far larger than the picture, or a point, is none that could be compared.
    if not 1e-3 < geometry.scale_of(transform) < 1e3:
        return None
    cv2 = optional("cv2", extra="gaze", purpose="Following faces")
    face = cut(grey, transform, (_SIDE, _SIDE)).astype(np.float32)
    detail = face - cv2.GaussianBlur(face, (0, 0), _AROUND)
    look: Look = detail / (np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 1.5 * _AROUND)) + _VISIBLE)
    return look


class Likeness:
    """How much a face looks like itself: a few looks at it, and how well another one correlates with the best of them.

    Normalised cross-correlation of small pictures, moved by up to two pixels of 28. Looks at one face whose eyes are
    found to a twenty-fifth of their distance correlate by 0.9, one in twenty by less than 0.77; those at different
    people by 0.32, one pair in twenty by more than 0.51, and things with faces by 0.11 (100 faces of Labeled Faces in
    the Wild, shrunk to 25 pixels, and pictures of things). That is enough to tell two who pass each other apart, not to
    know one among many.
    """

    def __init__(self) -> None:
        """Start without any look."""
        self._looks: list[Look] = []
        self._cv2 = optional("cv2", extra="gaze", purpose="Following faces")

    def add(self, look: Look) -> None:
        """Keep a look at this face, unless it shows nothing new."""
        if (self.to(look) or 0.0) < _NEW:
            # The first one stays: it is how the finder saw the face.
            self._looks = [*self._looks[:1], *self._looks[1:][-(_MOST_LOOKS - 2) :], look]

    def to(self, look: Look | None) -> float | None:
        """Return how much a look is like this face, -1 to 1; None where either has not been seen."""
        if look is None or not self._looks:
            return None
        inner = slice(_MARGIN, _SIDE - _MARGIN)
        match, method = self._cv2.matchTemplate, self._cv2.TM_CCOEFF_NORMED
        return max(float(match(look, mine[inner, inner], method).max()) for mine in self._looks)
