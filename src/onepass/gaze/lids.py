"""Eye openness, and the threshold for closed eyes. NumPy only.

Open eyes have an openness (`Eye.openness`) of 0.13 to 0.29, mostly near 0.19, closed ones of 0.02 to 0.1: the lid
margin of a closed eye is a curve below the line between its corners, which still encloses a small area.
"""

from __future__ import annotations

from onepass.gaze import geometry
from onepass.gaze.geometry import FloatArray

OPEN_EYE = 0.19
"""Typical openness of an open eye: the median of 384 rendered and of 333 real eyes."""

SHUT_SHARE = 0.5
"""An eye below this share of its usual openness is closed."""


def openness_of(eyelid: FloatArray) -> float:
    """Return the openness (`Eye.openness`) of a lid margin [8, 2]."""
    across, down = (eyelid[4] - eyelid[0]).tolist()
    squared = across * across + down * down
    return geometry.polygon_area(eyelid) / squared if squared else 0.0


def is_shut(openness: float) -> bool:
    """Whether an eye with this openness is closed, without further knowledge about the eye."""
    return openness < SHUT_SHARE * OPEN_EYE
