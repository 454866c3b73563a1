"""Random and extreme inputs for a model that nobody has data for yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from onepass._errors import InputError
from onepass.outputs import Array
from onepass.tensors import Signature, TensorSpec, no_such_name


def random_inputs(signature: Signature, *, sizes: Mapping[str, int] | None = None, seed: int = 0) -> dict[str, Array]:
    """Return one array for each input: normal numbers, small non-negative integers, bytes, or truth values.

    Args:
        signature: Says which inputs there are.
        sizes: Sizes of dynamic dimensions by name (``{"N": 8}``); those not named, and nameless ones, are 1.
        seed: The same seed gives the same arrays.

    Raises:
        InputError: `sizes` names a dimension that no input has, or an input has no known rank.
    """
    sizes = dict(sizes or {})
    known = {dim for spec in signature.inputs for dim in spec.shape or () if isinstance(dim, str)}
    for dim in sizes:
        if dim not in known:
            raise InputError(no_such_name("dynamic dimension", dim, tuple(sorted(known))))
    rng = np.random.default_rng(seed)
    return {spec.name: _random_array(spec, sizes, rng) for spec in signature.inputs}


def edge_inputs(drawn: Mapping[str, Array]) -> Iterator[tuple[str, dict[str, Array]]]:
    """Yield inputs at which reduced precision and rewritten graphs break first, each with a name for reports.

    All zeros, all ones, all minus ones, and the arrays given a ten-thousandth and ten times as large; whole numbers
    and truth values are 0 or 1 throughout.

    Args:
        drawn: One array for each input, as `random_inputs` gives them.
    """
    for name, factor, offset in (("zeros", 0, 0), ("ones", 0, 1), ("minus ones", 0, -1), ("tiny", 1e-4, 0),
                                 ("large", 10, 0)):  # fmt: skip
        yield name, {key: _scaled(array, factor, offset) for key, array in drawn.items()}


def _scaled(array: Array, factor: float, offset: int) -> Array:
    if array.dtype.kind in "fcV":
        wide = array if array.dtype.kind == "c" else array.astype(np.float64)
        scaled: Array = (wide * factor + offset).astype(array.dtype)
        return scaled
    return np.full_like(array, int(offset > 0))


def _random_array(spec: TensorSpec, sizes: Mapping[str, int], rng: np.random.Generator) -> Array:
    if spec.shape is None:
        raise InputError(f"input {spec.name!r} has no known rank, so no random array fits it; give the array itself")
    shape = tuple(dim if isinstance(dim, int) else sizes.get(dim or "", 1) for dim in spec.shape)
    if spec.dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(np.bool_)
    if spec.dtype == np.uint8:  # a picture, as a rule
        return rng.integers(0, 256, shape).astype(spec.dtype)
    if spec.dtype.kind in "iu":
        return rng.integers(0, 10, shape).astype(spec.dtype)
    return rng.standard_normal(shape).astype(spec.dtype)
