"""Drawn portraits: faces that every finder finds, with a given gaze."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

WIDTH_PX, HEIGHT_PX = 160, 200
"""Size of a portrait."""

# Drawn so many times as large, then shrunk, so that all edges are soft.
_FINE = 2
# Where the iris's middle is at rest, from the portrait's middle line for the left eye; how far it moves for a radian.
_EYE_X, _EYE_Y, _EYEBALL = 21.0, 94.3, 11.0
_NOISE = 3.0

Colour = tuple[float, float, float]
Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Looks:
    """Appearance: colours in RGB; shapes as factors of the usual shape, or in pixels below the usual place."""

    skin: Colour
    hair: Colour
    iris: Colour
    brow: float = 1.0
    eye_gap: float = 1.0
    face_width: float = 1.0
    beard: bool = False
    fringe: float = 1.0
    brow_px: float = 0.0
    nose_px: float = 0.0
    mouth_px: float = 0.0
    mouth_width: float = 1.0


PEOPLE = {
    "ann": Looks((205, 160, 135), (60, 40, 30), (70, 90, 120)),
    "ben": Looks(
        (185, 140, 115), (25, 20, 18), (60, 45, 35),
        eye_gap=0.95, beard=True, fringe=0.7, nose_px=3, mouth_px=-4, brow_px=1, mouth_width=1.2,
    ),
    "cid": Looks(
        (225, 190, 170), (170, 130, 80), (110, 140, 150),
        brow=0.7, eye_gap=1.06, fringe=0.3, nose_px=-4, mouth_px=-5, brow_px=-4, mouth_width=0.75,
    ),
    "dee": Looks(
        (190, 145, 120), (100, 50, 30), (80, 60, 40),
        brow=1.5, face_width=1.08, fringe=0.6, mouth_px=-1, brow_px=-2, mouth_width=1.1,
    ),
}  # fmt: skip


def eyes_of(name: str, yaw_rad: float = 0.0, pitch_rad: float = 0.0) -> npt.NDArray[np.float64]:
    """Return the middles of the irises, right and left, float64 [2, 2] in pixels of the portrait."""
    gap = _EYE_X * PEOPLE[name].eye_gap
    x, y = _EYEBALL * math.sin(yaw_rad), _EYE_Y - _EYEBALL * math.sin(pitch_rad)
    return np.array([[WIDTH_PX / 2 - gap + x, y], [WIDTH_PX / 2 + gap + x, y]])


def portrait(name: str, yaw_rad: float = 0.0, pitch_rad: float = 0.0) -> npt.NDArray[np.uint8]:
    """Draw one of `PEOPLE` with this gaze (camera frame), uint8 [200, 160, 4]: RGB and opacity."""
    looks = PEOPLE[name]
    canvas = _Canvas()
    _draw_head(canvas, looks)
    for side in (-1, 1):
        _draw_eye(canvas, looks, side, yaw_rad, pitch_rad)
    _draw_rest(canvas, looks)
    return canvas.finished()


class _Canvas:
    """A picture to draw soft shapes on; places and sizes in pixels of the portrait."""

    def __init__(self) -> None:
        self.picture: Array = np.full((HEIGHT_PX * _FINE, WIDTH_PX * _FINE, 3), 128, np.float32)
        self._opaque: Array = np.zeros(self.picture.shape[:2], np.float32)

    def blend(self, mask: Array, colour: Array | Colour) -> None:
        """Lay a colour, or a picture, over the canvas where a mask [H, W] is 1."""
        self.picture += mask[..., None] * (np.asarray(colour, np.float32) - self.picture)

    def ellipse(
        self, x: float, y: float, across: float, down: float, colour: Colour | Array, *,
        blur: float = 0.0, alpha: float = 1.0, tilt_deg: float = 0.0, body: bool = False,
    ) -> None:  # fmt: skip
        """Draw an ellipse with soft edges; with `body`, it belongs to the person, not to the background."""
        mask = np.zeros(self.picture.shape[:2], np.float32)
        places = [(round(x * _FINE), round(y * _FINE)), (round(across * _FINE), round(down * _FINE))]
        cv2.ellipse(mask, places[0], places[1], tilt_deg, 0, 360, 1.0, -1)
        mask = _blurred(mask, blur) * np.float32(alpha)
        self.blend(mask, colour)
        if body:
            self._opaque = np.maximum(self._opaque, mask)

    def polygon(self, points: npt.NDArray[np.float64], blur: float) -> Array:
        """Return the mask of a polygon."""
        mask = np.zeros(self.picture.shape[:2], np.float32)
        cv2.fillPoly(mask, [np.round(points * _FINE * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
        return _blurred(mask, blur)

    def finished(self) -> npt.NDArray[np.uint8]:
        """Return the picture with some noise, and its opacity."""
        noise = np.random.default_rng(0).normal(0, _NOISE, self.picture.shape)
        layers = np.dstack([self.picture + noise, 255 * self._opaque])
        small = cv2.resize(layers, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA)
        return small.clip(0, 255).astype(np.uint8)


def _blurred(mask: Array, sigma: float) -> Array:
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma * _FINE), np.float32) if sigma else mask


def _shade(colour: Colour, factor: float) -> Colour:
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def _draw_head(canvas: _Canvas, looks: Looks) -> None:
    dark, wide = _shade(looks.skin, 0.72), looks.face_width
    canvas.ellipse(80, 205, 75, 50, (40, 60, 110), blur=2, body=True)
    canvas.ellipse(80, 160, 22, 35, dark, blur=2, body=True)
    canvas.ellipse(80, 80, 60, 70, looks.hair, blur=2, body=True)
    canvas.ellipse(80, 100, 48 * wide, 66, looks.skin, blur=1.5, body=True)
    canvas.ellipse(80, 60, 44, 16, looks.hair, blur=5, alpha=looks.fringe)
    for side in (-1, 1):
        canvas.ellipse(80 + 35 * wide * side, 110, 14, 40, dark, blur=8, alpha=0.7)
    canvas.ellipse(80, 158, 26, 10, dark, blur=6, alpha=0.7)


def _draw_eye(canvas: _Canvas, looks: Looks, side: int, yaw_rad: float, pitch_rad: float) -> None:
    x = 80 + side * _EYE_X * looks.eye_gap
    canvas.ellipse(x, 93, 15, 11, _shade(looks.skin, 0.72), blur=4, alpha=0.75)
    canvas.ellipse(x - side, 81 + looks.brow_px, 13, 2.6 * looks.brow, looks.hair, blur=1, tilt_deg=4 * side)
    share = np.linspace(0, 1, 21)
    upper = np.column_stack([x - 11 + 22 * share, 95 - 6.2 * np.sin(np.pi * share)])
    lower = np.column_stack([x + 11 - 22 * share, 95 + 4.2 * np.sin(np.pi * share)])
    skin = canvas.picture.copy()
    opening = canvas.polygon(np.concatenate([upper, lower]), 0.35)
    canvas.ellipse(x, 94.5, 13, 8, (225, 220, 215))
    iris_x, iris_y = x + _EYEBALL * math.sin(yaw_rad), _EYE_Y - _EYEBALL * math.sin(pitch_rad)
    narrow = math.cos(yaw_rad)
    canvas.ellipse(iris_x, iris_y, 5.6 * narrow, 5.6, _shade(looks.iris, 0.6), blur=0.3)
    canvas.ellipse(iris_x, iris_y, 4.9 * narrow, 4.9, looks.iris, blur=0.4)
    canvas.ellipse(iris_x, iris_y, 2.3, 2.3, (10, 10, 12), blur=0.3)
    canvas.ellipse(iris_x - 1.5, iris_y - 1.8, 0.9, 0.9, (255, 255, 255), blur=0.2)
    canvas.ellipse(x, 89.3, 12, 3, (90, 70, 65), blur=1.2, alpha=0.6)
    canvas.blend(1 - opening, skin)
    lashes = np.concatenate([upper - np.array([0, 0.8]), upper[::-1] + np.array([0, 0.5])])
    canvas.blend(canvas.polygon(lashes, 0.2), _shade(looks.hair, 0.6))


def _draw_rest(canvas: _Canvas, looks: Looks) -> None:
    skin, dark = looks.skin, _shade(looks.skin, 0.72)
    nose, mouth, wide = looks.nose_px, looks.mouth_px, looks.mouth_width
    canvas.ellipse(80, 112 + nose / 2, 5, 22 + nose / 2, _shade(skin, 1.08), blur=4, alpha=0.8)
    canvas.ellipse(80, 124 + nose, 12, 6, _shade(skin, 1.02), blur=3, alpha=0.8)
    canvas.ellipse(80, 129 + nose, 12, 3.5, _shade(dark, 0.85), blur=2.2)
    for side in (-1, 1):
        canvas.ellipse(80 + 5.5 * side, 128.5 + nose, 3, 1.6, (60, 35, 30), blur=0.8)
    canvas.ellipse(80, 145 + mouth, 18 * wide, 4, (160, 80, 80), blur=1.2)
    canvas.ellipse(80, 150 + mouth, 14 * wide, 4.5, (175, 95, 92), blur=1.5)
    canvas.ellipse(80, 146.5 + mouth, 17 * wide, 0.9, (80, 35, 40), blur=0.6)
    if looks.beard:
        canvas.ellipse(80, 157 + mouth, 34, 12, looks.hair, blur=5, alpha=0.75)
        canvas.ellipse(80, 139 + mouth, 18, 3, looks.hair, blur=1.2, alpha=0.85)
