"""From scene brightness to the 8-bit crop that a program cuts from a camera picture.

Tone curve, lens blur, the picture's own coarse pixels, sensor noise, JPEG, interpolation to the crop, histogram
equalisation. The crop's pixels and the picture's differ: eyes are often only 20 to 60 picture pixels wide. Both the
area average down to picture pixels and the interpolation back are linear and separable, so each is one small matrix for
every picture of the batch, of one shape whatever the resolution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.renderer.draws import Draws
from training.renderer.placement import CROP_WIDTH_IN_CORNER_DISTANCES

_JPEG_BLOCK = 8
# the luminance table of the JPEG standard (ITU-T T.81, table K.1)
_JPEG_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


@dataclass(frozen=True)
class _Axis:
    """One axis of the resampling: ``to_picture`` ``[N, J, size]`` and ``to_crop`` ``[N, size, J]``."""

    to_picture: Tensor
    to_crop: Tensor


def photograph(draws: Draws, scene: Tensor, supersampling: int, degradation: Tensor) -> Tensor:
    """Photograph a supersampled scene and cut the crop out again.

    Args:
        draws: random numbers.
        scene: ``[N, height * s, width * s]``, brightness 0..1.
        supersampling: s, scene pixels for each crop pixel along each axis.
        degradation: 0-dimensional, 0..1: share of low-resolution and compressed pictures, strength of blur and noise.

    Returns:
        Whole numbers 0..255 as float32 ``[N, height, width]``, not yet equalised.
    """
    toned = scene.clamp(0, 1) ** torch.exp(draws.normal_map(0.0, 0.3))
    crop = F.avg_pool2d(toned[:, None], supersampling)[:, 0]
    height, width = crop.shape[1:]
    contrast = draws.uniform_map(0.3, 1.0)
    darkest, brightest = crop.amin((1, 2), keepdim=True), crop.amax((1, 2), keepdim=True)
    crop = (crop - darkest) / (brightest - darkest + 1e-3) * contrast + draws.uniform_map(0.0, 1.0) * (1 - contrast)

    pitch_px = _picture_pixel_px(draws, width, degradation)
    blur_px = _blur_px(draws, width, degradation)
    stretch = draws.uniform(0.8, 1.25)  # a little motion: unequal along the two axes
    cubic = draws.chance(0.5)
    rows = _axis(height, pitch_px, draws.uniform(0.0, _JPEG_BLOCK), blur_px * stretch, cubic)
    columns = _axis(width, pitch_px, draws.uniform(0.0, _JPEG_BLOCK), blur_px / stretch, cubic)
    picture = rows.to_picture @ crop @ columns.to_picture.transpose(1, 2)
    picture = _sharpen(draws, picture, degradation)
    noise = draws.noise(picture.shape[1], picture.shape[2]) * draws.uniform_map(0.0, 0.03)
    picture = (picture + noise * contrast * degradation).clamp(0, 1) * 255
    picture = _compress(draws, picture, degradation)
    crop = rows.to_crop @ picture.round().clamp(0, 255) @ columns.to_crop.transpose(1, 2)
    return crop.round().clamp(0, 255)


def normal_numbers_for(height: int, width: int) -> int:
    """Normal numbers that the camera takes for one crop."""
    return _nodes(height) * _nodes(width) + 64


def _nodes(size: int) -> int:
    """Picture pixels that cover ``size`` crop pixels at any block phase, in whole JPEG blocks."""
    return math.ceil(size / _JPEG_BLOCK) * _JPEG_BLOCK + _JPEG_BLOCK


def _picture_pixel_px(draws: Draws, width: int, degradation: Tensor) -> Tensor:
    """Size of a picture pixel in crop pixels, ``[N]``, at least 1, which many keep even at full degradation."""
    sharp_corner_distance_px = width / CROP_WIDTH_IN_CORNER_DISTANCES
    low, high = math.log(17.0), math.log(110.0)
    corner_distance_px = torch.exp(draws.uniform(low, high))
    pitch_px = (sharp_corner_distance_px / corner_distance_px).clamp(min=1.0)
    return torch.where(draws.chance(0.8 * degradation) > 0, pitch_px, torch.ones_like(pitch_px))


def _blur_px(draws: Draws, width: int, degradation: Tensor) -> Tensor:
    """Standard deviation of the lens blur in crop pixels, ``[N]``."""
    crop_px = width / 60
    mild, strong = draws.uniform(0.0, 0.8), draws.uniform(0.5, 2.0)
    return torch.where(draws.chance(0.2) > 0, strong, mild) * crop_px * degradation + 0.1


def _axis(size: int, pitch_px: Tensor, phase: Tensor, blur_px: Tensor, cubic: Tensor) -> _Axis:
    """Matrices from crop pixels to picture pixels and back along one axis.

    Args:
        size: crop pixels.
        pitch_px: ``[N]``, crop pixels for each picture pixel.
        phase: ``[N]``, picture pixels (0..8) that lie before the crop's edge; it also shifts the JPEG blocks.
        blur_px: ``[N]``, standard deviation of the blur before sampling.
        cubic: ``[N]``, 1 for cubic, 0 for linear interpolation back.
    """
    device, pitch = pitch_px.device, pitch_px.view(-1, 1, 1)
    centres = torch.arange(size, device=device) + 0.5
    nodes = (torch.arange(_nodes(size), device=device)[None] - phase[:, None] + 0.5) * pitch_px[:, None]

    # Nodes outside the crop repeat its edge.
    inside = torch.minimum(nodes.clamp(min=0)[..., None].maximum(pitch / 2), size - pitch / 2)
    overlap = (
        torch.minimum(centres + 0.5, inside + pitch / 2) - torch.maximum(centres - 0.5, inside - pitch / 2)
    ).clamp(min=0)
    area = overlap / overlap.sum(-1, keepdim=True)
    blur = torch.exp(-0.5 * ((centres[:, None] - centres[None]) / blur_px.view(-1, 1, 1)) ** 2)
    blur = blur / blur.sum(-1, keepdim=True)

    distance = ((centres[None, :, None] - nodes[:, None, :]) / pitch).abs()
    linear = (1 - distance).clamp(min=0)
    kernel = torch.where(cubic.view(-1, 1, 1) > 0, _cubic_kernel(distance), linear)
    return _Axis(area @ blur, kernel / kernel.sum(-1, keepdim=True))


def _cubic_kernel(distance: Tensor) -> Tensor:
    """Keys' interpolation kernel with a = -0.75, as OpenCV has it."""
    a = -0.75
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros_like(distance)))


def _sharpen(draws: Draws, picture: Tensor, degradation: Tensor) -> Tensor:
    """Unsharp masking, as cameras and picture editors apply it, with its halos."""
    padded = F.pad(picture[:, None], (1, 1, 1, 1), mode="replicate")
    blurred = F.avg_pool2d(padded, 3, stride=1)[:, 0]
    amount = draws.chance_map(0.3) * draws.uniform_map(0.2, 1.5) * degradation
    return picture + amount * (picture - blurred)


def _compress(draws: Draws, picture: Tensor, degradation: Tensor) -> Tensor:
    """JPEG's loss: quantised cosine transform of 8 x 8 blocks.

    Args:
        draws: random numbers.
        picture: 0..255, ``[N, h, w]``, h and w multiples of 8.
        degradation: share of compressed pictures is 0.55 times this.
    """
    device, block = picture.device, _JPEG_BLOCK
    cosines = _cosine_transform(device)
    table = torch.tensor(_JPEG_LUMINANCE, dtype=torch.float32, device=device)
    steps = (table * torch.exp(draws.uniform(math.log(0.06), math.log(1.5))).view(-1, 1, 1)).clamp(min=1)
    steps = steps[:, None, :, None, :]
    batch, height, width = picture.shape
    blocks = (picture - 128).view(batch, height // block, block, width // block, block)
    spectrum = torch.einsum("ui,naibj,vj->naubv", cosines, blocks, cosines)
    spectrum = (spectrum / steps).round() * steps
    blocks = torch.einsum("ui,naubv,vj->naibj", cosines, spectrum, cosines)
    return torch.where(draws.chance_map(0.55 * degradation) > 0, blocks.reshape(batch, height, width) + 128, picture)


def _cosine_transform(device: torch.device) -> Tensor:
    """Orthonormal 8-point DCT-II matrix."""
    k = torch.arange(_JPEG_BLOCK, device=device, dtype=torch.float32)
    matrix = torch.cos(math.pi / _JPEG_BLOCK * (k[None] + 0.5) * k[:, None]) * math.sqrt(2 / _JPEG_BLOCK)
    scale = torch.where(k[:, None] == 0, math.sqrt(0.5), 1.0)
    return matrix * scale


def equalise(picture: Tensor) -> Tensor:
    """Histogram equalisation, that of ``cv2.equalizeHist``, for every picture of a batch.

    Args:
        picture: whole numbers 0..255 in any dtype, ``[N, h, w]``.

    Returns:
        Whole numbers 0..255 as float32 ``[N, h, w]``.
    """
    batch = picture.shape[0]
    levels = picture.reshape(batch, -1).long().clamp(0, 255)
    ones = torch.ones(levels.shape, device=picture.device)
    histogram = torch.zeros(batch, 256, device=picture.device).scatter_add(1, levels, ones)
    total = levels.shape[1]
    cumulative = histogram.cumsum(1)
    first = (histogram > 0).int().argmax(1, keepdim=True)
    first_count = histogram.gather(1, first)
    scale = 255.0 / (total - first_count).clamp(min=1)
    table = ((cumulative - first_count) * scale).round().clamp(0, 255)
    # a picture of one level stays as it is
    table = torch.where(first_count == total, first.float(), table)
    return table.gather(1, levels).view(picture.shape)
