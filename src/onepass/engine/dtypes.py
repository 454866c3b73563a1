"""TensorRT data types and their NumPy dtypes.

TensorRT's own ``nptype`` fails with NumPy 1.24 and later in some versions, and lacks bfloat16 and float8 in others. So
types are matched by member name, which is the same in all flavours.
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
"""Members of ``DataType`` and their NumPy dtypes; INT4 and FP4 (4 bits) have none."""


def dtype_from_tensorrt(member: Any, *, tensor: str) -> np.dtype[Any]:
    """Return the NumPy dtype of a ``DataType`` member of any flavour.

    Raises:
        UnsupportedModelError: NumPy has no such dtype (4-bit types).
    """
    if member.name not in DTYPE_BY_MEMBER:
        raise UnsupportedModelError(
            f"tensor {tensor!r} has the TensorRT type {member.name}, which has no NumPy dtype; expected one of "
            f"{', '.join(DTYPE_BY_MEMBER)}"
        )
    return DTYPE_BY_MEMBER[member.name]
