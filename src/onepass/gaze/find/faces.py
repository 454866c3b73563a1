"""Faces and where their eyes are: `FoundFace`, and the protocols of what finds and follows faces."""

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
"""Corner distance of an eye, in distances between the two eye centres (about 28 mm of 63 mm in adults)."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FoundFace:
    """What a face finder says of one face, in picture pixels (pixel centres at x.5).

    Attributes:
        box: The face.
        right: Corners of the subject's right eye, float64 [2, 2]: nasal, temporal. None where it is not in view.
        left: Corners of the subject's left eye, likewise.
        head: How the head is turned; None where the finder does not say.
        mesh: Points all over the face, float64 [468, 3], where the finder has them: x and y in picture pixels, z in the
            same unit, more than 0 further from the camera. None otherwise.
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
        """Nasal and temporal corner [2, 2] of each eye in view, the subject's right one first."""
        pairs: dict[Side, FloatArray | None] = {"right": self.right, "left": self.left}
        return {side: corners for side, corners in pairs.items() if corners is not None}

    @property
    def sides(self) -> tuple[Side, ...]:
        """The eyes in view, the subject's right one first."""
        return tuple(self.corners)

    @classmethod
    def from_eye_centres(cls, box: Box, right: npt.ArrayLike, left: npt.ArrayLike) -> FoundFace:
        """Make a found face from a finder that knows eye centres only.

        The corners are put on the line through both centres, at the usual distance (`CORNER_DISTANCE`).

        Args:
            box: The face.
            right: Centre of the subject's right eye, [2].
            left: Centre of the subject's left eye, [2].

        Raises:
            InputError: The centres are one point, or not finite.
        """
        centre_r, centre_l = np.asarray(right, np.float64), np.asarray(left, np.float64)
        half = (centre_l - centre_r) * (CORNER_DISTANCE / 2)
        return cls(box, np.stack([centre_r + half, centre_r - half]), np.stack([centre_l - half, centre_l + half]))


def _are_corners(array: FloatArray) -> bool:
    """Whether these are two different finite points, [2, 2]."""
    if array.shape != (2, 2):
        return False
    # In plain numbers: in a video this is asked of every eye in every frame.
    nasal, temporal = array.tolist()
    return nasal != temporal and all(map(math.isfinite, (*nasal, *temporal)))


class FaceFinder(Protocol):
    """Finds faces in a grey picture. Any callable of this form will do."""

    def __call__(self, grey: Grey, /) -> list[FoundFace]:
        """Return the faces in uint8 [H, W], in an order that depends on the picture alone."""
        ...


class OpenedFinder(FaceFinder, Protocol):
    """A finder that also says what it sees, and holds something open: what `open_finder` returns.

    A finder of your own needs neither: without `sees_heads` it is taken to see them, and whoever made it closes it.
    """

    @property
    def sees_heads(self) -> bool:
        """Whether its faces say how heads are turned."""
        ...

    def close(self) -> None:
        """Let go of what it holds open. Closing twice is allowed."""
        ...


@runtime_checkable
class FaceFollower(FaceFinder, Protocol):
    """A finder that can also follow faces from frame to frame, at less cost than finding them."""

    def follow(self, grey: Grey, faces: Sequence[FoundFace], /) -> list[FoundFace | None]:
        """Return where each face of the frame before is in this one, uint8 [H, W]; None for one that is gone."""
        ...


@runtime_checkable
class TiltedFinder(FaceFinder, Protocol):
    """A finder that looks for one tilt of heads after the other; who knows the tilt can ask for it alone."""

    @property
    def tilts_deg(self) -> Sequence[float]:
        """All tilts that it looks for, clockwise in the picture, the usual ones first."""
        ...

    def find_tilted(self, grey: Grey, tilt_deg: float, /) -> list[FoundFace]:
        """Return the faces in uint8 [H, W] whose heads are tilted by about that much."""
        ...


def sees_heads(finder: FaceFinder) -> bool:
    """Whether a finder may say how heads are turned; one that does not tell may."""
    return bool(getattr(finder, "sees_heads", True))


def name_of(finder: FaceFinder) -> str:
    """Return what a finder is called: "mesh", say, or the name of its class or function."""
    return str(getattr(finder, "name", None) or getattr(finder, "__name__", type(finder).__name__))


def check_grey(grey: Grey) -> None:
    """Check that a picture is what a finder takes.

    Raises:
        InputError: It is not uint8 [H, W], or empty.
    """
    if grey.dtype != np.uint8 or grey.ndim != 2 or grey.size == 0:
        raise InputError(f"a finder needs a grey picture, uint8 [H, W]; got {grey.dtype} {list(grey.shape)}")


def without_overlaps(faces: Sequence[FoundFace]) -> list[FoundFace]:
    """Sort faces from large to small and drop those whose middle lies in a larger one."""
    kept: list[FoundFace] = []
    for face in sorted(faces, key=lambda f: (-f.box.area_px, f.box.left_px, f.box.top_px)):
        x, y = face.box.centre
        if not any(k.box.left_px <= x <= k.box.right_px and k.box.top_px <= y <= k.box.bottom_px for k in kept):
            kept.append(face)
    return kept


def eyes_of(found: Sequence[FoundFace]) -> tuple[tuple[Side, ...], FloatArray]:
    """Return the side and the corners [N, 2, 2] of every eye, face by face, the right eye first."""
    eyes = [eye for face in found for eye in face.corners.items()]
    return tuple(side for side, _ in eyes), np.array([corners for _, corners in eyes], np.float64).reshape(-1, 2, 2)
