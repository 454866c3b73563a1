"""What the CUDA provider makes of a model's operators: where it computes them, and what it asks of the host."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from onepass.graph.nodes import all_nodes
from tests.fakes._memory import Span
from tests.fakes._queue import Op

_READS_BACK = frozenset({"NonZero", "Unique", "Compress", "NonMaxSuppression", "Range"})
"""Operators whose kernels read back how much there is before they go on; recorded, they read what was there before."""
_WAITS = frozenset({"If", "Loop", "Scan"})
_NO_KERNEL = frozenset({"StringNormalizer", "Det", "StringConcat", "StringSplit", "LabelEncoder"})
_OWN_MEMORY = frozenset({"MatMul", "Gemm", "Conv"})
_HOST_INPUTS = {
    "Reshape": (1,), "Expand": (1,), "Tile": (1,), "ConstantOfShape": (0,), "Slice": (1, 2, 3, 4), "TopK": (1,),
    "Range": (0, 1, 2), "If": (0,), "Loop": (0, 1), "Pad": (1,), "Resize": (1, 2, 3), "Split": (1,), "Squeeze": (1,),
    "Unsqueeze": (1,), "ReduceSum": (1,),
}  # fmt: skip
_MANY_INPUTS = 32
"""From so many tensors on, the addresses of what is joined travel to the GPU from a buffer of the host."""


@dataclass(frozen=True)
class Kernels:
    """What is known of a model.

    Attributes:
        reads_back: Whether a run reads how much there is from the GPU.
        waits: Whether a run waits for the GPU before it has queued everything.
        joins_many: Whether a run needs a buffer of the host that is another's afterwards.
        from_host: Whether a run copies what the CPU computed to the GPU.
        allocates: Whether libraries take memory for their own use in the course of the stream.
        host_inputs: Names of the inputs that are computed with on the host.
    """

    reads_back: bool = False
    waits: bool = False
    joins_many: bool = False
    from_host: bool = False
    allocates: bool = False
    host_inputs: frozenset[str] = frozenset()

    def extra_work(self) -> Iterator[Op]:
        """What a recorded run has besides its computation."""
        if self.allocates:
            yield Op("CU_GRAPH_NODE_TYPE_MEM_ALLOC", lambda: None)
            yield Op("CU_GRAPH_NODE_TYPE_MEM_FREE", lambda: None)
        if self.from_host or self.reads_back:
            buffer = ctypes.create_string_buffer(64)
            yield Op("CU_GRAPH_NODE_TYPE_MEMCPY", lambda: None, reads=(Span(ctypes.addressof(buffer), 64),))


def looked_at(model: Any) -> Kernels:
    """Look at a model, given by its path or its bytes."""
    data = Path(model).read_bytes() if isinstance(model, str) else model
    try:
        proto = onnx.load_model_from_string(data)
    except Exception:  # noqa: BLE001 - ONNX Runtime's own format
        return Kernels()
    nodes = [*all_nodes(proto.graph), *(node for function in proto.functions for node in function.node)]
    operators = {node.op_type for node in nodes}
    values = [*proto.graph.input, *proto.graph.output]
    texts = {value.name for value in values if value.type.tensor_type.elem_type == onnx.TensorProto.STRING}
    taken = {
        name for node in nodes for index, name in enumerate(node.input) if index in _HOST_INPUTS.get(node.op_type, ())
    }
    inputs = {value.name for value in proto.graph.input}
    idle = inputs - {name for node in nodes for name in node.input}
    weights = {weight.name for weight in proto.graph.initializer}
    return Kernels(
        reads_back=bool(operators & _READS_BACK),
        # An output that is a weight is copied at once.
        waits=bool(operators & _WAITS) or bool(weights & {value.name for value in proto.graph.output}),
        joins_many=any(node.op_type == "Concat" and len(node.input) > _MANY_INPUTS for node in nodes),
        from_host=bool(operators & _NO_KERNEL or texts),
        allocates=bool(operators & _OWN_MEMORY),
        host_inputs=frozenset(inputs & (taken | texts) | idle),
    )
