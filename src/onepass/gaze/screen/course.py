"""The course of a calibration from point to point: the current target, its time, and the collected samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError
from onepass.gaze.geometry import FloatArray
from onepass.gaze.result import Face
from onepass.gaze.screen.sample import GazeSample, Screen, check_shape

# Time to find a new point, time to look at it, and the time limit if no face is visible.
_SETTLING_SECONDS = 1.0
_LOOKING_SECONDS = 1.2
_PATIENCE_SECONDS = 15.0
_LEAST_SAMPLES = 8


class Course:
    """Advance from point to point by frame times, and collect samples.

    Example::

        course = Course(Screen(1920, 1080))
        for seconds, faces in ...:  # until course.is_done
            show(course.target, course.share(seconds))
            course.take(seconds, faces, picture_size_px)
        calibrate(course.samples, course.targets_px, course.screen)
    """

    def __init__(
        self,
        screen: Screen,
        points: int = 9,
        *,
        samples: Sequence[GazeSample] = (),
        targets_px: npt.ArrayLike = (),
    ) -> None:
        """Start with the first unfinished point.

        Args:
            screen: The screen.
            points: Number of points, one of `onepass.gaze.screen.sample.POINT_COUNTS`.
            samples: Samples of finished points from an interrupted course.
            targets_px: float [N, 2], the points of these samples.

        Raises:
            InputError: There is no pattern with this number of points.
        """
        self.screen = screen
        self._samples, self._targets = list(samples), list(np.reshape(targets_px, (-1, 2)))
        done = set(map(tuple, np.reshape(targets_px, (-1, 2)).tolist()))
        is_done = [tuple(point) in done for point in screen.points(points).tolist()]
        self._points: FloatArray = screen.points(points)[np.argsort(np.logical_not(is_done), kind="stable")]
        self._number = sum(is_done)
        self._start: float | None = None
        self._mine = 0
        self._size_before = next((sample.picture_size_px for sample in samples), None)

    @property
    def count(self) -> int:
        """Number of points."""
        return len(self._points)

    @property
    def number(self) -> int:
        """Number of finished points."""
        return self._number

    @property
    def is_done(self) -> bool:
        """Whether all points are finished."""
        return self._number == len(self._points)

    @property
    def target(self) -> FloatArray:
        """The point to look at, float64 [2] in screen pixels; the last one when all are finished."""
        point: FloatArray = self._points[min(self._number, len(self._points) - 1)]
        return point

    def share(self, seconds: float) -> float:
        """Return the elapsed share of the point's time, from 0; above 1, the course waits for more samples."""
        return 0.0 if self._start is None else (seconds - self._start) / (_SETTLING_SECONDS + _LOOKING_SECONDS)

    def take(self, seconds: float, faces: Sequence[Face], picture_size_px: tuple[int, int]) -> None:
        """Add the largest face of a frame, and advance to the next point when it is time.

        Args:
            seconds: Time of the frame, not before the previous one.
            faces: The frame's faces.
            picture_size_px: The frame's width and height.

        Raises:
            InputError: The eyes were not visible for too long, or the frame's aspect ratio differs from that before the
                interruption.
        """
        if self.is_done:
            return
        if self._size_before is not None:
            check_shape(picture_size_px, self._size_before)
        self._start = seconds if self._start is None else self._start
        passed = seconds - self._start
        if passed < _SETTLING_SECONDS:
            return
        largest = max(faces, key=lambda face: face.box.area_px, default=None)
        sample = None if largest is None else GazeSample.from_face(largest, picture_size_px)
        if sample is not None:
            self._samples.append(sample)
            self._targets.append(self.target)
            self._mine += 1
        if passed >= _SETTLING_SECONDS + _LOOKING_SECONDS and self._mine >= _LEAST_SAMPLES:
            self._number, self._start, self._mine = self._number + 1, seconds, 0
        elif passed > _PATIENCE_SECONDS:
            raise InputError("the calibration needs both eyes in view, but they were not visible for a while")

    @property
    def samples(self) -> tuple[GazeSample, ...]:
        """The samples so far: one per frame in which both eyes were visible and open."""
        return tuple(self._samples)

    @property
    def targets_px(self) -> FloatArray:
        """The point of each sample, float64 [N, 2] in screen pixels."""
        return np.array(self._targets, np.float64).reshape(-1, 2)
