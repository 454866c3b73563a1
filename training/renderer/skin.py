"""Shading of the skin around the eye: tone, folds, wrinkles, eyebrow, lid margins and make-up."""

from __future__ import annotations

import torch
from torch import Tensor

from training.renderer.draws import Draws, bump, smoothstep
from training.renderer.scene import Scene

_TONE_CELLS = ((4, 6), (9, 15), (18, 30), (36, 60), (72, 120))
_WRINKLE_CELLS = ((10, 4), (20, 7), (36, 13))


def shade_skin(draws: Draws, scene: Scene) -> Tensor:
    """Brightness 0..1 of the skin at every pixel, ``[N, h, w]``."""
    texture = draws.fractal(scene.size, _TONE_CELLS, 0.75)
    slope = scene.x_mm * draws.normal_map(0.0, 0.012) + scene.y_mm * draws.normal_map(0.0, 0.012)
    skin = draws.uniform_map(0.15, 0.85) * (1 + slope + draws.uniform_map(0.0, 0.07) * texture)
    skin = skin * _socket(draws, scene)
    skin = skin * _folds(draws, scene)
    skin = skin * _wrinkles(draws, scene)
    skin = skin * _corner_shadows(draws, scene)
    skin = skin * _corner_folds(draws, scene)
    skin = (skin * _eyebrow(draws, scene, texture)).clamp(0.03, 1)
    skin = skin * _make_up(draws, scene)
    return (skin * _margins(draws, scene)).clamp(0.01, 1)


def _socket(draws: Draws, scene: Scene) -> Tensor:
    """Large soft shapes: side of the nose, hollow above the lid, bag below the eye."""
    nose = draws.uniform_map(-0.2, 0.45) * smoothstep(scene.along, -0.05, -0.45)
    temple = draws.uniform_map(-0.15, 0.4) * smoothstep(scene.along, 1.0, 1.4)
    hollow = draws.uniform_map(-0.15, 0.55) * bump(
        scene.above_mm, draws.uniform_map(1.0, 7.0), draws.uniform_map(2.0, 6.0)
    )
    # deep-set eyes: the hollow is darkest beside the nose
    nasal = 1 - draws.uniform_map(0.0, 1.0) * scene.along.clamp(0, 1)
    bag = draws.uniform_map(-0.15, 0.4) * bump(scene.below_mm, draws.uniform_map(1.5, 7.0), draws.uniform_map(1.0, 4.0))
    hollow = hollow * nasal * smoothstep(scene.above_mm, 0.0, 1.5)
    return (1 - nose) * (1 - temple) * (1 - hollow) * (1 - bag * smoothstep(scene.below_mm, 0.0, 1.0))


def _folds(draws: Draws, scene: Scene) -> Tensor:
    """Creases that follow the lids: up to two above, two below; a low, dark one that droops outwards is a hood."""
    arch = (1 - (2 * scene.along - 1) ** 2).clamp(0, 1)
    result = torch.ones_like(scene.along)
    for share in (0.75, 0.45):
        height = draws.uniform_map(0.6, 6.5) * (0.5 + 0.5 * arch) + draws.normal_map(0.0, 1.2) * (0.5 - scene.along)
        width, depth = draws.uniform_map(0.2, 1.2), draws.chance_map(share) * draws.uniform_map(0.0, 0.65)
        line = bump(scene.above_mm, height, width)
        # skin that overhangs is brighter above its crease
        bulge = draws.uniform_map(-0.1, 0.25) * bump(scene.above_mm, height + 2 * width, 2 * width)
        result = result * (1 - depth * scene.between_corners * (line - bulge))
    for share in (0.6, 0.35):
        tilt = draws.normal_map(0.0, 1.8) * (scene.along - 0.5)
        line = bump(scene.below_mm, draws.uniform_map(1.0, 7.0) + tilt, draws.uniform_map(0.25, 1.4))
        result = result * (1 - draws.chance_map(share) * draws.uniform_map(0.0, 0.45) * scene.between_corners * line)
    return result


def _wrinkles(draws: Draws, scene: Scene) -> Tensor:
    """Fine lines along the lids, and crow's feet that fan out from the temporal corner."""
    ridges = draws.fractal(scene.size, _WRINKLE_CELLS, 0.8).abs()
    lines = torch.exp(-ridges * draws.uniform_map(2.0, 6.0))
    away = smoothstep(torch.maximum(scene.above_mm, scene.below_mm), 0.5, 3.0)
    result = 1 - draws.chance_map(0.35) * draws.uniform_map(0.05, 0.4) * lines * away
    dx = scene.x_mm - scene.corners_mm[:, 1, 0].view(-1, 1, 1)
    dy = scene.y_mm - scene.corners_mm[:, 1, 1].view(-1, 1, 1)
    angle = torch.atan2(dy, dx + 3.0)
    fan = torch.sin(angle * draws.uniform_map(8.0, 22.0) + ridges * draws.uniform_map(0.0, 1.5) + dx * 0.1)
    feet = draws.chance_map(0.25) * draws.uniform_map(0.1, 0.5) * fan.clamp(min=0) ** 3
    return result * (1 - feet * smoothstep(dx, -0.5, 2.0))


def _corner_shadows(draws: Draws, scene: Scene) -> Tensor:
    """Dark spots of skin at both corners, which make real corners hard to see."""
    result = torch.ones_like(scene.along)
    for corner, lightest, darkest in ((0, -0.1, 0.5), (1, 0.0, 0.5)):
        dx = (scene.x_mm - scene.corners_mm[:, corner, 0].view(-1, 1, 1)) / draws.uniform_map(1.5, 6.0)
        dy = (scene.y_mm - scene.corners_mm[:, corner, 1].view(-1, 1, 1)) / draws.uniform_map(1.0, 4.0)
        result = result * (1 - draws.uniform_map(lightest, darkest) * torch.exp(-(dx * dx + dy * dy)))
    return result


def _corner_folds(draws: Draws, scene: Scene) -> Tensor:
    """Folds that carry the lids' lines past both corners, down and away: the eye ends before its dark outline."""
    result = torch.ones_like(scene.along)
    for corner, outwards, share in ((0, -1.0, 0.5), (1, 1.0, 0.65)):
        dx = outwards * (scene.x_mm - scene.corners_mm[:, corner, 0].view(-1, 1, 1))
        dy = scene.y_mm - scene.corners_mm[:, corner, 1].view(-1, 1, 1)
        line_y = (
            draws.uniform_map(-1.2, 0.3) + dx * draws.uniform_map(-0.2, 1.0) + dx * dx * draws.uniform_map(-0.04, 0.04)
        )
        reach_mm = draws.uniform_map(1.5, 8.0)
        line = bump(dy, line_y, draws.uniform_map(0.3, 1.5)) * smoothstep(dx, -3.0, 0.5)
        depth = draws.chance_map(share) * draws.uniform_map(0.1, 0.8)
        result = result * (1 - depth * line * (1 - smoothstep(dx, 0.3 * reach_mm, reach_mm)))
    return result


def _eyebrow(draws: Draws, scene: Scene, texture: Tensor) -> Tensor:
    """A dark hairy arch above the lid, close to it in deep-set eyes."""
    upper_lid_y = scene.anatomy.upper_lid_mm[:, :, 1].amin(1).view(-1, 1, 1)
    near, far = draws.uniform(4.5, 9.0), draws.uniform(7.5, 18.0)
    height = torch.where(draws.chance(0.2) > 0, near, far).view(-1, 1, 1)
    x_mm = scene.x_mm - draws.normal_map(0.0, 2.0)
    middle_y = 0.4 * upper_lid_y - height + 0.010 * x_mm**2 * draws.uniform_map(0.2, 2.0)
    middle_y = middle_y - scene.x_mm * draws.normal_map(0.02, 0.06)
    profile = torch.exp(-((((scene.y_mm - middle_y) / draws.uniform_map(1.5, 4.0)) ** 2) ** 1.5))
    hairs = torch.sin(
        scene.x_mm * draws.uniform_map(2.5, 6.0) + scene.y_mm * draws.uniform_map(-5.0, 5.0) + texture * 2
    )
    dark = draws.chance_map(0.85) * draws.uniform_map(0.1, 0.85)
    return 1 - dark * profile * (1 + 0.3 * hairs) * smoothstep(scene.along, -0.5, -0.15)


def _make_up(draws: Draws, scene: Scene) -> Tensor:
    """Eye shadow on the upper lid, and eyeliner with a wing beyond the temporal corner."""
    above = smoothstep(scene.above_mm, -0.3, 0.3) * scene.between_corners
    shadow = draws.chance_map(0.2) * draws.uniform_map(-0.2, 0.65)
    shadow = shadow * above * torch.exp(-((scene.above_mm / draws.uniform_map(1.5, 7.0)) ** 2))
    shadow = shadow * (1 - draws.uniform_map(0.0, 0.8) * (1 - scene.along.clamp(0, 1)))
    liner = draws.chance_map(0.18) * draws.uniform_map(0.4, 0.95)
    thickness_mm = draws.uniform_map(0.3, 1.5) * (0.35 + scene.along.clamp(0, 1))
    upper = bump(scene.above_mm, 0.3 * thickness_mm, thickness_mm)
    upper = upper * smoothstep(scene.along, 0.0, 0.25) * (1 - smoothstep(scene.along, 0.98, 1.04))
    dx = scene.x_mm - scene.corners_mm[:, 1, 0].view(-1, 1, 1)
    dy = scene.y_mm - scene.corners_mm[:, 1, 1].view(-1, 1, 1)
    from_wing_mm = dy + dx * draws.uniform_map(-0.1, 0.9)
    wing = bump(from_wing_mm, -0.3 * thickness_mm, 0.8 * thickness_mm)
    wing = wing * smoothstep(dx, -1.0, 0.2) * (1 - smoothstep(dx, 0.0, draws.uniform_map(1.0, 6.0)))
    lower = draws.chance_map(0.5) * bump(scene.below_mm, 0.4, draws.uniform_map(0.3, 1.2)) * scene.between_corners
    lower = lower * smoothstep(scene.along, 0.1, 0.5)
    return (1 - shadow) * (1 - liner * torch.maximum(torch.maximum(upper, wing), lower))


def _margins(draws: Draws, scene: Scene) -> Tensor:
    """The wet edge of the lower lid, and the dark roots of the lashes on both."""
    edge_mm = draws.uniform_map(0.3, 1.3)
    wet = draws.uniform_map(-0.2, 0.35) * bump(scene.below_mm, 0.5 * edge_mm, edge_mm) * scene.between_corners
    roots_mm = (draws.uniform(0.25, 1.4) * (1 + draws.chance(0.2) * draws.uniform(0.0, 1.5))).view(-1, 1, 1)
    along = scene.along
    # lashes grow denser outwards, where they also pass the corner
    weight = smoothstep(along, -0.02, 0.1) * (1 - smoothstep(along, 1.0, 1.12))
    weight = weight * (1 - draws.uniform_map(0.0, 0.7) * (1 - along.clamp(0, 1)))
    upper = draws.uniform_map(0.1, 0.95) * bump(scene.above_mm, 0.0, roots_mm) * weight
    weight = smoothstep(along, 0.1, 0.4) * (1 - smoothstep(along, 1.0, 1.1))
    lower = draws.uniform_map(0.0, 0.55) * bump(scene.below_mm, edge_mm, draws.uniform_map(0.2, 0.8)) * weight
    return (1 - wet) * (1 - upper) * (1 - lower)
