"""Values of Arrow columns as inputs of rows: NumPy arrays, strings, and the bytes of files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass.batch._columns import pyarrow
from onepass.outputs import Array


def values_of(column: Any) -> Callable[[int], Any]:
    """Return a function from index to value, as `value_of` returns it; an unreadable value is returned as its error.

    Arrays of one shape without nulls are converted all at once.
    """
    pa = pyarrow()
    kind, flat = column.type, column
    while isinstance(flat, pa.ExtensionArray):
        flat = flat.storage
    if not pa.types.is_fixed_size_list(flat.type) or flat.null_count or getattr(kind, "permutation", None):
        return lambda index: _value(column[index])
    try:
        array = _array_of(pa, flat)
    except InputError:
        return lambda index: _value(column[index])
    array = array.reshape(len(array), *getattr(kind, "shape", array.shape[1:]))
    return lambda index: array[index]


def _value(scalar: Any) -> Any:
    try:
        return value_of(scalar)
    except InputError as error:
        return error


def value_of(scalar: Any) -> Any:
    """Return one value: nested lists and tensors as an array, bytes and strings unchanged, None for a null.

    For a struct with a field ``bytes``, as in picture data sets, return these bytes.

    Raises:
        InputError: Nested lists differ in length, or the type is unsupported.
    """
    pa = pyarrow()
    kind = scalar.type
    if not scalar.is_valid:
        return None
    if isinstance(kind, pa.FixedShapeTensorType) and not pa.types.is_boolean(kind.value_type):
        return scalar.to_numpy()
    if isinstance(kind, pa.BaseExtensionType) or pa.types.is_dictionary(kind):
        value = value_of(scalar.value)
        return value.reshape(kind.shape) if hasattr(kind, "shape") else value  # Ray's own tensors, and boolean tensors
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        return value_of(scalar["bytes"])
    if pa.types.is_struct(kind) and {"shape", "data"} <= {field.name for field in kind}:
        return value_of(scalar["data"]).reshape(value_of(scalar["shape"]))
    return _array_of(pa, scalar.values) if _is_list(pa, kind) else _single(scalar)


def _single(scalar: Any) -> Any:
    value = scalar.as_py()
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, (bool, int, float, np.floating)):
        return np.asarray(pyarrow().array([value], scalar.type).to_numpy(zero_copy_only=False)[0])
    raise InputError(
        f"unsupported column type {scalar.type}; expected numbers, lists of numbers, strings, or the bytes of files"
    )


def _array_of(pa: Any, values: Any) -> Array:
    """Return the entries of a list, possibly nested, as an array."""
    kind = values.type
    if values.null_count:
        raise InputError("a list contains a null, which an array cannot hold")
    if not _is_list(pa, kind):
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return np.array(values.to_pylist(), object)
        return np.asarray(values.to_numpy(zero_copy_only=False))
    inner = _array_of(pa, values.flatten())
    lengths = set(values.value_lengths().to_pylist())
    if len(lengths) > 1:
        raise InputError(f"nested lists must have equal lengths, got {min(lengths)} and {max(lengths)}")
    return inner.reshape(len(values), lengths.pop() if lengths else 0, *inner.shape[1:])


def _is_list(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))
