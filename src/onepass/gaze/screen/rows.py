"""Convert samples to and from table rows with `SAMPLE_COLUMNS`. NumPy only."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from onepass.gaze.directions import Gaze, HeadPose
from onepass.gaze.screen.sample import GazeSample

SAMPLE_COLUMNS = (
    "target_x_px", "target_y_px", "gaze_pitch_deg", "gaze_yaw_deg", "head_pitch_deg", "head_yaw_deg", "head_roll_deg",
    "eyes_x_px", "eyes_y_px", "eye_distance_px", "picture_width_px", "picture_height_px",
)  # fmt: skip
"""Columns of a sample table, starting with the point on the screen. Four are required; others may be missing or
empty."""

NEEDED_COLUMNS = SAMPLE_COLUMNS[:4]
OTHER_COLUMNS = SAMPLE_COLUMNS[4:]
_HEAD, _PLACE, _SIZE = SAMPLE_COLUMNS[4:7], SAMPLE_COLUMNS[7:10], SAMPLE_COLUMNS[10:]
_BLINK = "eye_blink"


def numbers_of(sample: GazeSample) -> list[float | None]:
    """Return a row's numbers after the point on the screen."""
    head, place = sample.head, sample.eyes_px
    return [
        sample.gaze.pitch_deg,
        sample.gaze.yaw_deg,
        *([None] * 3 if head is None else [head.pitch_deg, head.yaw_deg, head.roll_deg]),
        *([None] * 2 if place is None else place),
        sample.eye_distance_px,
        *(sample.picture_size_px or [None] * 2),
    ]


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]!r} is not a finite number")
    return value


def sample_of(row: Mapping[str, str]) -> GazeSample:
    """Parse the sample of a text row."""

    def numbers(names: tuple[str, ...]) -> list[float] | None:
        texts = [row.get(name) for name in names]
        return [_number(text) for text in texts if text] if all(texts) else None

    gaze, head, place, size = numbers(NEEDED_COLUMNS[2:]), numbers(_HEAD), numbers(_PLACE), numbers(_SIZE)
    pitch, yaw = np.radians(gaze or [np.nan] * 2).tolist()
    return GazeSample(
        Gaze(pitch, yaw),
        None if head is None else HeadPose(*np.radians(head).tolist()),
        None if place is None else (place[0], place[1]),
        None if place is None else place[2],
        None if size is None else (round(size[0]), round(size[1])),
    )


def target_of(row: Mapping[str, str]) -> list[float]:
    """Parse the point on the screen of a text row, [2] in pixels."""
    return [_number(row["target_x_px"]), _number(row["target_y_px"])]


def is_sample(row: Mapping[str, str]) -> bool:
    """Whether a text row has all required values, and no blink."""
    return (row.get(_BLINK) or "").lower() not in ("true", "1") and all(row[name] for name in NEEDED_COLUMNS)
