"""Inputs of a given batch size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from onepass._errors import InputError
from onepass.outputs import Array
from onepass.sampling import random_inputs
from onepass.tensors import Signature, TensorSpec

_BATCH = "onepass batch"


def batch_inputs(
    signature: Signature, batch: int, *, sizes: Mapping[str, int] | None = None, seed: int = 0
) -> dict[str, Array]:
    """Return random inputs whose dynamic first dimensions have the size `batch`.

    Args:
        signature: Says which inputs there are.
        batch: Size of every first dimension that is not fixed.
        sizes: Sizes of other dynamic dimensions, by name; 1 where not given.
        seed: The same seed gives the same arrays.

    Raises:
        InputError: No first dimension is dynamic, and none has that size.
    """
    leading = [spec.shape[0] for spec in signature.inputs if spec.shape]
    if leading and batch != 1 and not any(dim == batch or not isinstance(dim, int) for dim in leading):
        fixed = ", ".join(f"{spec.name} {spec}" for spec in signature.inputs)
        raise InputError(f"the model's batch is fixed ({fixed}), so it cannot be measured with batch {batch}")
    names = {dim for dim in leading if isinstance(dim, str)} - set(sizes or {})
    wanted = {**(sizes or {}), **dict.fromkeys(names, batch)}
    known = Signature(tuple(_named(spec) for spec in signature.inputs), signature.outputs)
    if any(_BATCH in (spec.shape or ()) for spec in known.inputs):
        wanted[_BATCH] = batch
    return random_inputs(known, sizes=wanted, seed=seed)


def _named(spec: TensorSpec) -> TensorSpec:
    """Give a nameless first dimension a name, so that a size can be given for it."""
    if spec.shape and spec.shape[0] is None:
        return replace(spec, shape=(_BATCH, *spec.shape[1:]))
    return spec


def batch_of(feeds: Mapping[str, Array]) -> int:
    """Return how many items a call computes: the size of the first dimension that inputs share, 1 if they do not."""
    sizes = {array.shape[0] for array in feeds.values() if array.ndim > 1}
    return sizes.pop() if len(sizes) == 1 else 1
