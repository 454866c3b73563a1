"""Random numbers of one batch, drawn in two calls and handed out in order.

Drawing everything ahead keeps the random generator out of the arithmetic: the renderer becomes a pure function of two
tensors, which ``torch.compile`` can fuse, and one seed always gives the same pictures.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

UNIFORM_COUNT = 320
"""Uniform numbers that one picture may take; handing out more raises."""


class Draws:
    """Hands out the random numbers of a batch of pictures.

    Methods that end in ``_map`` return ``[N, 1, 1]``, to be used with pictures; the others return ``[N]``.

    Args:
        uniform: float32 ``[N, U]``, uniform in 0..1.
        normal: float32 ``[N, K]``, standard normal.
    """

    def __init__(self, uniform: Tensor, normal: Tensor) -> None:
        self._uniform = uniform
        self._normal = normal
        self._next_uniform = 0
        self._next_normal = 0

    @property
    def batch(self) -> int:
        """Number of pictures."""
        return self._uniform.shape[0]

    @property
    def device(self) -> torch.device:
        """Where the numbers, and so the pictures, live."""
        return self._uniform.device

    def _take_normal(self, count: int) -> Tensor:
        start = self._next_normal
        self._next_normal += count
        if self._next_normal > self._normal.shape[1]:
            raise IndexError(f"{self._next_normal} normal numbers wanted, {self._normal.shape[1]} drawn")
        return self._normal[:, start : start + count]

    def uniform(self, low: float, high: float) -> Tensor:
        """Uniform numbers, ``[N]``."""
        column = self._next_uniform
        self._next_uniform += 1
        if self._next_uniform > self._uniform.shape[1]:
            raise IndexError(f"{self._next_uniform} uniform numbers wanted, {self._uniform.shape[1]} drawn")
        return self._uniform[:, column] * (high - low) + low

    def normal(self, mean: float, deviation: float) -> Tensor:
        """Normal numbers, ``[N]``."""
        return self._take_normal(1)[:, 0] * deviation + mean

    def chance(self, share: float | Tensor) -> Tensor:
        """1.0 for about ``share`` of the pictures, 0.0 for the others, ``[N]``."""
        return (self.uniform(0.0, 1.0) < share).float()

    def uniform_map(self, low: float, high: float) -> Tensor:
        """Uniform numbers, ``[N, 1, 1]``."""
        return self.uniform(low, high).view(-1, 1, 1)

    def normal_map(self, mean: float, deviation: float) -> Tensor:
        """Normal numbers, ``[N, 1, 1]``."""
        return self.normal(mean, deviation).view(-1, 1, 1)

    def chance_map(self, share: float | Tensor) -> Tensor:
        """1.0 for about ``share`` of the pictures, ``[N, 1, 1]``."""
        return self.chance(share).view(-1, 1, 1)

    def table(self, entries: int) -> Tensor:
        """A table of standard normal numbers, ``[N, entries]``."""
        return self._take_normal(entries)

    def noise(self, height: int, width: int) -> Tensor:
        """White noise, ``[N, height, width]``."""
        return self._take_normal(height * width).reshape(-1, height, width)

    def fractal(self, size: tuple[int, int], cells: Sequence[tuple[int, int]], falloff: float) -> Tensor:
        """Smooth noise of several scales.

        Args:
            size: height and width of the result in pixels.
            cells: rows and columns of random numbers of each scale, coarse first.
            falloff: amplitude of each scale as a fraction of the one before.

        Returns:
            ``[N, height, width]``; the coarsest scale has a standard deviation of about 1.
        """
        total = torch.zeros((self.batch, *size), device=self.device)
        amplitude = 1.0
        for rows, columns in cells:
            coarse = self.noise(rows, columns)[:, None]
            total = total + amplitude * F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)[:, 0]
            amplitude *= falloff
        return total


def draw_numbers(batch: int, normal_count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw everything that ``batch`` pictures need, on the generator's device.

    Returns:
        uniform ``[batch, UNIFORM_COUNT]`` and normal ``[batch, normal_count]``.
    """
    device = generator.device
    uniform = torch.rand(batch, UNIFORM_COUNT, device=device, generator=generator)
    normal = torch.randn(batch, normal_count, device=device, generator=generator)
    return uniform, normal


def smoothstep(value: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """0 at ``low``, 1 at ``high``, with flat ends; ``high`` may lie below ``low``."""
    t = ((value - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def bump(value: Tensor, centre: Tensor | float, width: Tensor | float) -> Tensor:
    """Gaussian bump of height 1."""
    return torch.exp(-(((value - centre) / width) ** 2))
