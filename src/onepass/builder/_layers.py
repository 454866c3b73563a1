"""Whether an engine computes in the precision that was asked for: read back, to know rather than to hope."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from onepass._errors import BuildError
from onepass.engine.flavor import Flavor
from onepass.engine.layers import layers_of_engine
from onepass.engine.log import get_logger

# Members of TensorRT's ``DataType``, by the names that options and plans have for them.
_MEMBERS = {"HALF": "fp16", "BF16": "bf16", "FP8": "fp8", "INT8": "int8", "FLOAT": "fp32"}


def layer_types(flavor: Flavor, serialized: bytes, network: Any) -> dict[str, int]:
    """Count layers by the types they work in.

    Where a runtime works (it needs a GPU) the built engine is asked. Where none does, the network is, if it is strongly
    typed: then its types are the engine's.
    """
    logger = get_logger(flavor)
    engine = flavor.module.Runtime(logger).deserialize_cuda_engine(serialized) if flavor.can_inspect else None
    if engine is not None:
        return dict(Counter(kind for layer in layers_of_engine(flavor, engine) for kind in layer.types))
    if not flavor.is_strongly_typed:
        return {}
    return network_types(network)


def network_types(network: Any) -> dict[str, int]:
    """Count the layers of a strongly typed network by the types of what they make."""
    counts: Counter[str] = Counter()
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        members = {layer.get_output(number).dtype.name for number in range(layer.num_outputs)}
        counts.update(_MEMBERS[member] for member in members if member in _MEMBERS)
    return dict(counts)


def check_precision(flavor: Flavor, kinds: Sequence[str], types: Mapping[str, int]) -> None:
    """Raise if an engine does not compute in any of the reduced precisions that were asked for.

    Raises:
        BuildError: No layer does.
    """
    if types and not any(types.get(kind) for kind in kinds):
        kind = " and ".join(kinds)
        counts = ", ".join(f"{count} in {name}" for name, count in sorted(types.items()))
        raise BuildError(
            f"precision {kind} was asked for, but {flavor} built no layer in it ({counts}): it found none faster that "
            "way, or this GPU has none. Build it without"
        )
