"""Random inputs for a model that nobody has data for yet."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onepass._errors import InputError
from onepass.outputs import Array
from onepass.tensors import Signature, TensorSpec, no_such_name


def random_inputs(signature: Signature, *, sizes: Mapping[str, int] | None = None, seed: int = 0) -> dict[str, Array]:
    """Return one array for each input: normal numbers, small non-negative integers, or truth values.

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


def _random_array(spec: TensorSpec, sizes: Mapping[str, int], rng: np.random.Generator) -> Array:
    if spec.shape is None:
        raise InputError(f"input {spec.name!r} has no known rank, so no random array fits it; give the array itself")
    shape = tuple(dim if isinstance(dim, int) else sizes.get(dim or "", 1) for dim in spec.shape)
    if spec.dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(np.bool_)
    if spec.dtype.kind in "iu":
        return rng.integers(0, 10, shape).astype(spec.dtype)
    return rng.standard_normal(shape).astype(spec.dtype)
