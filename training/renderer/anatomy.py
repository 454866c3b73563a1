"""Eyeball, gaze, head pose and lid curves, in millimetres.

Sizes follow adult averages: eyeball radius 12 mm, iris radius 5.9 mm, palpebral fissure 27.8 mm long, upper lid margin
3.3 mm above and lower lid margin 5.7 mm below the centre of the pupil: it rests at the edge of the iris.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.renderer.draws import Draws

CURVE_POINTS = 33
"""Points along each lid curve, corners included."""


@dataclass(frozen=True)
class Anatomy:
    """One eye per row, in the camera frame.

    Attributes:
        eyeball_radius_mm: ``[N]``.
        iris_radius_mm: ``[N]``.
        gaze: ``[N, 3]``, unit vector from the centre of the eyeball through the centre of the iris.
        upper_lid_mm: ``[N, 33, 3]``, nasal corner to temporal corner.
        lower_lid_mm: ``[N, 33, 3]``, same corners.
        closed: ``[N]``, 1.0 where the lids meet.
    """

    eyeball_radius_mm: Tensor
    iris_radius_mm: Tensor
    gaze: Tensor
    upper_lid_mm: Tensor
    lower_lid_mm: Tensor
    closed: Tensor

    @property
    def iris_depth_mm(self) -> Tensor:
        """Distance from the centre of the eyeball to the plane of the iris edge, ``[N]``."""
        return (self.eyeball_radius_mm**2 - self.iris_radius_mm**2).sqrt()

    def iris_axes(self) -> tuple[Tensor, Tensor]:
        """Unit vectors ``[N, 3]`` in the plane of the iris: towards the picture's right, and down."""
        x, _, z = self.gaze.unbind(-1)
        right = torch.stack([z, torch.zeros_like(z), -x], -1)
        right = right / right.norm(dim=1, keepdim=True)
        down = torch.linalg.cross(self.gaze, right, dim=1)
        return right, torch.where(down[:, 1:2] < 0, -down, down)


def draw_anatomy(draws: Draws, pose_share: Tensor, closed_share: float) -> Anatomy:
    """Draw a batch of eyes.

    Args:
        draws: random numbers.
        pose_share: 0-dimensional; scales the head's rotation, 1.0 for the full spread.
        closed_share: share of closed eyes.
    """
    eyeball_radius_mm = draws.normal(12.0, 0.3).clamp(11.1, 12.9)
    iris_radius_mm = draws.normal(5.9, 0.25).clamp(5.2, 6.6)
    head = head_rotation(draws, pose_share)
    gaze_yaw_rad, gaze_pitch_rad = _draw_gaze(draws)
    gaze_in_head = torch.stack(
        [
            gaze_yaw_rad.sin() * gaze_pitch_rad.cos(),
            -gaze_pitch_rad.sin(),
            gaze_yaw_rad.cos() * gaze_pitch_rad.cos(),
        ],
        -1,
    )
    gaze = (head @ gaze_in_head[..., None])[..., 0]
    closed = draws.chance(closed_share)
    upper, lower = _draw_lids(draws, eyeball_radius_mm, gaze_pitch_rad, closed)
    return Anatomy(
        eyeball_radius_mm=eyeball_radius_mm,
        iris_radius_mm=iris_radius_mm,
        gaze=gaze / gaze.norm(dim=1, keepdim=True),
        upper_lid_mm=upper @ head.transpose(1, 2),
        lower_lid_mm=lower @ head.transpose(1, 2),
        closed=closed,
    )


def head_rotation(draws: Draws, pose_share: Tensor) -> Tensor:
    """Rotation from the head's to the camera's frame, ``[N, 3, 3]``; roll is left out because crops are levelled."""
    yaw = draws.normal(0.0, 0.25).clamp(-0.65, 0.65) * pose_share
    pitch = draws.normal(0.0, 0.18).clamp(-0.45, 0.45) * pose_share
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    about_y = torch.stack([yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos()], -1)
    about_x = torch.stack([one, zero, zero, zero, pitch.cos(), -pitch.sin(), zero, pitch.sin(), pitch.cos()], -1)
    return about_y.view(-1, 3, 3) @ about_x.view(-1, 3, 3)


def _draw_gaze(draws: Draws) -> tuple[Tensor, Tensor]:
    """Yaw and pitch of the eye in the head, radians ``[N]``: mostly spread evenly, otherwise near straight ahead."""
    wide = draws.chance(0.6) > 0
    yaw = torch.where(wide, draws.uniform(-0.62, 0.62), draws.normal(0.0, 0.18))
    pitch = torch.where(wide, draws.uniform(-0.44, 0.42), draws.normal(-0.03, 0.12))
    return yaw, pitch


def _draw_lids(
    draws: Draws, eyeball_radius_mm: Tensor, gaze_pitch_rad: Tensor, closed: Tensor
) -> tuple[Tensor, Tensor]:
    """Upper and lower lid margins in the head's frame, each ``[N, 33, 3]``.

    The lids follow the pupil up and down, the upper one more than the lower one. The corners sit at fixed depths in the
    head, which is what lets a network read the eyeball's centre from the corners and the turn of the head.
    """
    width = draws.normal(27.8, 1.5).clamp(23.5, 32.0)[:, None]
    # Middle of the corners against the centre of the eyeball. No picture shows it, so the wider the spread, the more
    # of a turned eye a network takes for anatomy, and the smaller the gaze it reports. A narrow prior keeps the gain
    # near 1 and leaves a constant offset for each person, which calibration removes. The means are those with which
    # people who look into the camera are found to do so: level, and outwards by the angle kappa.
    middle_x = draws.normal(-0.2, 0.45)[:, None]
    middle_y = draws.normal(2.7, 0.45)[:, None]
    tilt = draws.normal(0.07, 0.06)[:, None]  # outer corner higher
    nasal_z, temporal_z = draws.normal(6.5, 0.7)[:, None], draws.normal(4.5, 0.8)[:, None]
    front_z = (eyeball_radius_mm * draws.uniform(0.95, 1.06))[:, None]
    radius = eyeball_radius_mm[:, None]

    pupil_y = (-eyeball_radius_mm * gaze_pitch_rad.sin() * 0.8)[:, None]
    upper_gap = draws.normal(3.3, 1.3).clamp(0.1, 6.5)
    # a quarter of the open eyes are squinted: sun, smile, heavy lids
    upper_gap = torch.where(draws.chance(0.25) > 0, draws.uniform(0.2, 2.6), upper_gap)
    upper_gap = torch.where(closed > 0, draws.uniform(-5.5, -3.5), upper_gap)[:, None]
    lower_gap = draws.normal(5.7, 0.9).clamp(3.0, 8.5)[:, None]
    upper_y = pupil_y - upper_gap
    lower_y = pupil_y * 0.35 + lower_gap + (pupil_y * 0.15).clamp(max=0)

    s = torch.linspace(0, 1, CURVE_POINTS, device=draws.device)[None]
    chord_y = middle_y + tilt * width * (0.5 - s)
    x = middle_x + width * (s - 0.5)
    upper_shape = _arch(s, draws.uniform(0.5, 1.1)[:, None], draws.uniform(0.5, 1.2)[:, None])
    lower_shape = _arch(s, draws.uniform(0.8, 1.7)[:, None], draws.uniform(0.55, 1.3)[:, None])
    lower_curve = chord_y + (lower_y - middle_y).clamp(min=0.3) * lower_shape
    upper_curve = torch.minimum(chord_y - (middle_y - upper_y).clamp(min=-1.0) * upper_shape, lower_curve)

    base_z = nasal_z * (1 - s) + temporal_z * s
    base_z = base_z + (front_z - 0.5 * (nasal_z + temporal_z)) * (4 * s * (1 - s)) ** 0.7
    upper_z = base_z - 0.225 * upper_curve**2 / radius  # the lids lie on the ball: pull back with height
    lower_z = base_z - 0.225 * lower_curve**2 / radius
    return torch.stack([x, upper_curve, upper_z], -1), torch.stack([x, lower_curve, lower_z], -1)


def _arch(s: Tensor, nasal_power: Tensor, temporal_power: Tensor) -> Tensor:
    """Arch over 0..1 with height 1 and ends at 0; powers under 1 make a steep end."""
    inner = s.clamp(1e-4, 1) ** nasal_power * (1 - s).clamp(1e-4, 1) ** temporal_power
    peak = nasal_power / (nasal_power + temporal_power)
    ends = ((s > 0) & (s < 1)).float()
    return ends * inner / (peak**nasal_power * (1 - peak) ** temporal_power)
