"""What `GazeTracker` knows of one eye of a face that it follows."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from onepass.gaze.eyes import corners_agree
from onepass.gaze.geometry import FloatArray
from onepass.gaze.result import Eye
from onepass.gaze.video._corners import middle_of
from onepass.gaze.video.smoothing import EyeFilter, Smoothing

LEAST_CONFIDENCE = 0.3
"""An eye with less confidence than this does not say where it will be in the next frame."""

# For so long an eye that is not seen clearly is followed: longer than a blink, shorter than a turn of the head.
_PATIENCE_SECONDS = 0.5
# Lids that come below this share of what is usual drag the corners along: a blink does not say where the eye is.
_OPEN_SHARE = 0.7
# So many looks at a new eye place its crop, each better than the one before; the next says what is seen from there.
_PLACING_LOOKS = 2


class EyeTrack:
    """One eye from frame to frame, since the finder placed it. One that it places anew is another track.

    Attributes:
        corners: Nasal and temporal corner [2, 2], where the next crop looks for them.
        sure_seconds: When it was last seen clearly.
    """

    def __init__(self, corners: FloatArray, smoothing: Smoothing | None, time_seconds: float) -> None:
        """Start to follow an eye whose corners were found at that time."""
        self.corners = corners
        self.sure_seconds = time_seconds
        self._filter = EyeFilter(smoothing)
        self._open_seconds = -math.inf
        self._looks = 0
        # How far from the corners [2] that placed a crop the network sees them in it, as complex multiples of the way
        # between the two, once the crop is placed.
        self._offset: npt.NDArray[np.complex128] | None = None

    @property
    def is_being_placed(self) -> bool:
        """Whether it was looked at, but its crop is not placed yet."""
        return self._looks > 0 and self._offset is None

    def seen(self, eye: Eye, time_seconds: float) -> FloatArray | None:
        """Return where its corners [2, 2] are by what the network saw; None where that does not say so."""
        corners = eye.corners
        if eye.confidence < LEAST_CONFIDENCE or not corners_agree(self.corners, corners):
            return None
        self.sure_seconds = time_seconds
        is_open = eye.openness >= _OPEN_SHARE * self._filter.usual_openness
        if is_open:
            self._open_seconds = time_seconds
        elif time_seconds - self._open_seconds <= _PATIENCE_SECONDS:
            return None  # it blinks
        return self._without_offset(corners, learn=is_open)

    def _without_offset(self, seen: FloatArray, *, learn: bool) -> FloatArray:
        """Return seen corners [2, 2], moved by how far off the network sees an eye that has not moved.

        It sees an eye somewhat towards where its crop is. Crops that simply followed what is seen would drift to a
        place where the two agree, and draw the gaze aside. So the first looks at an eye place its crop, the next, in
        the same frame, says what is seen from there, and from then on only what differs from that has moved. To
        `learn` that takes an open eye.
        """
        way = complex(*(self.corners[1] - self.corners[0]).tolist())
        if learn and self._offset is None:
            if self._looks == _PLACING_LOOKS:
                self._offset = (seen - self.corners).view(np.complex128)[:, 0] / way
            else:
                self._looks += 1
        if self._offset is None:
            return seen
        still: FloatArray = seen - (self._offset * way).view(np.float64).reshape(2, 2)
        return still

    def shown(self, eye: Eye, time_seconds: float) -> Eye:
        """Return the eye as it is to be shown at that time: smoothed, and with its gaze held in a blink."""
        return self._filter(eye, time_seconds)

    def is_gone(self, time_seconds: float, shape: tuple[int, ...]) -> bool:
        """Whether it was not seen clearly for too long, or lies outside a picture of this shape."""
        x, y = middle_of(self.corners)
        inside = 0 <= x <= shape[1] and 0 <= y <= shape[0]
        return not inside or time_seconds - self.sure_seconds > _PATIENCE_SECONDS
