"""What lies in front of the eye: lashes, glasses, hair, shadows, and the edge of the face."""

from __future__ import annotations

import torch
from torch import Tensor

from training.renderer.draws import Draws, smoothstep
from training.renderer.scene import Scene

_TABLE_ENTRIES = 128
_GLARE_CELLS = ((2, 3), (3, 5))


def add_lashes(draws: Draws, scene: Scene, picture: Tensor) -> Tensor:
    """Upper and lower lashes over ``picture`` ``[N, h, w]``, and some that droop in front of the eye."""
    upper = _comb(
        draws,
        scene,
        height_mm=scene.above_mm + draws.uniform_map(0.0, 1.3),
        strength=draws.uniform_map(0.0, 0.95),
        length_mm=draws.uniform_map(1.5, 8.0),
        count=draws.uniform_map(14.0, 60.0),
        lean=draws.uniform_map(0.02, 0.16),
    )
    lower = _comb(
        draws,
        scene,
        height_mm=scene.below_mm,
        strength=draws.chance_map(0.65) * draws.uniform_map(0.0, 0.75),
        length_mm=draws.uniform_map(1.0, 4.5),
        count=draws.uniform_map(12.0, 45.0),
        lean=draws.uniform_map(0.02, 0.14),
    )
    drooping = _comb(
        draws,
        scene,
        height_mm=-scene.above_mm,
        strength=draws.chance_map(0.3) * draws.uniform_map(0.0, 0.7),
        length_mm=draws.uniform_map(0.8, 3.5),
        count=draws.uniform_map(14.0, 50.0),
        lean=draws.uniform_map(-0.1, 0.1),
    )
    shade = draws.uniform_map(0.0, 0.12)
    cover = 1 - (1 - upper) * (1 - lower) * (1 - drooping)
    return picture * (1 - cover) + shade * cover


def _comb(
    draws: Draws, scene: Scene, *, height_mm: Tensor, strength: Tensor, length_mm: Tensor, count: Tensor, lean: Tensor
) -> Tensor:
    """Cover 0..1 of a row of lashes that fan out from the lid, each with its own place, length and strength."""
    upright_at = 0.4
    fan = (scene.along - upright_at) * height_mm.clamp(min=0)
    position = (scene.along - lean * fan + 0.5) * count
    index = position.floor()
    entry = index.remainder(_TABLE_ENTRIES).long().view(index.shape[0], -1)
    place = draws.table(_TABLE_ENTRIES).tanh().gather(1, entry).view_as(index)
    length = draws.table(_TABLE_ENTRIES).sigmoid().gather(1, entry).view_as(index)
    weight = draws.table(_TABLE_ENTRIES).sigmoid().gather(1, entry).view_as(index)
    reach = (height_mm / (length_mm * (0.45 + 0.9 * length))).clamp(0, 1)
    half_width = draws.uniform_map(0.12, 0.4) * (1 - 0.75 * reach)
    offset = position - index - 0.5 - 0.3 * place
    hair = torch.exp(-((offset / half_width) ** 2)) * (1 - smoothstep(reach, 0.75, 1.0))
    fade = smoothstep(scene.along, 0.02, 0.25) * (1 - smoothstep(scene.along, 0.98, draws.uniform_map(1.04, 1.25)))
    outer = 1 - draws.uniform_map(0.0, 0.8) * (1 - scene.along.clamp(0, 1))
    return strength * (0.4 + 0.6 * weight) * hair * smoothstep(height_mm, -0.3, 0.2) * fade * outer


def add_glasses(draws: Draws, scene: Scene, picture: Tensor, share: float) -> Tensor:
    """Frames and reflections on the lenses, for about ``share`` of the pictures."""
    worn = draws.chance_map(share)
    dx = (scene.x_mm - draws.normal_map(0.0, 2.0)) / draws.uniform_map(17.0, 28.0)
    dy = (scene.y_mm - draws.normal_map(2.0, 3.0)) / draws.uniform_map(9.0, 20.0)
    roundness = draws.uniform_map(2.0, 5.0)
    radius = ((dx.abs() + 1e-4) ** roundness + (dy.abs() + 1e-4) ** roundness) ** (1 / roundness)
    frame = worn * torch.exp(-((((radius - 1) / draws.uniform_map(0.015, 0.1)) ** 2) ** 2))
    tone = draws.uniform_map(0.0, 0.5) * draws.chance_map(0.7) + 0.2 * draws.chance_map(0.2)
    picture = picture * (1 - frame * draws.uniform_map(0.4, 1.0)) + frame * tone
    glare = draws.fractal(scene.size, _GLARE_CELLS, 0.6) + scene.x_mm * draws.normal_map(0.0, 0.08)
    glare = torch.sigmoid((glare - draws.uniform_map(0.4, 1.6)) / draws.uniform_map(0.05, 0.5)) * (radius < 1)
    picture = picture + worn * draws.chance_map(0.6) * draws.uniform_map(0.0, 0.7) * glare * (1 - picture)
    return picture * (1 - worn * draws.uniform_map(0.0, 0.25))


def add_light(draws: Draws, scene: Scene, picture: Tensor) -> Tensor:
    """A slope of the light over the whole picture, and the edge of a shadow in some."""
    angle = draws.uniform_map(0.0, 6.283)
    across_mm = scene.x_mm * angle.cos() + scene.y_mm * angle.sin()
    picture = picture * (1 + draws.normal_map(0.0, 0.014) * across_mm).clamp(0.25, 2)
    edge = torch.sigmoid((across_mm - draws.normal_map(0.0, 8.0)) / draws.uniform_map(0.3, 5.0))
    return picture * (1 - draws.chance_map(0.3) * draws.uniform_map(0.0, 0.65) * edge)


def add_hair(draws: Draws, scene: Scene, picture: Tensor) -> Tensor:
    """Strands across the eye, and a flat edge well outside it: background, hair, the picture's border."""
    for _ in range(2):
        angle = draws.uniform_map(0.0, 3.1416)
        distance = (scene.x_mm * angle.cos() + scene.y_mm * angle.sin() - draws.normal_map(0.0, 11.0)).abs()
        strand = torch.exp(-((distance / draws.uniform_map(0.15, 1.2)) ** 2))
        cover = draws.chance_map(0.1) * draws.uniform_map(0.3, 1.0) * strand
        picture = picture * (1 - cover) + cover * draws.uniform_map(0.0, 0.4)
    angle = draws.normal_map(0.0, 0.4) + 3.1416 * draws.chance_map(0.5)
    outside_mm = scene.x_mm * angle.cos() + scene.y_mm * angle.sin() - draws.uniform_map(15.0, 24.0)
    cover = draws.chance_map(0.25) * torch.sigmoid(outside_mm / draws.uniform_map(0.1, 1.5))
    return picture * (1 - cover) + cover * draws.uniform_map(0.0, 1.0)
