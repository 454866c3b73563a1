"""Features of a calibration: gaze, head pose and eye position, scaled to about 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onepass.gaze.directions import Gaze
from onepass.gaze.geometry import FloatArray
from onepass.gaze.screen.sample import GazeSample

# Scales that make relevant features about 1; a head that keeps still contributes nothing.
_GAZE_SCALE, _HEAD_SCALE, _PLACE_SCALE = 0.1, 0.2, 0.5


def mean_place(samples: Sequence[GazeSample]) -> tuple[float, float, float] | None:
    """Return the mean of x, y and distance of the eyes; None if a sample lacks them."""
    places = [
        (*sample.eyes_px, sample.eye_distance_px)
        for sample in samples
        if sample.eyes_px is not None and sample.eye_distance_px is not None
    ]
    if len(places) < len(samples):
        return None
    x, y, distance = np.mean(places, axis=0).tolist()
    return x, y, distance


def feature_count(*, uses_head: bool, has_place: bool) -> int:
    """Return the number of features."""
    return 3 + 3 * uses_head + 3 * has_place


def features_of(
    samples: Sequence[GazeSample], *, uses_head: bool, place: tuple[float, float, float] | None
) -> FloatArray:
    """Return the features of samples, float64 [N, F]: a constant, slopes of gaze and head, and the eye position."""
    rows = []
    for sample in samples:
        row = [1.0, *(_slopes(sample.gaze) / _GAZE_SCALE)]
        if uses_head and sample.head is not None:
            facing = Gaze(sample.head.pitch_rad, sample.head.yaw_rad)
            row += [*(_slopes(facing) / _HEAD_SCALE), sample.head.roll_rad / _HEAD_SCALE]
        if place is not None and sample.eyes_px is not None and sample.eye_distance_px is not None:
            x, y, distance = place
            moved = np.array([sample.eyes_px[0] - x, sample.eyes_px[1] - y, sample.eye_distance_px - distance])
            row += (moved / (distance * _PLACE_SCALE)).tolist()
        rows.append(row)
    return np.array(rows, np.float64)


def _slopes(gaze: Gaze) -> FloatArray:
    """Return a direction's offset to the right and down per unit towards the camera, because a screen is flat."""
    x, y, z = gaze.vector
    slopes: FloatArray = np.array([x, y]) / max(float(z), 0.1)
    return slopes
