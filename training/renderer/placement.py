"""Where the crop lies on the eye: millimetres to pixels and back, and the labels in pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from training.renderer.anatomy import CURVE_POINTS, Anatomy
from training.renderer.draws import Draws

CROP_WIDTH_IN_CORNER_DISTANCES = 1.5
"""GazeML's crop is this many eye-corner distances wide."""

_UPPER_LID_POSITIONS = (0.0, 0.25, 0.60, 0.88, 1.0)
_LOWER_LID_POSITIONS = (0.84, 0.56, 0.22)
_CORNER_SHIFT_SHARE = 0.065
_SCALE_SPREAD = 0.11
_ROLL_SPREAD_RAD = 0.07


@dataclass(frozen=True)
class Crop:
    """A crop of ``height`` by ``width`` pixels: turn, scale and shift of each picture.

    Attributes:
        height: pixels.
        width: pixels.
        turn: ``[N, 2, 2]``, rotation that levels the eye.
        centre_mm: ``[N, 2]``, point that is put at the crop's middle before ``shift_px``.
        px_per_mm: ``[N]``.
        shift_px: ``[N, 2]``.
    """

    height: int
    width: int
    turn: Tensor
    centre_mm: Tensor
    px_per_mm: Tensor
    shift_px: Tensor

    def _middle_px(self) -> Tensor:
        return torch.tensor([self.width / 2, self.height / 2], device=self.turn.device)

    def px_from_mm(self, points_mm: Tensor) -> Tensor:
        """Crop pixels ``[N, K, 2]`` (pixel centres at x.5) of camera-frame points ``[N, K, 2]``."""
        turned = torch.einsum("bij,bnj->bni", self.turn, points_mm - self.centre_mm[:, None])
        return turned * self.px_per_mm[:, None, None] + self.shift_px[:, None] + self._middle_px()

    def grid_mm(self, supersampling: int) -> tuple[Tensor, Tensor]:
        """Camera-frame x and y of every pixel of the supersampled crop, each ``[N, height * s, width * s]``."""
        device, s = self.turn.device, supersampling
        x_px = ((torch.arange(self.width * s, device=device) + 0.5) / s - self.width / 2)[None, None, :]
        y_px = ((torch.arange(self.height * s, device=device) + 0.5) / s - self.height / 2)[None, :, None]
        x_px = (x_px - self.shift_px[:, 0, None, None]) / self.px_per_mm[:, None, None]
        y_px = (y_px - self.shift_px[:, 1, None, None]) / self.px_per_mm[:, None, None]
        turn = self.turn[:, :, :, None, None]
        x_mm = turn[:, 0, 0] * x_px + turn[:, 1, 0] * y_px + self.centre_mm[:, 0, None, None]
        y_mm = turn[:, 0, 1] * x_px + turn[:, 1, 1] * y_px + self.centre_mm[:, 1, None, None]
        return x_mm, y_mm


def place_crop(draws: Draws, anatomy: Anatomy, height: int, width: int, jitter_share: Tensor) -> Crop:
    """Cut around the eye corners as a face finder would: levelled, 1.5 corner distances wide, and a little wrong.

    At ``jitter_share`` 1 most crops are less than 2 % of the corner distance off, the others 7 to 12 % along each axis
    (standard deviations); scales are wrong by 3 % and by 11 to 20 %. With large errors everywhere a network learns to
    distrust the crop, and loses the corners of blurred eyes.
    """
    corner_a, corner_b = anatomy.upper_lid_mm[:, 0, :2], anatomy.upper_lid_mm[:, -1, :2]
    chord = corner_b - corner_a
    corner_distance_mm = chord.norm(dim=1)
    # finders are good on most pictures and poor on some
    spread = 0.25 + 0.75 * draws.chance(0.35) + 0.8 * draws.chance(0.1)
    scale_error = (draws.normal(0.0, _SCALE_SPREAD) * spread * jitter_share).clamp(-0.3, 0.35)
    roll_error = draws.normal(0.0, _ROLL_SPREAD_RAD) * spread * jitter_share
    shift = torch.stack([draws.normal(0.0, _CORNER_SHIFT_SHARE), draws.normal(0.0, _CORNER_SHIFT_SHARE)], -1)
    corner_distance_px = width / CROP_WIDTH_IN_CORNER_DISTANCES
    angle = roll_error - torch.atan2(chord[:, 1], chord[:, 0])
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).view(-1, 2, 2)
    return Crop(
        height=height,
        width=width,
        turn=turn,
        centre_mm=0.5 * (corner_a + corner_b),
        px_per_mm=corner_distance_px / corner_distance_mm * (1 + scale_error),
        shift_px=shift * (spread * jitter_share * corner_distance_px)[:, None],
    )


def landmarks_px(anatomy: Anatomy, crop: Crop) -> Tensor:
    """GazeML's 18 landmarks in crop pixels, ``[N, 18, 2]``.

    8 on the lids (nasal corner, over the upper lid, temporal corner, back along the lower lid), 8 on the edge of the
    iris (nasal first, same turn), the point where the gaze leaves the eyeball, the centre of the eyeball.
    """
    right, down = anatomy.iris_axes()
    angles = torch.tensor([math.pi + i * math.pi / 4 for i in range(8)], device=crop.turn.device)[None, :, None]
    ring = angles.cos() * right[:, None] + angles.sin() * down[:, None]
    edge = (anatomy.iris_depth_mm[:, None] * anatomy.gaze)[:, None] + anatomy.iris_radius_mm[:, None, None] * ring
    front = (anatomy.eyeball_radius_mm[:, None] * anatomy.gaze)[:, None]
    lids = torch.cat(
        [_along(anatomy.upper_lid_mm, _UPPER_LID_POSITIONS), _along(anatomy.lower_lid_mm, _LOWER_LID_POSITIONS)], 1
    )
    points_mm = torch.cat([lids, edge, front, torch.zeros_like(front)], 1)[..., :2]
    return crop.px_from_mm(points_mm)


def gaze_in_crop_rad(anatomy: Anatomy, crop: Crop) -> Tensor:
    """Pitch (up positive) and yaw (to the crop's right positive) in the levelled crop, radians ``[N, 2]``."""
    turned = torch.einsum("bij,bj->bi", crop.turn, anatomy.gaze[:, :2])
    pitch = -torch.asin(turned[:, 1].clamp(-1, 1))
    yaw = torch.atan2(turned[:, 0], anatomy.gaze[:, 2])
    return torch.stack([pitch, yaw], -1)


def _along(curve_mm: Tensor, positions: tuple[float, ...]) -> Tensor:
    """Points of a lid curve at fractions of its width, ``[N, K, 3]``."""
    points = []
    for position in positions:
        index = min(int(position * (CURVE_POINTS - 1)), CURVE_POINTS - 2)
        weight = position * (CURVE_POINTS - 1) - index
        points.append(curve_mm[:, index] * (1 - weight) + curve_mm[:, index + 1] * weight)
    return torch.stack(points, 1)
