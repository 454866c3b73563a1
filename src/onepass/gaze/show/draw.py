"""Draw faces on a picture: eyelids, irises, gaze."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from onepass._optional import optional
from onepass.gaze import geometry
from onepass.gaze.geometry import FloatArray, Grey
from onepass.gaze.result import Eye, Face
from onepass.media import Picture, check_picture

Colour: TypeAlias = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

Fixed: TypeAlias = npt.NDArray[np.int32]
"""Points [N, 2] in fixed-point pixels, see `_FIXED_POINT_BITS`."""

EYELID_COLOUR: Colour = (94, 234, 212)
IRIS_COLOUR: Colour = (253, 211, 77)
GAZE_COLOUR: Colour = (255, 92, 106)
BOX_COLOUR: Colour = (255, 255, 255)
_SHADOW: Colour = (10, 14, 24)

# Lengths relative to the eye's corner distance.
_LINE = 0.028
_ARROW = 4.0
_ARROW_HEAD = 0.26

# Lines are drawn enlarged and averaged down, because OpenCV supports only integer widths. Wide lines do not need it.
_SUPERSAMPLE = 4
_BROAD_PX = 16
_FIXED_POINT_BITS = 6


class Canvas:
    """A copy of a picture to draw on, with lines of any width at subpixel positions."""

    def __init__(self, picture: Picture) -> None:
        """Copy a picture, uint8 RGB [H, W, 3] or grey [H, W]."""
        picture = check_picture(picture)
        self._cv2: Any = optional("cv2", extra="gaze", purpose="Drawing")
        self.rgb: npt.NDArray[np.uint8] = (
            np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else np.array(picture, order="C")
        )

    def line(
        self,
        points: FloatArray,
        colour: Colour,
        width_px: float,
        *,
        closed: bool = False,
        opacity: float = 1.0,
        within: FloatArray | None = None,
    ) -> None:
        """Draw a line, with a faint dark outline that keeps it visible on any background.

        Args:
            points: [N, 2].
            colour: Colour of the line.
            width_px: Its width.
            closed: Whether it returns to its first point.
            opacity: 0 to 1.
            within: Polygon [M, 2] that clips the line.
        """
        for tint, width, strength in ((_SHADOW, 2.2 * width_px, 0.35 * opacity), (colour, width_px, opacity)):
            factor = _SUPERSAMPLE if width < _BROAD_PX else 1
            thickness = max(1, round(width * factor))

            def draw(mask: Grey, fixed: Fixed, thickness: int = thickness) -> None:
                self._cv2.polylines(mask, [fixed], closed, 255, thickness, self._cv2.LINE_AA, _FIXED_POINT_BITS)

            region = _Region.around(points, width + 2, factor, self.rgb.shape)
            self._blend(region, points, draw, tint, strength, within)

    def fill(
        self, points: FloatArray, colour: Colour, *, opacity: float = 1.0, within: FloatArray | None = None
    ) -> None:
        """Fill a polygon [N, 2], optionally clipped by another one."""
        region = _Region.around(points, 2, _SUPERSAMPLE, self.rgb.shape)
        self._blend(region, points, self._fill_mask, colour, opacity, within)

    def dot(self, centre: FloatArray, radius_px: float, colour: Colour, *, opacity: float = 1.0) -> None:
        """Fill a circle."""
        turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        self.fill(centre + radius_px * np.stack([np.cos(turn), np.sin(turn)], axis=1), colour, opacity=opacity)

    def _fill_mask(self, mask: Grey, fixed: Fixed) -> None:
        self._cv2.fillPoly(mask, [fixed], 255, self._cv2.LINE_AA, _FIXED_POINT_BITS)

    def _blend(
        self,
        region: _Region,
        points: FloatArray,
        draw: Callable[[Grey, Fixed], None],
        colour: Colour,
        opacity: float,
        within: FloatArray | None,
    ) -> None:
        """Let `draw` paint a mask of the region, and blend the colour into the picture there."""
        width, height = region.size
        if width < 1 or height < 1:
            return
        mask = np.zeros((height * region.factor, width * region.factor), np.uint8)
        draw(mask, region.fixed(points))
        if within is not None:
            window = np.zeros_like(mask)
            self._fill_mask(window, region.fixed(within))
            mask = np.minimum(mask, window)
        cover = self._cv2.resize(mask, (width, height), interpolation=self._cv2.INTER_AREA)
        share = cover[:, :, None].astype(np.float32) * (opacity / 255)
        part = self.rgb[region.rows, region.columns]
        part[:] = np.round(part * (1 - share) + np.array(colour, np.float32) * share).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class _Region:
    """The part of a picture that a stroke can touch, enlarged by `factor`."""

    left: int
    top: int
    size: tuple[int, int]
    factor: int

    @classmethod
    def around(cls, points: FloatArray, margin_px: float, factor: int, shape: tuple[int, ...]) -> _Region:
        (x_low, y_low), (x_high, y_high) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        # Plain Python numbers: a face takes about thirty strokes, and NumPy is slow for four values.
        left, right = (min(max(x, 0), shape[1]) for x in (floor(x_low - margin_px), ceil(x_high + margin_px)))
        top, bottom = (min(max(y, 0), shape[0]) for y in (floor(y_low - margin_px), ceil(y_high + margin_px)))
        return cls(left, top, (right - left, bottom - top), factor)

    @property
    def rows(self) -> slice:
        return slice(self.top, self.top + self.size[1])

    @property
    def columns(self) -> slice:
        return slice(self.left, self.left + self.size[0])

    def fixed(self, points: FloatArray) -> Fixed:
        """Convert points to the region's pixels, in OpenCV's fixed-point format."""
        # OpenCV's pixel centres are at x.0, ours at x.5.
        inside = (points - (self.left, self.top)) * self.factor - 0.5
        numbers: Fixed = np.round(inside * 2**_FIXED_POINT_BITS).astype(np.int32)
        return numbers


def draw_faces(picture: Picture, faces: Iterable[Face]) -> Picture:
    """Draw eyelids, irises, gaze and face boxes; line widths depend on the size of each eye.

    Both arrows of a face show `Face.gaze`, the common direction of its eyes. The arrow's length shows how far the gaze
    is turned away from the camera's axis: a gaze along the axis has no arrow, only the dot in the iris.

    Args:
        picture: uint8, RGB [H, W, 3] or grey [H, W]; it is not modified.
        faces: The faces that a `GazeEstimator` found in it.

    Returns:
        uint8 RGB [H, W, 3], a new array.
    """
    canvas = Canvas(picture)
    for face in faces:
        _draw_box(canvas, face)
        for eye in face.eyes:
            draw_eye(canvas, eye)
        # Equal arrow lengths for both eyes, although the eye turned away from the camera is smaller.
        size_px = float(np.mean([eye.corner_distance_px for eye in face.eyes]))
        for eye in face.eyes:
            _draw_gaze(canvas, eye.iris_centre, face.gaze.vector, size_px)
    return canvas.rgb


def draw_eye(canvas: Canvas, eye: Eye, transform: FloatArray | None = None, *, width_px: float | None = None) -> None:
    """Draw the eyelid and the iris of one eye.

    Args:
        canvas: The canvas.
        eye: The eye, in picture pixels.
        transform: [2, 3], picture pixels to canvas pixels; None if the canvas is the picture.
        width_px: Width of the lines; None to derive it from the eye's size.
    """
    move = np.eye(2, 3) if transform is None else transform
    if width_px is None:
        width_px = line_width_px(eye.corner_distance_px * geometry.scale_of(move))
    iris = geometry.smooth_curve(geometry.apply(move, eye.iris), closed=True)
    eyelid = geometry.apply(move, eyelid_curve(eye))
    canvas.fill(iris, IRIS_COLOUR, opacity=0.12, within=eyelid)
    # The part of the iris under a lid is drawn fainter.
    canvas.line(iris, IRIS_COLOUR, width_px, closed=True, opacity=0.3)
    canvas.line(iris, IRIS_COLOUR, width_px, closed=True, opacity=0.9, within=eyelid)
    canvas.line(eyelid, EYELID_COLOUR, width_px, closed=True, opacity=0.95)


def line_width_px(size_px: float) -> float:
    """Return the line width for an eye of this corner distance."""
    return max(0.6, _LINE * size_px)


def eyelid_curve(eye: Eye) -> FloatArray:
    """Return the lid margin as a closed curve [N, 2], smooth along each lid, with sharp corners."""
    upper, lower = eye.eyelid[:5], eye.eyelid[[4, 5, 6, 7, 0]]
    return np.concatenate([geometry.smooth_curve(lid, closed=False)[:-1] for lid in (upper, lower)])


def _draw_gaze(canvas: Canvas, start: FloatArray, direction: FloatArray, size_px: float) -> None:
    """Draw the dot in the iris and the arrow along the gaze [3], for eyes of this corner distance."""
    width_px = 1.15 * line_width_px(size_px)
    along = direction[:2] * (_ARROW * size_px)
    length = float(np.linalg.norm(along))
    if length > 0.05 * size_px:
        head = min(_ARROW_HEAD * size_px, 0.5 * length)
        forward = along / length
        across = np.array([-forward[1], forward[0]]) * (0.45 * head)
        tip, neck = start + along, start + along - forward * head
        canvas.line(np.stack([start, neck]), GAZE_COLOUR, width_px)
        canvas.fill(np.stack([tip, neck + across, neck - across]), GAZE_COLOUR)
    canvas.dot(start, 1.9 * width_px, _SHADOW, opacity=0.35)
    canvas.dot(start, 1.4 * width_px, GAZE_COLOUR)


def _draw_box(canvas: Canvas, face: Face) -> None:
    """Draw the four corners of the face box."""
    box, width_px = face.box, max(0.75, face.box.width_px / 220)
    reach = 0.14 * box.width_px
    for x, inward_x in ((box.left_px, 1), (box.right_px, -1)):
        for y, inward_y in ((box.top_px, 1), (box.bottom_px, -1)):
            corner = np.array([[x + inward_x * reach, y], [x, y], [x, y + inward_y * reach]])
            canvas.line(corner, BOX_COLOUR, width_px, opacity=0.7)
