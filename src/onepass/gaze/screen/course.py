"""The course of a calibration, from point to point: which one is to be looked at, for how long, what was seen of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError
from onepass.gaze.geometry import FloatArray
from onepass.gaze.result import Face
from onepass.gaze.screen.sample import GazeSample, Screen, check_shape

# A person needs so long to find a new point, and then looks at it for so long; without a face it takes as long as this.
_SETTLING_SECONDS = 1.0
_LOOKING_SECONDS = 1.2
_PATIENCE_SECONDS = 15.0
_LEAST_SAMPLES = 8


class Course:
    """Leads from point to point by the times of frames, and keeps what is seen meanwhile.

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
        """Start with the first point that is not done yet.

        Args:
            screen: The screen.
            points: How many points, one of `onepass.gaze.screen.sample.POINT_COUNTS`.
            samples: What was seen before the course was broken off, of points that were done.
            targets_px: float [N, 2], the point of each of these samples.

        Raises:
            InputError: There is no pattern of that many points.
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
        """How many points there are."""
        return len(self._points)

    @property
    def number(self) -> int:
        """How many points are done."""
        return self._number

    @property
    def is_done(self) -> bool:
        """Whether the last point is done."""
        return self._number == len(self._points)

    @property
    def target(self) -> FloatArray:
        """The point to look at, float64 [2] in pixels of the screen; the last one when all are done."""
        point: FloatArray = self._points[min(self._number, len(self._points) - 1)]
        return point

    def share(self, seconds: float) -> float:
        """Return how much of the point's time has passed, from 0; above 1 it waits for more samples."""
        return 0.0 if self._start is None else (seconds - self._start) / (_SETTLING_SECONDS + _LOOKING_SECONDS)

    def take(self, seconds: float, faces: Sequence[Face], picture_size_px: tuple[int, int]) -> None:
        """Take in the faces of a frame, of which the largest counts, and go on to the next point when it is time.

        Args:
            seconds: When the frame was taken, not before the last one.
            faces: What was seen in it.
            picture_size_px: Its width and height.

        Raises:
            InputError: Both eyes were not seen for a while, or the frame has another shape than those before the course
                was broken off.
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
            raise InputError("the calibration needs both eyes in view, and they were not seen for a while")

    @property
    def samples(self) -> tuple[GazeSample, ...]:
        """What was seen so far: one for each frame in which the eyes were seen and open."""
        return tuple(self._samples)

    @property
    def targets_px(self) -> FloatArray:
        """Where the point was for each sample, float64 [N, 2] in pixels of the screen."""
        return np.array(self._targets, np.float64).reshape(-1, 2)
