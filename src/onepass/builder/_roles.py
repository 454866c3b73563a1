"""Which nodes of a graph may compute in reduced precision, and which must stay float32.

As in automatic mixed precision: what does the heavy work (convolutions, matrix products) is reduced; what loses digits
or overflows (softmax, sums, powers, logarithms) is not; what lies between takes the type that reaches it. Beyond that
the tails of a network stay float32, since they carry positions and sizes, not features: what follows a softmax or a sum
without a convolution after it (a soft-argmax), and small dense layers at the end (a regression head).

A node that takes dequantised tensors is left to TensorRT, which computes it in int8 or float8; what it gives may be
reduced, but for what is quantised again at once: that is one layer with the node before it.
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
# These compute the same way in any floating-point type, or only move values.
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
# Arithmetic that leads into a float32 node only is done there, too: one cast all the same, and digits saved.
_ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Neg"})
_QUANTIZERS = frozenset({"QuantizeLinear", "DequantizeLinear"})
# Any tensor will do for these: they ask for its shape, and have no floating-point output.
_LOOKERS = frozenset({"Shape", "Size"})
# Inputs that stay float32 whatever the data are (by position).
FLOAT32_INPUTS: Mapping[str, frozenset[int]] = {"Resize": frozenset({1, 2}), "Upsample": frozenset({1})}
_SMALL_HEAD_WEIGHTS = 1 << 20

LIMITS = {"fp16": 65504.0, "bf16": 3.3895e38}  # the greatest finite numbers; bfloat16's rounded down
DTYPES = {"fp16": np.dtype(np.float16), "bf16": np.dtype(ml_dtypes.bfloat16)}
NUMBERS = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}


@dataclass
class Roles:
    """What was decided.

    Attributes:
        reduced: Indices of the nodes of the main graph that compute in the reduced type.
        quantized: Indices of those that TensorRT computes in int8 or float8, and of the nodes that quantise for them.
        float32: Names of the float32 tensors of the main graph, those of constants included.
        constants: The constants among them, by name.
    """

    reduced: set[int]
    quantized: set[int]
    float32: set[str]
    constants: dict[str, onnx.TensorProto] = field(repr=False)


def is_quantized(graph: onnx.GraphProto) -> bool:
    """Whether a model says what to compute in int8 or float8, and with which scales."""
    return any(node.op_type in _QUANTIZERS for node in graph.node)


def assign_roles(graph: onnx.GraphProto, types: Mapping[str, int], *, kind: str, keep: Iterable[str]) -> Roles:
    """Decide for every node of a sorted graph.

    Args:
        graph: The main graph.
        types: ONNX type number of every tensor of it that is known.
        kind: ``"fp16"`` or ``"bf16"``.
        keep: Names of nodes, inner tensors or outputs that the user wants computed in float32. An output brings along
            all that is computed for it alone.

    Raises:
        InputError: `keep` has a name that is nowhere in the graph.
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

    # ---- what the user names -----------------------------------------------------------------------------------

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
        """Nodes whose results reach that output and no other."""
        serves: list[set[str]] = [set(node.output) & outputs for node in self._nodes]
        for index in reversed(range(len(self._nodes))):
            for user in self._users[index]:
                serves[index] |= serves[user]
        return {index for index, served in enumerate(serves) if served == {output}}

    # ---- what the operators say --------------------------------------------------------------------------------

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
        """Whether a constant survives: none of its values overflows, and a single value (an epsilon) is not lost."""
        tensor = self._constants.get(name)
        if tensor is None or tensor.data_type != TensorProto.FLOAT:
            return True
        values = array_of(tensor)
        if not np.all(np.abs(values[np.isfinite(values)]) <= self._limit):
            return False
        return heavy or values.size > 1 or not np.any(values) or bool(np.any(values.astype(self._dtype)))

    # ---- tails -------------------------------------------------------------------------------------------------

    def _tails(self, kept: set[int]) -> set[int]:
        """Nodes behind which no convolution, and no product of two computed tensors, comes any more.

        Of these: what follows a float32 node, and small dense layers with whatever follows them.
        """
        ends = [True] * len(self._nodes)  # whether nothing heavy comes after the node
        weights = [0] * len(self._nodes)  # numbers in the dense layers from the node on
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
        """Nodes that a convolution or attention leads to; in a network of dense layers alone, these are the body."""
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

    # ---- types spread ------------------------------------------------------------------------------------------

    def _spread(self, kept: set[int]) -> set[int]:
        """Walk in order of computation; an easy node takes the wider of the types that reach it."""
        state = {value.name: "float32" for value in self._graph.input if value.name in self._float32}
        reduced: set[int] = set()
        for index, node in enumerate(self._nodes):
            skip = FLOAT32_INPUTS.get(node.op_type, frozenset())
            states = {state[name] for i, name in enumerate(node.input) if name in state and i not in skip}
            makes = [name for name in node.output if name in self._float32]
            if index in self._quantized and node.op_type in HEAVY and index not in self._kept:
                result = "reduced"  # it is computed in fewer bits still
            elif index in kept:
                # What is made of no float at all (a fill, a look-up in a table) has no type of its own to insist on.
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
        """Easy nodes whose results are all quantised: between the node before them and that, no cast may stand."""
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
