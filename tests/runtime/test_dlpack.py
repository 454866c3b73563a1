"""DLPack: what is lent comes back, what is borrowed is given back, and nothing is taken twice."""

from __future__ import annotations

import weakref
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass import InputError
from onepass.runtime.cuda import _dlpack
from onepass.runtime.cuda.arrays import DeviceArray, device_array_from, is_device_array

_DTYPES = ["bool", "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64", "bfloat16"]


class _Owner:
    """Keeps memory, one would think."""


def _array(owner: object, dtype: Any = "float32", shape: tuple[int, ...] = (2, 3)) -> DeviceArray:
    return DeviceArray(0x7000, shape=shape, dtype=np.dtype(dtype), device=0, owner=owner)


@given(st.sampled_from(_DTYPES), st.lists(st.integers(0, 9), max_size=5).map(tuple))
def test_round_trip(name: str, shape: tuple[int, ...]) -> None:
    """Address, dtype and shape arrive as they were sent, and the owner lives as long as the borrower."""
    dtype = np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype(name)
    owner = _Owner()
    alive = weakref.ref(owner)
    lent = _dlpack.borrow(_array(owner, dtype, shape).__dlpack__())
    del owner
    assert (lent.address, lent.device, lent.dtype, lent.shape, lent.strides) == (0x7000, 0, dtype, shape, None)
    assert alive() is not None
    del lent
    assert alive() is None


def test_a_capsule_that_nobody_takes() -> None:
    """It lets go of the owner when it dies."""
    owner = _Owner()
    alive = weakref.ref(owner)
    capsule = _array(owner).__dlpack__()
    del owner
    assert alive() is not None
    del capsule
    assert alive() is None


def test_a_capsule_is_taken_once() -> None:
    """What was taken is used up; what is no capsule is none."""
    capsule = _array(None).__dlpack__()
    _dlpack.borrow(capsule)
    for thing in (capsule, object()):
        with pytest.raises(ValueError, match="not an unused DLPack capsule"):
            _dlpack.borrow(thing)


def test_dtypes_that_cannot_be_lent() -> None:
    """DLPack's older form knows no float8; NumPy's interface knows no bfloat16."""
    with pytest.raises(BufferError, match="DLPack has no type for float8_e4m3fn"):
        _array(None, ml_dtypes.float8_e4m3fn).__dlpack__()
    with pytest.raises(AttributeError, match="use DLPack"):
        _ = _array(None, ml_dtypes.bfloat16).__cuda_array_interface__


def test_numpy_is_on_no_gpu() -> None:
    """Only arrays on a GPU are taken for such, by either protocol."""
    assert not is_device_array(np.zeros(3))
    assert not is_device_array([1, 2])
    assert is_device_array(_array(None))
    assert _array(None).__dlpack_device__() == (2, 0)


def test_a_library_that_does_not_hand_out() -> None:
    """A tensor that its library keeps to itself is named, with what to do."""

    class Tensor:
        def __dlpack_device__(self) -> tuple[int, int]:
            return 2, 0

        def __dlpack__(self, stream: int) -> Any:
            raise BufferError("requires grad")

    class Stream:
        number = 7

    with pytest.raises(InputError, match=r"input 'x': Tensor does not export its memory \(requires grad\).*detach"):
        device_array_from(Tensor(), name="x", streams={0: Stream()})


def test_what_it_says_of_itself() -> None:
    """Rank, size and bytes follow from shape and dtype."""
    array = _array(None, "float16", (2, 3, 4))
    assert (array.ndim, array.size, array.nbytes) == (3, 24, 48)
    assert repr(array) == "DeviceArray(float16[2, 3, 4] on GPU 0)"
