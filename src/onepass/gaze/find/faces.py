"""`FoundFace`, and the protocols for finding and following faces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError
from onepass.gaze.directions import HeadPose
from onepass.gaze.geometry import FloatArray, Grey
from onepass.gaze.result import Box, Side

CORNER_DISTANCE = 0.45
"""Corner distance of an eye divided by the distance between the eye centres (about 28 mm / 63 mm in adults)."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FoundFace:
    """A face as returned by a face finder, in picture pixels (pixel centres at x.5).

    Attributes:
        box: The bounding box.
        right: Corners of the subject's right eye, float64 [2, 2]: nasal, temporal. None if it is not visible.
        left: Corners of the subject's left eye, likewise.
        head: The head pose; None if the finder does not provide it.
        mesh: Face mesh, float64 [468, 3], if the finder provides it: x and y in picture pixels, z in the same unit,
            increasing away from the camera. None otherwise.
    """

    box: Box
    right: FloatArray | None
    left: FloatArray | None
    head: HeadPose | None = None
    mesh: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.right is None and self.left is None:
            raise InputError("a found face needs the corners of at least one eye")
        for name, corners in (("right", self.right), ("left", self.left)):
            if corners is None:
                continue
            array = np.array(corners, np.float64)
            if not _are_corners(array):
                raise InputError(f"{name} must be two different finite corners [2, 2], got {array.tolist()}")
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __repr__(self) -> str:
        return f"FoundFace({self.box!r}, eyes={list(self.sides)})"

    @property
    def corners(self) -> dict[Side, FloatArray]:
        """Nasal and temporal corner [2, 2] of each visible eye, the subject's right one first."""
        pairs: dict[Side, FloatArray | None] = {"right": self.right, "left": self.left}
        return {side: corners for side, corners in pairs.items() if corners is not None}

    @property
    def sides(self) -> tuple[Side, ...]:
        """The visible eyes, the subject's right one first."""
        return tuple(self.corners)

    @classmethod
    def from_eye_centres(cls, box: Box, right: npt.ArrayLike, left: npt.ArrayLike) -> FoundFace:
        """Return a face given by its eye centres only.

        The corners are placed on the line through both centres, at the usual distance (`CORNER_DISTANCE`).

        Args:
            box: The bounding box.
            right: Centre of the subject's right eye, [2].
            left: Centre of the subject's left eye, [2].

        Raises:
            InputError: The centres coincide or are not finite.
        """
        centre_r, centre_l = np.asarray(right, np.float64), np.asarray(left, np.float64)
        half = (centre_l - centre_r) * (CORNER_DISTANCE / 2)
        return cls(box, np.stack([centre_r + half, centre_r - half]), np.stack([centre_l - half, centre_l + half]))


def _are_corners(array: FloatArray) -> bool:
    """Whether these are two different finite points, [2, 2]."""
    if array.shape != (2, 2):
        return False
    # Python floats, for speed: in a video this runs for each eye of each frame.
    nasal, temporal = array.tolist()
    return nasal != temporal and all(map(math.isfinite, (*nasal, *temporal)))


class FaceFinder(Protocol):
    """Find faces in a grey picture. Any callable with this signature works."""

    def __call__(self, grey: Grey, /) -> list[FoundFace]:
        """Return the faces in uint8 [H, W], in an order that depends only on the picture."""
        ...


class OpenedFinder(FaceFinder, Protocol):
    """A finder as returned by `open_finder`: it declares whether it provides head poses, and can be closed.

    Your own finder needs neither: without `sees_heads` it is assumed to provide head poses, and its creator closes it.
    """

    @property
    def sees_heads(self) -> bool:
        """Whether its faces have head poses."""
        ...

    def close(self) -> None:
        """Release its resources. Closing twice is allowed."""
        ...


@runtime_checkable
class FaceFollower(FaceFinder, Protocol):
    """A finder that can also follow faces from frame to frame, at lower cost than finding them."""

    def follow(self, grey: Grey, faces: Sequence[FoundFace], /) -> list[FoundFace | None]:
        """Return each face of the previous frame as found in this one, uint8 [H, W]; None for a face that is gone."""
        ...


@runtime_checkable
class TiltedFinder(FaceFinder, Protocol):
    """A finder that searches one head tilt after another; callers can request a single tilt."""

    @property
    def tilts_deg(self) -> Sequence[float]:
        """All tilts that it searches for, clockwise in the picture, the usual ones first."""
        ...

    def find_tilted(self, grey: Grey, tilt_deg: float, /) -> list[FoundFace]:
        """Return the faces in uint8 [H, W] with about this head tilt."""
        ...


def sees_heads(finder: FaceFinder) -> bool:
    """Whether a finder may provide head poses; True if it does not declare it."""
    return bool(getattr(finder, "sees_heads", True))


def name_of(finder: FaceFinder) -> str:
    """Return a finder's name, for example "mesh", or the name of its class or function."""
    return str(getattr(finder, "name", None) or getattr(finder, "__name__", type(finder).__name__))


def check_grey(grey: Grey) -> None:
    """Check that a picture is a valid input for a finder.

    Raises:
        InputError: It is not uint8 [H, W], or empty.
    """
    if grey.dtype != np.uint8 or grey.ndim != 2 or grey.size == 0:
        raise InputError(f"a finder needs a grey picture, uint8 [H, W]; got {grey.dtype} {list(grey.shape)}")


def without_overlaps(faces: Sequence[FoundFace]) -> list[FoundFace]:
    """Sort faces from large to small and drop those with their centre inside a larger one."""
    kept: list[FoundFace] = []
    for face in sorted(faces, key=lambda f: (-f.box.area_px, f.box.left_px, f.box.top_px)):
        x, y = face.box.centre
        if not any(k.box.left_px <= x <= k.box.right_px and k.box.top_px <= y <= k.box.bottom_px for k in kept):
            kept.append(face)
    return kept


def eyes_of(found: Sequence[FoundFace]) -> tuple[tuple[Side, ...], FloatArray]:
    """Return sides and corners [N, 2, 2] of all eyes, face by face, the right eye first."""
    eyes = [eye for face in found for eye in face.corners.items()]
    return tuple(side for side, _ in eyes), np.array([corners for _, corners in eyes], np.float64).reshape(-1, 2, 2)
