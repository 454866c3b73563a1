"""What a calibration is made of: a screen with points to look at, and what is seen of who looks at them. NumPy only."""

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
"""How many points a calibration has: the corners and the middle, three rows of three, or four more between these."""

_MARGIN = 0.1
# Pictures whose heights differ by less than this share, once their widths are alike, are of one shape.
_SAME_SHAPE = 0.01


@dataclass(frozen=True, slots=True)
class Screen:
    """A screen. Without its size and distance, errors are in pixels only.

    Points on it are counted from its own upper left corner, wherever it is on the desktop.

    Attributes:
        width_px: Width in pixels.
        height_px: Height in pixels.
        width_mm: Width of what lights up.
        distance_mm: From the eyes to the screen.
        place_px: Where its upper left corner is on the desktop, which several screens may share: numbers to the right
            and down, below 0 left of the first screen or above it. None where that is not known.
        name: What the system calls it, where that is known.
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
                raise InputError(f"a screen's {name} must be a finite number above 0, got {number}")
        if self.place_px is not None:
            x, y = self.place_px
            if not (math.isfinite(x) and math.isfinite(y)):
                raise InputError(f"a screen's place_px must be two finite numbers, got {self.place_px}")
            object.__setattr__(self, "place_px", (x, y))  # JSON has lists

    def __str__(self) -> str:
        place = "" if self.place_px is None else "{},{},".format(*self.place_px)
        return f"{place}{self.width_px}x{self.height_px}"

    def points(self, count: int = 9) -> FloatArray:
        """Return the points to look at, float64 [count, 2] in pixels, in the order in which they are to be shown.

        Raises:
            InputError: There is no pattern of that many points.
        """
        if count not in POINT_COUNTS:
            raise InputError(
                f"a calibration has {', '.join(map(str, POINT_COUNTS[:-1]))} or {POINT_COUNTS[-1]} points, got {count}"
            )
        size = np.array([self.width_px, self.height_px])
        near, middle, far = _MARGIN, 0.5, 1 - _MARGIN
        # The middle first: it is where one looks anyway. Then around, and around again further in.
        corners = [(near, near), (far, near), (far, far), (near, far)]
        sides = [(middle, near), (far, middle), (middle, far), (near, middle)]
        around = corners if count == 5 else [place for pair in zip(corners, sides, strict=True) for place in pair]
        between = [((x + middle) / 2, (y + middle) / 2) for x, y in corners] if count == 13 else []
        points: FloatArray = np.array([(middle, middle), *around, *between]) * size
        return points

    def degrees(self, error_px: float) -> float | None:
        """Return how large an error in pixels looks from the eyes, in degrees; None without size and distance."""
        if self.width_mm is None or self.distance_mm is None:
            return None
        return float(np.degrees(np.arctan2(error_px * self.width_mm / self.width_px, self.distance_mm)))


@dataclass(frozen=True, slots=True)
class GazeSample:
    """What is known of a face at one moment.

    Attributes:
        gaze: Common gaze of the eyes, camera frame.
        head: Pose of the head, where it is known.
        eyes_px: Middle between the eyes in the picture, where it is known.
        eye_distance_px: Distance between the eyes in the picture, which tells how near the face is.
        picture_size_px: Width and height of the picture, where they are known.
    """

    gaze: Gaze
    head: HeadPose | None = None
    eyes_px: tuple[float, float] | None = None
    eye_distance_px: float | None = None
    picture_size_px: tuple[int, int] | None = None

    @classmethod
    def from_face(cls, face: Face, picture_size_px: tuple[int, int] | None = None) -> GazeSample | None:
        """Return the sample of a face; None while an eye blinks, or where not both are seen."""
        if face.right is None or face.left is None or face.right.blink or face.left.blink:
            return None
        middles = [(eye.nasal_corner + eye.temporal_corner) / 2 for eye in (face.right, face.left)]
        x, y = ((middles[0] + middles[1]) / 2).tolist()
        return cls(face.gaze, face.head, (x, y), float(np.linalg.norm(middles[1] - middles[0])), picture_size_px)

    def resized(self, picture_size_px: tuple[int, int] | None) -> GazeSample:
        """Return the sample as the same camera would have given it in pictures of another size.

        Raises:
            InputError: The other pictures have another shape, so that they show another part of what is there.
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
    """Check that pictures of one width and height show the same part of what is there as those of a calibration.

    Raises:
        InputError: They have another shape.
    """
    if abs(other[1] - other[0] / mine[0] * mine[1]) > _SAME_SHAPE * other[1]:
        raise InputError(
            f"this calibration belongs to pictures of {other[0]} x {other[1]}, and this one is {mine[0]} x "
            f"{mine[1]}, another part of what the camera sees; calibrate again at this size"
        )


def of_one_size(samples: Sequence[GazeSample]) -> tuple[list[GazeSample], tuple[int, int] | None]:
    """Return samples as pictures of one size would have given them, and that size; None where none is known.

    Samples of an unknown size are taken to be of the size of the others.

    Raises:
        InputError: The pictures have several shapes; or several sizes, and of one that matters it is not known which.
    """
    sizes = list(dict.fromkeys(sample.picture_size_px for sample in samples if sample.picture_size_px is not None))
    unknown = [sample for sample in samples if sample.picture_size_px is None and sample.eyes_px is not None]
    if len(sizes) > 1 and unknown:
        raise InputError(
            f"the samples are of pictures of {' and '.join(f'{width} x {height}' for width, height in sizes)}, and "
            f"{len(unknown)} of them do not say of which; give each its picture_size_px"
        )
    size = sizes[0] if sizes else None
    return [sample.resized(size) for sample in samples], size
