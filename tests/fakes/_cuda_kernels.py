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

_CONTROL_FLOW = frozenset({"If", "Loop", "Scan"})
_WAITS = frozenset({"NonZero", "Unique", "Compress", "NonMaxSuppression", "Range"})
"""Operators whose kernels read back how much there is before they go on."""
_NO_KERNEL = frozenset({"StringNormalizer", "Det", "StringConcat", "StringSplit", "LabelEncoder"})
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
        unfit: Why the provider cannot be told to record, in ONNX Runtime's words; None if it can.
        waits: Whether a run waits for the GPU before it has queued everything.
        from_host: Whether a run copies from a buffer of the host that is another's afterwards.
        host_inputs: Names of the inputs that are computed with on the host.
    """

    unfit: str | None
    waits: bool
    from_host: bool
    host_inputs: frozenset[str]

    def extra_work(self) -> Iterator[Op]:
        """What the graph of a run has besides its computation."""
        if self.from_host:
            buffer = ctypes.create_string_buffer(64)
            source = Span(ctypes.addressof(buffer), 64)
            yield Op("CU_GRAPH_NODE_TYPE_MEMCPY", lambda: None, reads=(source,))


def looked_at(model: Any) -> Kernels:
    """Look at a model, given by its path or its bytes."""
    data = Path(model).read_bytes() if isinstance(model, str) else model
    try:
        proto = onnx.load_model_from_string(data)
    except Exception:  # noqa: BLE001 - ONNX Runtime's own format
        return Kernels(None, waits=False, from_host=False, host_inputs=frozenset())
    nodes = [*all_nodes(proto.graph), *(node for function in proto.functions for node in function.node)]
    operators = {node.op_type for node in nodes}
    values = [*proto.graph.input, *proto.graph.output]
    texts = {value.name for value in values if value.type.tensor_type.elem_type == onnx.TensorProto.STRING}
    unfit = None
    if operators & _CONTROL_FLOW:
        unfit = f"the model has control flow nodes which can't be supported by {_CUDA}"
    elif operators & _NO_KERNEL or texts:
        unfit = f"all compute graph nodes have not been partitioned to the {_CUDA}"
    taken = {
        name for node in nodes for index, name in enumerate(node.input) if index in _HOST_INPUTS.get(node.op_type, ())
    }
    inputs = {value.name for value in proto.graph.input}
    many = any(node.op_type == "Concat" and len(node.input) > _MANY_INPUTS for node in nodes)
    return Kernels(unfit, bool(operators & (_WAITS | _CONTROL_FLOW)), many, frozenset(inputs & (taken | texts)))


_CUDA = "CUDAExecutionProvider"
