"""Gaze directions and head poses: `Gaze` and `HeadPose`. NumPy only.

Angles are in the camera's frame of `onepass.gaze.geometry`: x to the picture's right, y down, z towards the camera. The
head's frame has the same axes for an upright head that faces along the camera's axis: x to the subject's left, y down
towards the chin, z out of the face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError
from onepass.gaze.geometry import FloatArray

_UNIT = np.eye(3)


@dataclass(frozen=True, slots=True)
class Gaze:
    """The direction in which an eye, or a pair of eyes, looks.

    Attributes:
        pitch_rad: Up (> 0) or down, radians in [-pi/2, pi/2].
        yaw_rad: To the picture's right (> 0) or left, radians in [-pi, pi]. GazeML's yaw has the opposite sign.
    """

    pitch_rad: float
    yaw_rad: float

    def __post_init__(self) -> None:
        # Negated, so that NaN is rejected as well.
        if not (abs(self.pitch_rad) <= np.pi / 2 and abs(self.yaw_rad) <= np.pi):
            raise InputError(
                "a gaze must have a pitch in [-pi/2, pi/2] and a yaw in [-pi, pi] radians, "
                f"got pitch {self.pitch_rad} and yaw {self.yaw_rad}"
            )

    def __repr__(self) -> str:
        return f"Gaze(pitch_deg={self.pitch_deg:.1f}, yaw_deg={self.yaw_deg:.1f})"

    @property
    def pitch_deg(self) -> float:
        """Pitch in degrees."""
        return float(np.degrees(self.pitch_rad))

    @property
    def yaw_deg(self) -> float:
        """Yaw in degrees."""
        return float(np.degrees(self.yaw_rad))

    @property
    def vector(self) -> FloatArray:
        """Unit vector, float64 [3]: x to the picture's right, y down, z towards the camera."""
        return np.array(self._direction)

    @property
    def _direction(self) -> tuple[float, float, float]:
        flat = math.cos(self.pitch_rad)
        return math.sin(self.yaw_rad) * flat, -math.sin(self.pitch_rad), math.cos(self.yaw_rad) * flat

    def to_json(self) -> dict[str, Any]:
        """Return the gaze as JSON values, ``Gaze`` in `onepass.gaze.result.SCHEMA_PATH`: angles in degrees."""
        return {"pitch_deg": self.pitch_deg, "yaw_deg": self.yaw_deg}

    @classmethod
    def from_vector(cls, vector: FloatArray) -> Gaze:
        """Return the gaze along a direction [3] of any non-zero length."""
        # The same as `geometry.angles_from_vector`, which is vectorised and several times slower for a single vector.
        x, y, z = np.asarray(vector, np.float64).tolist()
        return cls(math.atan2(-y, math.hypot(x, z)), math.atan2(x, z))

    def degrees_to(self, other: Gaze) -> float:
        """Return the angle between two directions in degrees, 0 to 180."""
        # Exact for small angles, too, where the arccos of a dot product loses half its digits. Written out, because it
        # runs in every frame of a video, and NumPy's cross product takes ten times as long.
        (x, y, z), (u, v, w) = self._direction, other._direction
        across = math.hypot(y * w - z * v, z * u - x * w, x * v - y * u)
        return math.degrees(math.atan2(across, x * u + y * v + z * w))


@dataclass(frozen=True, slots=True)
class HeadPose:
    """A head's orientation in the camera's frame.

    Pitch and yaw belong to the direction in which the face points, as in `Gaze`; roll rotates the head about this
    direction. The rotation from the head's frame to the camera's is ``Y(yaw) P(pitch) R(roll)``.

    Attributes:
        pitch_rad: The face points up (> 0) or down, radians in [-pi/2, pi/2].
        yaw_rad: The face points to the picture's right (> 0) or left, radians in [-pi, pi].
        roll_rad: The head is tilted clockwise in the picture (> 0) or anticlockwise, radians in [-pi, pi].
    """

    pitch_rad: float
    yaw_rad: float
    roll_rad: float

    def __post_init__(self) -> None:
        if not (abs(self.pitch_rad) <= np.pi / 2 and abs(self.yaw_rad) <= np.pi and abs(self.roll_rad) <= np.pi):
            raise InputError(
                "a head pose must have a pitch in [-pi/2, pi/2], and yaw and roll in [-pi, pi] radians, "
                f"got pitch {self.pitch_rad}, yaw {self.yaw_rad} and roll {self.roll_rad}"
            )

    def __repr__(self) -> str:
        return f"HeadPose(pitch_deg={self.pitch_deg:.1f}, yaw_deg={self.yaw_deg:.1f}, roll_deg={self.roll_deg:.1f})"

    @property
    def pitch_deg(self) -> float:
        """Pitch in degrees."""
        return float(np.degrees(self.pitch_rad))

    @property
    def yaw_deg(self) -> float:
        """Yaw in degrees."""
        return float(np.degrees(self.yaw_rad))

    @property
    def roll_deg(self) -> float:
        """Roll in degrees."""
        return float(np.degrees(self.roll_rad))

    @property
    def rotation(self) -> FloatArray:
        """Rotation matrix, float64 [3, 3], from the head's frame to the camera's."""
        (sp, sy, sr), (cp, cy, cr) = (
            [function(angle) for angle in (self.pitch_rad, self.yaw_rad, self.roll_rad)]
            for function in (math.sin, math.cos)
        )
        return np.array(
            [
                [cy * cr + sy * sp * sr, sy * sp * cr - cy * sr, sy * cp],
                [cp * sr, cp * cr, -sp],
                [cy * sp * sr - sy * cr, sy * sr + cy * sp * cr, cy * cp],
            ]
        )

    def to_json(self) -> dict[str, Any]:
        """Return the pose as JSON values, ``HeadPose`` in `onepass.gaze.result.SCHEMA_PATH`: angles in degrees."""
        return {"pitch_deg": self.pitch_deg, "yaw_deg": self.yaw_deg, "roll_deg": self.roll_deg}

    @classmethod
    def from_rotation(cls, rotation: npt.ArrayLike) -> HeadPose:
        """Return the pose of a rotation matrix [3, 3] from the head's frame to the camera's.

        Raises:
            InputError: The matrix is not a rotation matrix.
        """
        matrix = np.asarray(rotation, np.float64)
        orthonormal = matrix.shape == (3, 3) and np.abs(matrix @ matrix.T - _UNIT).max() <= 1e-6
        if not orthonormal or np.linalg.det(matrix) < 0:
            raise InputError(f"a rotation must be an orthonormal [3, 3] matrix, got {matrix.tolist()}")
        return cls.from_axes(matrix[:, 0], matrix[:, 2])

    @classmethod
    def from_axes(cls, across: FloatArray, facing: FloatArray) -> HeadPose:
        """Return the pose of a face that points along `facing`, its subject's left as close to `across` as possible.

        Args:
            across: Direction [3] in the camera's frame, of any length, not along `facing`.
            facing: Direction [3], of any non-zero length.
        """
        gaze = Gaze.from_vector(facing)
        right, down = cls(gaze.pitch_rad, gaze.yaw_rad, 0.0).rotation.T[:2] @ across
        return cls(gaze.pitch_rad, gaze.yaw_rad, math.atan2(down, right))

    def to_head(self, gaze: Gaze) -> Gaze:
        """Convert a gaze from the camera's frame to the head's, where (0, 0) is straight out of the face."""
        return Gaze.from_vector(self.rotation.T @ gaze.vector)

    def to_camera(self, gaze: Gaze) -> Gaze:
        """Convert a gaze from the head's frame to the camera's."""
        return Gaze.from_vector(self.rotation @ gaze.vector)
