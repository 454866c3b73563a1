"""String arrays: NumPy has three kinds, ONNX has one."""

from __future__ import annotations

from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass.outputs import Array
from onepass.tensors import STRING


def text_array(array: Array, name: str) -> Array:
    """Convert any of NumPy's three kinds of string arrays to an array of Python strings.

    `StringDType` (NumPy 2) and fixed-width text become object arrays. In an object array, every element must be a
    string. Arrays of other dtypes are returned unchanged.

    Raises:
        InputError: An element is not a string, or not valid in ONNX; the message calls the input `name`.
    """
    if array.dtype.kind not in "OUT":
        return array
    objects = array if array.dtype == STRING else array.astype(STRING)
    for place, value in enumerate(objects.flat):
        problem = _problem(value)
        if problem:
            index = [int(each) for each in np.unravel_index(place, objects.shape)]
            raise InputError(f"input {name!r}: got {value!r} ({type(value).__name__}) at {index}; {problem}")
    return objects


def _problem(value: Any) -> str:
    """Return why a value is not a valid ONNX string (UTF-8), or an empty string."""
    if isinstance(value, (list, tuple)):
        return "expected only strings; nested lists must have equal lengths"
    if not isinstance(value, str):
        return "expected only strings"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "ONNX strings are UTF-8, which cannot encode an unpaired surrogate"
    return ""
