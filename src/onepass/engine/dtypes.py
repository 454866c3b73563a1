"""TensorRT's data types and NumPy's.

TensorRT's own ``nptype`` fails on NumPy 1.24 and later in some versions, and knows no bfloat16 or float8 in others.
Types are known by the names of their members, which are the same in every flavour that has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from onepass._errors import UnsupportedModelError

DTYPE_BY_MEMBER: Mapping[str, np.dtype[Any]] = {
    "FLOAT": np.dtype(np.float32),
    "HALF": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "INT8": np.dtype(np.int8),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "FP8": np.dtype(ml_dtypes.float8_e4m3fn),
    "E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
}
"""Members of ``DataType`` and what holds them in NumPy; INT4 and FP4, half a byte each, have no array form."""


def dtype_from_tensorrt(member: Any, *, tensor: str) -> np.dtype[Any]:
    """Return the NumPy dtype of a member of ``DataType``, whichever flavour it comes from.

    Raises:
        UnsupportedModelError: NumPy cannot hold it (types of half a byte).
    """
    if member.name not in DTYPE_BY_MEMBER:
        raise UnsupportedModelError(
            f"tensor {tensor!r} has TensorRT's type {member.name}, which NumPy cannot hold; expected one of "
            f"{', '.join(DTYPE_BY_MEMBER)}"
        )
    return DTYPE_BY_MEMBER[member.name]
