"""Change the batch size to a dynamic or fixed one, independent of the source's."""

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
"""A fixed batch size, ``"dynamic"``, or None for the source's."""

FIXED_BATCH = "the batch size is hard-coded somewhere in the network; keep the source's batch size"
"""Why a model does not support another batch size."""

_NAME = "N"


@dataclass(frozen=True, slots=True)
class Batches:
    """The batch axes of inputs and outputs: usually the first; the second in states of recurrent networks.

    Attributes:
        size: The batch size in the source, None if dynamic.
        name: Its name if dynamic.
        inputs: Batch axes by input, for inputs with a batch.
        outputs: Batch axes by output, for outputs with a batch.
    """

    size: int | None
    name: str
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, signature: Signature, cases: Sequence[Case] = ()) -> Batches:
        """Find a network's batch: dynamic sizes with a batch's name, otherwise the first size of its first input.

        Args:
            signature: The network's signature.
            cases: Its results. An output whose first size is dynamic with another name has a batch if it always has as
                many items as the inputs; without cases, it is assumed to have one.
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
        """Yield cases for a network with a changed batch, with items taken from the existing cases."""
        if not isinstance(batch, int) or batch == self.size:
            yield from cases
        if not cases or not self.inputs or batch is None or (batch == "dynamic" and self.size is None):
            return
        if self.size is None:  # the framework ran the network with this batch size
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
        """Return the network's signature with another batch; an unnamed dynamic batch gets a name."""
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
    """Omit entries without batch axes."""
    return {name: places for name, places in axes.items() if places}


def check_batch(batch: object) -> None:
    """Check a batch option.

    Raises:
        InputError: The value is invalid.
    """
    if batch is None or batch == "dynamic" or (isinstance(batch, int) and not isinstance(batch, bool) and batch > 0):
        return
    raise InputError(f"batch must be a whole number ≥ 1, or 'dynamic', got {batch!r}")


def free_reshapes(proto: onnx.ModelProto, size: int) -> None:
    """Make Reshape nodes with a hard-coded batch of `size` accept any; the model is changed in place.

    If a node cannot be changed safely, it stays, and the parity check at other sizes detects it.
    """
    known, sizes = constants(proto.graph), shapes(proto)
    for node in proto.graph.node:
        if node.op_type == "Reshape" and node.input[1] in known:
            target = array_of(known[node.input[1]])
            freed = _freed(target, sizes.get(node.input[0]), size)
            if not np.array_equal(target, freed) and _zero_copies(node, target):
                read_other(proto.graph, node, 1, freed, mark="any_batch")


def _zero_copies(node: onnx.NodeProto, target: Array) -> bool:
    """Make a size of zero mean "copy from the input"; return False if zero must mean an empty dimension.

    PyTorch sets `allowzero` on every Reshape, whether or not it has a zero.
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
        freed[0] = 0  # copied from the input
    elif target.size and target[0] > 0 and target[0] % size == 0 and -1 not in target:
        freed[0] = -1
    return freed
