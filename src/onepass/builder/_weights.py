"""Where the weights of an engine lie: in layers of the network that it was built from, each in a role."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from onepass.engine.flavor import Flavor

# Kind of a layer: its class, and the attributes that hold the weights of each role.
_LAYERS = {
    "CONVOLUTION": ("IConvolutionLayer", {"KERNEL": "kernel", "BIAS": "bias"}),
    "DECONVOLUTION": ("IDeconvolutionLayer", {"KERNEL": "kernel", "BIAS": "bias"}),
    "FULLY_CONNECTED": ("IFullyConnectedLayer", {"KERNEL": "kernel", "BIAS": "bias"}),
    "SCALE": ("IScaleLayer", {"SHIFT": "shift", "SCALE": "scale"}),
    "CONSTANT": ("IConstantLayer", {"CONSTANT": "weights"}),
}


class Place(NamedTuple):
    """Where weights are in an engine: the name of a layer, and their role in it, ``"KERNEL"``."""

    layer: str
    role: str

    def __str__(self) -> str:
        return f"{self.role.lower()} of {self.layer!r}"


def weights_of(flavor: Flavor, network: Any) -> Iterator[tuple[Place, np.ndarray[Any, Any]]]:
    """Yield every weight that the layers of a network hold, by its place; they lie in the network's own memory."""
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        kind, roles = _LAYERS.get(layer.type.name, ("", {}))
        if not kind:
            continue
        name = layer.name
        layer.__class__ = getattr(flavor.module, kind)  # the binding gives a layer's base; TensorRT's samples do so too
        for role, attribute in roles.items():
            values = np.asarray(getattr(layer, attribute))
            if values.size:
                yield Place(name, role), values


def weight_sizes(flavor: Flavor, network: Any) -> dict[str, dict[str, int]]:
    """Return how many numbers each weight of a network has: by its layer, then by its role."""
    sizes: dict[str, dict[str, int]] = {}
    for place, values in weights_of(flavor, network):
        sizes.setdefault(place.layer, {})[place.role] = int(values.size)
    return sizes
