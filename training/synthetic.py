"""Errors on held-out rendered eyes, the only eyes whose true gaze is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from onepass.gaze.geometry import gaze_angles
from training.losses import network_input
from training.renderer import Difficulty, EyeBatch, Renderer

HELD_OUT_SEED = 1_000_003
"""Seed of the measured pictures; training refuses it."""

Array = NDArray[np.float32]
Predictor = Callable[[Array], tuple[Array, Array]]
"""Network input ``[N, 1, H, W]`` to landmarks ``[N, 18, 2]`` and radius ``[N]``, both in input pixels."""

_FULL = Difficulty()
_GROUPS = {"lid": slice(0, 8), "iris": slice(8, 16), "front": slice(16, 17), "eyeball": slice(17, 18)}


@dataclass(frozen=True)
class SyntheticErrors:
    """Errors on open rendered eyes.

    Attributes:
        eyes: how many were measured.
        lid_px: mean distance of the 8 lid landmarks, input pixels.
        iris_px: likewise, 8 landmarks of the iris edge.
        front_px: likewise, point where the gaze leaves the eyeball.
        eyeball_px: likewise, centre of the eyeball.
        radius_px: mean absolute error of the eyeball's radius.
        gaze_median_deg: median angle between the gaze from landmarks and the true gaze.
        gaze_mean_deg: mean of the same.
        gain_yaw: slope of the found against the true yaw; 1 is right, less is timid.
        gain_pitch: likewise for the pitch.
    """

    eyes: int
    lid_px: float
    iris_px: float
    front_px: float
    eyeball_px: float
    radius_px: float
    gaze_median_deg: float
    gaze_mean_deg: float
    gain_yaw: float
    gain_pitch: float


def gaze_from_landmarks(landmarks: Array, radius: Array) -> Array:
    """Pitch and yaw in radians, ``[N, 2]``, from landmarks ``[N, 18, 2]`` and radius ``[N]`` in pixels."""
    return np.stack(gaze_angles(landmarks[:, 16], landmarks[:, 17], radius), -1).astype(np.float32)


def angle_between_deg(first: Array, second: Array) -> Array:
    """Angle in degrees between two gazes ``[N, 2]`` (pitch, yaw in radians), ``[N]``."""
    cosine = np.sin(first[:, 0]) * np.sin(second[:, 0])
    cosine = cosine + np.cos(first[:, 0]) * np.cos(second[:, 0]) * np.cos(first[:, 1] - second[:, 1])
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))), np.float32)


def measure_synthetic(
    predict: Predictor,
    renderer: Renderer,
    *,
    eyes: int = 2048,
    batch: int = 256,
    device: str = "cpu",
    difficulty: Difficulty = _FULL,
) -> SyntheticErrors:
    """Render held-out eyes and measure a network on them.

    Args:
        predict: the network.
        renderer: renders the network's input size.
        eyes: how many to render, rounded down to whole batches.
        batch: how many at a time; the seed's pictures depend on it.
        device: where to render.
        difficulty: of the eyes; full by default.
    """
    generator = torch.Generator(device).manual_seed(HELD_OUT_SEED)
    landmarks, radius, truth = [], [], []
    for _ in range(max(1, eyes // batch)):
        rendered = renderer(batch, generator, difficulty)
        found_landmarks, found_radius = predict(network_input(rendered.image).cpu().numpy())
        landmarks.append(found_landmarks)
        radius.append(found_radius)
        truth.append(rendered)
    return _summarise(np.concatenate(landmarks), np.concatenate(radius), truth)


def _summarise(landmarks: Array, radius: Array, truth: list[EyeBatch]) -> SyntheticErrors:
    is_open = ~torch.cat([batch.closed for batch in truth]).cpu().numpy()
    true_landmarks = torch.cat([batch.landmarks for batch in truth]).cpu().numpy()[is_open]
    true_radius = torch.cat([batch.radius for batch in truth]).cpu().numpy()[is_open]
    true_gaze = torch.cat([batch.gaze for batch in truth]).cpu().numpy()[is_open]
    landmarks, radius = landmarks[is_open], radius[is_open]
    distance = np.linalg.norm(landmarks - true_landmarks, axis=-1)
    gaze = gaze_from_landmarks(landmarks, radius)
    angle = angle_between_deg(gaze, true_gaze)
    groups = {name: float(distance[:, rows].mean()) for name, rows in _GROUPS.items()}
    return SyntheticErrors(
        eyes=len(angle),
        lid_px=groups["lid"],
        iris_px=groups["iris"],
        front_px=groups["front"],
        eyeball_px=groups["eyeball"],
        radius_px=float(np.abs(radius - true_radius).mean()),
        gaze_median_deg=float(np.median(angle)),
        gaze_mean_deg=float(angle.mean()),
        gain_yaw=_slope(true_gaze[:, 1], gaze[:, 1]),
        gain_pitch=_slope(true_gaze[:, 0], gaze[:, 0]),
    )


def _slope(true: Array, found: Array) -> float:
    """Least-squares slope of ``found`` against ``true``."""
    centred = true - true.mean()
    return float((centred * (found - found.mean())).sum() / (centred**2).sum())
