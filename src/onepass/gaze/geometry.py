"""Geometry of eyes in pictures: crop transforms and their inverses, gaze angles, polygons. NumPy only.

Two conventions apply everywhere in `onepass.gaze`:

Points
    Pixels, x to the right and y down, with pixel centres at x.5: the top left pixel covers the square from (0, 0) to
    (1, 1) and its centre is (0.5, 0.5). A picture of W by H pixels therefore spans exactly [0, W] by [0, H].
Directions
    Unit vectors in the camera's frame: x to the picture's right, y down, z from the eye towards the camera.
    ``pitch > 0`` looks up, ``yaw > 0`` looks to the picture's right (the subject's left); both are 0 along the
    camera's axis.
    GazeML (Park et al., ETRA 2018) has the same pitch and the opposite sign of yaw.

An affine transform is a [2, 3] matrix ``[A | t]`` that maps a point p to ``A p + t``.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError

FloatArray: TypeAlias = npt.NDArray[np.float64]

Grey: TypeAlias = npt.NDArray[np.uint8]
"""A grey picture, [H, W]."""

CROP_SCALE = 1.5
"""Width of an eye crop relative to the corner distance (GazeML's value)."""

_TINY = float(np.finfo(np.float64).tiny)


def eye_transform(
    nasal: npt.ArrayLike,
    temporal: npt.ArrayLike,
    size_px: tuple[int, int],
    *,
    mirror: bool,
    scale: float = CROP_SCALE,
) -> FloatArray:
    """Return the transform from a picture to the crop of one eye.

    The crop is centred between the corners, `scale` corner distances wide, rotated so that the corners are level, and
    always has the nasal corner on the left. In an unmirrored picture, the subject's left eye has this orientation
    already; the right eye must be mirrored.

    Args:
        nasal: Corner on the side of the nose, [2] in picture pixels.
        temporal: Corner on the side of the temple, [2] in picture pixels.
        size_px: Width and height of the crop.
        mirror: Whether to mirror: True for the subject's right eye.
        scale: Width of the crop relative to the corner distance.

    Returns:
        float64 [2, 3], picture pixels to crop pixels.

    Raises:
        InputError: The corners coincide or are not finite.
    """
    first, second = np.asarray(nasal, np.float64), np.asarray(temporal, np.float64)
    (x, y), (dx, dy) = ((first + second) / 2).tolist(), (second - first).tolist()
    distance = math.hypot(dx, dy)
    if not math.isfinite(distance) or distance == 0:
        raise InputError(f"an eye needs two different finite corners, got {first.tolist()} and {second.tolist()}")
    width, height = size_px
    zoom = width / (scale * distance)
    a, b = zoom * dx / distance, zoom * dy / distance
    # The crop's downward direction: rotated by 90 degrees, the other way round if mirrored.
    c, d = (b, -a) if mirror else (-b, a)
    return np.array([[a, b, width / 2 - a * x - b * y], [c, d, height / 2 - c * x - d * y]])


def apply(transform: FloatArray, points: npt.ArrayLike) -> FloatArray:
    """Transform points [..., 2] by a matrix [2, 3]; return float64 [..., 2]."""
    moved: FloatArray = np.asarray(points, np.float64) @ transform[:, :2].T + transform[:, 2]
    return moved


def compose(outer: FloatArray, inner: FloatArray) -> FloatArray:
    """Return the transform [2, 3] that applies `inner` first, then `outer`."""
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def invert(transform: FloatArray) -> FloatArray:
    """Return the inverse of a transform [2, 3].

    Raises:
        InputError: The transform is not invertible.
    """
    # Written out: NumPy's general routines take ten times as long, and this runs several times per eye.
    (a, b, x), (c, d, y) = transform.tolist()
    determinant = a * d - b * c
    if abs(determinant) < _TINY:
        raise InputError(f"this transform cannot be inverted, because its scale is zero: {transform.tolist()}")
    inverse: FloatArray = np.array([[d, -b, b * y - d * x], [-c, a, c * x - a * y]]) / determinant
    return inverse


def centred_at_zero(transform: FloatArray) -> FloatArray:
    """Return the same transform for pixel centres at x.0, the convention of OpenCV's `warpAffine`."""
    (a, b, x), (c, d, y) = transform.tolist()
    return np.array([[a, b, x + (a + b - 1) / 2], [c, d, y + (c + d - 1) / 2]])


def scale_of(transform: FloatArray) -> float:
    """Return the scale factor of a similarity transform [2, 3], such as `eye_transform`."""
    (a, b, _), (c, d, _) = transform.tolist()
    return math.sqrt(abs(a * d - b * c))


def gaze_angles(
    iris_centre: npt.ArrayLike, eyeball_centre: npt.ArrayLike, eyeball_radius_px: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return pitch and yaw of an eye from the position of the iris on the eyeball, in radians.

    This is GazeML's closed form: the eyeball is a sphere seen from far away, with the iris centre on its surface.
    GazeML clamps the two angles separately; here, a point outside the sphere is moved to its edge along the radius,
    which preserves its direction and makes the result independent of the picture's rotation.

    The points may be in any frame of pixels; the angles belong to that frame. In a mirrored crop yaw has the wrong
    sign and the crop's roll is still in the angles, so take the points back to the picture first.

    Args:
        iris_centre: [..., 2] in pixels.
        eyeball_centre: [..., 2] in pixels.
        eyeball_radius_px: [...], more than zero.

    Returns:
        ``(pitch_rad, yaw_rad)``, float64 [...]; pitch in [-pi/2, pi/2], yaw in [-pi/2, pi/2].
    """
    offset = np.asarray(iris_centre, np.float64) - np.asarray(eyeball_centre, np.float64)
    x, y = offset[..., 0], offset[..., 1]
    # Outside the sphere, the longer offset replaces the radius.
    reach = np.hypot(x, y)
    radius = np.maximum(np.asarray(eyeball_radius_px, np.float64), reach)
    depth = np.sqrt((radius - reach) * (radius + reach))
    return _angles(x, y, depth)


def vector_from_angles(pitch_rad: npt.ArrayLike, yaw_rad: npt.ArrayLike) -> FloatArray:
    """Return the unit vector [..., 3] (x right, y down, z towards the camera) of pitch and yaw [...]."""
    pitch, yaw = np.asarray(pitch_rad, np.float64), np.asarray(yaw_rad, np.float64)
    return np.stack([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), np.cos(yaw) * np.cos(pitch)], axis=-1)


def angles_from_vector(vector: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return ``(pitch_rad, yaw_rad)``, each [...], of directions [..., 3] of any length but zero."""
    direction = np.asarray(vector, np.float64)
    return _angles(direction[..., 0], direction[..., 1], direction[..., 2])


def _angles(x: FloatArray, y: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
    # arctan2 instead of arcsin: exact at the poles, and independent of the length.
    pitch: FloatArray = np.arctan2(-y, np.hypot(x, z))
    yaw: FloatArray = np.arctan2(x, z)
    return pitch, yaw


def mean_direction(vectors: npt.ArrayLike, weights: npt.ArrayLike) -> FloatArray:
    """Return the weighted mean [3] of unit vectors [N, 3], as a unit vector.

    Raises:
        InputError: The weighted vectors cancel out, or all weights are zero.
    """
    total = np.asarray(weights, np.float64) @ np.asarray(vectors, np.float64)
    length = float(np.linalg.norm(total))
    if length == 0:
        raise InputError("the mean of these directions is zero: they cancel out, or all weights are zero")
    mean: FloatArray = total / length
    return mean


def polygon_area(points: npt.ArrayLike) -> float:
    """Return the non-negative area of a polygon [N, 2] in square pixels.

    Parts of opposite orientation are subtracted, so a self-intersecting polygon has a small area.
    """
    # Plain Python numbers are faster for the few points of an eye.
    corners = np.asarray(points, np.float64).tolist()
    doubled = 0.0
    x, y = corners[-1]
    for u, v in corners:
        doubled += x * v - u * y
        x, y = u, v
    return abs(doubled) / 2


def smooth_curve(points: npt.ArrayLike, *, closed: bool, steps: int = 8) -> FloatArray:
    """Return a smooth curve through points [N, 2].

    A centripetal Catmull-Rom spline: it passes through every point and, unlike the uniform one, has no loops between
    close points (Yuksel et al., "Parameterization and applications of Catmull-Rom curves", 2011).

    Args:
        points: At least two points.
        closed: Whether the curve continues from the last point to the first.
        steps: Segments between consecutive points.

    Returns:
        float64 [N * steps, 2] if closed (the first point is not repeated), else [(N - 1) * steps + 1, 2].
    """
    given = np.asarray(points, np.float64)
    if closed:
        around = np.concatenate([given[-1:], given, given[:2]])
        return _spline(around, steps)
    # Extend open ends in a straight line.
    around = np.concatenate([2 * given[:1] - given[1:2], given, 2 * given[-1:] - given[-2:-1]])
    return np.concatenate([_spline(around, steps), given[-1:]])


def _spline(points: FloatArray, steps: int) -> FloatArray:
    """Return the pieces of the spline between points[1] and points[-2], by Barry and Goldman's pyramid."""
    p0, p1, p2, p3 = (points[i : len(points) - 3 + i, None, :] for i in range(4))

    def interval(a: FloatArray, b: FloatArray) -> FloatArray:
        # The square root makes the spline centripetal; coinciding points need a positive interval.
        return np.asarray(np.maximum(np.sqrt(np.linalg.norm(b - a, axis=-1, keepdims=True)), 1e-6))

    t1 = interval(p0, p1)
    t2 = t1 + interval(p1, p2)
    t3 = t2 + interval(p2, p3)
    t = t1 + (t2 - t1) * (np.arange(steps) / steps)[None, :, None]
    a1 = (t1 - t) / t1 * p0 + t / t1 * p1
    a2 = (t2 - t) / (t2 - t1) * p1 + (t - t1) / (t2 - t1) * p2
    a3 = (t3 - t) / (t3 - t2) * p2 + (t - t2) / (t3 - t2) * p3
    b1 = (t2 - t) / t2 * a1 + t / t2 * a2
    b2 = (t3 - t) / (t3 - t1) * a2 + (t - t1) / (t3 - t1) * a3
    curve: FloatArray = (t2 - t) / (t2 - t1) * b1 + (t - t1) / (t2 - t1) * b2
    return curve.reshape(-1, 2)
