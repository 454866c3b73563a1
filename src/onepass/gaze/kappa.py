"""From the optical axis of an eye to the line along which a person looks."""

from __future__ import annotations

import numpy as np

from onepass.gaze.directions import Gaze
from onepass.gaze.result import Eye

KAPPA_DEG = 5.0
"""Angle between the two in adults: about 5 degrees, from person to person 2 to 8. Calibration finds one's own."""


def line_of_sight(eye: Eye, kappa_deg: float = KAPPA_DEG) -> Gaze:
    """Return where a person looks with this eye: its gaze, turned towards the nose.

    The fovea lies temporal of where the optical axis meets the retina, so an eye that fixates something points a little
    outwards of it. The gaze is turned about the line that crosses the line of the eye's corners at right angles in the
    picture.

    Args:
        eye: An eye whose gaze is its optical axis.
        kappa_deg: By how much to turn; below 0 turns outwards.
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
