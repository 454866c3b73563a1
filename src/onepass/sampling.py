"""Synthetic inputs for a model: shapes, and random and extreme values."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from onepass._errors import BackendError, InputError
from onepass.outputs import Array
from onepass.tensors import STRING, Signature, TensorSpec, no_such_name, shape_text

_BATCH = re.compile(r"n|b|bs|.*batch.*", re.IGNORECASE)


def batch_names(signature: Signature) -> frozenset[str]:
    """Return the names of the batch dimension, on whatever axis: names such as ``batch`` or ``N``.

    If no name looks like a batch dimension, return the names of all inputs' first dimensions.
    """
    names = [[dim for dim in spec.shape or () if isinstance(dim, str)] for spec in signature.inputs]
    said = {dim for dims in names for dim in dims if _BATCH.fullmatch(dim)}
    leading = {spec.shape[0] for spec in signature.inputs if spec.shape}
    return frozenset(said or {dim for dim in leading if isinstance(dim, str)})


def batch_axes(spec: TensorSpec, names: Collection[str]) -> tuple[int, ...]:
    """Return a tensor's batch axes: those with one of the names; otherwise the first, if it is dynamic and nameless."""
    shape = spec.shape or ()
    named = tuple(axis for axis, dim in enumerate(shape) if dim in names)
    return named or ((0,) if shape and shape[0] is None else ())


def input_shapes(
    signature: Signature,
    *,
    sizes: Mapping[str, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int = 1,
    other: int = 1,
) -> dict[str, tuple[int, ...]]:
    """Return a shape for each input; dimensions with the same name get the same size.

    Args:
        signature: The model's signature.
        sizes: Sizes of dynamic dimensions by name (``{"N": 8}``).
        shapes: Complete shapes of inputs by name, which can size nameless dimensions, too. Other inputs use the same
            sizes for the same names.
        batch: Size of the batch dimension (see `batch_names`), and of nameless first dimensions.
        other: Size of all other dynamic dimensions.

    Raises:
        InputError: `sizes` or `shapes` has an unknown name or a shape that does not fit, or an input has unknown rank
            and no shape is given.
    """
    known = _sizes_by_name(signature, sizes or {}, shapes or {})
    counted = batch_names(signature)

    def size_of(dim: str | None, axis: int) -> int:
        if dim is None:
            return batch if axis == 0 else other
        return known.get(dim, batch if dim in counted else other)

    found: dict[str, tuple[int, ...]] = {}
    for spec in signature.inputs:
        given = (shapes or {}).get(spec.name)
        if given is None and spec.shape is None:
            raise InputError(
                f"input {spec.name!r} has unknown rank, so no random array can be generated; give its shape, "
                f"shapes={{{spec.name!r}: (1, 3)}}, or the array itself"
            )
        if given is not None:
            found[spec.name] = tuple(given)
        else:
            dims = enumerate(spec.shape or ())
            found[spec.name] = tuple(dim if isinstance(dim, int) else size_of(dim, axis) for axis, dim in dims)
    return found


def random_inputs(
    signature: Signature,
    *,
    sizes: Mapping[str, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int = 1,
    seed: int = 0,
) -> dict[str, Array]:
    """Return a random array for each input.

    Floats are normally distributed, uint8 is 0 to 255, other integers are 0 to 9, and strings are digits.

    Args:
        signature: The model's signature.
        sizes: Sizes of dynamic dimensions by name (``{"N": 8}``); all others are 1.
        shapes: Complete shapes of inputs by name; see `input_shapes`.
        batch: Size of the batch dimension, unless `sizes` or `shapes` has it; see `input_shapes`.
        seed: The same seed gives the same arrays.

    Raises:
        InputError: `sizes` or `shapes` does not fit, or an input has unknown rank.
    """
    rng = np.random.default_rng(seed)
    found = input_shapes(signature, sizes=sizes, shapes=shapes, batch=batch)
    return {spec.name: _random_array(spec, found[spec.name], rng) for spec in signature.inputs}


@contextmanager
def explained(signature: Signature, feeds: Mapping[str, Array]) -> Iterator[None]:
    """Add to a failing call's error that its inputs were random, and how to give others.

    Raises:
        BackendError: The call raised one; its message comes first.
    """
    try:
        yield
    except BackendError as error:
        words = f"{error}. The inputs were random: {_sizes_made_up(signature, feeds)}"
        raise BackendError(words) from error.__cause__ or error


def _sizes_made_up(signature: Signature, feeds: Mapping[str, Array]) -> str:
    free = [spec for spec in signature.inputs if not spec.is_static]
    listed = [f"{spec.name} is {shape_text(feeds[spec.name].shape)} for {shape_text(spec.shape)}" for spec in free]
    if any(spec.dtype.kind in "iu" and spec.dtype != np.uint8 for spec in signature.inputs):
        listed.append("integers are 0 to 9")
    ways = [f"sizes={{{dim!r}: 64}}" for spec in free for dim in spec.shape or () if isinstance(dim, str)][:1]
    nameless = [spec for spec in free if spec.shape is None or None in spec.shape][:1]
    ways += [f"shapes={{{s.name!r}: {tuple(n if n > 1 else 64 for n in feeds[s.name].shape)}}}" for s in nameless]
    give = ", ".join([*ways, "or your own inputs"]) if ways else "your own inputs"
    return f"{', '.join(listed) or 'all sizes are fixed'}. Give {give}"


def edge_inputs(drawn: Mapping[str, Array]) -> Iterator[tuple[str, dict[str, Array]]]:
    """Yield extreme inputs, on which reduced precision and rewritten graphs fail first, each with a name for reports.

    They are all zeros, all ones, all minus ones, and the given arrays times 1e-4 and times 10. Integers and booleans
    are all 0 or all 1; strings stay as given.

    Args:
        drawn: One array per input, such as from `random_inputs`.
    """
    for name, factor, offset in (("zeros", 0, 0), ("ones", 0, 1), ("minus ones", 0, -1), ("tiny", 1e-4, 0),
                                 ("large", 10, 0)):  # fmt: skip
        yield name, {key: _scaled(array, factor, offset) for key, array in drawn.items()}


def _sizes_by_name(
    signature: Signature, sizes: Mapping[str, int], shapes: Mapping[str, Sequence[int]]
) -> dict[str, int]:
    """Return the given sizes of all named dimensions, including those from complete shapes."""
    dims = [dim for spec in signature.inputs for dim in spec.shape or () if not isinstance(dim, int)]
    names = tuple(sorted({dim for dim in dims if dim is not None}))
    for dim in sizes:
        if dim not in names:
            raise InputError(no_such_name("dynamic dimension", dim, names) + _hint_of_nameless(signature))
    specs = {spec.name: spec for spec in signature.inputs}
    known = dict(sizes)
    for name, shape in shapes.items():
        if name not in specs:
            raise InputError(no_such_name("input", name, tuple(specs)))
        spec = specs[name]
        for named, size in zip(spec.shape or (), shape, strict=False):
            if isinstance(named, str) and known.setdefault(named, size) != size:
                came = shape_text(tuple(shape))
                raise InputError(f"input {name!r}: {came} sets {named} to {size}, but it is already {known[named]}")
        if not spec.allows(tuple(shape)):
            raise InputError(f"input {name!r}: expected a shape that fits {spec}, got {shape_text(tuple(shape))}")
    return known


def _hint_of_nameless(signature: Signature) -> str:
    """Return advice on sizing a nameless dimension, if there is one."""
    for spec in signature.inputs:
        if spec.shape and None in spec.shape:
            example = tuple(dim if isinstance(dim, int) else 8 for dim in spec.shape)
            return f". Give nameless dimensions by a complete shape: shapes={{{spec.name!r}: {example}}}"
    return ""


def _scaled(array: Array, factor: float, offset: int) -> Array:
    if array.dtype == STRING:
        return array
    if array.dtype.kind in "fcV":
        wide = array if array.dtype.kind == "c" else array.astype(np.float64)
        scaled: Array = (wide * factor + offset).astype(array.dtype)
        return scaled
    return np.full_like(array, int(offset > 0))


def _random_array(spec: TensorSpec, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    if spec.dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(np.bool_)
    if spec.dtype == STRING:  # digits, because some models parse numbers
        return np.asarray(rng.integers(0, 10, shape)).astype(str).astype(STRING)
    if spec.dtype == np.uint8:  # usually an image
        return rng.integers(0, 256, shape).astype(spec.dtype)
    if spec.dtype.kind in "iu":
        return rng.integers(0, 10, shape).astype(spec.dtype)
    return rng.standard_normal(shape).astype(spec.dtype)
