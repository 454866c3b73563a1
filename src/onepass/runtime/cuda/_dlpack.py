"""DLPack, the protocol by which array libraries share memory, as far as arrays on a GPU need it.

The structures are those of ``dlpack.h``, in the unversioned form (before version 1.0) that all libraries can read.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

CUDA = 2
CUDA_MANAGED = 13
_FRESH, _USED = b"dltensor", b"used_dltensor"

# kDLInt, kDLUInt, kDLFloat, kDLComplex and kDLBool of dlpack.h, by NumPy's kind; below, kDLBfloat.
_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}
_BFLOAT = 4
_BFLOAT16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


_Deleter: Any = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)


def _of_python(name: str, result: Any, *arguments: Any) -> Any:
    """Return a new handle of a C-API function; on `pythonapi`'s own, other code could change the argument types."""
    return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))


_new_capsule = _of_python("PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_pointer_in = _of_python("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
_is_named = _of_python("PyCapsule_IsValid", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
_rename = _of_python("PyCapsule_SetName", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)


class Lent(NamedTuple):
    """The description of an array in a capsule.

    Attributes:
        address: Address of the first element.
        device: Number of the GPU.
        dtype: NumPy dtype.
        shape: Shape.
        strides: Strides in elements; None if the array is C-contiguous.
        owner: Keeps the memory alive; when it dies, the lender is notified.
    """

    address: int
    device: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    owner: object


class _Owner:
    """Represents memory lent by another library."""


def borrow(capsule: Any) -> Lent:
    """Take the array from a capsule that ``__dlpack__`` returned; a capsule can be used only once.

    Raises:
        ValueError: It is not a DLPack capsule, was used already, or NumPy does not have its element type.
    """
    number = id(capsule)
    if not _is_named(number, _FRESH):
        raise ValueError("not an unused DLPack capsule")
    address = _pointer_in(number, _FRESH)
    managed = _Managed.from_address(address)
    tensor = managed.tensor
    dtype = _dtype(tensor)
    shape = tuple(tensor.shape[: tensor.ndim])
    strides = tuple(tensor.strides[: tensor.ndim]) if tensor.strides else None
    _rename(number, _USED)
    owner = _Owner()
    if managed.deleter:
        # The lender's C function that releases the memory. It is called with the GIL, which it may need.
        weakref.finalize(owner, _Deleter(managed.deleter), address).atexit = False
    return Lent((tensor.data or 0) + tensor.byte_offset, tensor.device_id, dtype, shape, strides, owner)


# Arrays that are lent and not yet returned, by the address of the structure: the structure, its shape, its owner.
_OUT: dict[int, tuple[Any, ...]] = {}


def lend(address: int, *, device: int, dtype: np.dtype[Any], shape: tuple[int, ...], owner: object) -> Any:
    """Return a capsule with a C-contiguous array on a GPU; `owner` stays alive until the borrower releases the array.

    Raises:
        BufferError: DLPack does not support the dtype.
    """
    code = _BFLOAT if dtype == ml_dtypes.bfloat16 else _CODES.get(dtype.kind)
    if code is None or (code != _BFLOAT and dtype.isbuiltin != 1):
        raise BufferError(f"DLPack has no type for {dtype}")
    sizes = (ctypes.c_int64 * len(shape))(*shape)
    managed = _Managed()
    tensor = managed.tensor
    tensor.data, tensor.device_type, tensor.device_id = address, CUDA, device
    tensor.ndim, tensor.shape = len(shape), ctypes.cast(sizes, ctypes.POINTER(ctypes.c_int64))
    tensor.code, tensor.bits, tensor.lanes = code, dtype.itemsize * 8, 1
    managed.deleter = ctypes.cast(_C_GIVE_BACK, ctypes.c_void_p).value
    place = ctypes.addressof(managed)
    _OUT[place] = (managed, sizes, owner)
    return _new_capsule(place, _FRESH, ctypes.cast(_C_DROP, ctypes.c_void_p))


def _give_back(managed: int) -> None:
    _OUT.pop(managed, None)


def _drop(capsule: int) -> None:
    """Release the array of a dying capsule if nobody has taken it; otherwise the borrower releases it."""
    if _is_named(capsule, _FRESH):
        _OUT.pop(_pointer_in(capsule, _FRESH), None)


# The functions as C pointers, kept alive because they may be called until the process ends.
_C_GIVE_BACK, _C_DROP = _Deleter(_give_back), _Deleter(_drop)


def _dtype(tensor: Any) -> np.dtype[Any]:
    if tensor.lanes == 1:
        if (tensor.code, tensor.bits) == (_BFLOAT, 16):
            return _BFLOAT16
        for kind, code in _CODES.items():
            if tensor.code == code:
                dtype: np.dtype[Any] = np.dtype(f"{kind}{tensor.bits // 8}")
                return dtype
    raise ValueError(
        f"no NumPy dtype matches DLPack type code {tensor.code} with {tensor.bits} bits and {tensor.lanes} lanes"
    )
