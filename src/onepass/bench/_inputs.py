"""Inputs of a given batch size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onepass._errors import InputError
from onepass.outputs import Array
from onepass.sampling import batch_names, random_inputs
from onepass.tensors import Signature


def batch_inputs(
    signature: Signature,
    batch: int,
    *,
    sizes: Mapping[str, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    seed: int = 0,
) -> dict[str, Array]:
    """Return random inputs of `batch` items.

    Args:
        signature: The model's signature.
        batch: Size of the batch dimension, on any axis; see `sampling.batch_names`.
        sizes: Sizes of other dynamic dimensions, by name; the default is 1.
        shapes: Complete shapes of inputs, by name.
        seed: The same seed gives the same arrays.

    Raises:
        InputError: The model has no dynamic batch dimension, and its fixed batch size differs.
    """
    leading = [spec.shape[0] for spec in signature.inputs if spec.shape]
    if leading and batch != 1 and not batch_names(signature) and None not in leading and batch not in leading:
        fixed = ", ".join(f"{spec.name} {spec}" for spec in signature.inputs)
        raise InputError(f"the model's batch size is fixed ({fixed}); it cannot be measured with batch {batch}")
    return random_inputs(signature, sizes=sizes, shapes=shapes, batch=batch, seed=seed)


def batch_of(feeds: Mapping[str, Array]) -> int:
    """Return the number of items per call: the size of the inputs' common first dimension, 1 if there is none."""
    sizes = {array.shape[0] for array in feeds.values() if array.ndim > 1}
    return sizes.pop() if len(sizes) == 1 else 1


def size_of_batch(signature: Signature, sizes: Mapping[str, int]) -> int | None:
    """Return the batch size that sizes by name determine; None if they determine none."""
    return next((size for dim, size in sizes.items() if dim in batch_names(signature)), None)
