"""GazeML's ELG network, described once: its layers, their connections, and the names of their weights.

Two classes implement the layers: `OnnxLayers` writes the ONNX graph, and `NumpyLayers` computes the same in float64 to
check the graph. The network is from Park, Zhang, Bulling and Hilliges, "Learning to find eye region landmarks for
remote gaze estimation in unconstrained settings" (ETRA 2018), as built by https://github.com/swook/GazeML: stacked
hourglasses with pre-activated residual blocks, a soft-argmax over the heatmaps, and a small dense head for the radius.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from onepass._errors import ModelFormatError

LANDMARK_COUNT = 18
DEPTH = 4
BETA = 100.0
"""Sharpness of the soft-argmax."""
NORMALISATION_EPSILON = 1e-3
"""Added to the variance; the default of ``tf.contrib.layers.batch_norm``."""
_DENSE_UNITS = 100
_NAME = re.compile(r"ELG_i(\d+)x(\d+)_f(\d+)x(\d+)_n(\d+)_m(\d+)")

Weights = Callable[[str, "tuple[int, ...]"], npt.NDArray[Any]]
"""Returns the variable of a name and a shape."""
T = TypeVar("T")


@dataclass(frozen=True)
class ElgSize:
    """The sizes that define an ELG network.

    Attributes:
        width_px: Width of an eye crop.
        height_px: Height of an eye crop.
        stride: Stride of the first convolution: crop pixels per heatmap pixel.
        features: Channels of the hourglasses.
        modules: Number of stacked hourglasses.
    """

    width_px: int
    height_px: int
    stride: int
    features: int
    modules: int

    @classmethod
    def from_folder_name(cls, folder: Path) -> ElgSize:
        """Read the sizes from a name such as ``ELG_i60x36_f60x36_n32_m2``.

        Raises:
            ModelFormatError: The folder has another name, or its sizes contradict each other.
        """
        name = folder.resolve().name
        found = _NAME.fullmatch(name)
        if found is None:
            raise ModelFormatError(
                f"{folder} does not have the name of a GazeML weights folder: ELG_i<width>x<height>_f<width>x<height>"
                "_n<features>_m<modules>, such as ELG_i60x36_f60x36_n32_m2. The name defines the network; restore the "
                "folder's original name"
            )
        width, height, map_width, map_height, features, modules = map(int, found.groups())
        stride = round(width / map_width) if map_width else 0
        if not stride or (width // stride, height // stride) != (map_width, map_height) or not features or not modules:
            raise ModelFormatError(
                f"{folder}: GazeML has no network with eyes of {width} x {height} pixels, heatmaps of {map_width} x "
                f"{map_height}, {features} features and {modules} modules; check the folder's name"
            )
        return cls(width, height, stride, features, modules)


class Layers(Protocol[T]):
    """The network's layers. ``scope`` is the layer's prefix of the variables' names."""

    def convolve(self, x: T, scope: str, features: int, *, kernel: int = 1, stride: int = 1) -> T:
        """Convolve with ``SAME`` padding, and add a bias."""

    def normalise(self, x: T, scope: str) -> T:
        """Normalise by the stored means and variances, scale, shift; then ReLU."""

    def add(self, x: T, y: T) -> T:
        """Add two tensors of one shape."""

    def halve(self, x: T) -> T:
        """Take the maximum of 2 x 2 pixels, rounding sizes up."""

    def enlarge(self, x: T, like: T) -> T:
        """Interpolate bilinearly to the size of `like`, corners on corners."""

    def soft_argmax(self, heatmaps: T, stride: int) -> T:
        """Return [N, 18, 2]: mean x and y of each map in crop pixels, weighted by ``softmax(100 * map)``."""

    def flatten(self, landmarks: T) -> T:
        """Return [N, 36]: all x, then all y."""

    def dense(self, x: T, scope: str, units: int) -> T:
        """Multiply by a matrix, and add a bias."""


def elg(layers: Layers[T], eye: T, size: ElgSize) -> dict[str, T]:
    """Apply the network to `eye`; return heatmaps, landmarks and radius by name, in this order."""
    n = size.features
    x = layers.convolve(eye, "hourglass/pre", n, kernel=7, stride=size.stride)
    x = layers.normalise(x, "hourglass/pre")
    x = _residual(layers, x, "hourglass/pre/res1", n, 2 * n)
    x = before = _residual(layers, x, "hourglass/pre/res2", 2 * n, n)
    for module in range(1, size.modules + 1):
        scope = f"hourglass/hg_{module}"
        x = _hourglass(layers, before, scope, n)
        x = _residual(layers, x, f"{scope}/after/after_hg_1", n, n)
        x = layers.normalise(layers.convolve(x, f"{scope}/after", n), f"{scope}/after")
        heatmaps = layers.convolve(x, f"{scope}/after/hmap", LANDMARK_COUNT)
        if module < size.modules:
            merged = layers.convolve(heatmaps, f"{scope}/merge/h", n)
            before = layers.add(x, layers.add(before, merged))
    landmarks = layers.soft_argmax(heatmaps, size.stride)
    x = layers.flatten(landmarks)
    for number in (1, 2, 3):
        scope = f"radius/fc{number}"
        x = layers.normalise(layers.dense(x, scope, _DENSE_UNITS), scope)
    return {"heatmaps": heatmaps, "landmarks": landmarks, "radius": layers.dense(x, "radius/out", 1)}


def unused_variables(size: ElgSize) -> frozenset[str]:
    """Return the names of variables that GazeML saves, but whose layers are unused."""
    scopes = (f"hourglass/hg_{module}/merge/x/conv" for module in range(1, size.modules))
    return frozenset(f"{scope}/{name}" for scope in scopes for name in ("kernel", "bias"))


def scale_and_shift(
    weights: Weights, scope: str, channels: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the scale and shift per channel that are equivalent to a batch normalisation.

    They are computed in float64, because the trained variances reach 440,735; the results even fit float16.
    """
    gamma, beta, mean, variance = (
        weights(f"{scope}/BatchNorm/{name}", (channels,)).astype(np.float64)
        for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + NORMALISATION_EPSILON)
    return scale, beta - mean * scale


def _residual(layers: Layers[T], x: T, scope: str, features_in: int, features: int) -> T:
    half = max(features // 2, 1)
    y = x
    for number, kernel, width in ((1, 1, half), (2, 3, half), (3, 1, features)):
        y = layers.normalise(y, f"{scope}/conv{number}")
        y = layers.convolve(y, f"{scope}/conv{number}", width, kernel=kernel)
    skip = x if features_in == features else layers.convolve(x, f"{scope}/skip", features)
    return layers.add(y, skip)


def _hourglass(layers: Layers[T], x: T, outer: str, features: int, depth: int = 1) -> T:
    scope = f"{outer}/depth{depth}"
    upper = _residual(layers, x, f"{scope}/up1_1", features, features)
    lower = _residual(layers, layers.halve(x), f"{scope}/low1_1", features, features)
    if depth < DEPTH:
        lower = _hourglass(layers, lower, scope, features, depth + 1)
    else:
        lower = _residual(layers, lower, f"{scope}/low2_1", features, features)
    lower = _residual(layers, lower, f"{scope}/low3_1", features, features)
    return layers.add(upper, layers.enlarge(lower, upper))
