"""Show the network's view: enlarged eyes with their points, and heatmaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError
from onepass._optional import optional
from onepass.gaze import geometry
from onepass.gaze.analysis import Analysis
from onepass.gaze.eyes import EyeCrops
from onepass.gaze.geometry import FloatArray
from onepass.gaze.result import Eye
from onepass.gaze.show.draw import EYELID_COLOUR, GAZE_COLOUR, IRIS_COLOUR, Canvas, draw_eye, draw_faces, line_width_px
from onepass.media import Picture, check_picture

_GROUND = (16, 20, 30)
_TEXT = (222, 228, 238)
# Relative to the panel's height.
_LABEL, _GAP = 0.075, 0.014
# Brightness of an eye under its heatmaps.
_DIMMED = 0.45
# Minimum and maximum panel height next to a picture.
_PANEL_HEIGHTS_PX = (240, 900)


def draw_analysis(picture: Picture, analysis: Analysis) -> Picture:
    """Return the picture with its faces drawn, next to the panel of the first face.

    Args:
        picture: uint8, RGB [H, W, 3] or grey [H, W], the argument of `GazeEstimator.analyse`.
        analysis: Its result.

    Returns:
        uint8 RGB [H', W', 3]; without a face, there is no panel. The picture keeps its size; if it is much lower or
        higher than a readable panel, the lower of the two is padded with a dark background.
    """
    drawn = draw_faces(picture, analysis.faces)
    if not analysis.faces:
        return drawn
    height_px = int(np.clip(drawn.shape[0], *_PANEL_HEIGHTS_PX))
    parts = drawn, draw_panel(picture, analysis, height_px=height_px)
    return np.concatenate([_on_ground(part, max(height_px, drawn.shape[0])) for part in parts], axis=1)


def draw_panel(picture: Picture, analysis: Analysis, *, face: int = 0, height_px: int = 480) -> Picture:
    """Return the enlarged eyes of one face, oriented as in the picture: points above, heatmaps below.

    Args:
        picture: uint8, RGB [H, W, 3] or grey [H, W], the argument of `GazeEstimator.analyse`.
        analysis: Its result.
        face: Index of the face.
        height_px: Height of the panel; the width follows from it.

    Returns:
        uint8 RGB [height_px, W, 3].

    Raises:
        InputError: The face does not exist, or the panel would be too low.
    """
    if not 0 <= face < len(analysis.faces) or analysis.outputs is None:
        raise InputError(f"no face {face}: the analysis has {len(analysis.faces)} face(s)")
    if height_px < 64:
        raise InputError(f"a panel needs at least 64 pixels of height, got {height_px}")
    painter = _Painter(picture, analysis.crops, analysis.outputs["heatmaps"], height_px)
    first = sum(len(before.eyes) for before in analysis.faces[:face])
    eyes = analysis.faces[face].eyes
    return painter.side_by_side([painter.column(first + index, eye) for index, eye in enumerate(eyes)])


class _Painter:
    """Paint the tiles of one panel, all of one size."""

    def __init__(self, picture: Picture, crops: EyeCrops, heatmaps: npt.NDArray[Any], height_px: int) -> None:
        self._cv2: Any = optional("cv2", extra="gaze", purpose="Drawing")
        picture = check_picture(picture)
        self._rgb = np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else picture
        self._crops = crops
        self._heatmaps = heatmaps
        self._height_px = height_px
        self._label_px, self._gap_px = round(_LABEL * height_px), max(2, round(_GAP * height_px))
        tile_height = (height_px - self._label_px - 2 * self._gap_px) // 2
        crop_height, crop_width = crops.images.shape[1:]
        self._tile_px = (round(tile_height * crop_width / crop_height), tile_height)

    def side_by_side(self, columns: Sequence[Picture]) -> Picture:
        """Join columns, with gaps around them."""
        gap = np.full((self._height_px, self._gap_px, 3), _GROUND, np.uint8)
        return np.concatenate([part for column in columns for part in (gap, column)] + [gap], axis=1)

    def column(self, index: int, eye: Eye) -> Picture:
        """Paint one eye: its points, its heatmaps, and a line of text."""
        transform = self._tile_transform(index, eye)
        tile: Picture = self._cv2.warpAffine(
            self._rgb,
            geometry.centred_at_zero(transform),
            self._tile_px,
            flags=self._cv2.INTER_CUBIC,
            borderMode=self._cv2.BORDER_REPLICATE,
        )
        column = np.full((self._height_px, self._tile_px[0], 3), _GROUND, np.uint8)
        height = self._tile_px[1]
        column[self._label_px : self._label_px + height] = self._with_points(tile, eye, transform)
        column[self._label_px + height + self._gap_px :][:height] = self._with_heatmaps(tile, index, eye)
        # Rounded to int first, because a float would be formatted as "-0".
        pitch_deg, yaw_deg = round(eye.gaze.pitch_deg), round(eye.gaze.yaw_deg)
        self._write(column, f"{eye.side} eye   pitch {pitch_deg:+d}   yaw {yaw_deg:+d} deg")
        return column

    def _tile_transform(self, index: int, eye: Eye) -> FloatArray:
        """Return the transform from the picture to a tile; the mirroring of right eyes is undone."""
        width, height = self._tile_px
        crop_height, crop_width = self._crops.images.shape[1:]
        enlarge = np.array([[width / crop_width, 0, 0], [0, height / crop_height, 0]])
        if eye.side == "right":
            enlarge = geometry.compose(np.array([[-1.0, 0, width], [0, 1, 0]]), enlarge)
        return geometry.compose(enlarge, self._crops.transforms[index])

    def _with_points(self, tile: Picture, eye: Eye, transform: FloatArray) -> Picture:
        """Draw the curves, the network's points on them, and the eyeball with the iris centre."""
        canvas = Canvas(tile)
        width_px = 0.6 * line_width_px(eye.corner_distance_px * geometry.scale_of(transform))
        draw_eye(canvas, eye, transform, width_px=width_px)
        for points, colour in ((eye.eyelid, EYELID_COLOUR), (eye.iris, IRIS_COLOUR)):
            for point in geometry.apply(transform, points):
                canvas.dot(point, 1.7 * width_px, colour)
        iris, eyeball = geometry.apply(transform, np.stack([eye.iris_centre, eye.eyeball_centre]))
        turn = np.linspace(0, 2 * np.pi, 96, endpoint=False)
        radius = eye.eyeball_radius_px * geometry.scale_of(transform)
        outline = eyeball + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        canvas.line(outline, GAZE_COLOUR, 0.6 * width_px, closed=True, opacity=0.5)
        canvas.line(np.stack([eyeball, iris]), GAZE_COLOUR, width_px)
        canvas.dot(eyeball, 1.3 * width_px, GAZE_COLOUR, opacity=0.8)
        canvas.dot(iris, 2.0 * width_px, GAZE_COLOUR)
        return canvas.rgb

    def _with_heatmaps(self, tile: Picture, index: int, eye: Eye) -> Picture:
        """Overlay the heatmaps on the dimmed eye: lids, iris and centres in their colours."""
        maps = self._heatmaps[index].astype(np.float32).clip(0, 1)
        groups = ((maps[:8], EYELID_COLOUR), (maps[8:16], IRIS_COLOUR), (maps[16:], GAZE_COLOUR))
        grey = tile.astype(np.float32).mean(axis=2, keepdims=True) * _DIMMED
        blended = np.broadcast_to(grey, tile.shape)
        for group, colour in groups:
            heat = group.max(axis=0)
            heat = heat[:, ::-1] if eye.side == "right" else heat
            share = self._cv2.resize(np.ascontiguousarray(heat), self._tile_px, interpolation=self._cv2.INTER_CUBIC)
            share = share.clip(0, 1)[:, :, None]
            blended = blended * (1 - share) + np.array(colour, np.float32) * share
        return np.round(blended).astype(np.uint8)

    def _write(self, column: npt.NDArray[np.uint8], text: str) -> None:
        """Write a line of text at the top of a column."""
        font, scale = self._cv2.FONT_HERSHEY_SIMPLEX, self._label_px / 64
        (width, height), _ = self._cv2.getTextSize(text, font, scale, 1)
        scale *= min(1.0, 0.96 * column.shape[1] / width)
        origin = (round(0.01 * column.shape[1]), (self._label_px + height) // 2)
        self._cv2.putText(column, text, origin, font, scale, _TEXT, 1, self._cv2.LINE_AA)


def _on_ground(picture: Picture, height_px: int) -> Picture:
    """Pad a picture to this height, centred."""
    ground = np.full((height_px, *picture.shape[1:]), _GROUND, np.uint8)
    top = (height_px - picture.shape[0]) // 2
    ground[top : top + picture.shape[0]] = picture
    return ground
