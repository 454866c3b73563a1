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
        signature: Says which inputs there are.
        batch: Size of the dimension that counts items, on whatever axis; see `sampling.batch_names`.
        sizes: Sizes of other dynamic dimensions, by name; 1 where not given.
        shapes: Whole shapes of inputs, by name.
        seed: The same seed gives the same arrays.

    Raises:
        InputError: No dimension counts items, and none has that size.
    """
    leading = [spec.shape[0] for spec in signature.inputs if spec.shape]
    if leading and batch != 1 and not batch_names(signature) and None not in leading and batch not in leading:
        fixed = ", ".join(f"{spec.name} {spec}" for spec in signature.inputs)
        raise InputError(f"the model's batch is fixed ({fixed}), so it cannot be measured with batch {batch}")
    return random_inputs(signature, sizes=sizes, shapes=shapes, batch=batch, seed=seed)


def batch_of(feeds: Mapping[str, Array]) -> int:
    """Return how many items a call computes: the size of the first dimension that inputs share, 1 if they do not."""
    sizes = {array.shape[0] for array in feeds.values() if array.ndim > 1}
    return sizes.pop() if len(sizes) == 1 else 1


def size_of_batch(signature: Signature, sizes: Mapping[str, int]) -> int | None:
    """Return what sizes by name say of how many items there are; None if nothing."""
    return next((size for dim, size in sizes.items() if dim in batch_names(signature)), None)
