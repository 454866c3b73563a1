"""Keep layers in float32, for TensorRT versions that choose precisions themselves (up to version 10).

With the float16 flag set, these versions may compute any layer in float16, including a softmax or a sum of coordinates.
The layers of the graph's nodes are found by name and get a precision; OBEY_PRECISION_CONSTRAINTS makes it binding.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from onepass.engine.flavor import Flavor

_METADATA = re.compile(r"\[ONNX Layer: (.*?)\]")
# Layers without floating-point arithmetic: constants follow their readers; the types of casts and loops are given.
_UNTYPED = frozenset(
    {
        "CONSTANT", "SHAPE", "IDENTITY", "CAST", "ASSERTION", "CONDITION", "CONDITIONAL_INPUT", "CONDITIONAL_OUTPUT",
        "TRIP_LIMIT", "RECURRENCE", "ITERATOR", "LOOP_OUTPUT",
    }
)  # fmt: skip


def keep_layers_float32(flavor: Flavor, network: Any, nodes: Collection[str], kept: Collection[str]) -> int:
    """Keep the layers of some nodes in float32.

    Args:
        flavor: The TensorRT that the network belongs to.
        network: The parsed network.
        nodes: Names of all nodes in the graph.
        kept: Names of the nodes to keep in float32.

    Returns:
        The number of layers kept in float32.
    """
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    owners = [_node_of(layer, nodes) for layer in layers]
    held = {index for index, owner in enumerate(owners) if owner in kept}
    held |= _helpers(layers, owners, held)
    count = 0
    for index in sorted(held):
        outputs = [index for index, each in _outputs(layers[index]) if each.dtype.name == "FLOAT"]
        if not outputs or layers[index].type.name in _UNTYPED:
            continue
        layers[index].precision = flavor.member("DataType", "FLOAT")
        for output in outputs:
            layers[index].set_output_type(output, flavor.member("DataType", "FLOAT"))
        count += 1
    return count


def reduced_types_in(network: Any) -> frozenset[str]:
    """Return which of ``"fp16"`` and ``"bf16"`` the network's tensors already have, from inputs and casts."""
    layers = (network.get_layer(index) for index in range(network.num_layers))
    found = {tensor.dtype.name for layer in layers for _, tensor in _outputs(layer)}
    found |= {network.get_input(index).dtype.name for index in range(network.num_inputs)}
    return frozenset(kind for member, kind in (("HALF", "fp16"), ("BF16", "bf16")) if member in found)


def _node_of(layer: Any, nodes: Collection[str]) -> str | None:
    """Return the node that a layer belongs to, by metadata or by name, which may have a number appended."""
    found = _METADATA.search(getattr(layer, "metadata", "") or "")
    if found and found[1] in nodes:
        return found[1]
    name = layer.name
    while name not in nodes:
        shorter = re.sub(r"_\d+$", "", name)
        if shorter == name:
            return None
        name = shorter
    return str(name)


def _helpers(layers: list[Any], owners: list[str | None], held: set[int]) -> set[int]:
    """Return the layers that the parser inserted without a node, and that only feed float32 layers."""
    made_by = {each.name: index for index, layer in enumerate(layers) for _, each in _outputs(layer)}
    readers: dict[int, set[int]] = {}
    for index, layer in enumerate(layers):
        for number in range(layer.num_inputs):
            tensor = layer.get_input(number)
            if tensor is not None and tensor.name in made_by:
                readers.setdefault(made_by[tensor.name], set()).add(index)
    found: set[int] = set()
    for index in reversed(range(len(layers))):
        if owners[index] is None and readers.get(index) and readers[index] <= held | found:
            found.add(index)
    return found


def _outputs(layer: Any) -> Iterator[tuple[int, Any]]:
    return ((index, layer.get_output(index)) for index in range(layer.num_outputs))
