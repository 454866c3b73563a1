"""Outputs as typed Arrow columns. The types depend on the model only, so they are the same in every file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onepass._optional import optional
from onepass.outputs import Array
from onepass.tensors import STRING, TensorSpec, dtype_name, shape_text

_PURPOSE = "A batch job"


def pyarrow() -> Any:
    """Return PyArrow, or raise an error that says how to install it."""
    return optional("pyarrow", extra="parquet", purpose=_PURPOSE)


def parquet() -> Any:
    """Return PyArrow's Parquet module."""
    return optional("pyarrow.parquet", extra="parquet", purpose=_PURPOSE)


def free_name(name: str, taken: Sequence[str]) -> str:
    """Return the name for one of our columns, prefixed with underscores if an output has the same name."""
    while name in taken:
        name = f"_{name}"
    return name


def text(value: str) -> str:
    r"""Return a string that Arrow can hold: bytes of file names that are not UTF-8 are written as ``\udce9``."""
    return value.encode(errors="backslashreplace").decode()


def fields_of(outputs: Mapping[str, TensorSpec]) -> list[Any]:
    """Return an Arrow field for one row of each output.

    * A scalar is a plain column.
    * A fixed shape is Arrow's ``fixed_shape_tensor``, which other readers see as a list. Before PyArrow 26, which is
      the first version that can read missing ones, it is a list.
    * A dynamic shape is nested lists; fixed sizes are ``fixed_size_list``.
    * A shape of unknown rank is a struct of the shape and the flat data.

    bfloat16 and float8 become float32, which holds all their values; a complex number becomes a pair.
    """
    pa = pyarrow()
    return [
        pa.field(name, _type(pa, spec), metadata={"dtype": dtype_name(spec.dtype), "shape": shape_text(spec.shape)})
        for name, spec in outputs.items()
    ]


def column(spec: TensorSpec, values: Sequence[Array | None]) -> Any:
    """Return one output's values as an Arrow array; None becomes a null."""
    pa = pyarrow()
    missing = np.array([value is None for value in values], bool)
    arrays = [_empty(spec) if value is None else _plain(value) for value in values]
    shape, leaf = _shape(spec), _leaf(pa, spec)
    if shape is None:
        sizes, data = (
            _nested(pa, pa.int32(), (None,), [np.array(a.shape, np.int32) for a in arrays]),
            [array.reshape(-1) for array in arrays],
        )
        parts = [sizes, _nested(pa, leaf, (None,), data)]
        return pa.StructArray.from_arrays(parts, ["shape", "data"], mask=pa.array(missing))
    if not shape:
        if not arrays:
            return pa.array([], leaf)
        return pa.array(np.array([array[()] for array in arrays], arrays[0].dtype), leaf, mask=missing)
    if all(shape):
        storage = _fixed(pa, _flat(pa, leaf, arrays), math.prod(shape), missing)  # type: ignore[arg-type]
        return _as(pa, _type(pa, spec), storage)
    return _nested(pa, leaf, shape, arrays, missing)


def _as(pa: Any, kind: Any, storage: Any) -> Any:
    return pa.ExtensionArray.from_storage(kind, storage) if isinstance(kind, pa.BaseExtensionType) else storage


def _fixed(pa: Any, flat: Any, size: int, missing: Array | None = None) -> Any:
    mask = None if missing is None or not missing.any() else pa.array(missing)
    return pa.FixedSizeListArray.from_arrays(flat, size, mask=mask)


def _type(pa: Any, spec: TensorSpec) -> Any:
    leaf, shape = _leaf(pa, spec), _shape(spec)
    if shape is None:
        return pa.struct([("shape", pa.list_(pa.int32())), ("data", pa.list_(leaf))])
    if shape and all(shape):
        return pa.list_(leaf, math.prod(shape)) if spec.dtype == STRING else pa.fixed_shape_tensor(leaf, shape)  # type: ignore[arg-type]
    for size in reversed(shape):
        leaf = pa.list_(leaf, size) if size else pa.list_(leaf)
    return leaf


def _shape(spec: TensorSpec) -> tuple[int | None, ...] | None:
    """Return a row's shape, None for each dynamic size; a size of 0 counts as dynamic, as lists cannot fix it."""
    if spec.shape is None:
        return None
    sizes = tuple(dim or None if isinstance(dim, int) else None for dim in spec.shape)
    if spec.dtype.kind == "c":
        sizes = (*sizes, 2)
    # Before PyArrow 26, Parquet files with null fixed-size lists cannot be read.
    is_read = int(pyarrow().__version__.partition(".")[0]) >= 26
    return sizes if is_read or not sizes else (None, *sizes[1:])


def _leaf(pa: Any, spec: TensorSpec) -> Any:
    if spec.dtype == STRING:
        return pa.string()
    if spec.dtype.kind == "c":
        return pa.from_numpy_dtype(np.zeros(0, spec.dtype).real.dtype)
    return pa.from_numpy_dtype(spec.dtype if spec.dtype.isbuiltin == 1 else np.dtype(np.float32))


def _plain(array: Array) -> Array:
    """Convert an array to a type that Arrow supports."""
    if array.dtype == STRING:
        return np.array([text(each) for each in array.flat], object).reshape(array.shape)
    if array.dtype.kind == "c":
        return np.stack([array.real, array.imag], axis=-1)
    return array if array.dtype.isbuiltin == 1 else array.astype(np.float32)


def _empty(spec: TensorSpec) -> Array:
    """Return the placeholder value under a null."""
    shape = (0,) if spec.shape is None else tuple(dim if isinstance(dim, int) else 0 for dim in spec.shape)
    return _plain(np.full(shape, "", object) if spec.dtype == STRING else np.zeros(shape, spec.dtype))


def _flat(pa: Any, leaf: Any, arrays: Sequence[Array]) -> Any:
    return pa.array(np.concatenate([array.reshape(-1) for array in arrays]) if arrays else [], leaf)


def _nested(
    pa: Any, leaf: Any, shape: Sequence[int | None], arrays: Sequence[Array], missing: Array | None = None
) -> Any:
    """Build nested lists from the innermost axis outwards."""
    built = _flat(pa, leaf, arrays)
    for axis in reversed(range(len(shape))):
        mask = missing if axis == 0 else None
        size = shape[axis]
        if size:
            built = _fixed(pa, built, size, mask)
            continue
        lengths = [np.full(math.prod(array.shape[:axis]), array.shape[axis], np.int64) for array in arrays]
        offsets = np.concatenate([np.zeros(1, np.int64), *lengths]).cumsum().astype(np.int32)
        nulls = None if mask is None or not mask.any() else pa.array(mask)
        built = pa.ListArray.from_arrays(pa.array(offsets), built, mask=nulls)
    return built
