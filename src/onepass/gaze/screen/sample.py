"""Data of a calibration: the screen with its points, and samples of a person looking at them. NumPy only."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from onepass._errors import InputError
from onepass.gaze.directions import Gaze, HeadPose
from onepass.gaze.geometry import FloatArray
from onepass.gaze.result import Face

POINT_COUNTS = (5, 9, 13)
"""Possible numbers of points: corners and centre, three rows of three, or four more in between."""

_MARGIN = 0.1
# Pictures scaled to the same width whose heights differ by less than this share have the same aspect ratio.
_SAME_SHAPE = 0.01


@dataclass(frozen=True, slots=True)
class Screen:
    """A screen. Without its physical size and distance, errors are in pixels only.

    The origin of points is the screen's own upper left corner, wherever the screen is on the desktop.

    Attributes:
        width_px: Width in pixels.
        height_px: Height in pixels.
        width_mm: Width of the visible area.
        distance_mm: Distance from the eyes to the screen.
        place_px: Position of its upper left corner on the desktop, which several screens may share, to the right and
            down; negative to the left of or above the first screen. None if unknown.
        name: The system's name for the screen, if known.
    """

    width_px: int
    height_px: int
    width_mm: float | None = None
    distance_mm: float | None = None
    place_px: tuple[int, int] | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        for name in ("width_px", "height_px", "width_mm", "distance_mm"):
            number = getattr(self, name)
            if number is not None and not 0 < number <= sys.float_info.max:  # integers have no limit
                raise InputError(f"a screen's {name} must be a finite number > 0, got {number}")
        if self.place_px is not None:
            x, y = self.place_px
            if not (math.isfinite(x) and math.isfinite(y)):
                raise InputError(f"a screen's place_px must be two finite numbers, got {self.place_px}")
            object.__setattr__(self, "place_px", (x, y))  # JSON has lists

    def __str__(self) -> str:
        place = "" if self.place_px is None else "{},{},".format(*self.place_px)
        return f"{place}{self.width_px}x{self.height_px}"

    def points(self, count: int = 9) -> FloatArray:
        """Return the points to look at, float64 [count, 2] in pixels, in the order of presentation.

        Raises:
            InputError: There is no pattern with this number of points.
        """
        if count not in POINT_COUNTS:
            raise InputError(
                f"a calibration must have {', '.join(map(str, POINT_COUNTS[:-1]))} or {POINT_COUNTS[-1]} points, "
                f"got {count}"
            )
        size = np.array([self.width_px, self.height_px])
        near, middle, far = _MARGIN, 0.5, 1 - _MARGIN
        # The centre first, where people look anyway; then around, and around again further in.
        corners = [(near, near), (far, near), (far, far), (near, far)]
        sides = [(middle, near), (far, middle), (middle, far), (near, middle)]
        around = corners if count == 5 else [place for pair in zip(corners, sides, strict=True) for place in pair]
        between = [((x + middle) / 2, (y + middle) / 2) for x, y in corners] if count == 13 else []
        points: FloatArray = np.array([(middle, middle), *around, *between]) * size
        return points

    def degrees(self, error_px: float) -> float | None:
        """Convert an error in pixels to degrees as seen from the eyes; None without size and distance."""
        if self.width_mm is None or self.distance_mm is None:
            return None
        return float(np.degrees(np.arctan2(error_px * self.width_mm / self.width_px, self.distance_mm)))


@dataclass(frozen=True, slots=True)
class GazeSample:
    """A face at one moment.

    Attributes:
        gaze: Common gaze of the eyes, camera frame.
        head: Head pose, if known.
        eyes_px: Centre between the eyes in the picture, if known.
        eye_distance_px: Distance between the eyes in the picture, which depends on the face's distance.
        picture_size_px: Width and height of the picture, if known.
    """

    gaze: Gaze
    head: HeadPose | None = None
    eyes_px: tuple[float, float] | None = None
    eye_distance_px: float | None = None
    picture_size_px: tuple[int, int] | None = None

    @classmethod
    def from_face(cls, face: Face, picture_size_px: tuple[int, int] | None = None) -> GazeSample | None:
        """Return the sample of a face; None during a blink, or if an eye is not visible."""
        if face.right is None or face.left is None or face.right.blink or face.left.blink:
            return None
        middles = [(eye.nasal_corner + eye.temporal_corner) / 2 for eye in (face.right, face.left)]
        x, y = ((middles[0] + middles[1]) / 2).tolist()
        return cls(face.gaze, face.head, (x, y), float(np.linalg.norm(middles[1] - middles[0])), picture_size_px)

    def resized(self, picture_size_px: tuple[int, int] | None) -> GazeSample:
        """Convert the sample to pictures of another size from the same camera.

        Raises:
            InputError: The aspect ratios differ, so the pictures show different parts of the scene.
        """
        mine, other = self.picture_size_px, picture_size_px
        if mine is None or other is None or mine == other or self.eyes_px is None or self.eye_distance_px is None:
            return self
        check_shape(mine, other)
        factor = other[0] / mine[0]
        x, y = self.eyes_px
        return replace(
            self, eyes_px=(factor * x, factor * y), eye_distance_px=factor * self.eye_distance_px, picture_size_px=other
        )


def check_shape(mine: tuple[int, int], other: tuple[int, int]) -> None:
    """Check that pictures of this size have the aspect ratio of a calibration's pictures.

    Raises:
        InputError: The aspect ratios differ.
    """
    if abs(other[1] - other[0] / mine[0] * mine[1]) > _SAME_SHAPE * other[1]:
        raise InputError(
            f"this calibration is for pictures of {other[0]} x {other[1]}, but this one is {mine[0]} x {mine[1]} and "
            "shows another part of the camera's view; calibrate again at this size"
        )


def of_one_size(samples: Sequence[GazeSample]) -> tuple[list[GazeSample], tuple[int, int] | None]:
    """Convert samples to a common picture size; return them and the size, or None if no size is known.

    Samples of unknown size are assumed to have the others' size.

    Raises:
        InputError: The aspect ratios differ; or there are several sizes, and a sample's size is unknown.
    """
    sizes = list(dict.fromkeys(sample.picture_size_px for sample in samples if sample.picture_size_px is not None))
    unknown = [sample for sample in samples if sample.picture_size_px is None and sample.eyes_px is not None]
    if len(sizes) > 1 and unknown:
        raise InputError(
            f"the samples come from pictures of {' and '.join(f'{width} x {height}' for width, height in sizes)}, but "
            f"{len(unknown)} of them have no picture_size_px; set it for each sample"
        )
    size = sizes[0] if sizes else None
    return [sample.resized(size) for sample in samples], size
