"""Shading of what shows between the lids: white, iris, pupil, corner, shadows and reflections."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from training.renderer.draws import Draws, smoothstep
from training.renderer.scene import Scene

_VEIN_CELLS = ((3, 5), (6, 10), (12, 20), (24, 40))
_IRIS_WAVES = 4
_GLINT_SHARES = (0.75, 0.4, 0.25)


def shade_eye(draws: Draws, scene: Scene) -> Tensor:
    """Brightness 0..1 of the eyeball at every pixel, ``[N, h, w]``; mask it with ``scene.open``."""
    light_share, ambient = _lambert(scene), draws.uniform_map(0.4, 0.85)
    texture = draws.fractal(scene.size, _VEIN_CELLS, 0.6)
    # bright in most eyes, as dark as skin in a third of them
    bright, dark = draws.uniform(0.5, 0.98), draws.uniform(0.2, 0.55)
    albedo = torch.where(draws.chance(0.3) > 0, dark, bright).view(-1, 1, 1)
    white = albedo * _shade_white(draws, scene, ambient + (1 - ambient) * light_share, texture)
    brightness = _add_iris(draws, scene, white, albedo, light_share)
    corner_width = draws.uniform_map(0.05, 0.17)
    corner_share = 1 - smoothstep(scene.along, corner_width * 0.5, corner_width * 1.4)
    caruncle = draws.uniform_map(0.25, 0.8) * (1 + 0.08 * texture)
    brightness = brightness * (1 - corner_share) + caruncle * corner_share
    brightness = brightness * _lid_shadow(draws, scene)
    return _add_reflections(draws, scene, brightness).clamp(0, 1)


def _lambert(scene: Scene) -> Tensor:
    """Cosine between the eyeball's surface and the light, clipped at 0."""
    radius = scene.anatomy.eyeball_radius_mm.view(-1, 1, 1)
    z_mm = (radius**2 - scene.x_mm**2 - scene.y_mm**2).clamp(min=1e-3).sqrt()
    light = scene.light[:, :, None, None]
    return ((scene.x_mm * light[:, 0] + scene.y_mm * light[:, 1] + z_mm * light[:, 2]) / radius).clamp(0, 1)


def _shade_white(draws: Draws, scene: Scene, lighting: Tensor, texture: Tensor) -> Tensor:
    """The sclera's brightness for an albedo of 1: veined, redder and darker towards the corners."""
    white = lighting * (1 + draws.uniform_map(0.0, 0.08) * texture)
    towards_corner = ((scene.along - 0.5).abs() * 2).clamp(0, 1)
    return white * (1 - draws.uniform_map(0.0, 0.7) * towards_corner ** draws.uniform_map(1.5, 4.0))


def _iris_coordinates(scene: Scene) -> tuple[Tensor, Tensor]:
    """Polar coordinates on the iris plane: radius (1 at the edge) and angle in radians, each ``[N, h, w]``."""
    anatomy = scene.anatomy
    depth = anatomy.iris_depth_mm
    gaze_x, gaze_y, gaze_z = anatomy.gaze[:, 0], anatomy.gaze[:, 1], anatomy.gaze[:, 2].clamp(min=0.25)

    def as_map(value: Tensor) -> Tensor:
        return value.view(-1, 1, 1)

    # where the line of sight through a pixel meets the plane of the iris
    plane_z = (as_map(depth) - scene.x_mm * as_map(gaze_x) - scene.y_mm * as_map(gaze_y)) / as_map(gaze_z)
    dx, dy = scene.x_mm - as_map(depth * gaze_x), scene.y_mm - as_map(depth * gaze_y)
    dz = plane_z - as_map(depth * gaze_z)
    right, down = anatomy.iris_axes()
    along_right = dx * as_map(right[:, 0]) + dy * as_map(right[:, 1]) + dz * as_map(right[:, 2])
    along_down = dx * as_map(down[:, 0]) + dy * as_map(down[:, 1]) + dz * as_map(down[:, 2])
    radius = (dx * dx + dy * dy + dz * dz + 1e-8).sqrt() / as_map(anatomy.iris_radius_mm)
    return radius, torch.atan2(along_down, along_right)


def _add_iris(draws: Draws, scene: Scene, white: Tensor, white_albedo: Tensor, light_share: Tensor) -> Tensor:
    """Iris with fibres, dark limbal ring and pupil, over the white."""
    radius, angle = _iris_coordinates(scene)
    # an iris is darker than its white, whatever the light: without this rule some would be invisible
    any_shade, dark_shade = draws.uniform(0.08, 0.8), draws.uniform(0.04, 0.3)
    shade = white_albedo * torch.where(draws.chance(0.45) > 0, dark_shade, any_shade).view(-1, 1, 1)
    fibres = torch.zeros_like(radius)
    for _ in range(_IRIS_WAVES):
        waves = draws.uniform_map(5.0, 40.0).round()
        phase = draws.uniform_map(0.0, 2 * math.pi) + radius * draws.uniform_map(-6.0, 6.0)
        fibres = fibres + torch.sin(angle * waves + phase) * draws.uniform_map(0.0, 0.5)
    iris = shade * (1 + draws.uniform_map(0.0, 0.25) * fibres + draws.uniform_map(-0.5, 0.6) * (radius - 0.6))
    iris = iris * (1 - draws.uniform_map(0.0, 0.8) * smoothstep(radius, draws.uniform_map(0.6, 0.85), 1.0))
    pupil_radius, pupil_softness = draws.uniform_map(0.2, 0.62), draws.uniform_map(0.02, 0.08)
    pupil = torch.sigmoid((pupil_radius - radius) / pupil_softness)
    iris = iris * (1 - pupil) + draws.uniform_map(0.0, 0.06) * pupil
    iris = iris.clamp(0, 1) * (0.75 + 0.25 * light_share)
    edge = torch.sigmoid((1 - radius) / draws.uniform_map(0.015, 0.08))
    edge = edge * (scene.anatomy.gaze[:, 2].view(-1, 1, 1) > 0.1)
    return white * (1 - edge) + iris * edge


def _lid_shadow(draws: Draws, scene: Scene) -> Tensor:
    """What the lids and lashes keep from the eye: a wide dark band under the upper lid, a thin one above the lower."""
    upper = draws.uniform_map(0.1, 0.75) * torch.exp(-(-scene.above_mm / draws.uniform_map(0.6, 3.5)).clamp(min=0))
    lower = draws.uniform_map(0.0, 0.35) * torch.exp(-(-scene.below_mm / draws.uniform_map(0.4, 1.5)).clamp(min=0))
    return (1 - upper - lower).clamp(0.08, 1)


def _add_reflections(draws: Draws, scene: Scene, brightness: Tensor) -> Tensor:
    """Small round or square glints around the pupil, and now and then a window or the sky over half of the iris."""
    anatomy = scene.anatomy
    iris_x, iris_y = (anatomy.iris_depth_mm[:, None] * anatomy.gaze[:, :2]).unbind(-1)
    for share in _GLINT_SHARES:
        centre_x = (iris_x + draws.uniform(-0.75, 0.75) * anatomy.iris_radius_mm).view(-1, 1, 1)
        centre_y = (iris_y + draws.uniform(-0.85, 0.6) * anatomy.iris_radius_mm).view(-1, 1, 1)
        size_mm = draws.uniform_map(0.25, 1.3)
        dx = (scene.x_mm - centre_x) / size_mm
        dy = (scene.y_mm - centre_y) / (size_mm * draws.uniform_map(0.5, 1.8))
        square = draws.chance_map(0.35)
        distance = (1 - square) * (dx * dx + dy * dy) + square * torch.maximum(dx.abs(), dy.abs()) ** 4
        strength = draws.chance_map(share) * draws.uniform_map(0.25, 1.0)
        brightness = brightness + strength * torch.exp(-distance)
    horizon = draws.normal_map(-1.0, 3.0) - scene.y_mm + draws.normal_map(0.0, 0.4) * scene.x_mm
    sky = draws.chance_map(0.15) * draws.uniform_map(0.03, 0.3)
    return brightness + sky * torch.sigmoid(horizon / draws.uniform_map(0.2, 2.0))
