"""Somebody who is drawn, and looks where one is told to: pictures and clips for a page."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.portraits import HEIGHT_PX, WIDTH_PX, eyes_of, portrait
from onepass.gaze import Box, FoundFace
from onepass.gaze.geometry import Grey

Picture = npt.NDArray[np.uint8]


@cache  # drawing takes longer than most of what is done with it
def somebody(
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
    *,
    names: tuple[str, ...] = ("ann",),
    size: tuple[int, int] = (320, 240),
) -> Picture:
    """Return a picture of people side by side who look in that direction (camera frame), uint8 RGB [H, W, 3]."""
    width, height = size
    picture = np.full((height, width, 3), 140, np.float32)
    scale = min(height / HEIGHT_PX * 1.05, width / len(names) / WIDTH_PX)
    for place, name in enumerate(names):
        drawn: Any = portrait(name, math.radians(yaw_deg), math.radians(pitch_deg)).astype(np.float32)
        x, y = width * (place + 0.5) / len(names), height / 2 + 0.04 * height
        move = np.array([[scale, 0, x - WIDTH_PX / 2 * scale], [0, scale, y - HEIGHT_PX / 2 * scale]])
        drawn = cv2.warpAffine(drawn, move, size, flags=cv2.INTER_AREA)
        picture += drawn[..., 3:] / 255 * (drawn[..., :3] - picture)
    finished: Picture = picture.clip(0, 255).astype(np.uint8)
    finished.flags.writeable = False
    return finished


def find_somebody(grey: Grey) -> list[FoundFace]:
    """Find the one whom `somebody` draws, where she always is: at once, as finders that search do not."""
    height, width = grey.shape
    scale = min(height / HEIGHT_PX * 1.05, width / WIDTH_PX)
    x, y = width / 2, 0.54 * height
    right, left = (eyes_of("ann") - (WIDTH_PX / 2, HEIGHT_PX / 2)) * scale + (x, y)
    box = Box(x - 45 * scale, y - 40 * scale, 90 * scale, 100 * scale)
    return [FoundFace.from_eye_centres(box, right=(right[0], right[1]), left=(left[0], left[1]))]


def jpeg(picture: Picture) -> bytes:
    """Return a picture as JPEG, nearly as it is."""
    return bytes(cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])[1])


def write_jpegs(path: Path, pictures: Iterable[Picture]) -> Path:
    """Write pictures as JPEGs one after the other, which a browser takes for its camera, 30 a second."""
    path.write_bytes(b"".join(map(jpeg, pictures)))
    return path
