"""Arrays on a GPU: inputs (from PyTorch, CuPy, JAX or Numba) and results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass.runtime.cuda import _dlpack
from onepass.runtime.cuda.driver import gpu_of
from onepass.tensors import shape_text


class DeviceArray:
    """A C-contiguous array in a GPU's memory; it is complete and belongs to its holder.

    Convert it without a copy: ``torch.from_dlpack(array)`` in PyTorch, ``jax.dlpack.from_dlpack(array)`` in JAX,
    ``cupy.asarray(array)`` in CuPy, and likewise in Numba. It stays valid as long as any of these refers to it.

    Attributes:
        address: Address of its first element in the GPU's memory.
        shape: Its shape.
        dtype: NumPy dtype.
        device: Number of the GPU.
    """

    def __init__(
        self, address: int, *, shape: tuple[int, ...], dtype: np.dtype[Any], device: int, owner: object
    ) -> None:
        """Describe memory on a GPU that `owner` keeps alive."""
        self.address = address
        self.shape = shape
        self.dtype = dtype
        self.device = device
        self._owner = owner

    def __repr__(self) -> str:
        return f"DeviceArray({self.dtype}{shape_text(self.shape)} on GPU {self.device})"

    @property
    def ndim(self) -> int:
        """The rank."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """The size of its elements in bytes."""
        return self.size * self.dtype.itemsize

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        if self.dtype.isbuiltin != 1:
            raise AttributeError(f"the CUDA array interface does not support {self.dtype}; use DLPack")
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "version": 3,
            "stream": None,  # the array is complete, so there is nothing to wait for
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return _dlpack.CUDA, self.device

    def __dlpack__(self, **_wishes: Any) -> Any:
        return _dlpack.lend(self.address, device=self.device, dtype=self.dtype, shape=self.shape, owner=self._owner)


def is_device_array(value: Any) -> bool:
    """Whether a value is an array in a GPU's memory."""
    ask = getattr(value, "__dlpack_device__", None)
    if ask is not None:
        return int(ask()[0]) in (_dlpack.CUDA, _dlpack.CUDA_MANAGED)
    return hasattr(value, "__cuda_array_interface__")


def device_array_from(value: Any, *, name: str, streams: Mapping[int, Any]) -> DeviceArray:
    """Return a GPU array as a `DeviceArray`, without a copy.

    Args:
        value: An array for which `is_device_array` is true.
        name: The input's name, for messages.
        streams: A `Stream` for each of the model's GPUs, by GPU number; work queued there from now on waits until the
            array is complete.

    Raises:
        InputError: The array is on another GPU, is not C-contiguous, or its library does not export it.
    """
    dense = True
    number = _gpu_of(value, streams)
    if number not in streams:
        on = " and ".join(map(str, streams))
        raise InputError(
            f"input {name!r} is on GPU {number}, but the model is on GPU {on}; move the input there, or open the model "
            f"with device={number}"
        )
    stream = streams[number]
    if isinstance(value, DeviceArray):
        found = value
    elif hasattr(value, "__dlpack__"):
        try:
            # The library makes our stream wait for pending writes to the array.
            lent = _dlpack.borrow(value.__dlpack__(stream=stream.number))
        except Exception as error:
            raise InputError(
                f"input {name!r}: {type(value).__name__} does not export its memory ({error}); "
                "if a tensor requires gradients, use .detach()"
            ) from error
        dense = lent.strides is None or _is_dense(lent.shape, lent.strides)
        found = DeviceArray(lent.address, shape=lent.shape, dtype=lent.dtype, device=lent.device, owner=lent.owner)
    else:
        interface = value.__cuda_array_interface__
        shape, dtype = tuple(interface["shape"]), np.dtype(interface["typestr"])
        strides = interface.get("strides")
        dense = strides is None or _is_dense(shape, tuple(step // dtype.itemsize for step in strides))
        if interface.get("stream") is not None:
            with stream.device.current():
                stream.wait_for(int(interface["stream"]))
        address = int(interface["data"][0])
        found = DeviceArray(address, shape=shape, dtype=dtype, device=stream.device.index, owner=value)
    if not dense:
        raise InputError(
            f"input {name!r}: the GPU array is not C-contiguous (a transposed view, or a slice); "
            "use array.contiguous() in PyTorch, or cupy.ascontiguousarray(array)"
        )
    return found


def _gpu_of(value: Any, streams: Mapping[int, Any]) -> int:
    """Return the number of an array's GPU."""
    if isinstance(value, DeviceArray):
        return value.device
    if hasattr(value, "__dlpack_device__"):
        return int(value.__dlpack_device__()[1])
    address = int(value.__cuda_array_interface__["data"][0])
    first, stream = next(iter(streams.items()))
    if not address:  # an empty array may have no address
        return first
    with stream.device.current():  # this thread may have no CUDA context yet, and the query needs one
        return gpu_of(address)


def _is_dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    expected = 1
    for size, step in zip(reversed(shape), reversed(strides), strict=True):
        if size > 1 and step != expected:
            return False
        expected *= max(size, 1)
    return True
