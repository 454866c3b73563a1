"""Text in arrays: NumPy has three kinds of it, ONNX one."""

from __future__ import annotations

from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass.outputs import Array
from onepass.tensors import STRING


def text_array(array: Array, name: str) -> Array:
    """Return strings as an array of Python's own, whichever of NumPy's three kinds of text came.

    `StringDType` (NumPy 2) and fixed-width text become objects; of an array of objects every one must be a string. An
    array of anything else is given back as it is.

    Raises:
        InputError: One is no string, or cannot be one of ONNX's; `name` is the input's in the message.
    """
    if array.dtype.kind not in "OUT":
        return array
    objects = array if array.dtype == STRING else array.astype(STRING)
    for place, value in enumerate(objects.flat):
        problem = _problem(value)
        if problem:
            index = [int(each) for each in np.unravel_index(place, objects.shape)]
            raise InputError(f"input {name!r}: got {value!r} ({type(value).__name__}) at {index}, {problem}")
    return objects


def _problem(value: Any) -> str:
    """Say why a value is no string of ONNX, which are UTF-8; nothing if it is one."""
    if isinstance(value, (list, tuple)):
        return "expected strings only; lists in a list have to be of one length"
    if not isinstance(value, str):
        return "expected strings only"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "which has half of a surrogate pair; ONNX's strings are UTF-8, and that cannot hold it"
    return ""
