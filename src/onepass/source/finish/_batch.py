"""The first dimension: any number of items, or a number of one's choice, whatever the source was made for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import onnx

from onepass._errors import InputError
from onepass.graph.arrays import array_of
from onepass.graph.values import constants, read_other, shapes
from onepass.outputs import Array
from onepass.source._reference import Case
from onepass.tensors import Dim, Signature, TensorSpec

Batch: TypeAlias = int | Literal["dynamic"] | None
"""A number of items, any number, or as the source has it."""

FIXED_BATCH = "the number of items is written into the network somewhere; keep the batch that the source has"
"""Why a model does not take another batch."""

_NAME = "N"


@dataclass(frozen=True, slots=True)
class Batches:
    """Which edges have a batch for their first dimension.

    Attributes:
        size: Its size in the source, None where it is dynamic.
        inputs: Names of the inputs that have it.
        outputs: Names of the outputs that have it.
    """

    size: int | None
    inputs: frozenset[str]
    outputs: frozenset[str]

    @classmethod
    def of(cls, signature: Signature, cases: Sequence[Case] = ()) -> Batches:
        """Find the batch of a network: the first dimension of its first input that has one.

        Args:
            signature: The network's.
            cases: What it computes. An output whose first dimension is dynamic has the batch there if it always had
                as many items as the inputs; without cases it is taken to have.
        """
        first = next((spec.shape[0] for spec in signature.inputs if spec.shape), None)
        size = first if isinstance(first, int) else None

        def have_it(specs: tuple[TensorSpec, ...]) -> frozenset[str]:
            return frozenset(
                spec.name for spec in specs
                if spec.shape and (spec.shape[0] == size if size is not None else not isinstance(spec.shape[0], int))
            )  # fmt: skip

        inputs, outputs = have_it(signature.inputs), have_it(signature.outputs)
        for case in cases:
            items = {array.shape[0] for name, array in case.inputs.items() if name in inputs}
            outputs = frozenset(name for name in outputs if {case.outputs[name].shape[0]} == items)
        return cls(size, inputs, outputs)

    def cases(self, cases: Sequence[Case], batch: Batch) -> Iterator[Case]:
        """Yield cases for a network that was given another batch: as many items as it takes, from those there are."""
        fixed = isinstance(batch, int) and batch != self.size
        if not fixed:
            yield from cases
        if not cases or not self.inputs or batch is None or (batch == "dynamic" and self.size is None):
            return
        if fixed:
            yield from (self._of_items([case], int(batch), case.name) for case in cases)
        drawn = [case for case in cases if case.name.startswith("random")]
        for items in {int(batch)} if isinstance(batch, int) else (1, 3):
            yield self._of_items(drawn, items, f"batch of {items}")

    def _of_items(self, cases: Sequence[Case], items: int, name: str) -> Case:
        def taken(arrays: Sequence[Mapping[str, Array]], names: frozenset[str]) -> dict[str, Array]:
            result = dict(arrays[0])
            for key in names:
                pool = np.concatenate([each[key] for each in arrays])
                result[key] = np.take(pool, np.arange(items) % len(pool), axis=0)
            return result

        return Case(
            name,
            taken([case.inputs for case in cases], self.inputs),
            taken([case.outputs for case in cases], self.outputs),
        )

    def changed(self, signature: Signature, batch: Batch) -> Signature:
        """Return the signature that the network has with another batch; a nameless dynamic one gets the name ``N``."""
        if batch is None and self.size is not None:
            return signature
        return Signature(
            tuple(self._changed(spec, self.inputs, batch) for spec in signature.inputs),
            tuple(self._changed(spec, self.outputs, batch) for spec in signature.outputs),
        )

    @staticmethod
    def _changed(spec: TensorSpec, names: frozenset[str], batch: Batch) -> TensorSpec:
        if spec.name not in names or not spec.shape:
            return spec
        first: Dim = batch if isinstance(batch, int) else (spec.shape[0] if isinstance(spec.shape[0], str) else _NAME)
        return replace(spec, shape=(first, *spec.shape[1:]))


def check_batch(batch: object) -> None:
    """Refuse what is no batch.

    Raises:
        InputError: It is none.
    """
    if batch is None or batch == "dynamic" or (isinstance(batch, int) and not isinstance(batch, bool) and batch > 0):
        return
    raise InputError(f"batch is a whole number from 1 up, or 'dynamic', got {batch!r}")


def free_reshapes(proto: onnx.ModelProto, size: int) -> None:
    """Let Reshape nodes that have a batch of `size` written into them take any; the model is changed in place.

    Where that is not possible without knowing more, the node stays, and parity at other sizes finds it.
    """
    known, sizes = constants(proto.graph), shapes(proto)
    for node in proto.graph.node:
        if node.op_type == "Reshape" and node.input[1] in known:
            target = array_of(known[node.input[1]])
            freed = _freed(target, sizes.get(node.input[0]), size)
            if not np.array_equal(target, freed) and _zero_copies(node, target):
                read_other(proto.graph, node, 1, freed, mark="any_batch")


def _zero_copies(node: onnx.NodeProto, target: Array) -> bool:
    """Make a size of zero mean "as it comes in", where it may also mean an empty tensor; False if it has to mean that.

    PyTorch says of every Reshape that zero means zero, whether or not there is one.
    """
    literal = [each for each in node.attribute if each.name == "allowzero" and each.i]
    if literal and 0 in target:
        return False
    for attribute in literal:
        node.attribute.remove(attribute)
    return True


def _freed(target: Array, shape: tuple[int | None, ...] | None, size: int) -> Array:
    freed: Array = target.copy()
    if target.size and target[0] == size and shape and shape[0] == size:
        freed[0] = 0  # as it comes in
    elif target.size and target[0] > 0 and target[0] % size == 0 and -1 not in target:
        freed[0] = -1
    return freed
