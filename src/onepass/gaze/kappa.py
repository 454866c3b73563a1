"""From an eye's optical axis to its line of sight."""

from __future__ import annotations

import numpy as np

from onepass.gaze.directions import Gaze
from onepass.gaze.result import Eye

KAPPA_DEG = 5.0
"""Angle between the two in adults: about 5 degrees, 2 to 8 depending on the person. Calibration finds the own value."""


def line_of_sight(eye: Eye, kappa_deg: float = KAPPA_DEG) -> Gaze:
    """Return the line of sight of an eye: its optical axis, rotated towards the nose.

    The fovea is on the temporal side of the point where the optical axis meets the retina, so a fixating eye points
    slightly outwards. The gaze is rotated about the axis that is perpendicular, in the picture, to the line between the
    eye's corners.

    Args:
        eye: An eye whose gaze is its optical axis.
        kappa_deg: The angle; negative values rotate outwards.
    """
    # In a picture that is not mirrored, the nose is to the left of the subject's left eye.
    along = eye.temporal_corner - eye.nasal_corner
    length = float(np.linalg.norm(along))
    if length == 0:
        return eye.gaze
    nasal = np.array([*(-along / length), 0.0])
    gaze = eye.gaze.vector
    inwards, ahead = float(gaze @ nasal), float(gaze[2])
    kappa = np.radians(kappa_deg)
    turned = gaze + (inwards * (np.cos(kappa) - 1) + ahead * np.sin(kappa)) * nasal
    turned[2] = ahead * np.cos(kappa) - inwards * np.sin(kappa)
    return Gaze.from_vector(turned)
