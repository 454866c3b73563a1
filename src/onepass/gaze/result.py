"""Results: `Face` and its `Eye`s. NumPy only.

All points are in pixels of the input picture, with pixel centres at x.5; directions are in the camera's frame. See
`onepass.gaze.geometry` for both conventions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from onepass._errors import InputError
from onepass.gaze import geometry
from onepass.gaze.directions import Gaze, HeadPose
from onepass.gaze.geometry import FloatArray
from onepass.gaze.head import head_from_corners
from onepass.gaze.lids import openness_of

Side: TypeAlias = Literal["left", "right"]
"""The subject's own side. The subject's right eye is on the left in an unmirrored picture."""

SCHEMA_PATH = Path(__file__).parent / "data" / "face.schema.json"
"""JSON Schema of `Face.to_json`; its ``$defs`` describe the parts of a face."""

_POINTS = {"eyelid": (8, 2), "iris": (8, 2), "iris_centre": (2,), "eyeball_centre": (2,)}


def _finite(name: str, value: object, shape: tuple[int, ...]) -> FloatArray:
    """Return a read-only float64 copy of a value after checking its shape and finiteness."""
    array = np.array(value, np.float64)
    if array.shape != shape:
        raise InputError(f"{name} must have shape {list(shape)}, got {list(array.shape)}")
    # Counting is faster than all(), and this runs for thirty arrays per frame.
    if np.count_nonzero(np.isfinite(array)) < array.size:
        raise InputError(f"{name} must be finite, got {array.tolist()}")
    array.flags.writeable = False
    return array


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Eye:
    """One eye in picture pixels. The arrays are read-only copies.

    Attributes:
        side: The subject's "left" or "right" eye.
        eyelid: float64 [8, 2], the lid margin: nasal corner, three points along the upper lid, temporal corner (index
            4), three points back along the lower lid.
        iris: float64 [8, 2], the iris edge, nasal point first, in the same direction, including parts under a lid.
        iris_centre: float64 [2], where the optical axis leaves the eyeball: its centre plus its radius times the
            gaze. The iris ring lies deeper, so ``iris.mean(axis=0)`` is another point for an eye that looks sideways.
        eyeball_centre: float64 [2].
        eyeball_radius_px: Radius of the eyeball.
        gaze: Direction of this eye's optical axis. A person's line of sight differs from it by a few degrees (the
            eye's angle kappa, about 5 degrees outwards), which cancels out in `Face.gaze` if both eyes are about
            equally visible.
        confidence: 0 to 1, the mean of `point_confidences`: the share of correct points.
        blink: Whether the lids are closed. In a single picture, this means an aperture below a threshold; a
            `GazeTracker` tracks the lids over time, and holds an eye's gaze during a blink
            (`onepass.gaze.video.blinks`).
        point_confidences: float64 [17], the probability that each eyelid point, iris point and the iris centre is
            within 5 % of the corner distance of its true position (`onepass.gaze.confidence`). None if only the mean
            is known.
    """

    side: Side
    eyelid: FloatArray
    iris: FloatArray
    iris_centre: FloatArray
    eyeball_centre: FloatArray
    eyeball_radius_px: float
    gaze: Gaze
    confidence: float
    blink: bool = False
    point_confidences: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.side not in ("left", "right"):
            raise InputError(f"side must be 'left' or 'right' (the subject's), got {self.side!r}")
        for name, shape in _POINTS.items():
            object.__setattr__(self, name, _finite(name, getattr(self, name), shape))
        if not 0 < self.eyeball_radius_px < np.inf:
            raise InputError(f"eyeball_radius_px must be a finite number above 0, got {self.eyeball_radius_px}")
        if self.point_confidences is not None:
            object.__setattr__(self, "point_confidences", _finite("point_confidences", self.point_confidences, (17,)))
        if not 0 <= self.confidence <= 1:
            raise InputError(f"confidence must lie in 0 to 1, got {self.confidence}")

    def __repr__(self) -> str:
        x, y = self.iris_centre
        return (
            f"Eye({self.side}, iris_centre=({x:.1f}, {y:.1f}), corner_distance_px={self.corner_distance_px:.1f}, "
            f"openness={self.openness:.2f}, {self.gaze!r}, confidence={self.confidence:.2f})"
        )

    @property
    def nasal_corner(self) -> FloatArray:
        """Corner on the side of the nose, float64 [2]."""
        corner: FloatArray = self.eyelid[0]
        return corner

    @property
    def temporal_corner(self) -> FloatArray:
        """Corner on the side of the temple, float64 [2]."""
        corner: FloatArray = self.eyelid[4]
        return corner

    @property
    def corners(self) -> FloatArray:
        """Nasal and temporal corner, float64 [2, 2]."""
        corners: FloatArray = self.eyelid[::4]
        return corners

    @property
    def corner_distance_px(self) -> float:
        """Distance between the corners, which measures the eye's size."""
        return math.dist(self.nasal_corner, self.temporal_corner)

    @property
    def aperture_px(self) -> float:
        """Mean gap between the lids: the area enclosed by the lid margin, divided by the corner distance."""
        return openness_of(self.eyelid) * self.corner_distance_px

    @property
    def openness(self) -> float:
        """Aperture relative to the corner distance: near 0 when closed, about 0.2 to 0.35 when open.

        It does not depend on the eye's size in the picture or on the head's tilt, only on the lids and, because the
        corners move closer together, on how far the head is turned away.
        """
        return openness_of(self.eyelid)

    def to_json(self) -> dict[str, Any]:
        """Return the eye as JSON values, ``Eye`` in the schema (`SCHEMA_PATH`); points are [x, y] in picture pixels."""
        confidences = self.point_confidences
        return {
            "side": self.side,
            "confidence": float(self.confidence),
            "blink": bool(self.blink),
            "openness": float(self.openness),
            "gaze": self.gaze.to_json(),
            "eyelid": self.eyelid.tolist(),
            "iris": self.iris.tolist(),
            "iris_centre": self.iris_centre.tolist(),
            "eyeball_centre": self.eyeball_centre.tolist(),
            "eyeball_radius_px": float(self.eyeball_radius_px),
            "point_confidences": None if confidences is None else confidences.tolist(),
        }


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle in picture pixels.

    Attributes:
        left_px: Left edge.
        top_px: Top edge.
        width_px: Width, > 0.
        height_px: Height, > 0.
    """

    left_px: float
    top_px: float
    width_px: float
    height_px: float

    def __post_init__(self) -> None:
        numbers = [self.left_px, self.top_px, self.width_px, self.height_px]
        if not (all(map(math.isfinite, numbers)) and self.width_px > 0 and self.height_px > 0):
            raise InputError(f"a box needs finite edges and a width and height above 0, got {numbers}")

    def __repr__(self) -> str:
        return (
            f"Box(left_px={self.left_px:.1f}, top_px={self.top_px:.1f}, "
            f"width_px={self.width_px:.1f}, height_px={self.height_px:.1f})"
        )

    @property
    def right_px(self) -> float:
        """Right edge."""
        return self.left_px + self.width_px

    @property
    def bottom_px(self) -> float:
        """Bottom edge."""
        return self.top_px + self.height_px

    @property
    def centre(self) -> FloatArray:
        """Centre of the box, float64 [2]."""
        return np.array([self.left_px + self.width_px / 2, self.top_px + self.height_px / 2])

    @property
    def area_px(self) -> float:
        """Area in square pixels."""
        return self.width_px * self.height_px

    def to_json(self) -> dict[str, Any]:
        """Return the box as JSON values, ``Box`` in the schema (`SCHEMA_PATH`)."""
        return {name: float(getattr(self, name)) for name in ("left_px", "top_px", "width_px", "height_px")}


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face and its eyes.

    Attributes:
        box: The face finder's box.
        eyes: Its eyes, the subject's right one first (from left to right in the picture), each side at most once.
        head: The head pose; None if the finder does not provide it (`head_from_corners` is an estimate).
        id: Number that the face keeps from frame to frame, from 0; None without tracking.
        screen_px: The point on the screen that the person looks at, float64 [2] in pixels, possibly outside the screen;
            None without a `Calibration`, or if it has no result.
        speed_deg_s: Angular speed of the gaze since the previous frame; None without tracking, in the first frame, and
            during a blink.
    """

    box: Box
    eyes: tuple[Eye, ...]
    head: HeadPose | None = None
    id: int | None = None
    screen_px: FloatArray | None = None
    speed_deg_s: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "eyes", tuple(self.eyes))
        if self.screen_px is not None:
            object.__setattr__(self, "screen_px", _finite("screen_px", self.screen_px, (2,)))
        sides = [eye.side for eye in self.eyes]
        if sides not in (["right", "left"], ["right"], ["left"]):
            raise InputError(f"a face must have a right eye, a left eye, or both in this order; got {sides}")

    @property
    def left(self) -> Eye | None:
        """The subject's left eye."""
        return next((eye for eye in self.eyes if eye.side == "left"), None)

    @property
    def right(self) -> Eye | None:
        """The subject's right eye."""
        return next((eye for eye in self.eyes if eye.side == "right"), None)

    @property
    def gaze(self) -> Gaze:
        """Common direction of the eyes, weighted by confidence: more stable than a single eye's."""
        # A positive minimum weight, because weights of zero would leave no direction.
        weights = [max(eye.confidence, 1e-6) for eye in self.eyes]
        return Gaze.from_vector(geometry.mean_direction([eye.gaze.vector for eye in self.eyes], weights))

    @property
    def gaze_in_head(self) -> Gaze | None:
        """`gaze` in the head's frame, where (0, 0) is straight out of the face; None if the head pose is unknown."""
        return None if self.head is None else self.head.to_head(self.gaze)

    @property
    def head_from_corners(self) -> HeadPose | None:
        """The head pose estimated from the eye corners (`onepass.gaze.head`): roll, approximate yaw, no pitch."""
        if self.right is None or self.left is None:
            return None
        return head_from_corners(self.right.corners, self.left.corners)

    def to_json(self) -> dict[str, Any]:
        """Return the face as JSON values (`SCHEMA_PATH`): all keys exist; unknown values are null."""
        return {
            "id": None if self.id is None else int(self.id),
            "box": self.box.to_json(),
            "head": None if self.head is None else self.head.to_json(),
            "gaze": self.gaze.to_json(),
            "gaze_in_head": None if self.gaze_in_head is None else self.gaze_in_head.to_json(),
            "speed_deg_s": None if self.speed_deg_s is None else float(self.speed_deg_s),
            "screen_px": None if self.screen_px is None else self.screen_px.tolist(),
            "eyes": [eye.to_json() for eye in self.eyes],
        }
