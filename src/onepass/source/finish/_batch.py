"""The batch: any number of items, or a number of one's choice, whatever the source was made for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import onnx

from onepass._errors import InputError
from onepass.graph.arrays import array_of
from onepass.graph.values import constants, read_other, shapes
from onepass.outputs import Array
from onepass.sampling import batch_axes, batch_names
from onepass.source._reference import Case
from onepass.tensors import Dim, Signature, TensorSpec

Batch: TypeAlias = int | Literal["dynamic"] | None
"""A number of items, any number, or as the source has it."""

FIXED_BATCH = "the number of items is written into the network somewhere; keep the batch that the source has"
"""Why a model does not take another batch."""

_NAME = "N"


@dataclass(frozen=True, slots=True)
class Batches:
    """Which edges have a batch, and on which axes: the first as a rule; states of recurrent networks have it second.

    Attributes:
        size: Its size in the source, None where it is dynamic.
        name: What it is called where it is dynamic.
        inputs: Axes of the inputs that have it, by name.
        outputs: Axes of the outputs that have it, by name.
    """

    size: int | None
    name: str
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, signature: Signature, cases: Sequence[Case] = ()) -> Batches:
        """Find the batch of a network: dynamic sizes whose names say so, or else the first size of its first input.

        Args:
            signature: The network's.
            cases: What it computes. An output whose first size is dynamic under no such name has the batch there if it
                always had as many items as the inputs; without cases it is taken to have.
        """
        names = batch_names(signature)
        first = next((spec.shape[0] for spec in signature.inputs if spec.shape), None)
        size = first if isinstance(first, int) and not names else None

        def axes(spec: TensorSpec, *, any_name: bool) -> tuple[int, ...]:
            if size is not None:
                return (0,) if spec.shape and spec.shape[0] == size else ()
            leads = bool(any_name and spec.shape and not isinstance(spec.shape[0], int))
            return batch_axes(spec, names) or ((0,) if leads else ())

        inputs = {spec.name: axes(spec, any_name=False) for spec in signature.inputs}
        outputs = {spec.name: axes(spec, any_name=True) for spec in signature.outputs}
        for case in cases:
            items = {case.inputs[name].shape[axis] for name, places in inputs.items() for axis in places}
            outputs = {
                name: places if {case.outputs[name].shape[axis] for axis in places} <= items else ()
                for name, places in outputs.items()
            }
        return cls(size, min(names, key=len, default=_NAME), _some(inputs), _some(outputs))

    def cases(self, cases: Sequence[Case], batch: Batch) -> Iterator[Case]:
        """Yield cases for a network that was given another batch: as many items as it takes, from those there are."""
        if not isinstance(batch, int) or batch == self.size:
            yield from cases
        if not cases or not self.inputs or batch is None or (batch == "dynamic" and self.size is None):
            return
        if self.size is None:  # the framework ran it in this batch
            yield from (case for case in cases if self._items(case) == {batch})
            return
        if isinstance(batch, int) and batch != self.size:
            yield from (self._of_items([case], batch, case.name) for case in cases)
        drawn = [case for case in cases if case.name.startswith("random")]
        for items in {int(batch)} if isinstance(batch, int) else (1, 3):
            yield self._of_items(drawn, items, f"batch of {items}")

    def _items(self, case: Case) -> set[int]:
        return {case.inputs[name].shape[axis] for name, axes in self.inputs.items() for axis in axes}

    def _of_items(self, cases: Sequence[Case], items: int, name: str) -> Case:
        def taken(arrays: Sequence[Mapping[str, Array]], names: Iterable[str]) -> dict[str, Array]:
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
        """Return the signature that the network has with another batch; a nameless dynamic one gets a name."""
        if batch is None and self.size is not None:
            return signature
        return Signature(
            tuple(self._changed(spec, self.inputs.get(spec.name, ()), batch) for spec in signature.inputs),
            tuple(self._changed(spec, self.outputs.get(spec.name, ()), batch) for spec in signature.outputs),
        )

    def _changed(self, spec: TensorSpec, axes: Sequence[int], batch: Batch) -> TensorSpec:
        def dim_at(axis: int, dim: Dim) -> Dim:
            if axis not in axes:
                return dim
            return batch if isinstance(batch, int) else dim if isinstance(dim, str) else self.name

        return (
            spec
            if spec.shape is None
            else replace(spec, shape=tuple(dim_at(axis, dim) for axis, dim in enumerate(spec.shape)))
        )


def _some(axes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Leave out what has none."""
    return {name: places for name, places in axes.items() if places}


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
