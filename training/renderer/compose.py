"""Pictures of eyes with their labels: the renderer's only entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from training.renderer.anatomy import draw_anatomy
from training.renderer.camera import equalise, normal_numbers_for, photograph
from training.renderer.draws import Draws, draw_numbers
from training.renderer.eye import shade_eye
from training.renderer.overlays import add_glasses, add_hair, add_lashes, add_light
from training.renderer.placement import gaze_in_crop_rad, landmarks_px, place_crop
from training.renderer.scene import build_scene
from training.renderer.skin import shade_skin

_SHADING_NORMALS = 16_384
"""Normal numbers that anatomy, shading and overlays may take for one picture."""


@dataclass(frozen=True)
class EyeBatch:
    """Crops of eyes with exact labels.

    Attributes:
        image: float32 ``[N, H, W]``, whole numbers 0..255; histogram-equalised unless switched off.
        landmarks: float32 ``[N, 18, 2]``, x and y in pixels, pixel centres at x.5.
        radius: float32 ``[N]``, of the eyeball, pixels.
        gaze: float32 ``[N, 2]``, pitch (up positive) and yaw (to the crop's right positive) in the crop, radians.
        closed: bool ``[N]``.
    """

    image: Tensor
    landmarks: Tensor
    radius: Tensor
    gaze: Tensor
    closed: Tensor

    def __len__(self) -> int:
        return self.image.shape[0]

    def __getitem__(self, rows: slice) -> EyeBatch:
        return EyeBatch(self.image[rows], self.landmarks[rows], self.radius[rows], self.gaze[rows], self.closed[rows])


@dataclass(frozen=True)
class Difficulty:
    """How hard the pictures are, each 0..1.

    Attributes:
        pose: share of the full spread of head turns.
        jitter: share of the full error of the crop's place, scale and roll.
        degradation: share of low-resolution and compressed pictures; strength of blur and noise.
    """

    pose: float = 1.0
    jitter: float = 1.0
    degradation: float = 1.0


@dataclass(frozen=True)
class RenderOptions:
    """What does not change during a training run.

    Attributes:
        supersampling: scene pixels for each crop pixel along each axis.
        glasses_share: share of eyes behind glasses.
        closed_share: share of closed eyes.
        equalised: equalise the histogram, as the network expects.
    """

    supersampling: int = 2
    glasses_share: float = 0.2
    closed_share: float = 0.05
    equalised: bool = True


class Renderer(Protocol):
    """A function that renders a batch; see :func:`render`."""

    def __call__(self, batch: int, generator: torch.Generator, difficulty: Difficulty = ...) -> EyeBatch:
        """Render ``batch`` eyes."""
        ...


_Pictures = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def render(
    batch: int,
    height: int,
    width: int,
    *,
    generator: torch.Generator,
    difficulty: Difficulty = Difficulty(),
    options: RenderOptions = RenderOptions(),
) -> EyeBatch:
    """Render eyes on the generator's device.

    The same seed, device and arguments give the same pictures.

    Args:
        batch: number of pictures.
        height: pixels.
        width: pixels; the eye corners are 1 / 1.5 of it apart.
        generator: source of every random number.
        difficulty: how hard the pictures are.
        options: what to draw.
    """
    return make_renderer(height, width, options=options)(batch, generator, difficulty)


def make_renderer(
    height: int, width: int, *, options: RenderOptions = RenderOptions(), compiled: bool = False
) -> Renderer:
    """Prepare a renderer for one size.

    Args:
        height: pixels.
        width: pixels.
        options: what to draw.
        compiled: fuse the arithmetic with ``torch.compile``; the first batch of each size is then slow.
    """
    normal_count = _SHADING_NORMALS + normal_numbers_for(height, width)

    def pictures(uniform: Tensor, normal: Tensor, difficulty: Tensor) -> _Pictures:
        return _render_pictures(uniform, normal, difficulty, height, width, options)

    run: Callable[[Tensor, Tensor, Tensor], _Pictures] = pictures
    if compiled:
        run = torch.compile(pictures, dynamic=False)

    def call(batch: int, generator: torch.Generator, difficulty: Difficulty = Difficulty()) -> EyeBatch:
        uniform, normal = draw_numbers(batch, normal_count, generator)
        # a tensor, so that a compiled renderer does not compile again whenever the difficulty moves
        levels = torch.tensor([difficulty.pose, difficulty.jitter, difficulty.degradation], device=generator.device)
        with torch.no_grad():
            image, landmarks, radius, gaze, closed = run(uniform, normal, levels)
            return EyeBatch(equalise(image) if options.equalised else image, landmarks, radius, gaze, closed > 0)

    return call


def _render_pictures(
    uniform: Tensor, normal: Tensor, difficulty: Tensor, height: int, width: int, options: RenderOptions
) -> _Pictures:
    """Everything but the equalisation, as a pure function of the random numbers."""
    draws = Draws(uniform, normal)
    pose, jitter, degradation = difficulty.unbind(0)
    anatomy = draw_anatomy(draws, pose, options.closed_share)
    crop = place_crop(draws, anatomy, height, width, jitter)
    scene = build_scene(draws, anatomy, crop, options.supersampling)
    picture = shade_skin(draws, scene) * (1 - scene.open) + shade_eye(draws, scene) * scene.open
    picture = add_lashes(draws, scene, picture)
    picture = add_glasses(draws, scene, picture, options.glasses_share)
    picture = add_hair(draws, scene, add_light(draws, scene, picture))
    image = photograph(draws, picture, options.supersampling, degradation)
    radius_px = anatomy.eyeball_radius_mm * crop.px_per_mm
    return image, landmarks_px(anatomy, crop), radius_px, gaze_in_crop_rad(anatomy, crop), anatomy.closed
