"""What every shader needs to know about a pixel: where it is, and how it lies to the lids."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.renderer.anatomy import CURVE_POINTS, Anatomy
from training.renderer.draws import Draws, smoothstep
from training.renderer.placement import Crop

_TABLE_ENTRIES = 96


@dataclass(frozen=True)
class Scene:
    """Maps ``[N, h, w]`` over the supersampled crop, in camera-frame millimetres, with the eye they belong to.

    Attributes:
        anatomy: the eyes.
        x_mm: to the right.
        y_mm: down.
        along: 0 at the nasal corner, 1 at the temporal corner, beyond that outside.
        above_mm: height above the upper lid margin, negative below it.
        below_mm: depth below the lower lid margin, negative above it.
        open: 1 where the eyeball shows between the lids, soft at the margin.
        between_corners: 1 between the corners, fading out beyond them.
        light: ``[N, 3]``, unit vector towards the light.
        pixel_mm: ``[N, 1, 1]``, size of a supersampled pixel.
        corners_mm: ``[N, 2, 2]``, nasal and temporal corner.
    """

    anatomy: Anatomy
    x_mm: Tensor
    y_mm: Tensor
    along: Tensor
    above_mm: Tensor
    below_mm: Tensor
    open: Tensor
    between_corners: Tensor
    light: Tensor
    pixel_mm: Tensor
    corners_mm: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in supersampled pixels."""
        return self.x_mm.shape[1], self.x_mm.shape[2]


def build_scene(draws: Draws, anatomy: Anatomy, crop: Crop, supersampling: int) -> Scene:
    """Lay the lids over the pixels of a crop."""
    x_mm, y_mm = crop.grid_mm(supersampling)
    corners = torch.stack([anatomy.upper_lid_mm[:, 0, :2], anatomy.upper_lid_mm[:, -1, :2]], 1)
    start = corners[:, :, 0].amin(1)
    length = corners[:, :, 0].amax(1) - start
    along = (x_mm - start.view(-1, 1, 1)) / length.view(-1, 1, 1)
    position = along.clamp(0, 1) * (_TABLE_ENTRIES - 1)
    upper_y = look_up(_height_table(anatomy.upper_lid_mm, start, length), position)
    lower_y = look_up(_height_table(anatomy.lower_lid_mm, start, length), position)
    pixel_mm = (1 / (crop.px_per_mm * supersampling)).view(-1, 1, 1)
    softness_mm = pixel_mm * draws.uniform_map(0.6, 1.6)
    above_mm, below_mm = upper_y - y_mm, y_mm - lower_y
    beyond_mm = torch.minimum(along, 1 - along) * length.view(-1, 1, 1)
    light = torch.stack([draws.uniform(-0.8, 0.8), draws.uniform(-1.0, 0.4), torch.ones_like(start)], -1)
    return Scene(
        anatomy=anatomy,
        x_mm=x_mm,
        y_mm=y_mm,
        along=along,
        above_mm=above_mm,
        below_mm=below_mm,
        open=torch.sigmoid(-above_mm / softness_mm)
        * torch.sigmoid(-below_mm / softness_mm)
        * torch.sigmoid(beyond_mm / softness_mm),
        between_corners=smoothstep(along, -0.1, 0.12) * (1 - smoothstep(along, 0.92, 1.2)),
        light=light / light.norm(dim=1, keepdim=True),
        pixel_mm=pixel_mm,
        corners_mm=corners,
    )


def look_up(table: Tensor, position: Tensor) -> Tensor:
    """Linear interpolation in ``[N, K]`` at positions ``[N, h, w]`` between 0 and K - 1."""
    index = position.floor().clamp(max=table.shape[1] - 2).long()
    weight = position - index
    flat = index.view(index.shape[0], -1)
    here, there = table.gather(1, flat).view_as(position), table.gather(1, flat + 1).view_as(position)
    return here + (there - here) * weight


def _height_table(curve_mm: Tensor, start: Tensor, length: Tensor) -> Tensor:
    """Height y of a lid curve at evenly spaced x, ``[N, 96]``."""
    steps = torch.arange(CURVE_POINTS, device=curve_mm.device)
    # A strongly turned head can fold the curve back on itself; the running maximum keeps x increasing for the search.
    x = (torch.cummax(curve_mm[..., 0], 1)[0] + steps * 1e-4).contiguous()
    y = curve_mm[..., 1]
    wanted = start[:, None] + length[:, None] * torch.linspace(0, 1, _TABLE_ENTRIES, device=curve_mm.device)[None]
    right = torch.searchsorted(x, wanted.contiguous()).clamp(1, CURVE_POINTS - 1)
    x0, x1 = x.gather(1, right - 1), x.gather(1, right)
    y0, y1 = y.gather(1, right - 1), y.gather(1, right)
    return y0 + (y1 - y0) * ((wanted - x0) / (x1 - x0)).clamp(0, 1)
