"""Check that a built engine computes in the requested precision, by reading its layers back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from onepass._errors import BuildError
from onepass.engine.flavor import Flavor
from onepass.engine.layers import layers_of_engine
from onepass.engine.log import get_logger

# Members of TensorRT's ``DataType`` to their names in options and plans.
_MEMBERS = {"HALF": "fp16", "BF16": "bf16", "FP8": "fp8", "INT8": "int8", "FLOAT": "fp32"}


def layer_types(flavor: Flavor, serialized: bytes, network: Any) -> dict[str, int]:
    """Count layers by the types that they compute in.

    With a GPU, the built engine is inspected. Without one, the network is, if it is strongly typed: then it has the
    engine's types.
    """
    logger = get_logger(flavor)
    engine = flavor.module.Runtime(logger).deserialize_cuda_engine(serialized) if flavor.can_inspect else None
    if engine is not None:
        return dict(Counter(kind for layer in layers_of_engine(flavor, engine) for kind in layer.types))
    if not flavor.is_strongly_typed:
        return {}
    return network_types(network)


def network_types(network: Any) -> dict[str, int]:
    """Count the layers of a strongly typed network by output type."""
    counts: Counter[str] = Counter()
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        members = {layer.get_output(number).dtype.name for number in range(layer.num_outputs)}
        counts.update(_MEMBERS[member] for member in members if member in _MEMBERS)
    return dict(counts)


def check_precision(flavor: Flavor, kinds: Sequence[str], types: Mapping[str, int]) -> None:
    """Raise if an engine computes in none of the requested reduced precisions.

    Raises:
        BuildError: No layer computes in a requested precision.
    """
    if types and not any(types.get(kind) for kind in kinds):
        kind = " and ".join(kinds)
        counts = ", ".join(f"{count} in {name}" for name, count in sorted(types.items()))
        raise BuildError(
            f"precision {kind} was requested, but {flavor} built no layer in it ({counts}): no layer would be faster, "
            "or this GPU does not support it. Build without it"
        )
