"""ELG in NumPy, in TensorFlow's layout: a plain, slow float64 reference for the ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onepass.source.frameworks.gazeml._elg import BETA, Weights, scale_and_shift

Array = npt.NDArray[np.float64]


class NumpyLayers:
    """The layers of `elg` on arrays float64 [N, H, W, C] (pictures) or [N, C]."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def convolve(self, x: Array, scope: str, features: int, *, kernel: int = 1, stride: int = 1) -> Array:
        """See `Layers`."""
        filters = self._weights(f"{scope}/conv/kernel", (kernel, kernel, x.shape[3], features)).astype(np.float64)
        x = np.pad(x, ((0, 0), *(same_padding(side, kernel, stride) for side in x.shape[1:3]), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(1, 2))[:, ::stride, ::stride]
        product = np.tensordot(windows, filters, axes=([4, 5, 3], [0, 1, 2]))
        return np.asarray(product + self._weights(f"{scope}/conv/bias", (features,)))

    def normalise(self, x: Array, scope: str) -> Array:
        """See `Layers`."""
        scale, shift = scale_and_shift(self._weights, scope, x.shape[-1])
        return np.maximum(x * scale + shift, 0)

    def add(self, x: Array, y: Array) -> Array:
        """See `Layers`."""
        return x + y

    def halve(self, x: Array) -> Array:
        """See `Layers`."""
        count, height, width, channels = x.shape
        x = np.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), constant_values=-np.inf)
        pairs = x.reshape(count, (height + 1) // 2, 2, (width + 1) // 2, 2, channels)
        return np.asarray(pairs.max(axis=(2, 4)))

    def enlarge(self, x: Array, like: Array) -> Array:
        """See `Layers`."""
        rows, columns = (_interpolation(x.shape[axis], like.shape[axis]) for axis in (1, 2))
        return np.asarray(np.einsum("Hh,Ww,nhwc->nHWc", rows, columns, x, optimize=True))

    def soft_argmax(self, heatmaps: Array, stride: int) -> Array:
        """See `Layers`."""
        count, height, width, channels = heatmaps.shape
        maps = BETA * heatmaps.reshape(count, height * width, channels)
        weights = np.exp(maps - maps.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        return np.asarray(np.einsum("npk,pc->nkc", weights, pixel_centres((height, width), stride)))

    def flatten(self, landmarks: Array) -> Array:
        """See `Layers`."""
        return np.asarray(landmarks.transpose(0, 2, 1).reshape(len(landmarks), -1))

    def dense(self, x: Array, scope: str, units: int) -> Array:
        """See `Layers`."""
        matrix = self._weights(f"{scope}/fc/kernel", (x.shape[1], units)).astype(np.float64)
        return np.asarray(x @ matrix + self._weights(f"{scope}/fc/bias", (units,)))


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the pixels that TensorFlow's ``SAME`` padding adds before and after an axis; an odd one goes after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def pixel_centres(sides: tuple[int, ...], stride: int) -> npt.NDArray[np.float64]:
    """Return [H * W, 2]: x and y of the centre of every pixel of heatmaps [H, W], in crop pixels."""
    y, x = np.indices(sides).reshape(2, -1)
    return np.stack([x + 0.5, y + 0.5], axis=1) * stride


def _interpolation(size: int, larger: int) -> npt.NDArray[Any]:
    """Return the matrix [larger, size] that interpolates along one axis with aligned corners."""
    return np.stack([np.interp(np.linspace(0, size - 1, larger), np.arange(size), unit) for unit in np.eye(size)], 1)
