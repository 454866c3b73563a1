"""Gaze by fitting an eyeball model to all landmarks, instead of the closed form from two of them.

The eyeball is a sphere seen from far away; the iris edge is a circle on it, around the point where the optical axis
leaves the sphere. The fit chooses centre and radius of the sphere, the axis, and size and rotation of the circle so
that the circle's eight points, the axis point and the centre are as close as possible to the network's landmarks. Each
landmark is weighted by its confidence and by the typical accuracy of its kind. GazeML fits such a model, too (Park,
Zhang, Bulling and Hilliges, ETRA 2018); here, the sphere's centre and radius, the network's least accurate outputs, are
fitted as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np

from onepass._optional import optional
from onepass.gaze import geometry
from onepass.gaze.directions import Gaze
from onepass.gaze.geometry import FloatArray
from onepass.gaze.result import Eye

GazeMethod: TypeAlias = Literal["closed", "fit"]
"""How to compute gaze from landmarks: in closed form from three values, or by this fit to all."""

GAZE_METHODS: tuple[GazeMethod, ...] = ("closed", "fit")

# Errors of the bundled networks on rendered eyes, relative to the eyeball radius.
_RING_DEVIATION = 0.03
_FRONT_DEVIATION = 0.024
_CENTRE_DEVIATION = 0.066
_RADIUS_DEVIATION = 0.05
# Angle between axis and iris edge at the eyeball's centre: an iris of radius 5.9 mm on a sphere of 12 mm.
_IRIS_ANGLE_RAD = np.radians(29.4)
_IRIS_ANGLE_DEVIATION_RAD = np.radians(1.6)
# The minimum weight of a landmark without confidence.
_LEAST_WEIGHT = 0.02

_PARAMETERS = 7  # pitch, yaw, the iris's angle and rotation, the sphere's centre (x, y), logarithm of its radius
_RESIDUALS = 22  # iris ring (16), front (2), centre (2), radius, the iris's angle
# Number of eyes solved together: larger systems of equations cost more than they save.
_TOGETHER = 4
_TURNS = np.arange(8) * (np.pi / 4)


def fit_gaze(eyes: Sequence[Eye]) -> list[Eye]:
    """Return the eyes with the gaze of the best-fitting model; everything else stays unchanged.

    Args:
        eyes: Eyes from a network.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    fitted: list[Eye] = []
    for first in range(0, len(eyes), _TOGETHER):
        some = eyes[first : first + _TOGETHER]
        problem = EyeballProblem(some)
        fitted += [replace(eye, gaze=gaze) for eye, gaze in zip(some, problem.solve(), strict=True)]
    return fitted


class EyeballProblem:
    """The least-squares problem of several eyes, whose equations are independent."""

    def __init__(self, eyes: Sequence[Eye]) -> None:
        """Set up the equations."""
        self._ring = np.array([eye.iris for eye in eyes])
        self._front = np.array([eye.iris_centre for eye in eyes])
        self._centre = np.array([eye.eyeball_centre for eye in eyes])
        self._radius = np.array([eye.eyeball_radius_px for eye in eyes])
        # Nasal point first, then over the top: the subject's right eye is mirrored.
        self._turns = np.array([_TURNS + np.pi if eye.side == "left" else -_TURNS for eye in eyes])
        trust = np.array([np.full(17, 1.0) if eye.point_confidences is None else eye.point_confidences for eye in eyes])
        weights = np.sqrt(np.maximum(trust, _LEAST_WEIGHT))
        self._ring_scale = weights[:, 8:16, None] / (_RING_DEVIATION * self._radius[:, None, None])
        self._front_scale = weights[:, 16:17] / (_FRONT_DEVIATION * self._radius[:, None])
        self._centre_scale = 1 / (_CENTRE_DEVIATION * self._radius[:, None])
        # The ring's rotation as seen from the front: the mean over its points, as complex numbers.
        points = self._ring - self._ring.mean(axis=1, keepdims=True)
        roll = np.angle(((points[..., 0] + 1j * points[..., 1]) * np.exp(-1j * self._turns)).sum(axis=1))
        pitch, yaw = geometry.gaze_angles(self._front, self._centre, self._radius)
        self.start: FloatArray = np.column_stack(
            [pitch, yaw, np.full(len(eyes), _IRIS_ANGLE_RAD), roll, self._centre, np.log(self._radius)]
        )

    def residuals(self, parameters: FloatArray) -> FloatArray:
        """Return the residuals in standard deviations, float64 [N, 22], for parameters [N, 7]."""
        ring, front, _ = self._model(parameters)
        return np.concatenate(
            [
                ((ring - self._ring) * self._ring_scale).reshape(len(ring), 16),
                (front - self._front) * self._front_scale,
                (parameters[:, 4:6] - self._centre) * self._centre_scale,
                (parameters[:, 6:] - np.log(self._radius)[:, None]) / _RADIUS_DEVIATION,
                (parameters[:, 2:3] - _IRIS_ANGLE_RAD) / _IRIS_ANGLE_DEVIATION_RAD,
            ],
            axis=1,
        )

    def jacobian(self, parameters: FloatArray) -> FloatArray:
        """Return the derivatives of the residuals, float64 [N, 22, 7]."""
        _, _, (ring, front) = self._model(parameters)
        result = np.zeros((len(parameters), _RESIDUALS, _PARAMETERS))
        result[:, :16] = (ring * self._ring_scale[..., None]).reshape(len(parameters), 16, _PARAMETERS)
        result[:, 16:18] = front * self._front_scale[..., None]
        result[:, [18, 19], [4, 5]] = self._centre_scale
        result[:, 20, 6] = 1 / _RADIUS_DEVIATION
        result[:, 21, 2] = 1 / _IRIS_ANGLE_DEVIATION_RAD
        return result

    def _model(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray, tuple[FloatArray, FloatArray]]:
        """Return the model's ring [N, 8, 2] and front point [N, 2], and their derivatives (last axis: 7)."""
        pitch, yaw, angle, roll = parameters[:, :4].T
        radius = np.exp(parameters[:, 6])
        sin_pitch, cos_pitch, sin_yaw, cos_yaw = np.sin(pitch), np.cos(pitch), np.sin(yaw), np.cos(yaw)
        zero = np.zeros_like(pitch)
        # The axis and two orthogonal directions, right and down; x and y of each.
        axis = np.stack([sin_yaw * cos_pitch, -sin_pitch], axis=1)
        right = np.stack([cos_yaw, zero], axis=1)
        down = np.stack([sin_yaw * sin_pitch, cos_pitch], axis=1)
        axis_by_pitch, axis_by_yaw = -down, right * cos_pitch[:, None]
        right_by_yaw = np.stack([-sin_yaw, zero], axis=1)
        down_by_pitch, down_by_yaw = axis, right * sin_pitch[:, None]

        turns = self._turns + roll[:, None]
        across, along = np.cos(turns)[..., None], np.sin(turns)[..., None]
        wide, deep = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]

        def ring_of(axis: FloatArray, right: FloatArray, down: FloatArray) -> FloatArray:
            """Return points of the circle [N, 8, 2] about an axis."""
            ring: FloatArray = deep * axis[:, None] + wide * (across * right[:, None] + along * down[:, None])
            return ring

        unit_ring = ring_of(axis, right, down)
        flat = np.zeros_like(axis)
        by_pitch = ring_of(axis_by_pitch, flat, down_by_pitch)
        by_yaw = ring_of(axis_by_yaw, right_by_yaw, down_by_yaw)
        by_angle = -wide * axis[:, None] + deep * (across * right[:, None] + along * down[:, None])
        by_roll = wide * (-along * right[:, None] + across * down[:, None])
        size = radius[:, None, None]
        ring_derivatives = np.zeros((*unit_ring.shape, _PARAMETERS))
        for index, derivative in enumerate((by_pitch, by_yaw, by_angle, by_roll)):
            ring_derivatives[..., index] = size * derivative
        ring_derivatives[..., 4:6] = np.eye(2)
        ring_derivatives[..., 6] = size * unit_ring
        front_derivatives = np.zeros((len(axis), 2, _PARAMETERS))
        for index, derivative in ((0, axis_by_pitch), (1, axis_by_yaw), (6, axis)):
            front_derivatives[..., index] = radius[:, None] * derivative
        front_derivatives[..., 4:6] = np.eye(2)
        centre = parameters[:, 4:6]
        return (
            centre[:, None] + size * unit_ring,
            centre + radius[:, None] * axis,
            (ring_derivatives, front_derivatives),
        )

    def solve(self) -> list[Gaze]:
        """Return the gaze of each eye."""
        optimize = optional("scipy.optimize", extra="gaze", purpose="Fitting an eyeball")
        count = len(self.start)
        # Comparable step sizes for angles and pixels.
        scale = np.tile([0.1, 0.1, 0.05, 0.1, 1, 1, 0.05], (count, 1))
        scale[:, 4:6] = 0.1 * self._radius[:, None]

        def residuals(flat: FloatArray) -> FloatArray:
            return self.residuals(flat.reshape(count, _PARAMETERS)).ravel()

        def jacobian(flat: FloatArray) -> FloatArray:
            blocks = self.jacobian(flat.reshape(count, _PARAMETERS))
            whole = np.zeros((count, _RESIDUALS, count, _PARAMETERS))
            eyes = np.arange(count)
            whole[eyes, :, eyes] = blocks
            return whole.reshape(count * _RESIDUALS, count * _PARAMETERS)

        found = optimize.least_squares(
            residuals,
            self.start.ravel(),
            jacobian,
            loss="soft_l1",
            x_scale=scale.ravel(),
            xtol=1e-4,
            ftol=1e-5,
            max_nfev=30,
        ).x.reshape(count, _PARAMETERS)
        # Normalise angles beyond 90 degrees.
        vectors = geometry.vector_from_angles(found[:, 0], found[:, 1])
        return [Gaze.from_vector(vector) for vector in vectors]
