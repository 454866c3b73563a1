"""Less jitter without lag: the One Euro filter (Casiez, Roussel and Vogel, CHI 2012), for eyes and heads."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError
from onepass.gaze.directions import Gaze, HeadPose
from onepass.gaze.geometry import FloatArray
from onepass.gaze.result import Eye
from onepass.gaze.video.blinks import BlinkDetector

_Cutoff = TypeVar("_Cutoff", float, FloatArray)

# The lids drag the iris and the gaze down for a moment before an eye counts as shut: hold what was seen before that.
_CLOSING_SECONDS = 0.1
# Of an eye with less confidence than this nothing is seen, not even lids that open.
_UNSEEN = 0.2


class OneEuroFilter:
    """Smooths a signal strongly where it rests and hardly where it moves.

    An exponential filter whose cutoff grows with the speed of the signal (Casiez, Roussel and Vogel, "1€ filter: a
    simple speed-based low-pass filter for noisy input in interactive systems", CHI 2012). Speeds come from the true
    times of the samples. The numbers of the last axis move as one: they share a cutoff, by the length of their common
    velocity, so that points and directions are smoothed alike however the picture is turned.
    """

    def __init__(self, min_cutoff_hz: float = 1.0, beta: float = 1.0, speed_cutoff_hz: float = 1.0) -> None:
        """Set the filter up.

        Args:
            min_cutoff_hz: Cutoff at rest, more than 0: lower means less jitter.
            beta: By how many hertz the cutoff grows with each unit of speed, at least 0: higher means less lag.
            speed_cutoff_hz: Cutoff of the speed itself, more than 0.

        Raises:
            InputError: A number is out of its range.
        """
        if not (0 < min_cutoff_hz < np.inf and 0 <= beta < np.inf and 0 < speed_cutoff_hz < np.inf):
            raise InputError(
                "a One Euro filter needs cutoffs above 0 and a beta of at least 0, "
                f"got min_cutoff_hz {min_cutoff_hz}, beta {beta} and speed_cutoff_hz {speed_cutoff_hz}"
            )
        self._min_cutoff_hz, self._beta, self._speed_cutoff_hz = min_cutoff_hz, beta, speed_cutoff_hz
        self._last: tuple[FloatArray, FloatArray, float] | None = None

    def __call__(self, value: npt.ArrayLike, time_seconds: float, *, unit: float = 1.0) -> FloatArray:
        """Return the smoothed value; the first one comes back as it is.

        Args:
            value: float [..., D], of the same shape each time.
            time_seconds: When it was measured, not before the last one.
            unit: What speeds are counted in, in the value's own numbers, more than 0: the size of what moves.
        """
        given = np.asarray(value, np.float64)
        if self._last is None:
            self._last = given, np.zeros_like(given), time_seconds
            return given
        before, velocity, then = self._last
        passed = time_seconds - then
        if passed <= 0:
            return before
        step = given - before
        velocity = velocity + _share(self._speed_cutoff_hz, passed) * (step / passed - velocity)
        speed = np.sqrt(np.add.reduce(velocity * velocity, axis=-1, keepdims=True))
        cutoff_hz = self._min_cutoff_hz + self._beta / unit * speed
        smoothed: FloatArray = before + _share(cutoff_hz, passed) * step
        self._last = smoothed, velocity, time_seconds
        return smoothed


def _share(cutoff_hz: _Cutoff, seconds: float) -> _Cutoff:
    """Return how much of a step an exponential filter takes after that time."""
    return 1 - 1 / (1 + 2 * math.pi * seconds * cutoff_hz)


@dataclass(frozen=True, slots=True)
class Smoothing:
    """How strongly faces in a video are smoothed.

    Attributes:
        min_cutoff_hz: Cutoff of all filters at rest, more than 0.
        gaze_beta: Hertz more for each radian a second, for gaze and head.
        points_beta: Hertz more for each corner distance a second, for points.
    """

    min_cutoff_hz: float = 1.5
    gaze_beta: float = 4.0
    points_beta: float = 6.0

    def __post_init__(self) -> None:
        self.direction_filter()
        self.points_filter()

    def direction_filter(self) -> OneEuroFilter:
        """Return a new filter for unit vectors."""
        return OneEuroFilter(self.min_cutoff_hz, self.gaze_beta)

    def points_filter(self) -> OneEuroFilter:
        """Return a new filter for points; its unit is the corner distance."""
        return OneEuroFilter(self.min_cutoff_hz, self.points_beta)


class EyeFilter:
    """Follows one eye through a video: smooths its points and its gaze, sees it blink, and holds its gaze meanwhile."""

    def __init__(self, smoothing: Smoothing | None, blinks: BlinkDetector | None = None) -> None:
        """Start anew.

        Args:
            smoothing: How strongly to smooth; None leaves points and gaze as they were seen.
            blinks: What sees the blinks; None for a `BlinkDetector`.
        """
        self._blinks = BlinkDetector() if blinks is None else blinks
        self._smoothing = smoothing
        self._points = None if smoothing is None else smoothing.points_filter()
        self._gaze = None if smoothing is None else smoothing.direction_filter()
        self._recent: list[tuple[float, Gaze]] = []
        self._shut = False

    @property
    def usual_openness(self) -> float:
        """How far this eye is usually open, as far as it has been seen."""
        return self._blinks.usual_openness

    def __call__(self, eye: Eye, time_seconds: float) -> Eye:
        """Return the eye as it is to be shown.

        Args:
            eye: What the network saw in this frame.
            time_seconds: When the frame was taken, not before the last one.
        """
        shut = self._blinks(eye.openness, time_seconds) or (self._shut and eye.confidence < _UNSEEN)
        if self._shut and not shut and self._smoothing is not None:
            # What the gaze was before the blink says nothing of where it lands.
            self._gaze = self._smoothing.direction_filter()
        self._shut = shut
        gaze = self._held(eye.gaze) if shut else self._followed(eye.gaze, time_seconds)
        return replace(eye, gaze=gaze, blink=shut, **self._smoothed(eye, time_seconds))

    def _followed(self, gaze: Gaze, time_seconds: float) -> Gaze:
        if self._gaze is not None:
            gaze = Gaze.from_vector(self._gaze(gaze.vector, time_seconds))
        start = time_seconds - _CLOSING_SECONDS
        # One older than the closing is kept: the one to go back to.
        older = [entry for entry in self._recent if entry[0] <= start][-1:]
        self._recent = [*older, *(entry for entry in self._recent if entry[0] > start), (time_seconds, gaze)]
        return gaze

    def _held(self, gaze: Gaze) -> Gaze:
        """Return the gaze before the lids came down; the one seen where the eye has never been open."""
        return self._recent[0][1] if self._recent else gaze

    def _smoothed(self, eye: Eye, time_seconds: float) -> dict[str, Any]:
        """Return the fields of an eye that smoothing changes."""
        if self._points is None:
            return {}
        seen = np.concatenate([eye.eyelid, eye.iris, eye.iris_centre[None], eye.eyeball_centre[None]])
        points = self._points(seen, time_seconds, unit=max(eye.corner_distance_px, 1.0))
        return {
            "eyelid": points[:8], "iris": points[8:16], "iris_centre": points[16], "eyeball_centre": points[17]
        }  # fmt: skip


class HeadFilter:
    """Smooths the pose of one head."""

    def __init__(self, smoothing: Smoothing | None) -> None:
        """Start anew; None leaves poses as they were seen."""
        self._rotation = None if smoothing is None else smoothing.direction_filter()

    def __call__(self, head: HeadPose | None, time_seconds: float) -> HeadPose | None:
        """Return the smoothed pose, or None where it is not known."""
        if head is None or self._rotation is None:
            return head
        # The mean of two rotations is none, but its axes still say where the face points and which way is up.
        smoothed = self._rotation(head.rotation.reshape(9), time_seconds).reshape(3, 3)
        return HeadPose.from_axes(smoothed[:, 0], smoothed[:, 2])
