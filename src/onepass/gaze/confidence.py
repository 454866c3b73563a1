"""How far a landmark can be trusted: from the peak of its heatmap to a probability."""

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
"""How far from its place a landmark may lie to be right, in eye-corner distances (1.4 mm in adults)."""

VISIBLE_POINTS = 17
"""Landmarks that can be seen: all but the eyeball's centre."""

PACKAGED_SCALES = "confidence.json"


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceScale:
    """What the peaks of a network's heatmaps are worth.

    A network is trained towards bumps that peak at 1 and answers with lower ones where it hesitates, each landmark in
    its own way. The probability that a landmark lies within `TOLERANCE` of its place is a logistic function of its own
    peak and of the mean of all 17 peaks, which tells eyes from other things (Platt scaling with a second input).

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
        """Return the scale that a model was calibrated with; None where it was not.

        A model is known by its content: packaged weights wherever they lie, and engines that were built of them, by
        their sidecar. Weights that were trained anew are others.
        """
        plan = read_sidecar(path)
        return _packaged().get(sha256_of(path) if plan is None else plan.onnx_sha256 or "")


@cache
def _packaged() -> dict[str, ConfidenceScale]:
    """Read what ``training/calibrate_confidence.py`` wrote, by the digest of each network."""
    path = Path(__file__).parent / "data" / PACKAGED_SCALES
    networks = json.loads(path.read_text(encoding="utf-8"))["networks"]
    return {entry["sha256"]: ConfidenceScale(np.array(entry["weights"])) for entry in networks}
