"""A clip of people who sway like someone in front of a camera."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

_SIZE = (640, 480)
_FRAMES = 60

LAYOUTS = {1: (1, 2.0), 4: (2, 1.0)}
"""Into how many rows and columns the picture is divided, for so many faces; and how much a portrait whose face is 97
pixels wide is enlarged in each part."""


def swaying(portrait: npt.NDArray[np.uint8], parts: int, zoom: float) -> npt.NDArray[np.uint8]:
    """Return frames [N, H, W, 3] of the portrait of scikit-image's astronaut, side by side and one above the other."""
    width, height = _SIZE[0] // parts, _SIZE[1] // parts
    frames = np.empty((_FRAMES, _SIZE[1], _SIZE[0], 3), np.uint8)
    for index, frame in enumerate(frames):
        turn = 2 * np.pi * index / _FRAMES
        scale = zoom * (1 + 0.05 * np.sin(turn))
        x, y = width / 2 + 8 * zoom * np.sin(turn), height / 2 + 4 * zoom * np.sin(2 * turn)
        move = np.array([[scale, 0, x - 224 * scale], [0, scale, y - 115 * scale]])
        part = cv2.warpAffine(portrait, move, (width, height))
        frame[:] = np.tile(part, (parts, parts, 1))
    return frames
