"""How far the lids of an eye are apart, and from when on it is shut. NumPy only.

Open eyes have an openness (`Eye.openness`) of 0.13 to 0.29, mostly near 0.19, shut ones of 0.02 to 0.1: the lid margin
of a shut eye is a curve below the line between its corners, which still encloses a little.
"""

from __future__ import annotations

from onepass.gaze import geometry
from onepass.gaze.geometry import FloatArray

OPEN_EYE = 0.19
"""Openness of a usual open eye: the median of 384 rendered ones, and of 333 real ones."""

SHUT_SHARE = 0.5
"""An eye below this share of its usual openness is shut."""


def openness_of(eyelid: FloatArray) -> float:
    """Return the openness of an eye, see `Eye.openness`, from its lid margin [8, 2]."""
    across, down = (eyelid[4] - eyelid[0]).tolist()
    squared = across * across + down * down
    return geometry.polygon_area(eyelid) / squared if squared else 0.0


def is_shut(openness: float) -> bool:
    """Whether an eye with this openness, of which nothing else is known, is shut."""
    return openness < SHUT_SHARE * OPEN_EYE
