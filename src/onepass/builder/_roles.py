"""Decide which nodes of a graph may compute in reduced precision, and which must stay float32.

As in automatic mixed precision, heavy operators (convolutions, matrix products) are reduced; operators that lose
precision or overflow (softmax, sums, powers, logarithms) are not; all others take the type of their inputs. In
addition, the tails of a network stay float32, because they carry positions and sizes, not features: nodes after a
softmax or a sum with no later convolution (a soft-argmax), and small dense layers at the end (a regression head).

A node with dequantised inputs is left to TensorRT, which computes it in int8 or float8. Its results may be reduced,
unless they are quantised again at once: TensorRT fuses this into the layer before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto

from onepass._errors import InputError
from onepass.graph.arrays import array_of
from onepass.graph.nodes import reads
from onepass.graph.values import constants
from onepass.tensors import no_such_name

HEAVY = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
# Operators that work equally well in any floating-point type, or only move values.
_EASY = frozenset(
    {
        "Abs", "Add", "And", "ArgMax", "ArgMin", "AveragePool", "Ceil", "Clip", "Concat", "DepthToSpace", "Div",
        "Dropout", "Elu", "Equal", "Expand", "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Greater",
        "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Less", "LessOrEqual", "Max", "MaxPool",
        "Min", "Mul", "Neg", "Not", "Or", "PRelu", "Pad", "Relu", "Reshape", "Resize", "Round", "Sigmoid", "Sign",
        "Slice", "SpaceToDepth", "Split", "Squeeze", "Sub", "Sum", "Tanh", "Tile", "TopK", "Transpose", "Unsqueeze",
        "Upsample", "Where", "Xor",
    }
)  # fmt: skip
# Arithmetic whose results go only to float32 nodes stays float32, too: as many casts, and higher precision.
_ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Neg"})
_QUANTIZERS = frozenset({"QuantizeLinear", "DequantizeLinear"})
# Operators that read only the shape of a tensor, and have no floating-point output.
_LOOKERS = frozenset({"Shape", "Size"})
# Inputs (by position) that always stay float32.
FLOAT32_INPUTS: Mapping[str, frozenset[int]] = {"Resize": frozenset({1, 2}), "Upsample": frozenset({1})}
_SMALL_HEAD_WEIGHTS = 1 << 20

LIMITS = {"fp16": 65504.0, "bf16": 3.3895e38}  # the greatest finite numbers; bfloat16's rounded down
DTYPES = {"fp16": np.dtype(np.float16), "bf16": np.dtype(ml_dtypes.bfloat16)}
NUMBERS = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}


@dataclass
class Roles:
    """The decision for each node.

    Attributes:
        reduced: Indices of the main graph's nodes that compute in the reduced type.
        quantized: Indices of the nodes that TensorRT computes in int8 or float8, and of their quantisation nodes.
        float32: Names of the main graph's float32 tensors, including constants.
        constants: The float32 constants, by name.
    """

    reduced: set[int]
    quantized: set[int]
    float32: set[str]
    constants: dict[str, onnx.TensorProto] = field(repr=False)


def is_quantized(graph: onnx.GraphProto) -> bool:
    """Whether a model has quantisation nodes, which define the int8 or float8 layers and their scales."""
    return any(node.op_type in _QUANTIZERS for node in graph.node)


def assign_roles(graph: onnx.GraphProto, types: Mapping[str, int], *, kind: str, keep: Iterable[str]) -> Roles:
    """Decide for every node of a topologically sorted graph.

    Args:
        graph: The main graph.
        types: Tensor name to ONNX type number, as far as known.
        kind: ``"fp16"`` or ``"bf16"``.
        keep: Names of nodes, inner tensors or outputs that the user wants computed in float32. For an output, all nodes
            that serve only this output stay float32.

    Raises:
        InputError: A name in `keep` does not exist in the graph.
    """
    return _Assignment(graph, types, kind, tuple(keep)).roles()


class _Assignment:
    def __init__(self, graph: onnx.GraphProto, types: Mapping[str, int], kind: str, keep: tuple[str, ...]) -> None:
        self._nodes = list(graph.node)
        self._graph, self._limit, self._dtype = graph, LIMITS[kind], DTYPES[kind]
        self._float32 = {name for name, number in types.items() if number == TensorProto.FLOAT}
        self._constants = constants(graph)
        self._made_by = {name: i for i, node in enumerate(self._nodes) for name in node.output if name}
        self._users: list[set[int]] = [set() for _ in self._nodes]
        for index, node in enumerate(self._nodes):
            for name in reads(node):
                if name in self._made_by:
                    self._users[self._made_by[name]].add(index)
        self._quantized = {index for index in range(len(self._nodes)) if self._is_quantized(index)}
        self._kept = self._kept_by_user(keep)

    def roles(self) -> Roles:
        kept = self._kept | {i for i in range(len(self._nodes)) if not self._may_be_reduced(i)}
        kept |= self._tails(kept)
        reduced = self._spread(kept)
        reduced -= self._before_quantize(reduced)
        reduced -= self._arithmetic_before_float32(reduced)
        return Roles(reduced, self._quantized, self._float32, self._constants)

    # ---- nodes named by the user -------------------------------------------------------------------------------

    def _kept_by_user(self, names: tuple[str, ...]) -> set[int]:
        outputs = {value.name for value in self._graph.output}
        by_node = {node.name: index for index, node in enumerate(self._nodes) if node.name}
        kept: set[int] = set()
        for name in names:
            if name in outputs and name in self._made_by:
                kept |= self._only_for(name, outputs)
            elif name in self._made_by:
                kept.add(self._made_by[name])
            elif name in by_node:
                kept.add(by_node[name])
            else:
                raise InputError(no_such_name("node or tensor", name, (*by_node, *self._made_by)))
        return kept

    def _only_for(self, output: str, outputs: set[str]) -> set[int]:
        """Return the nodes whose results reach this output and no other."""
        serves: list[set[str]] = [set(node.output) & outputs for node in self._nodes]
        for index in reversed(range(len(self._nodes))):
            for user in self._users[index]:
                serves[index] |= serves[user]
        return {index for index, served in enumerate(serves) if served == {output}}

    # ---- operators ---------------------------------------------------------------------------------------------

    def _may_be_reduced(self, index: int) -> bool:
        node = self._nodes[index]
        if node.domain not in ("", "ai.onnx") or node.op_type not in HEAVY | _EASY:
            return False
        if index in self._quantized:
            return False
        return all(self._fits(name, heavy=node.op_type in HEAVY) for name in node.input)

    def _is_quantized(self, index: int) -> bool:
        node = self._nodes[index]
        if node.op_type not in HEAVY:
            return node.op_type in _QUANTIZERS
        makers = (self._nodes[self._made_by[name]] for name in node.input if name in self._made_by)
        return any(maker.op_type == "DequantizeLinear" for maker in makers)

    def _fits(self, name: str, *, heavy: bool) -> bool:
        """Whether a constant survives: no value overflows, and a single value (an epsilon) does not become zero."""
        tensor = self._constants.get(name)
        if tensor is None or tensor.data_type != TensorProto.FLOAT:
            return True
        values = array_of(tensor)
        if not np.all(np.abs(values[np.isfinite(values)]) <= self._limit):
            return False
        return heavy or values.size > 1 or not np.any(values) or bool(np.any(values.astype(self._dtype)))

    # ---- tails -------------------------------------------------------------------------------------------------

    def _tails(self, kept: set[int]) -> set[int]:
        """Return the nodes of the tails: those with no convolution and no product of two computed tensors after them.

        Of these, nodes that follow a float32 node, and small dense layers with all that follows them.
        """
        ends = [True] * len(self._nodes)  # whether no heavy node follows
        weights = [0] * len(self._nodes)  # number of weights in the dense layers from the node on
        for index in reversed(range(len(self._nodes))):
            for user in self._users[index]:
                ends[index] &= ends[user] and not self._is_body(user)
            weights[index] = self._dense_weights(index) + sum(weights[user] for user in self._users[index])
        tails: set[int] = set()
        after_body = self._after_body()
        computing = {i for i in kept - self._quantized if self._reads_float32(i)}
        for index, node in enumerate(self._nodes):
            if not ends[index] or self._is_body(index) or weights[index] > _SMALL_HEAD_WEIGHTS:
                continue
            before = {self._made_by[name] for name in reads(node) if name in self._made_by}
            if (node.op_type in ("Gemm", "MatMul") and index in after_body) or before & (computing | tails):
                tails.add(index)
        return tails

    def _after_body(self) -> set[int]:
        """Return the nodes after a convolution or attention; a network of dense layers only has none."""
        after: set[int] = set()
        for index in range(len(self._nodes)):
            if index in after or self._is_body(index):
                after |= self._users[index]
        return after

    def _is_body(self, index: int) -> bool:
        """Whether a node is a convolution, or a product of two computed tensors (attention)."""
        node = self._nodes[index]
        if node.op_type in _CONVOLUTIONS:
            return True
        return node.op_type in ("Gemm", "MatMul") and not self._dense_weights(index)

    def _dense_weights(self, index: int) -> int:
        node = self._nodes[index]
        if node.op_type not in ("Gemm", "MatMul"):
            return 0
        return sum(math.prod(self._constants[name].dims) for name in node.input[:2] if name in self._constants)

    def _reads_float32(self, index: int) -> bool:
        names = (*self._nodes[index].input, *self._nodes[index].output)
        return any(name in self._float32 and name not in self._constants for name in names)

    # ---- propagation of types ----------------------------------------------------------------------------------

    def _spread(self, kept: set[int]) -> set[int]:
        """Walk in topological order; an easy node takes the widest type among its inputs."""
        state = {value.name: "float32" for value in self._graph.input if value.name in self._float32}
        reduced: set[int] = set()
        for index, node in enumerate(self._nodes):
            skip = FLOAT32_INPUTS.get(node.op_type, frozenset())
            states = {state[name] for i, name in enumerate(node.input) if name in state and i not in skip}
            makes = [name for name in node.output if name in self._float32]
            if index in self._quantized and node.op_type in HEAVY and index not in self._kept:
                result = "reduced"  # computed in even fewer bits
            elif index in kept:
                # A result computed without float inputs (a fill, a table look-up) may have any type.
                result = "float32" if states or node.op_type == "Cast" else "free"
            elif node.op_type in HEAVY and self._reads_float32(index):
                result = "reduced"
            else:
                result = "float32" if "float32" in states else "reduced" if "reduced" in states else "free"
            if result == "reduced" and index not in kept:
                reduced.add(index)
            state.update(dict.fromkeys(makes, result))
        return reduced

    def _before_quantize(self, reduced: set[int]) -> set[int]:
        """Return the easy nodes whose results are all quantised: no cast may separate them from the node before."""
        lifted: set[int] = set()
        outputs = {value.name for value in self._graph.output}
        for index in sorted(reduced, reverse=True):
            users = {user for user in self._users[index] if self._nodes[user].op_type not in _LOOKERS}
            to_quantize = {user for user in users if user in lifted or self._nodes[user].op_type == "QuantizeLinear"}
            leaves = bool(outputs.intersection(self._nodes[index].output))
            if self._nodes[index].op_type not in HEAVY and users and users == to_quantize and not leaves:
                lifted.add(index)
        return lifted

    def _arithmetic_before_float32(self, reduced: set[int]) -> set[int]:
        lifted: set[int] = set()
        outputs = {value.name for value in self._graph.output}
        for index in sorted(reduced, reverse=True):
            users = {user for user in self._users[index] if self._nodes[user].op_type not in _LOOKERS}
            leaves = bool(outputs.intersection(self._nodes[index].output))
            if self._nodes[index].op_type in _ARITHMETIC and users and not leaves and not users & (reduced - lifted):
                lifted.add(index)
        return lifted
