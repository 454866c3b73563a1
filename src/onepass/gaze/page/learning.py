"""A session's calibration, and the course of points that creates one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass.gaze.find.faces import FaceFinder
from onepass.gaze.on_screen import check_finder
from onepass.gaze.page.commands import choice_of, number_of
from onepass.gaze.page.messages import size_of
from onepass.gaze.result import Face
from onepass.gaze.screen.calibration import Calibration, calibrate
from onepass.gaze.screen.course import Course
from onepass.gaze.screen.sample import POINT_COUNTS, Screen
from onepass.media import Frame


class Learning:
    """The current calibration, if any, and the running course, if any."""

    def __init__(self, finder: FaceFinder, calibration: Calibration | None = None) -> None:
        """Start with an existing calibration, or without one.

        Raises:
            InputError: The calibration needs head poses, which the finder does not provide.
        """
        self._finder = finder
        self.calibration: Calibration | None = None
        self._course: Course | None = None
        self.use(calibration)

    def use(self, calibration: Calibration | None) -> None:
        """Replace the calibration; None removes it.

        Raises:
            InputError: The calibration needs head poses, which the finder does not provide.
        """
        check_finder(calibration, self._finder)
        self.calibration = calibration

    def begin(self, command: Mapping[str, Any]) -> None:
        """Start a course.

        Args:
            command: Has ``points``, the screen's ``width`` and ``height`` in pixels, and optionally ``width_mm`` and
                ``distance_mm``.

        Raises:
            InputError: A value is missing or invalid.
        """
        width, height = (round(number_of(command, name) or 0) for name in ("width", "height"))
        width_mm, distance_mm = (number_of(command, name, needed=False) for name in ("width_mm", "distance_mm"))
        screen = Screen(width, height, width_mm=width_mm, distance_mm=distance_mm)
        self._course = Course(screen, choice_of(command, "points", POINT_COUNTS))

    def stop(self) -> None:
        """Cancel the course, if one is running."""
        self._course = None

    def on_screen(self, faces: Sequence[Face], picture_size_px: tuple[int, int]) -> tuple[Face, ...]:
        """Return the faces with their points on the screen, if there is a calibration.

        Raises:
            InputError: The calibration is for pictures of another shape; it is removed.
        """
        if self.calibration is None:
            return tuple(faces)
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # a forged calibration may contain any numbers
                points = [self.calibration(face, picture_size_px=picture_size_px) for face in faces]
        except InputError:
            self.calibration = None
            raise
        return tuple(
            replace(face, screen_px=None if point is None or not np.isfinite(point).all() else point)
            for face, point in zip(faces, points, strict=True)
        )

    def take(self, frame: Frame, faces: Sequence[Face]) -> dict[str, Any] | None:
        """Advance the course by a frame; return its progress for the page, or None if no course is running.

        After the last point, the result becomes the calibration.

        Raises:
            InputError: The eyes were not visible for a while, or the samples allow no calibration; the course ends.
        """
        course, seconds = self._course, frame.seconds
        if course is None or seconds is None:
            return None
        try:
            course.take(seconds, faces, size_of(frame))
            if course.is_done:
                self.stop()
                self.use(calibrate(course.samples, course.targets_px, course.screen))
        except InputError:
            self.stop()
            raise
        return {
            "number": course.number,
            "count": course.count,
            "target": course.target.tolist(),
            "share": course.share(seconds),
            "done": course.is_done,
        }
