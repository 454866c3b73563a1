"""Landmark confidence: map heatmap peaks to probabilities."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError
from onepass.artifacts import sha256_of
from onepass.engine import read_sidecar
from onepass.gaze.geometry import FloatArray

TOLERANCE = 0.05
"""Maximum error of a correct landmark, relative to the distance between the eye corners (1.4 mm in adults)."""

VISIBLE_POINTS = 17
"""Number of visible landmarks: all except the eyeball's centre."""

PACKAGED_SCALES = "confidence.json"


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceScale:
    """Maps a network's heatmap peaks to probabilities.

    The network is trained towards bumps with a peak of 1, and returns lower peaks when it is uncertain, differently for
    each landmark. The probability that a landmark is within `TOLERANCE` of its true position is a logistic function of
    its own peak and of the mean of all 17 peaks, which separates eyes from other objects (Platt scaling with a second
    input).

    Attributes:
        weights: float64 [17, 3]: a constant, the weight of the landmark's peak and the weight of the mean peak.
    """

    weights: FloatArray

    def __post_init__(self) -> None:
        array = np.array(self.weights, np.float64)
        if array.shape != (VISIBLE_POINTS, 3) or not np.isfinite(array).all():
            raise InputError(f"weights must be finite numbers [{VISIBLE_POINTS}, 3], got {array.tolist()}")
        array.flags.writeable = False
        object.__setattr__(self, "weights", array)

    def __call__(self, peaks: npt.NDArray[Any]) -> FloatArray:
        """Return the probability of each landmark, float64 [N, 17], from the peaks of its heatmaps, [N, 17]."""
        own = np.asarray(peaks, np.float64)
        constant, weight, mean_weight = self.weights.T
        logits = constant + weight * own + mean_weight * own.mean(axis=1, keepdims=True)
        probabilities: FloatArray = 1 / (1 + np.exp(np.minimum(-logits, 50.0)))
        return probabilities

    @classmethod
    def of_model(cls, path: str | os.PathLike[str]) -> ConfidenceScale | None:
        """Return a model's confidence scale; None if the model was not calibrated.

        Models are identified by content: bundled weights at any path, and engines built from them, by their sidecar.
        Retrained weights have no scale.
        """
        plan = read_sidecar(path)
        return _packaged().get(sha256_of(path) if plan is None else plan.onnx_sha256 or "")


@cache
def _packaged() -> dict[str, ConfidenceScale]:
    """Read the scales that ``training/calibrate_confidence.py`` wrote, by the digest of each network."""
    path = Path(__file__).parent / "data" / PACKAGED_SCALES
    networks = json.loads(path.read_text(encoding="utf-8"))["networks"]
    return {entry["sha256"]: ConfidenceScale(np.array(entry["weights"])) for entry in networks}
