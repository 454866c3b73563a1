"""Bindings and values of the fake CUDA provider: what is said to it of memory."""

from __future__ import annotations

import ctypes
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from onepass.tensors import dtype_from_onnx
from tests.fakes._driver import Failure
from tests.fakes._memory import Span
from tests.fakes._queue import Op
from tests.fakes.cuda import FakeCuda

if TYPE_CHECKING:
    from tests.fakes.onnxruntime_cuda import Session


@dataclass(frozen=True)
class Place:
    """Where an input is wanted; ``name`` is what ONNX Runtime calls the memory."""

    name: str


class Value:
    """A value in memory of the provider's own, on a fake GPU."""

    def __init__(self, cuda: FakeCuda, device: int, array: np.ndarray[Any, Any]) -> None:
        self._array_shape = list(array.shape)
        block = cuda.memory.allocate("device", max(array.nbytes, 1), device)
        self._address = block.address
        ctypes.memmove(block.address, array.ctypes.data, array.nbytes)
        weakref.finalize(self, cuda.memory.free, block).atexit = False

    def data_ptr(self) -> int:
        """Return the address of the first element."""
        return self._address

    def shape(self) -> list[int]:
        """Return the shape."""
        return self._array_shape


class Binding:
    """Inputs and outputs of a run, by name."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._inputs: dict[str, tuple[Any, list[int], int] | Any] = {}
        self._outputs: dict[str, tuple[Any, list[int], int] | None] = {}
        self._values: list[Value] = []
        self._real: Any = None
        self._raises = False
        self.failed: Exception | None = None

    @property
    def unplaced(self) -> bool:
        """Whether the provider is to find memory for an output."""
        return None in self._outputs.values()

    @property
    def shapes(self) -> tuple[Any, ...]:
        """The shapes of the inputs."""
        return tuple(tuple(one[1]) if isinstance(one, tuple) else tuple(one.shape()) for one in self._inputs.values())

    def bind_input(self, name: str, device: str, number: int, kind: Any, shape: list[int], address: int) -> None:
        """Bind memory on the GPU."""
        self._check(device, number, kind, shape, address)
        if self._session.wants_on_host(name):
            # ONNX Runtime copies it to the host here and now, whether it is complete or not.
            dtype = np.dtype(kind)
            data = ctypes.string_at(address, int(np.prod(shape)) * dtype.itemsize)
            array = np.frombuffer(data, dtype).reshape(shape)
            self._inputs[name] = onnxruntime.OrtValue.ortvalue_from_numpy(array)
        else:
            self._inputs[name] = (kind, shape, address)

    def bind_ortvalue_input(self, name: str, value: Any) -> None:
        """Bind a value on the host; it is copied here and now."""
        self._inputs[name] = value

    def bind_output(
        self, name: str, device: str, number: int, kind: Any = None, shape: Any = None, address: int | None = None
    ) -> None:
        """Bind memory on the GPU, or leave it to the provider."""
        if address is not None:
            self._check(device, number, kind, shape, address)
        self._outputs[name] = None if address is None else (kind, shape, address)

    def get_outputs(self) -> list[Value]:
        """Return the values of the outputs that the last run gave."""
        return self._values

    def work(self, *, waited: bool) -> Op:
        """Return the computation as work for a stream; if it is waited for, what it raises is kept in ``failed``."""
        self._raises, self.failed = not waited, None
        reads = [_span(one) for one in self._inputs.values() if isinstance(one, tuple)]
        writes = [_span(one) for one in self._outputs.values() if one is not None]
        return Op("CU_GRAPH_NODE_TYPE_KERNEL", self._compute, tuple(reads), tuple(writes), uses=(self._session,))

    def finish(self) -> None:
        """After a run that was waited for: put results that had no place into memory of the provider's own."""
        if self.unplaced:
            arrays = [_array(value) for value in self._real.get_outputs()]
            self._values = [self._session.allocate(array) for array in arrays]

    def _compute(self) -> None:
        self._real = real = self._session.real_binding()
        for name, one in self._inputs.items():
            if isinstance(one, tuple):
                real.bind_input(name, "cpu", 0, *one)
            else:
                real.bind_ortvalue_input(name, one)
        for name, place in self._outputs.items():
            real.bind_output(name, "cpu", 0, *(place or ()))
        try:
            self._session.compute(real)
        except Exception as error:
            self.failed = error
            if self._raises:
                raise Failure("CUDA_ERROR_LAUNCH_FAILED", f"the run failed: {error}") from error

    def _check(self, device: str, number: int, kind: Any, shape: list[int], address: int) -> None:
        cuda, span = self._session.cuda, _span((kind, shape, address))
        block = cuda.memory.around(address)
        is_there = block is not None and block.kind == "device" and block.holds(span)
        if device != "cuda" or number != self._session.device or (span.size and not is_there):
            cuda.fault(f"{address:#x} was bound as memory of GPU {number} ({device}), and is none")


def _span(place: tuple[Any, list[int], int]) -> Span:
    kind, shape, address = place
    dtype = dtype_from_onnx(kind, tensor="bound") if isinstance(kind, int) else np.dtype(kind)
    return Span(address, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)


def _array(value: Any) -> np.ndarray[Any, Any]:
    dtype = dtype_from_onnx(value.element_type(), tensor="output")
    array: np.ndarray[Any, Any] = np.empty(tuple(value.shape()), dtype)
    ctypes.memmove(array.ctypes.data, value.data_ptr(), array.nbytes)
    return array
