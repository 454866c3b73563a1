"""The weights of an engine: each belongs to a layer of its network and has a role there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from onepass.engine.flavor import Flavor

# Layer type to its class, and each role to the attribute with its weights.
_LAYERS = {
    "CONVOLUTION": ("IConvolutionLayer", {"KERNEL": "kernel", "BIAS": "bias"}),
    "DECONVOLUTION": ("IDeconvolutionLayer", {"KERNEL": "kernel", "BIAS": "bias"}),
    "FULLY_CONNECTED": ("IFullyConnectedLayer", {"KERNEL": "kernel", "BIAS": "bias"}),
    "SCALE": ("IScaleLayer", {"SHIFT": "shift", "SCALE": "scale"}),
    "CONSTANT": ("IConstantLayer", {"CONSTANT": "weights"}),
}


class Place(NamedTuple):
    """The place of weights in an engine: layer name and role, such as ``"KERNEL"``."""

    layer: str
    role: str

    def __str__(self) -> str:
        return f"{self.role.lower()} of {self.layer!r}"


def weights_of(flavor: Flavor, network: Any) -> Iterator[tuple[Place, np.ndarray[Any, Any]]]:
    """Yield all weights of a network's layers with their places; the arrays are views of the network's memory."""
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        kind, roles = _LAYERS.get(layer.type.name, ("", {}))
        if not kind:
            continue
        name = layer.name
        layer.__class__ = getattr(flavor.module, kind)  # the binding returns the base class
        for role, attribute in roles.items():
            values = np.asarray(getattr(layer, attribute))
            if values.size:
                yield Place(name, role), values


def weight_sizes(flavor: Flavor, network: Any) -> dict[str, dict[str, int]]:
    """Return the number of elements of each weight of a network: by layer, then by role."""
    sizes: dict[str, dict[str, int]] = {}
    for place, values in weights_of(flavor, network):
        sizes.setdefault(place.layer, {})[place.role] = int(values.size)
    return sizes
