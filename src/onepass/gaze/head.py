"""How a head is turned, from a mesh of the face or from the corners of the eyes alone. NumPy only."""

from __future__ import annotations

import math

import numpy as np

from onepass._errors import InputError
from onepass.gaze.directions import HeadPose
from onepass.gaze.geometry import FloatArray

# Pairs of FaceMesh's points that lie opposite each other, the subject's right one first: outer and inner corners of the
# eyes, temples, corners of the mouth. And the top of the forehead and the chin, which are equally deep in a face.
_RIGHT = (33, 133, 234, 61)
_LEFT = (263, 362, 454, 291)
_FOREHEAD, _CHIN = 10, 152
# The mesh counts z away from the camera, the frames of this package count it towards it.
_FRAME = np.array([1.0, 1.0, -1.0])

# Tangent of the yaw for each (right - left) / (right + left) of the eyes' widths: of 151 faces in photographs, by least
# squares. The eye on the side to which a head turns looks narrower.
_TANGENT_PER_RATIO = 4.1


def head_from_mesh(mesh: FloatArray) -> HeadPose:
    """Return the pose of a head from FaceMesh's points of it.

    The head's axes are read off the points themselves: across from points that lie opposite each other, down from the
    forehead to the chin, and out of the face at right angles to both.

    Args:
        mesh: float64 [468, 3]: x and y in pixels, z in the same unit, more than 0 further from the camera.

    Raises:
        InputError: Its points lie on a line, or are not finite, so that it faces nowhere.
    """
    across = (mesh[list(_LEFT)] - mesh[list(_RIGHT)]).sum(axis=0) * _FRAME
    (x, y, z), (u, v, w) = across.tolist(), ((mesh[_CHIN] - mesh[_FOREHEAD]) * _FRAME).tolist()
    # Their cross product, by hand: NumPy's takes ten times as long.
    facing = y * w - z * v, z * u - x * w, x * v - y * u
    if not 0 < math.hypot(*facing) < math.inf:
        raise InputError(f"this mesh faces nowhere: across it is {[x, y, z]}, down {[u, v, w]}")
    return HeadPose.from_axes(across, np.array(facing))


def head_from_corners(right: FloatArray, left: FloatArray) -> HeadPose:
    """Return what the corners of the eyes tell of a head's pose: its roll, and its yaw roughly; pitch is taken to be 0.

    The outer corners lie deeper in a face than the inner ones, so the eye on the side to which it turns narrows faster.
    Over 151 faces in photographs, whose yaw spreads by 16 degrees, the yaw is off by 9 degrees (root mean square).

    Args:
        right: Nasal and temporal corner of the subject's right eye, [2, 2] in pixels.
        left: Those of the left eye.
    """
    along = left.mean(axis=0) - right.mean(axis=0)
    widths = [float(np.linalg.norm(corners[1] - corners[0])) for corners in (right, left)]
    ratio = (widths[0] - widths[1]) / max(sum(widths), np.finfo(np.float64).tiny)
    return HeadPose(0.0, float(np.arctan(_TANGENT_PER_RATIO * ratio)), float(np.arctan2(along[1], along[0])))
