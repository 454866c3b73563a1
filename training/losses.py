"""The loss, and how its parts change during training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from training.network import Elg, target_heatmaps
from training.renderer import Difficulty, EyeBatch

_LIDS = 8
_IRIS_FRONT, _EYEBALL = 16, 17
_REFERENCE_WIDTH_PX = 60
"""Losses are measured in pixels of a crop this wide, so that one set of weights suits every input size."""


@dataclass(frozen=True)
class Schedule:
    """Everything that changes during training, as functions of the progress from 0 to 1.

    Attributes:
        peak_learning_rate: reached after ``warmup``.
        warmup: share of the training with a rising learning rate.
        refining: start from the difficulty and the weights of a training's end, to continue one.
        jitter: share of the crop's error that the training ends with, 0..1.
        degradation: share of bad pictures, and strength of blur and noise, that the training ends with, 0..1.
    """

    peak_learning_rate: float = 1.5e-3
    warmup: float = 0.03
    refining: bool = False
    jitter: float = 1.0
    degradation: float = 1.0

    def learning_rate(self, progress: float) -> float:
        """Linear warm-up, then a cosine down to 1 % of the peak."""
        if progress < self.warmup:
            return self.peak_learning_rate * (0.02 + 0.98 * progress / self.warmup)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - self.warmup) / (1 - self.warmup))))
        return self.peak_learning_rate * (0.01 + 0.99 * cosine)

    def difficulty(self, progress: float) -> Difficulty:
        """Head turns first, then jitter, then bad pictures: in this order what is learned reaches real eyes."""
        if self.refining:
            return Difficulty(jitter=self.jitter, degradation=self.degradation)
        return Difficulty(
            pose=_ramp(progress, 0.0, 0.25, 0.5),
            jitter=self.jitter * _ramp(progress, 0.1, 0.5, 0.3),
            degradation=self.degradation * _ramp(progress, 0.15, 0.6, 0.25),
        )

    def heatmap_sigma_px(self, progress: float) -> float:
        """Width of the target bumps in pixels of a 60-wide crop: wide bumps are found sooner, narrow ones better."""
        return 2.2 if self.refining else 3.2 - _ramp(progress, 0.0, 0.6, 0.0)

    def landmark_weight(self, progress: float) -> float:
        """Heatmaps lead at first; at the end the landmarks themselves count most."""
        return 0.3 if self.refining else _ramp(progress, 0.2, 0.8, 0.15) * 0.3


def _ramp(progress: float, start: float, end: float, floor: float) -> float:
    """From ``floor`` before ``start`` to 1 after ``end``."""
    return floor + (1 - floor) * min(1.0, max(0.0, (progress - start) / (end - start)))


class LossParts(NamedTuple):
    """0-dimensional tensors: the weighted sum, and its parts unweighted.

    Attributes:
        total: the minimised sum.
        heatmap: mean squared error of the heatmaps, summed over hourglasses.
        landmark: mean error of the landmarks (smooth L1), pixels of a 60-wide crop.
        radius: mean error of the radius (smooth L1), same unit.
        gaze: mean error of the gaze's x and y components (smooth L1).
    """

    total: Tensor
    heatmap: Tensor
    landmark: Tensor
    radius: Tensor
    gaze: Tensor


def network_input(image: Tensor) -> Tensor:
    """Pictures ``[N, H, W]`` of 0..255 to ``[N, 1, H, W]`` of -1..1."""
    return (image * (2 / 255) - 1)[:, None]


def measure_loss(network: Elg, batch: EyeBatch, sigma_px: Tensor, landmark_weight: Tensor) -> LossParts:
    """Loss of a batch.

    Args:
        network: in training mode.
        batch: pictures and labels.
        sigma_px: 0-dimensional, see :meth:`Schedule.heatmap_sigma_px`.
        landmark_weight: 0-dimensional, see :meth:`Schedule.landmark_weight`.
    """
    stack = [maps.float() for maps in network.heatmap_stack(network_input(batch.image))]
    landmarks = network.soft_argmax(stack[-1])
    radius = network.radius(landmarks.detach())[:, 0].float()

    unit_px = batch.image.shape[2] / _REFERENCE_WIDTH_PX
    height, width = stack[-1].shape[2:]
    to_heatmap = width / batch.image.shape[2]
    targets = target_heatmaps(batch.landmarks * to_heatmap, height, width, sigma_px * unit_px * to_heatmap)
    weight = _landmark_weights(batch)
    heatmap = torch.stack([(((maps - targets) ** 2).mean((2, 3)) * weight).mean() for maps in stack]).sum()
    distance = F.smooth_l1_loss(landmarks / unit_px, batch.landmarks / unit_px, beta=0.5, reduction="none")
    landmark = (distance.sum(-1) * weight).mean()
    radius_error = F.smooth_l1_loss(radius / unit_px, batch.radius / unit_px, beta=0.5)

    def direction(points: Tensor) -> Tensor:
        return (points[:, _IRIS_FRONT] - points[:, _EYEBALL]) / batch.radius[:, None]

    gaze = F.smooth_l1_loss(direction(landmarks), direction(batch.landmarks), beta=0.05)
    total = 30 * heatmap + landmark_weight * (landmark + 15 * gaze) + 0.05 * radius_error
    return LossParts(total, heatmap, landmark, radius_error, gaze)


def _landmark_weights(batch: EyeBatch) -> Tensor:
    """``[N, 18]``: where the lids are closed, iris and eyeball are guesses and count a fifth."""
    lids = torch.ones(len(batch), _LIDS, device=batch.image.device)
    others = (1 - 0.8 * batch.closed.float())[:, None].expand(-1, 18 - _LIDS)
    return torch.cat([lids, others], 1)
