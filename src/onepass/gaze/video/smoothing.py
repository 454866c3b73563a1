"""Smooth eyes and heads with the One Euro filter (Casiez, Roussel and Vogel, CHI 2012)."""

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

# For this long before an eye counts as closed, the lids drag iris and gaze down: hold the gaze from before that.
_CLOSING_SECONDS = 0.1
# Below this confidence an eye is not detected at all, so it does not count as reopened.
_UNSEEN = 0.2


class OneEuroFilter:
    """Smooth a signal strongly at rest and hardly in motion.

    An exponential filter with a cutoff that grows with the speed of the signal (Casiez, Roussel and Vogel, "1€ filter:
    a simple speed-based low-pass filter for noisy input in interactive systems", CHI 2012). Speeds are computed from
    the samples' times. The values along the last axis share a cutoff, which depends on the norm of their velocity, so
    that the smoothing of points and directions does not depend on the picture's rotation.
    """

    def __init__(self, min_cutoff_hz: float = 1.0, beta: float = 1.0, speed_cutoff_hz: float = 1.0) -> None:
        """Set the filter up.

        Args:
            min_cutoff_hz: Cutoff at rest, > 0; lower means less jitter.
            beta: Increase of the cutoff in hertz per unit of speed, >= 0; higher means less lag.
            speed_cutoff_hz: Cutoff for the speed itself, > 0.

        Raises:
            InputError: An argument is out of range.
        """
        if not (0 < min_cutoff_hz < np.inf and 0 <= beta < np.inf and 0 < speed_cutoff_hz < np.inf):
            raise InputError(
                "the cutoffs of a One Euro filter must be > 0 and beta >= 0, "
                f"got min_cutoff_hz {min_cutoff_hz}, beta {beta} and speed_cutoff_hz {speed_cutoff_hz}"
            )
        self._min_cutoff_hz, self._beta, self._speed_cutoff_hz = min_cutoff_hz, beta, speed_cutoff_hz
        self._last: tuple[FloatArray, FloatArray, float] | None = None

    def __call__(self, value: npt.ArrayLike, time_seconds: float, *, unit: float = 1.0) -> FloatArray:
        """Return the smoothed value; the first value is returned unchanged.

        Args:
            value: float [..., D], of the same shape in each call.
            time_seconds: Time of the measurement, not before the previous one.
            unit: Unit of length for speeds, in the value's units, > 0: the size of the moving object.
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
    """Return the share of a step that an exponential filter takes after that time."""
    return 1 - 1 / (1 + 2 * math.pi * seconds * cutoff_hz)


@dataclass(frozen=True, slots=True)
class Smoothing:
    """Parameters for smoothing faces in a video.

    Attributes:
        min_cutoff_hz: Cutoff of all filters at rest, > 0.
        gaze_beta: Increase of the cutoff in hertz per radian per second, for gaze and head.
        points_beta: Increase of the cutoff in hertz per corner distance per second, for points.
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
    """Smooth the points and the gaze of one eye in a video, detect its blinks, and hold its gaze during blinks."""

    def __init__(self, smoothing: Smoothing | None, blinks: BlinkDetector | None = None) -> None:
        """Start without previous frames.

        Args:
            smoothing: The parameters; None leaves points and gaze unsmoothed.
            blinks: The blink detector; None for a new `BlinkDetector`.
        """
        self._blinks = BlinkDetector() if blinks is None else blinks
        self._smoothing = smoothing
        self._points = None if smoothing is None else smoothing.points_filter()
        self._gaze = None if smoothing is None else smoothing.direction_filter()
        self._recent: list[tuple[float, Gaze]] = []
        self._shut = False

    @property
    def usual_openness(self) -> float:
        """The usual openness of this eye, as observed so far."""
        return self._blinks.usual_openness

    def __call__(self, eye: Eye, time_seconds: float) -> Eye:
        """Return the eye to show.

        Args:
            eye: The eye as detected in this frame.
            time_seconds: Time of the frame, not before the previous one.
        """
        shut = self._blinks(eye.openness, time_seconds) or (self._shut and eye.confidence < _UNSEEN)
        if self._shut and not shut and self._smoothing is not None:
            # The gaze before the blink does not predict the gaze after it.
            self._gaze = self._smoothing.direction_filter()
        self._shut = shut
        gaze = self._held(eye.gaze) if shut else self._followed(eye.gaze, time_seconds)
        return replace(eye, gaze=gaze, blink=shut, **self._smoothed(eye, time_seconds))

    def _followed(self, gaze: Gaze, time_seconds: float) -> Gaze:
        if self._gaze is not None:
            gaze = Gaze.from_vector(self._gaze(gaze.vector, time_seconds))
        start = time_seconds - _CLOSING_SECONDS
        # One entry older than the closing time is kept, to go back to.
        older = [entry for entry in self._recent if entry[0] <= start][-1:]
        self._recent = [*older, *(entry for entry in self._recent if entry[0] > start), (time_seconds, gaze)]
        return gaze

    def _held(self, gaze: Gaze) -> Gaze:
        """Return the gaze before the lids closed, or the current one if the eye has never been open."""
        return self._recent[0][1] if self._recent else gaze

    def _smoothed(self, eye: Eye, time_seconds: float) -> dict[str, Any]:
        """Return the smoothed fields of an eye."""
        if self._points is None:
            return {}
        seen = np.concatenate([eye.eyelid, eye.iris, eye.iris_centre[None], eye.eyeball_centre[None]])
        points = self._points(seen, time_seconds, unit=max(eye.corner_distance_px, 1.0))
        return {
            "eyelid": points[:8], "iris": points[8:16], "iris_centre": points[16], "eyeball_centre": points[17]
        }  # fmt: skip


class HeadFilter:
    """Smooth the pose of one head."""

    def __init__(self, smoothing: Smoothing | None) -> None:
        """Start without previous frames; None leaves poses unsmoothed."""
        self._rotation = None if smoothing is None else smoothing.direction_filter()

    def __call__(self, head: HeadPose | None, time_seconds: float) -> HeadPose | None:
        """Return the smoothed pose, or None if it is unknown."""
        if head is None or self._rotation is None:
            return head
        # The mean of two rotation matrices is not a rotation, but its axes still give the facing and up directions.
        smoothed = self._rotation(head.rotation.reshape(9), time_seconds).reshape(3, 3)
        return HeadPose.from_axes(smoothed[:, 0], smoothed[:, 2])
