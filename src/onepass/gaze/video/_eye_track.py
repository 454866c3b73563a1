"""The state of one eye of a face that `GazeTracker` follows."""

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
"""Minimum confidence at which an eye places its next crop."""

# An eye that is not clearly detected is followed for this long: longer than a blink, shorter than a turn of the head.
_PATIENCE_SECONDS = 0.5
# Below this share of the usual openness, the lids shift the detected corners, so a blink does not move the crop.
_OPEN_SHARE = 0.7
# Number of looks that place the crop of a new eye iteratively; the next look measures the offset.
_PLACING_LOOKS = 2


class EyeTrack:
    """One eye from frame to frame, since the finder placed it. When the finder places it again, a new track starts.

    Attributes:
        corners: Nasal and temporal corner [2, 2], which place the next crop.
        sure_seconds: Time at which it was last clearly detected.
    """

    def __init__(self, corners: FloatArray, smoothing: Smoothing | None, time_seconds: float) -> None:
        """Start to follow an eye with these corners at that time."""
        self.corners = corners
        self.sure_seconds = time_seconds
        self._filter = EyeFilter(smoothing)
        self._open_seconds = -math.inf
        self._looks = 0
        # Offset of the detected corners [2] from the corners that placed the crop, as complex multiples of the vector
        # between the two, once the crop is placed.
        self._offset: npt.NDArray[np.complex128] | None = None

    @property
    def is_being_placed(self) -> bool:
        """Whether it was looked at but its crop is not placed yet."""
        return self._looks > 0 and self._offset is None

    def seen(self, eye: Eye, time_seconds: float) -> FloatArray | None:
        """Return its corners [2, 2] according to the network; None if the detection is unusable."""
        corners = eye.corners
        if eye.confidence < LEAST_CONFIDENCE or not corners_agree(self.corners, corners):
            return None
        self.sure_seconds = time_seconds
        is_open = eye.openness >= _OPEN_SHARE * self._filter.usual_openness
        if is_open:
            self._open_seconds = time_seconds
        elif time_seconds - self._open_seconds <= _PATIENCE_SECONDS:
            return None  # a blink
        return self._without_offset(corners, learn=is_open)

    def _without_offset(self, seen: FloatArray, *, learn: bool) -> FloatArray:
        """Return detected corners [2, 2] without the network's offset for an eye that has not moved.

        The network's corners depend slightly on the crop's position. Crops that simply followed the detection would
        drift and bias the gaze. Therefore the first looks at an eye place its crop, the next look, in the same frame,
        measures the offset, and from then on only deviations from this offset count as movement. `learn` measures the
        offset, which requires an open eye.
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
        """Return the eye to show at that time: smoothed, and with its gaze held during a blink."""
        return self._filter(eye, time_seconds)

    def is_gone(self, time_seconds: float, shape: tuple[int, ...]) -> bool:
        """Whether it was not clearly detected for too long, or is outside a picture of this shape."""
        x, y = middle_of(self.corners)
        inside = 0 <= x <= shape[1] and 0 <= y <= shape[0]
        return not inside or time_seconds - self.sure_seconds > _PATIENCE_SECONDS
